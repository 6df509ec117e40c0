//! How do stories run the real program?
//!
//! Every story starts the binary that users run, on port 0 and in a folder of
//! its own, and speaks to it over loopback. A process is ended by its handle,
//! never by name, and nothing waits for a fixed time: [`eventually`] asks until
//! the answer is right or a generous deadline has passed.

mod client;
mod dev;
mod edge;
mod events;
mod program;
mod raw;
mod shape;
mod site;
mod socket;
mod store;
mod terminal;

pub(crate) use client::{Answer, Client, body_of};
pub(crate) use dev::Dev;
pub(crate) use edge::Edge;
pub(crate) use events::Events;
pub(crate) use program::{Program, flowgate, run};
pub(crate) use raw::{RawAnswer, raw};
pub(crate) use shape::{check_block, check_dopt_error, check_flow, check_problem};
pub(crate) use site::{Site, project};
pub(crate) use socket::{Socket, Upgrade};
pub(crate) use store::Store;
pub(crate) use terminal::Terminal;

use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine; a passing story never waits it out.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
        // Between two questions, not instead of one.
        std::thread::sleep(Duration::from_millis(5));
    }
}
