//! What did the operator ask for, and is all of it possible?
//!
//! Two layers. [`Settings`] holds what was written: a TOML file, then
//! variables `FLOWGATE_<SECTION>__<KEY>`, then flags, the later beating the
//! earlier. [`EdgeConfig`], [`StoreConfig`] and [`DevConfig`] are what the
//! program uses; they cannot be made from settings that break a rule. All
//! faults are reported at once, with key, value and rule. One table per
//! surface ([`EDGE`], [`STORE`], [`DEV`]) drives parsing, help, variables and
//! the printed defaults. This folder alone reads the process environment.

mod dev;
mod edge;
mod fault;
mod info;
mod key;
mod log;
mod print;
mod proxies;
mod reader;
mod settings;
mod store;
mod telemetry;
mod tls;
mod variables;

pub use dev::{DEV, DevConfig};
pub use edge::{
    Ack, ChangesConfig, CorsOrigins, EDGE, EdgeConfig, EnvironmentConfig, JournalConfig,
    LimitsConfig, OldSnapshot, SnapshotOrigin, SocketConfig, StopConfig, SubjectsConfig,
    UnknownSubject, UpstreamConfig, UpstreamTls, UsageConfig,
};
pub use fault::{Fault, Faults, Origin};
pub use info::DevInfo;
pub use key::{Key, Kind, Preset, Surface};
pub use log::{LogConfig, LogFormat, LogLevel};
pub use print::{print_defaults, variable_name};
pub use proxies::ProxiesConfig;
pub use settings::Settings;
pub use store::{STORE, StoreConfig};
pub use telemetry::TracesConfig;
pub use tls::ListenerTls;
pub use variables::{ADMIN_KEY_VARIABLE, Variables};

/// A text that never appears in logs, errors or debug output by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that must stay secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; every call of this is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests;
