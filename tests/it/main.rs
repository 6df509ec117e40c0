//! What does the whole program do, seen from outside?
//!
//! The one integration binary: its module list is the index of behaviour.

#![allow(
    clippy::print_stdout,
    reason = "stories print how long things took and what was counted"
)]

mod access;
mod administration;
mod architecture;
mod bad_decisions;
mod bad_documents;
mod bounds;
mod canaries;
mod changes;
mod cli;
mod demo;
mod dev;
mod disk;
mod docs;
mod dopt;
mod fixtures;
mod freshness;
mod guarding;
mod harness;
mod hostile;
mod kill;
mod licences;
#[cfg(target_os = "linux")]
mod machine;
mod metrics;
mod openapi;
mod packaging;
mod reference;
mod restore;
mod sockets;
mod sources;
mod store_kill;
mod stories;
mod tls;
mod traces;
mod two_processes;
mod unleash;
mod usage;
mod v1;
mod vectors;
