//! The edge as its clients see it: real sockets, real progress on a disk in
//! memory, a ledger that knows nobody.

mod access;
mod admin;
mod deployments;
mod dopt;
mod flows;
mod freshness;
pub(in crate::server) mod harness;
pub(in crate::server) mod installation;
mod keeping;
mod limits;
mod revisions;
mod sizes;
mod triggers;
mod users;
