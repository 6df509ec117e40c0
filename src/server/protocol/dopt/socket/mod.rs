//! How do Dopt's clients hear of changes while they happen?
//!
//! A websocket at `/v2/socket/` that speaks engine.io 4 and socket.io 5, with
//! the namespace `/v2/client`. The upgrade names the subject, the key comes
//! behind it ([`meeting`]), then [`session`] listens and tells; what is said
//! in both directions is in [`packet`], what is followed in [`watching`], what
//! is pushed of it in [`looking`]. Clients that connect again and name nothing
//! go on with what they followed before.

mod counts;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod looking;
mod meeting;
mod packet;
mod session;
mod watching;
mod wire;

pub(crate) use counts::{ENDING_NAMES, PUSHED_NAMES, SocketCounts};
#[cfg(any(test, fuzzing))]
pub(crate) use fuzzing::packet as fuzz_packet;

use std::{rc::Rc, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        CONNECTION, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use moka::sync::Cache;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use self::watching::Watched;
use crate::{
    http::{Answer, AnswerBody, Takeover},
    limits::{SOCKET_MEMORIES_MAX, SOCKET_MEMORY_MS},
    server::{
        EdgeService,
        asked::Asked,
        error::{Fault, Invalid},
        query::{Plus, pairs, subject_id},
    },
    snapshot::sha256,
};

/// How clients' connections are kept alive.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Between two pings.
    pub ping_interval: Duration,
    /// For the answer to a ping.
    pub ping_timeout: Duration,
}

impl Default for SocketOptions {
    /// As Dopt had them.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

/// What the sockets of a process share. Cloning shares it.
#[derive(Clone)]
pub struct Sockets {
    options: SocketOptions,
    counts: Arc<SocketCounts>,
    /// What subjects followed last, by their hash.
    followed: Cache<[u8; 32], Arc<[Watched]>>,
}

impl Sockets {
    /// With none open.
    pub fn new(options: SocketOptions) -> Self {
        let followed = Cache::builder()
            .max_capacity(SOCKET_MEMORIES_MAX)
            .weigher(|_, watched: &Arc<[Watched]>| u32::try_from(watched.len()).unwrap_or(u32::MAX))
            .time_to_idle(Duration::from_millis(SOCKET_MEMORY_MS));
        Self {
            options,
            counts: Arc::default(),
            followed: followed.build(),
        }
    }

    pub(crate) fn counts(&self) -> &SocketCounts {
        &self.counts
    }
}

/// Who comes, as the upgrade says it.
struct Visitor {
    user: Box<str>,
    group: Option<Box<str>>,
    /// What of its head counts for the key.
    headers: HeaderMap,
    from: std::net::IpAddr,
}

impl Visitor {
    /// The name under which is kept what a subject follows.
    fn memory(&self, environment_uid: &str) -> [u8; 32] {
        let group = self.group.as_deref();
        let parts = [environment_uid, &self.user, group.unwrap_or_default()];
        let lengths = parts.map(|part| part.len().to_string());
        sha256([lengths.join(":"), parts.concat()].join(" ").as_bytes())
    }
}

/// `GET /v2/socket/`.
pub(crate) fn socket(edge: &Rc<EdgeService>, asked: Asked<'_>) -> Result<Answer, Fault> {
    let headers = asked.headers();
    let accept = accept(headers)?;
    let visitor = visitor(asked)?;
    let edge = Rc::clone(edge);
    let takeover = Takeover::new(move |upgraded| session::serve(edge, visitor, upgraded));
    let mut answer = Response::new(AnswerBody::takeover(takeover));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

fn visitor(asked: Asked<'_>) -> Result<Visitor, Fault> {
    const USER: &str = "endUserIdentifier";
    const GROUP: &str = "groupIdentifier";
    let (mut user, mut group) = (None, None);
    // Clients encode what they put into this query, also a plus.
    for pair in pairs(asked.head.uri.query().unwrap_or_default(), Plus::Space) {
        let (name, value) = pair?;
        let (what, place) = match &*name {
            USER => (USER, &mut user),
            GROUP => (GROUP, &mut group),
            "EIO" => {
                expect("EIO", &value, "4")?;
                continue;
            }
            "transport" => {
                expect("transport", &value, "websocket")?;
                continue;
            }
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Invalid::Repeated { what }.into());
        }
    }
    let user = user.ok_or(Invalid::Missing {
        what: USER,
        expected: "a user id of 1 to 512 bytes",
    })?;
    let group = group.filter(|group| !group.is_empty());
    subject_id(USER, &user)?;
    if let Some(group) = &group {
        subject_id(GROUP, group)?;
    }
    let mut headers = HeaderMap::new();
    for name in [&ORIGIN, &meeting::USER_TOKEN] {
        for value in asked.headers().get_all(name) {
            headers.append(name, value.clone());
        }
    }
    Ok(Visitor {
        user: (*user).into(),
        group: group.as_deref().map(Into::into),
        headers,
        from: asked.visit.from(),
    })
}

fn expect(what: &'static str, found: &str, expected: &'static str) -> Result<(), Invalid> {
    if found == expected {
        return Ok(());
    }
    Err(Invalid::Value {
        what,
        found: found.to_owned(),
        expected,
    })
}

/// Checks the handshake of RFC 6455, section 4.2.1; what it is answered with.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Invalid> {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let wants = |name: &HeaderName, word: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        words.any(|own| own.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    if !wants(&CONNECTION, "upgrade") || !wants(&UPGRADE, "websocket") {
        return Err(Invalid::Missing {
            what: "the upgrade",
            expected: "a websocket: Connection: Upgrade and Upgrade: websocket, over HTTP/1.1",
        });
    }
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    let version = version.map(HeaderValue::as_bytes).unwrap_or_default();
    expect(
        "Sec-WebSocket-Version",
        &String::from_utf8_lossy(version),
        "13",
    )?;
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key.unwrap_or_default();
    let is_nonce = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    if !is_nonce {
        return Err(Invalid::Value {
            what: "Sec-WebSocket-Key",
            found: String::from_utf8_lossy(key).into_owned(),
            expected: "16 bytes in base64",
        });
    }
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    let text = STANDARD.encode(hash.as_ref());
    HeaderValue::try_from(text).map_err(|_| Invalid::Missing {
        what: "Sec-WebSocket-Accept",
        expected: "base64",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_the_rfc_is_answered_as_the_rfc_says() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let accepted = accept(&headers).expect("a handshake");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (name, value) in [
            (UPGRADE, "h2c"),
            (CONNECTION, "keep-alive"),
            (SEC_WEBSOCKET_VERSION, "8"),
            (SEC_WEBSOCKET_KEY, "short"),
        ] {
            let mut wrong = headers.clone();
            wrong.insert(name.clone(), HeaderValue::from_static(value));
            assert!(accept(&wrong).is_err(), "{name}: {value}");
            wrong.remove(&name);
            assert!(accept(&wrong).is_err(), "no {name}");
        }
    }
}
