//! How do packets travel, and how does a socket end?
//!
//! Text messages of a websocket, one at a time in both directions. Whatever
//! ends a socket is an [`End`]: it is counted, and the client is told by a
//! close frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    counts::Ending,
    packet::{self, Packet},
};
use crate::{
    http::Duplex,
    limits::{
        SOCKET_BUFFER_BYTES, SOCKET_CLOSE_MS, SOCKET_EVENTS_PER_PING_MAX, SOCKET_MESSAGE_BYTES_MAX,
    },
    server::following::Ended,
};

/// The most of a reason that a close frame holds.
const REASON_BYTES_MAX: usize = 123;

/// Why a socket ends, and what its client is told.
pub(super) struct End {
    pub(super) how: Ending,
    code: CloseCode,
    reason: String,
}

impl End {
    pub(super) fn new(how: Ending, code: CloseCode, reason: impl Into<String>) -> Self {
        Self {
            how,
            code,
            reason: reason.into(),
        }
    }

    pub(super) fn left() -> Self {
        Self::new(Ending::Left, CloseCode::Normal, "")
    }
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::new(Ending::Revoked, CloseCode::Policy, ended.name())
    }
}

/// A websocket of which the handshake is done.
pub(super) struct Wire {
    socket: WebSocketStream<Box<dyn Duplex>>,
}

impl Wire {
    /// With what was already read of it.
    pub(super) async fn new(stream: Box<dyn Duplex>, read: &[u8]) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(SOCKET_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(SOCKET_MESSAGE_BYTES_MAX))
            .max_frame_size(Some(SOCKET_MESSAGE_BYTES_MAX));
        let (read, config) = (read.to_vec(), Some(config));
        let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, config);
        Self {
            socket: socket.await,
        }
    }

    /// Sends a packet.
    pub(super) async fn say(&mut self, text: String) -> Result<(), End> {
        let said = self.socket.send(Message::text(text)).await;
        said.map_err(|_| End::left())
    }

    /// The next text; pings of websockets are answered on the way. Nothing is lost
    /// when it is not waited for to the end.
    pub(super) async fn hear(&mut self) -> Result<Utf8Bytes, End> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    let reason = "found a binary message; expected text";
                    return Err(End::new(Ending::Malformed, CloseCode::Unsupported, reason));
                }
                Some(Err(Error::Capacity(_))) => {
                    let reason =
                        format!("a message is longer than {SOCKET_MESSAGE_BYTES_MAX} bytes");
                    return Err(End::new(Ending::Malformed, CloseCode::Size, reason));
                }
                Some(Err(error @ (Error::Protocol(_) | Error::Utf8(_)))) => {
                    let reason = error.to_string();
                    return Err(End::new(Ending::Malformed, CloseCode::Protocol, reason));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::left()),
            }
        }
    }

    /// Says why, and waits a little for the client to say the same.
    pub(super) async fn close(mut self, end: End) {
        let mut reason = end.reason;
        while reason.len() > REASON_BYTES_MAX {
            reason.pop();
        }
        let frame = CloseFrame {
            code: end.code,
            reason: reason.into(),
        };
        let closing = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        drop(timeout(Duration::from_millis(SOCKET_CLOSE_MS), closing).await);
    }
}

/// What a text says.
pub(super) fn understood(text: &str) -> Result<Packet<'_>, End> {
    packet::read(text)
        .map_err(|error| End::new(Ending::Malformed, CloseCode::Protocol, error.to_string()))
}

/// Somebody writes too much.
pub(super) fn flood() -> End {
    let reason = format!("more than {SOCKET_EVENTS_PER_PING_MAX} packets between two pings");
    End::new(Ending::Flood, CloseCode::Policy, reason)
}
