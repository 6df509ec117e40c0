//! What has changed since a client asked last?
//!
//! Its tag is the number of the last event it was told of. Where nothing is new
//! for it, it hears just that, also when the revision is another.

use super::{
    reply::{Had, Reply},
    telling::news,
    wanted::Wanted,
};
use crate::{http::Answer, server::error::Fault};

/// `GET /api/client/delta`.
pub(super) fn answer(reply: &Reply<'_>, query: &str) -> Result<Answer, Fault> {
    let wanted = Wanted::of_query(query)?;
    let history = &reply.access.environment.flag_history;
    let in_force = history.event();
    let since = match reply.events_had() {
        Had::Anything => Some(in_force),
        Had::Events(events) => {
            let known = |event: &u32| history.since(*event, reply.access.key).is_some();
            // Of several, the newest leads the shortest way.
            events.into_iter().filter(known).max()
        }
    };
    let told = news(reply.access, &wanted, since, &reply.edge.flag_answers);
    Ok(match told {
        Some(told) => reply.at_event(told.event, Some(told.json)),
        None => reply.at_event(in_force, None),
    })
}
