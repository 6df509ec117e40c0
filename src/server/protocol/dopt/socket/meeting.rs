//! Who comes, and are they let in?
//!
//! The server speaks first; the client shows its key with its CONNECT, within
//! a time. Whoever is told no by socket.io stays away for good, so those who
//! may come again later are not told no: their socket is closed.

use std::{borrow::Cow, time::Duration};

use arc_swap::Guard;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    counts::Ending,
    packet::{self, NAMESPACE, Packet},
    session::{Follower, Session},
    watching::Watches,
    wire::{End, flood, understood},
};
use crate::{
    limits::{SOCKET_CONNECT_MS, SOCKET_EVENTS_PER_PING_MAX},
    server::{
        auth::{Access, Memory, authorize},
        error::{AuthError, Fault},
        following::{Title, Waking},
        limits::Visit,
        route::Route,
        sent::{Sent, Single},
    },
};

pub(super) static USER_TOKEN: HeaderName = HeaderName::from_static("flowgate-user-token");
static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a client shows when it connects.
#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(rename = "x-api-key", borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(rename = "flowgate-user-token", borrow)]
    token: Option<Cow<'a, str>>,
}

impl Session {
    /// From the first packet to the client's connection to the namespace.
    pub(super) async fn meet(&mut self) -> Result<Box<Follower>, End> {
        let options = self.edge.sockets.options;
        let interval_ms = options.ping_interval.as_millis();
        let opened = packet::opened(&self.id(), interval_ms, options.ping_timeout.as_millis());
        self.wire.say(opened).await?;
        let patience = Duration::from_millis(SOCKET_CONNECT_MS);
        let met = timeout(patience, self.connected()).await;
        met.unwrap_or_else(|_| {
            let reason = format!("no CONNECT within {SOCKET_CONNECT_MS} ms");
            Err(End::new(Ending::Silent, CloseCode::Policy, reason))
        })
    }

    async fn connected(&mut self) -> Result<Box<Follower>, End> {
        let mut heard = 0;
        loop {
            let text = self.wire.hear().await?;
            heard += 1;
            if heard > SOCKET_EVENTS_PER_PING_MAX {
                return Err(flood());
            }
            match understood(&text)? {
                Packet::Connect { namespace, auth } if namespace == NAMESPACE => {
                    let follower = self.let_in(auth).await?;
                    let connected = packet::connected(&self.id());
                    self.wire.say(connected).await?;
                    self.wire.say(packet::ready()).await?;
                    return Ok(follower);
                }
                Packet::Connect { namespace, .. } => {
                    let why = "there is no such namespace; expected /v2/client";
                    self.wire.say(packet::refused(namespace, why)).await?;
                }
                Packet::Leave => return Err(End::left()),
                Packet::Pong | Packet::Event(_) | Packet::Nothing => {}
            }
        }
    }

    /// Checks the key, or tells the client why it is not let in.
    async fn let_in(&mut self, auth: &str) -> Result<Box<Follower>, End> {
        let fault = match self.admit(auth) {
            Ok(follower) => return Ok(Box::new(follower)),
            Err(fault) => fault,
        };
        self.edge.count(&fault);
        let text = fault.details();
        match fault {
            // Whoever is told no by socket.io does not come again: only a
            // close brings these back later.
            Fault::Limit(_) | Fault::Streams | Fault::Auth(AuthError::NotYet) => {
                Err(End::new(Ending::Full, CloseCode::Again, text))
            }
            _ => {
                self.wire.say(packet::refused(NAMESPACE, &text)).await?;
                Err(End::new(Ending::Refused, CloseCode::Normal, "refused"))
            }
        }
    }

    fn admit(&mut self, auth: &str) -> Result<Follower, Fault> {
        // What is no such object shows no key.
        let auth: Option<Auth<'_>> = serde_json::from_str(auth).ok();
        let mut headers = std::mem::take(&mut self.visitor.headers);
        let shown = auth.map_or((None, None), |auth| (auth.key, auth.token));
        for (name, value) in [(&X_API_KEY, shown.0), (&USER_TOKEN, shown.1)] {
            let value = value.and_then(|text| HeaderValue::try_from(&*text).ok());
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
        let sent = Sent::of(&headers);
        let (edge, visitor) = (&self.edge, &self.visitor);
        let live = Guard::into_inner(edge.current.load());
        let memory = Memory::default();
        let access = authorize(&live, &memory, &sent, Route::DoptSocket, visitor.from)?;
        Visit::new(&edge.gate, visitor.from).admit(access.slot, access.route.class())?;
        let (environment, kind) = (access.environment, access.key.kind);
        let person = edge
            .users
            .person(environment, kind, sent.user_token, || edge.now());
        let person = person.map_err(AuthError::UserToken)?;
        let access = Access { person, ..access };
        access.check_user(&visitor.user)?;
        let seat = edge.changes.seat(&access.key.sha256).ok_or_else(|| {
            edge.changes.counts().stream_refused();
            Fault::Streams
        })?;
        let title = Title::of(access);
        Ok(Follower {
            memory: visitor.memory(&title.environment_uid),
            title,
            signed: !matches!(sent.user_token, Single::Absent),
            waking: Waking::new(edge, &visitor.user, visitor.group.as_deref()),
            watches: Watches::default(),
            sockets: edge.sockets.clone(),
            _seat: seat,
        })
    }

    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.edge.ambient.bytes::<15>())
    }
}
