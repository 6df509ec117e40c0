//! What can be set on `flowgate dev`?
//!
//! Few keys: dev is the two other commands in one process with settings that
//! suit one machine. [`DevConfig`] makes their configurations, through the same
//! rules as a file would.

use std::path::{Path, PathBuf};

use super::{
    EDGE, EdgeConfig, LogConfig, STORE, StoreConfig,
    fault::Faults,
    key::{Key, Kind, Preset, Surface},
    log,
    reader::Reader,
    settings::Settings,
};
use crate::address::Address;

/// Everything that can be set on `flowgate dev`.
pub const DEV: Surface = Surface {
    name: "dev",
    about: "Settings of `flowgate dev`, store and edge in one process, each with its default.",
    keys: &[&[
        Key {
            name: "data",
            flag: "data",
            kind: Kind::Path,
            preset: Preset::Value("\"./.flowgate\""),
            secret: None,
            doc: "Folder of everything dev keeps; made when missing. Its dev.json holds addresses and keys. Remove it \
                  to begin anew.",
        },
        Key {
            name: "edge.listen",
            flag: "edge",
            kind: Kind::Address,
            preset: Preset::Value("\"127.0.0.1:7070\""),
            secret: None,
            doc: "Where applications connect. Port 0 picks a free one.",
        },
        Key {
            name: "store.listen",
            flag: "store",
            kind: Kind::Address,
            preset: Preset::Value("\"127.0.0.1:7080\""),
            secret: None,
            doc: "Where the command line and the console connect. Port 0 picks a free one.",
        },
        Key {
            name: "admin.listen",
            flag: "admin",
            kind: Kind::Address,
            preset: Preset::Value("\"127.0.0.1:7071\""),
            secret: None,
            doc: "Where the edge's /health, /ready, /metrics and /status are served. Port 0 picks a free one.",
        },
        Key {
            preset: Preset::Value("\"warn\""),
            doc: "The lowest level that is logged; warnings only, so that the addresses stay in sight. Read again on \
                  SIGHUP.",
            ..log::LOG_LEVEL
        },
        log::LOG_FORMAT,
    ]],
};

/// Settings of `flowgate dev` that cannot break a rule.
#[derive(Clone, Debug)]
pub struct DevConfig {
    data: PathBuf,
    edge_listen: Address,
    store_listen: Address,
    admin_listen: Address,
    log: LogConfig,
}

impl DevConfig {
    /// Checks settings; the error holds every fault.
    pub fn build(settings: Settings) -> Result<Self, Faults> {
        let mut reader = Reader::new(settings);
        let config = Self {
            data: reader.path("data"),
            edge_listen: reader.address("edge.listen"),
            store_listen: reader.address("store.listen"),
            admin_listen: reader.address("admin.listen"),
            log: reader.log(),
        };
        let listeners = [
            ("edge.listen", &config.edge_listen),
            ("store.listen", &config.store_listen),
            ("admin.listen", &config.admin_listen),
        ];
        for (position, (key, address)) in listeners.iter().enumerate() {
            let earlier = listeners[..position]
                .iter()
                .find(|(_, other)| address.is_same(other));
            if let Some((other, _)) = earlier {
                reader.broken(
                    key,
                    &format!("is the same address as {other} (each needs its own)"),
                );
            }
        }
        if config.store_listen.tcp().is_none() {
            let rule = "has to be an address of the network (the edge reaches the store by it)";
            reader.broken("store.listen", rule);
        }
        reader.finish(config)
    }

    /// The folder of everything.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file with addresses and keys.
    pub fn info_file(&self) -> PathBuf {
        self.data.join("dev.json")
    }

    /// The log.
    pub fn log(&self) -> &LogConfig {
        &self.log
    }

    /// The configuration of the store inside dev.
    pub fn store(&self) -> Result<StoreConfig, Faults> {
        let settings = Settings::new(&STORE)
            .set("listen", &self.store_listen.to_string())
            .set("data", &self.data.join("store").to_string_lossy())
            // What is tried out listens on the same machine.
            .set("webhooks.allow_http", "true")
            .set("webhooks.allow_private", "true");
        StoreConfig::build(settings)
    }

    /// The configuration of the edge inside dev, once the store runs: its url,
    /// its root file, and an edge key for each environment.
    pub fn edge<'a>(
        &self,
        store_url: &str,
        trust_root: &Path,
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<EdgeConfig, Faults> {
        let mut settings = Settings::new(&EDGE)
            .set("listen", &self.edge_listen.to_string())
            .set("admin.listen", &self.admin_listen.to_string())
            .set("data", &self.data.join("edge").to_string_lossy())
            .set("upstream.url", store_url)
            .set("upstream.trust_root", &trust_root.to_string_lossy())
            // A laptop's disk is not asked for more than a trial needs.
            .set("journal.segment_mb", "4")
            .set("journal.total_mb", "1024");
        for (environment, key) in keys {
            settings = settings.set(&format!("environment.{environment}.key"), key);
        }
        EdgeConfig::build(settings)
    }
}
