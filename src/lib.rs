#![forbid(unsafe_code)]
//! partial
pub mod clock;
pub mod current;
pub mod disk;
pub mod evaluate;
pub mod http;
pub mod limits;
pub mod progress;
pub mod server;
pub mod snapshot;
pub mod telemetry;
