//! What has changed since a client asked last?
//!
//! Its tag is the mark of what it was told last. Where nothing is new
//! for it, it hears just that, also when the revision is another.

use super::{
    reply::{Had, Reply},
    telling::news,
    wanted::Wanted,
};
use crate::{http::Answer, server::error::Fault, snapshot::flags::FlagMark};

/// `GET /api/client/delta`.
pub(super) fn answer(reply: &Reply<'_>, query: &str) -> Result<Answer, Fault> {
    let wanted = Wanted::of_query(query)?;
    let history = &reply.access.environment.flag_history;
    let in_force = history.mark();
    let since = match reply.marks_had() {
        Had::Anything => Some(in_force),
        Had::Marks(marks) => {
            let known = |mark: &FlagMark| history.since(*mark, reply.access.key).is_some();
            // Of several, the newest leads the shortest way.
            marks.into_iter().filter(known).max()
        }
    };
    let told = news(reply.access, &wanted, since, &reply.edge.flag_answers);
    Ok(match told {
        Some(told) => reply.at_mark(told.mark, Some(told.json)),
        None => reply.at_mark(in_force, None),
    })
}
