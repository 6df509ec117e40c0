//! What does an operator see of a running process?
//!
//! Logs for people ([`logs`]) and numbers for machines ([`metrics`]).
//! Everything is made once by whoever composes the program and handed down;
//! nothing registers itself globally but the one subscriber that the `tracing`
//! macros need.

pub mod logs;
pub mod metrics;
pub mod traces;
