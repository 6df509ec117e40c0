//! What did the client send beside the head?
//!
//! A body is read whole, within the cap its route sets. An announced length
//! above the cap is refused before a byte is read. How long it may take is the
//! reaper's matter. With it comes whom the request is from.

use std::{net::IpAddr, rc::Rc};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::pulse::Pulse;

/// A body that was not read yet.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    pulse: Rc<Pulse>,
    client: IpAddr,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than the route takes.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// What the route takes.
        limit: usize,
        /// The Content-Length, when there is one.
        announced: Option<u64>,
    },
    /// The peer went away, or sent malformed chunks.
    #[error("the body could not be read")]
    Broken(#[source] hyper::Error),
}

impl Body {
    pub(super) fn new(incoming: Incoming, pulse: Rc<Pulse>, client: IpAddr) -> Self {
        Self {
            incoming,
            pulse,
            client,
        }
    }

    /// The address of whom the request is from: the peer's, unless it is a
    /// trusted proxy that asks for somebody else. Loopback for a socket file.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// Reads all of it, at most `limit` bytes. The usual small body, which
    /// arrives in one piece, is not copied.
    pub async fn read(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self.incoming.is_end_stream() {
            return Ok(Bytes::new());
        }
        let announced = self.incoming.size_hint().exact();
        let too_large = || BodyError::TooLarge { limit, announced };
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let first = match self.next().await? {
            Some(data) if data.len() > limit => return Err(too_large()),
            Some(data) => data,
            None => Bytes::new(),
        };
        // With a known length hyper knows the end without another read.
        if self.incoming.is_end_stream() {
            self.pulse.body_complete();
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(data) = self.next().await? {
            if whole.len() + data.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
        self.pulse.body_complete();
        Ok(whole.freeze())
    }

    /// The next piece of data; trailers mean nothing to us.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
                self.pulse.body_piece(data.len());
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
