//! How does a server answer at a given rate?
//!
//! An open loop: requests are due at fixed times, whatever became of those
//! before them, and the time of each is counted from when it was due. A server
//! that stalls for a second is seen as a second by everybody who would have
//! come in that second; a generator that waits for answers would not have
//! asked. One thread sends; what it could not send in time it says itself.

mod connection;
mod plan;
mod report;

pub use plan::{Asked, Load, PlanError, Target};
pub use report::Report;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use self::connection::Lane;

/// Between the decision to begin and the first request: all connections stand.
const RUN_UP: Duration = Duration::from_millis(50);

/// Runs a load to its end. Every connection is opened before the first request
/// is due; one that cannot be opened is tried again with each of its requests.
pub async fn run(load: &Load) -> Report {
    let mut lanes: Vec<Lane<'_>> = (0..load.connections.get())
        .map(|number| Lane::new(load, number))
        .collect();
    join_all(lanes.iter_mut().map(Lane::connect)).await;
    let begin = Instant::now() + RUN_UP;
    let tallies = join_all(lanes.into_iter().map(|lane| lane.run(begin))).await;
    Report::of(load, tallies)
}
