#![forbid(unsafe_code)]
//! skeleton
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod current;
pub mod disk;
pub mod evaluate;
pub mod limits;
pub mod progress;
pub mod snapshot;
pub mod store;
pub mod telemetry;
