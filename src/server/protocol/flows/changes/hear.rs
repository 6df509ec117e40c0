//! Who may open a stream of changes, and with what?
//!
//! With a key in a header and the subject in the query, or with a ticket that
//! stands for both. The first look is taken before anything is answered: who
//! cannot be served now hears it as a status, and the first event is there at
//! once.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::{
    Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::sync::mpsc;

use super::{
    follow::{Blind, Follower},
    ticket::{Followed, Ticket, TicketError},
    told::Told,
};
use crate::{
    http::{Answer, AnswerBody, json},
    server::{
        EdgeService,
        asked::{Asked, Posted},
        auth::Access,
        deciding::{Who, refuse_old},
        error::{AuthError, Fault, Invalid},
        following::{Title, Waking},
        protocol::flows::{
            wire::{SubjectBody, Text, TicketBody},
            write_text,
        },
        query::{Plus, pairs},
    },
};

static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Pieces on their way to a client beside the one that is being sent.
const PIECES: usize = 1;

/// `GET /v1/changes`.
pub(crate) async fn hear(edge: &EdgeService, asked: Asked<'_>) -> Result<Answer, Fault> {
    let live = arc_swap::Guard::into_inner(edge.current.load());
    let query = ChangesQuery::parse(asked.head.uri.query().unwrap_or_default())?;
    let (access, followed) = match &query.ticket {
        Some(ticket) => {
            query.alone()?;
            let counts = edge.changes.counts();
            let refused = |error| {
                counts.ticket_refused();
                Fault::Ticket(error)
            };
            let ticket = edge.changes.office.open(ticket.as_ref()).map_err(refused)?;
            let title = Title {
                key: ticket.key,
                environment_uid: ticket.environment_uid,
                route: asked.route,
                from: asked.visit.from(),
            };
            match title.access(&live) {
                Ok(access) => {
                    asked.visit.admit(access.slot, asked.route.class())?;
                    (access, ticket.followed)
                }
                Err(_) if !live.is_complete() => return Err(AuthError::NotYet.into()),
                Err(_) => return Err(refused(TicketError::Key)),
            }
        }
        None => {
            let access = asked.access(&live)?;
            let body = query.subject()?;
            let followed = Followed::of(&body.check(access)?);
            (access, followed)
        }
    };
    open(edge, access, followed).await
}

/// Opens the stream.
async fn open(edge: &EdgeService, access: Access<'_>, followed: Followed) -> Result<Answer, Fault> {
    // Before it takes a place that somebody could have who is served.
    refuse_old(access.environment, edge.now())?;
    let changes = edge.changes.clone();
    let Some(seat) = changes.seat(&access.key.sha256) else {
        changes.counts().stream_refused();
        return Err(Fault::Streams);
    };
    let mut follower = Follower {
        waking: Waking::new(edge, &followed.user, followed.group.as_deref()),
        current: Arc::clone(&edge.current),
        progress: edge.progress.clone(),
        title: Title::of(access),
        changes,
        followed,
        told: Told::nothing(),
        _seat: seat,
    };
    let hello = follower.look().await.map_err(|blind| match blind {
        Blind::Unread(error) => Fault::Read(error),
        Blind::Over(_) => Fault::Ticket(TicketError::Key),
        Blind::Old(old) => Fault::Old(old),
    })?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let following = AssertUnwindSafe(follower.run(sender, hello)).catch_unwind();
    // Nobody waits for the task: it ends with the connection, whose body it
    // feeds.
    drop(tokio::task::spawn_local(async move {
        if following.await.is_err() {
            tracing::error!("a stream of changes panicked and has ended");
        }
    }));
    let answer = event_stream(pieces);
    Ok(edge.stamps.stamped(access.environment, edge.now(), answer))
}

/// An answer of server-sent events.
pub(crate) fn event_stream(pieces: mpsc::Receiver<Bytes>) -> Answer {
    let mut answer = Response::new(AnswerBody::stream(pieces));
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Proxies of this family gather an answer before they pass it on.
        (X_ACCEL_BUFFERING.clone(), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// `POST /v1/changes/tickets`.
pub(crate) fn sell(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: TicketBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    if body.subject.has_attributes() {
        return Err(Invalid::Unsupported {
            what: "subject.attributes",
            expected: "a user, and perhaps a group and a conversation",
        }
        .into());
    }
    let followed = Followed::of(&body.subject.check(access)?);
    let office = &edge.changes.office;
    let ticket = Ticket {
        expires_ms: office.expires_ms(),
        key: access.key.sha256,
        environment_uid: access.environment.snapshot.environment_uid.clone(),
        followed,
    };
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"url\":");
    write_text(
        &mut out,
        &format!("/v1/changes?ticket={}", office.seal(&ticket)),
    );
    out.extend_from_slice(b",\"expires_ms\":");
    out.extend_from_slice(itoa::Buffer::new().format(ticket.expires_ms).as_bytes());
    out.push(b'}');
    edge.changes.counts().ticket_sold();
    Ok(edge.stamps.evaluated(access.environment, edge.now(), out))
}

impl Followed {
    fn of(who: &Who<'_>) -> Self {
        Self {
            user: who.user.into(),
            group: who.group.map(Into::into),
            conversation: who.conversation.map(Into::into),
        }
    }
}

/// The query of a stream, decoded; strict, as the bodies of `/v1` are.
#[derive(Debug, Default)]
struct ChangesQuery<'q> {
    user: Option<Text<'q>>,
    group: Option<Text<'q>>,
    conversation: Option<Text<'q>>,
    ticket: Option<Text<'q>>,
}

impl<'q> ChangesQuery<'q> {
    fn parse(raw: &'q str) -> Result<Self, Invalid> {
        let mut query = Self::default();
        for pair in pairs(raw, Plus::Space) {
            let (name, value) = pair?;
            let (what, place) = match &*name {
                "user" => ("user", &mut query.user),
                "group" => ("group", &mut query.group),
                "conversation" => ("conversation", &mut query.conversation),
                "ticket" => ("ticket", &mut query.ticket),
                _ => {
                    return Err(Invalid::Value {
                        what: "query",
                        found: name.into_owned(),
                        expected: "user, group and conversation, or ticket",
                    });
                }
            };
            if place.replace(Text(value)).is_some() {
                return Err(Invalid::Repeated { what });
            }
        }
        Ok(query)
    }

    /// A ticket says all there is to say.
    fn alone(&self) -> Result<(), Invalid> {
        let others = [&self.user, &self.group, &self.conversation];
        if others.into_iter().any(Option::is_some) {
            return Err(Invalid::Both {
                one: "ticket",
                other: "a subject",
            });
        }
        Ok(())
    }

    fn subject(self) -> Result<SubjectBody<'q>, Invalid> {
        let user = self.user.ok_or(Invalid::Missing {
            what: "user",
            expected: "a user id of 1 to 512 bytes, or a ticket",
        })?;
        Ok(SubjectBody::named(user, self.group, self.conversation))
    }
}
