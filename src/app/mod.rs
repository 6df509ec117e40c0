//! How do the parts become a running program?
//!
//! PLACEHOLDER of the composition root: the signatures the command line calls.
//! Every start is refused until the rooms are connected.

use std::net::SocketAddr;

use crate::{
    clock::Ambient,
    config::{DevConfig, DevInfo, EdgeConfig, StoreConfig},
};

/// Where a running program listens; absent for what it does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The edge's public listener.
    pub edge: Option<SocketAddr>,
    /// The edge's admin listener.
    pub admin: Option<SocketAddr>,
    /// The store's listener.
    pub store: Option<SocketAddr>,
}

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The rooms are not connected in this build.
    #[error("{0} is not connected in this build")]
    NotConnected(&'static str),
}

/// A running edge.
pub struct Edge {}

impl Edge {
    /// Starts everything; returns when the listeners are bound.
    pub fn start(_config: EdgeConfig, _ambient: Ambient) -> Result<Self, StartError> {
        Err(StartError::NotConnected("edge"))
    }
    /// Bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses::default()
    }
    /// Stops everything in order; returns when it is done.
    pub fn stop(self) {}
}

/// A running store.
pub struct Store {}

impl Store {
    /// As for the edge.
    pub fn start(_config: StoreConfig, _ambient: Ambient) -> Result<Self, StartError> {
        Err(StartError::NotConnected("store"))
    }
    /// As for the edge.
    pub fn addresses(&self) -> Addresses {
        Addresses::default()
    }
    /// As for the edge.
    pub fn stop(self) {}
}

/// A running pair.
pub struct Dev {}

impl Dev {
    /// As for the edge.
    pub fn start(_config: DevConfig, _ambient: Ambient) -> Result<Self, StartError> {
        Err(StartError::NotConnected("dev"))
    }
    /// As for the edge.
    pub fn addresses(&self) -> Addresses {
        Addresses::default()
    }
    /// What stands in `dev.json`.
    pub fn info(&self) -> DevInfo {
        DevInfo::default()
    }
    /// As for the edge.
    pub fn stop(self) {}
}
