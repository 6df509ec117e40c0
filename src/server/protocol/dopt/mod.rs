//! What do Dopt's SDKs ask, and what do they take for an answer?
//!
//! The published clients are the specification: intents answer exactly 204, a
//! 4xx on a step can crash a Node process, so steps that lead nowhere succeed
//! with `X-Dopt-Intent-Side-Effects: false`; every error is JSON. A `force`
//! that a flow refuses from public keys counts as not given, for that reason.

mod flow;
mod identify;
mod segment;
mod socket;
mod step;
mod users;

pub(crate) use flow::{block, flow};
pub(crate) use identify::identify;
pub use segment::SegmentSecrets;
#[cfg(any(test, fuzzing))]
pub(crate) use socket::fuzz_packet;
pub(crate) use socket::{ENDING_NAMES, PUSHED_NAMES, socket};
pub use socket::{SocketOptions, Sockets};
pub(crate) use step::{intent, transition};
pub(crate) use users::users;

use crate::{
    clock::UnixMs,
    server::{
        auth::Access,
        deciding::{Inquiry, Who, channel},
        error::Fault,
        query::Query,
    },
};

/// Who asks, over the channel of the key: Dopt's requests name none, and carry
/// neither conversation nor attributes.
fn inquiry<'r>(
    access: Access<'r>,
    query: &'r Query<'_>,
    now: UnixMs,
) -> Result<Inquiry<'r>, Fault> {
    let user = query.user()?;
    access.check_user(user)?;
    let who = Who {
        user,
        group: query.group()?,
        conversation: None,
        attributes: None,
    };
    Inquiry::open(access, who, channel(access.key, None)?, (now, now))
}
