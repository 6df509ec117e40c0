//! What must hold of what a socket.io client writes?
//!
//! A target of `crate::fuzzing`: every text is a packet or a short refusal,
//! and what is followed has a name of bounded length.

use super::packet::{Event, NAMESPACE, Packet, error, read, refused};
use crate::limits::SID_BYTES_MAX;

/// One text message.
pub(crate) fn packet(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let told = match read(text) {
        Ok(Packet::Event(Event::Flow { sid, .. })) => {
            assert!(sid.len() <= SID_BYTES_MAX);
            return;
        }
        Ok(Packet::Event(Event::Strange(told))) => told,
        Ok(Packet::Connect { namespace, auth }) => {
            assert!(namespace == "/" || text.contains(namespace));
            assert!(text.ends_with(auth));
            // What a client is refused with is read by it again.
            let answer = refused(namespace, auth);
            let head = match namespace {
                "/" => "44".to_owned(),
                own => format!("44{own},"),
            };
            let told = answer.strip_prefix(&head).expect("it names the namespace");
            let read: serde_json::Value = serde_json::from_str(told).expect("JSON");
            assert_eq!(read["message"], auth);
            return;
        }
        Ok(_) => return,
        Err(malformed) => {
            let reason = malformed.to_string();
            assert!(reason.len() < 256, "{reason:?} repeats what it was sent");
            return;
        }
    };
    let event = error(&told);
    let arguments = event.strip_prefix(&format!("42{NAMESPACE},"));
    let arguments: serde_json::Value =
        serde_json::from_str(arguments.expect("an event")).expect("JSON");
    assert_eq!(arguments, serde_json::json!(["error", told]));
}
