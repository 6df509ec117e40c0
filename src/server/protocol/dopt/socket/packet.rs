//! What do socket.io clients write, and what is written to them?
//!
//! Of engine.io 4 and socket.io 5 what Dopt's clients use: text packets over a
//! websocket, one namespace, events without acknowledgements. Everything else
//! is malformed or ignored as their protocols say. Pure.

use serde_json::Value;

use crate::{
    evaluate::Tag,
    limits::{SID_BYTES_MAX, SOCKET_MESSAGE_BYTES_MAX},
    server::protocol::write_text,
};

/// Where Dopt's clients connect.
pub(super) const NAMESPACE: &str = "/v2/client";

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packet<'t> {
    /// The answer to a ping.
    Pong,
    /// It leaves.
    Leave,
    /// It wants into a namespace, with these words.
    Connect { namespace: &'t str, auth: &'t str },
    /// Something is to be followed.
    Event(Event),
    /// Allowed, and of no meaning here.
    Nothing,
}

/// What is to be followed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// A flow, and its blocks.
    Flow { sid: Box<str>, tag: Tag },
    /// A block.
    Block { uid: Box<str>, tag: Tag },
    /// Something that failed to load at the client.
    Failed,
    /// Nothing that is known, or not as it must be: what to tell the client.
    Strange(String),
}

/// A packet that no client of the protocol writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found}; expected {expected}")]
pub(super) struct Malformed {
    found: String,
    expected: &'static str,
}

fn malformed(found: &str, expected: &'static str) -> Malformed {
    // A close frame takes 123 bytes of reason.
    let short: String = found.chars().take(16).collect();
    Malformed {
        found: format!("{short:?}"),
        expected,
    }
}

/// Reads one text message.
pub(super) fn read(text: &str) -> Result<Packet<'_>, Malformed> {
    let Some(kind) = text.chars().next() else {
        return Err(malformed("", "an engine.io packet"));
    };
    let rest = &text[kind.len_utf8()..];
    match kind {
        '1' => Ok(Packet::Leave),
        '3' => Ok(Packet::Pong),
        '4' => message(rest),
        // An upgrade that is over, and a packet that says it is nothing.
        '5' | '6' => Ok(Packet::Nothing),
        _ => Err(malformed(text, "an engine.io packet of a client")),
    }
}

/// The socket.io packet in a message.
fn message(text: &str) -> Result<Packet<'_>, Malformed> {
    let Some(kind) = text.chars().next() else {
        return Err(malformed("4", "a socket.io packet"));
    };
    let rest = &text[kind.len_utf8()..];
    let (namespace, rest) = match rest.starts_with('/') {
        true => rest.split_once(',').unwrap_or((rest, "")),
        false => ("/", rest),
    };
    // A query behind the name is allowed, and nothing here asks for one.
    let namespace = namespace.split_once('?').map_or(namespace, |cut| cut.0);
    match kind {
        '0' => Ok(Packet::Connect {
            namespace,
            auth: rest,
        }),
        '5' | '6' => Err(malformed(text, "a packet without binary data")),
        '1'..='4' if namespace != NAMESPACE => Ok(Packet::Nothing),
        '1' => Ok(Packet::Leave),
        // The number of an acknowledgement that no client here waits for.
        '2' => event(rest.trim_start_matches(|c: char| c.is_ascii_digit())).map(Packet::Event),
        '3' | '4' => Ok(Packet::Nothing),
        _ => Err(malformed(text, "a socket.io packet")),
    }
}

fn event(data: &str) -> Result<Event, Malformed> {
    const EXPECTED: &str = "[\"event\", …] as JSON";
    // Its depth is bounded by the reader, its length by the message's.
    let values: Vec<Value> = serde_json::from_str(data).map_err(|_| malformed(data, EXPECTED))?;
    let Some(Value::String(name)) = values.first() else {
        return Err(malformed(data, EXPECTED));
    };
    let arguments = &values[1..];
    Ok(match (name.as_str(), arguments) {
        ("watch:flow" | "watch:block", [_, Value::Number(number), ..])
            if number.as_f64() == Some(-1.0) =>
        {
            Event::Failed
        }
        // Watches are kept, so what they name has a length.
        ("watch:flow", [Value::String(sid), ..]) if sid.len() > SID_BYTES_MAX => {
            Event::Strange(format!(
                "{name} of a flow whose name has {} bytes; expected at most {SID_BYTES_MAX}",
                sid.len()
            ))
        }
        ("watch:flow", [Value::String(sid), version, ..]) => match tag(version) {
            Some(tag) => Event::Flow {
                sid: sid.as_str().into(),
                tag,
            },
            None => strange_version(name, version),
        },
        ("watch:block", [Value::String(uid), version, ..]) => match tag(version) {
            Some(tag) => Event::Block {
                uid: uid.as_str().into(),
                tag,
            },
            None => strange_version(name, version),
        },
        ("watch:flow" | "watch:block", _) => Event::Strange(format!(
            "{name} without what is to be watched; expected a name and a version"
        )),
        _ => {
            let short: String = name.chars().take(64).collect();
            Event::Strange(format!(
                "unknown event {short:?}; expected watch:flow or watch:block"
            ))
        }
    })
}

fn strange_version(name: &str, version: &Value) -> Event {
    let short: String = version.to_string().chars().take(64).collect();
    Event::Strange(format!(
        "{name} with version {short}; expected a number from 0, uncommitted or latest"
    ))
}

/// A version, as a number of any notation or as a word.
fn tag(version: &Value) -> Option<Tag> {
    match version {
        Value::String(word) => word.parse().ok(),
        Value::Number(number) => {
            let number = number.as_f64()?;
            let whole = number.trunc() == number && (0.0..=f64::from(u32::MAX)).contains(&number);
            whole.then_some(Tag::Number(number as u32))
        }
        _ => None,
    }
}

/// The first packet: how the connection is kept alive.
pub(super) fn opened(sid: &str, ping_ms: u128, timeout_ms: u128) -> String {
    format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":[],\"pingInterval\":{ping_ms},\
         \"pingTimeout\":{timeout_ms},\"maxPayload\":{SOCKET_MESSAGE_BYTES_MAX}}}"
    )
}

/// The client is in the namespace.
pub(super) fn connected(sid: &str) -> String {
    format!("40{NAMESPACE},{{\"sid\":\"{sid}\"}}")
}

/// The client is not let into the namespace. It does not come again.
pub(super) fn refused(namespace: &str, why: &str) -> String {
    let mut out = b"44".to_vec();
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"{\"message\":");
    write_text(&mut out, why);
    out.push(b'}');
    text_of(out)
}

/// Everything that is listened for is bound.
pub(super) fn ready() -> String {
    format!("42{NAMESPACE},[\"ready\"]")
}

/// An event with one argument, which is JSON already.
pub(super) fn event_with(name: &str, argument: &[u8]) -> String {
    let mut out = Vec::with_capacity(NAMESPACE.len() + name.len() + argument.len() + 8);
    out.extend_from_slice(b"42");
    out.extend_from_slice(NAMESPACE.as_bytes());
    out.extend_from_slice(b",[\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(argument);
    out.push(b']');
    text_of(out)
}

/// Something for the client's log.
pub(super) fn error(text: &str) -> String {
    let mut argument = Vec::with_capacity(text.len() + 2);
    write_text(&mut argument, text);
    event_with("error", &argument)
}

/// Written from text only, so it is text.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(sid: &str, tag: Tag) -> Packet<'static> {
        Packet::Event(Event::Flow {
            sid: sid.into(),
            tag,
        })
    }

    #[test]
    fn what_the_published_clients_write_is_understood() {
        let cases: [(&str, Packet<'_>); 12] = [
            ("3", Packet::Pong),
            ("1", Packet::Leave),
            ("41/v2/client,", Packet::Leave),
            (
                "40/v2/client,{\"x-api-key\":\"k\"}",
                Packet::Connect {
                    namespace: NAMESPACE,
                    auth: "{\"x-api-key\":\"k\"}",
                },
            ),
            (
                "40",
                Packet::Connect {
                    namespace: "/",
                    auth: "",
                },
            ),
            (
                "42/v2/client,[\"watch:flow\",\"w\",3]",
                flow("w", Tag::Number(3)),
            ),
            (
                "42/v2/client,[\"watch:flow\",\"w\",3.0]",
                flow("w", Tag::Number(3)),
            ),
            (
                "42/v2/client,[\"watch:flow\",\"w\",\"latest\"]",
                flow("w", Tag::Latest),
            ),
            (
                "42/v2/client,[\"watch:flow\",\"w\",\"uncommitted\"]",
                flow("w", Tag::Number(0)),
            ),
            (
                "42/v2/client,[\"watch:flow\",\"nope\",-1]",
                Packet::Event(Event::Failed),
            ),
            (
                "42/v2/client,7[\"watch:block\",\"b\",2]",
                Packet::Event(Event::Block {
                    uid: "b".into(),
                    tag: Tag::Number(2),
                }),
            ),
            ("42/other,[\"watch:flow\",\"w\",3]", Packet::Nothing),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_strange_is_told_and_what_is_malformed_is_refused() {
        for text in [
            "42/v2/client,[\"watch:flow\",\"w\",-2]",
            "42/v2/client,[\"watch:flow\",\"w\",1.5]",
            "42/v2/client,[\"watch:flow\",\"w\",1e99]",
            "42/v2/client,[\"watch:flow\",\"w\",null]",
            "42/v2/client,[\"watch:flow\",\"w\",\"newest\"]",
            "42/v2/client,[\"watch:flow\",\"w\"]",
            "42/v2/client,[\"watch:flow\",7,3]",
            "42/v2/client,[\"watch:channel\",\"c\"]",
        ] {
            let read = read(text);
            let is_strange = matches!(read, Ok(Packet::Event(Event::Strange(_))));
            assert!(is_strange, "{text}: {read:?}");
        }
        for text in [
            "",
            "0{}",
            "2probe",
            "7",
            "x",
            "ü",
            "4",
            "49",
            "45-1/v2/client,[]",
            "42/v2/client,",
            "42/v2/client,{}",
            "42/v2/client,[]",
            "42/v2/client,[7]",
            "42/v2/client,[\"watch:flow\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_watch_keeps_no_name_that_no_flow_can_have() {
        let named = |length| {
            format!(
                "42{NAMESPACE},[\"watch:flow\",\"{}\",1]",
                "f".repeat(length)
            )
        };
        let fits = named(SID_BYTES_MAX);
        assert!(matches!(read(&fits), Ok(Packet::Event(Event::Flow { .. }))));
        let long = named(SID_BYTES_MAX + 1);
        assert!(matches!(read(&long), Ok(Packet::Event(Event::Strange(_)))));
    }

    #[test]
    fn what_is_written_is_what_the_clients_read() {
        assert_eq!(
            refused(NAMESPACE, "no \"key\""),
            "44/v2/client,{\"message\":\"no \\\"key\\\"\"}"
        );
        assert_eq!(refused("/", "no"), "44{\"message\":\"no\"}");
        assert_eq!(event_with("blocks", b"{}"), "42/v2/client,[\"blocks\",{}]");
        assert_eq!(error("a\n"), "42/v2/client,[\"error\",\"a\\n\"]");
    }
}
