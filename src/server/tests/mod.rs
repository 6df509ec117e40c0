//! The edge as its clients see it: real sockets, real progress on a disk in
//! memory, a ledger that knows nobody.

#![cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "fuzzing takes the running edge and leaves the tests"
    )
)]

#[cfg(test)]
mod access;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod deployments;
#[cfg(test)]
mod dopt;
#[cfg(test)]
mod flags;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod freshness;
pub(in crate::server) mod harness;
pub(in crate::server) mod installation;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod revisions;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod triggers;
#[cfg(test)]
mod users;
