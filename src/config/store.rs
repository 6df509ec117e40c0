//! What can an operator set on the store?
//!
//! The table of keys, and [`StoreConfig`] as the rest of the program uses it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ListenerTls, LogConfig, ProxiesConfig, TracesConfig,
    fault::Faults,
    key::{Key, Kind, Preset, Surface},
    log, proxies,
    reader::Reader,
    settings::Settings,
    telemetry, tls,
};
use crate::address::Address;

/// Seconds of 400 days, the longest life any timestamp may have.
const TIMESTAMP_LIFE_MAX_S: u64 = 400 * 24 * 60 * 60;

/// A hundred years: as good as for ever.
const DAYS_MAX: u64 = 36_500;

/// Everything that can be set on `flowgate store`.
pub const STORE: Surface = Surface {
    name: "store",
    about: "Settings of `flowgate store`, the reference upstream, each with its default.",
    keys: &[KEYS, tls::KEYS, proxies::KEYS, telemetry::KEYS, log::KEYS],
};

/// Without those of the log.
const KEYS: &[Key] = &[
    Key {
        name: "listen",
        flag: "listen",
        kind: Kind::Address,
        preset: Preset::Value("\"127.0.0.1:7080\""),
        secret: None,
        doc: "Where edges, the command line and the console connect. Port 0 picks a free one. Loopback by default, \
              because opening it to a network is a decision.",
    },
    Key {
        name: "data",
        flag: "data",
        kind: Kind::Path,
        preset: Preset::Value("\"./flowgate-store\""),
        secret: None,
        doc: "Folder of the database; made when missing, locked while in use.",
    },
    Key {
        name: "signing.folder",
        flag: "signing",
        kind: Kind::Path,
        preset: Preset::Optional("\"./flowgate-store/signing\""),
        secret: None,
        doc: "Folder of the signing keys and root documents, as `flowgate key signing create` makes it. When not \
              set, it is the folder `signing` inside the data folder.",
    },
    Key {
        name: "publish.fresh_for_s",
        flag: "fresh-for-s",
        kind: Kind::Number {
            min: 2,
            max: 86_400,
        },
        preset: Preset::Value("120"),
        secret: None,
        doc: "Seconds after which an edge that hears nothing new calls its answers stale. The store signs a new \
              timestamp well before, so this is also how soon an edge that is cut off shows it.",
    },
    Key {
        name: "publish.timestamp_life_s",
        flag: "timestamp-life-s",
        kind: Kind::Number {
            min: 60,
            max: TIMESTAMP_LIFE_MAX_S,
        },
        preset: Preset::Value("86400"),
        secret: None,
        doc: "Seconds after which a timestamp is no longer accepted from the network: how old a state somebody \
              between store and edge could replay. The root document sets the upper bound.",
    },
    Key {
        name: "webhooks.allow_http",
        flag: "webhooks-allow-http",
        kind: Kind::Truth,
        preset: Preset::Value("false"),
        secret: None,
        doc: "Whether webhooks may be sent without TLS.",
    },
    Key {
        name: "webhooks.allow_private",
        flag: "webhooks-allow-private",
        kind: Kind::Truth,
        preset: Preset::Value("false"),
        secret: None,
        doc: "Whether webhooks may be sent to loopback, private and link-local addresses, and so to whatever only \
              this machine's network reaches. Whoever may author flows chooses the address.",
    },
    Key {
        name: "retention.conversation_days",
        flag: "conversation-days",
        kind: Kind::Number {
            min: 1,
            max: DAYS_MAX,
        },
        preset: Preset::Value("90"),
        secret: None,
        doc: "Days after its last activity at which a conversation is over: its states and what was decided for \
              it are forgotten.",
    },
    Key {
        name: "retention.dead_letter_days",
        flag: "dead-letter-days",
        kind: Kind::Number {
            min: 1,
            max: DAYS_MAX,
        },
        preset: Preset::Value("30"),
        secret: None,
        doc: "Days for which records that did not fit and webhooks that were given up are kept to be looked at.",
    },
    Key {
        name: "retention.usage_days",
        flag: "usage-days",
        kind: Kind::Number {
            min: 1,
            max: DAYS_MAX,
        },
        preset: Preset::Value("30"),
        secret: None,
        doc: "Days for which it is known how often flags were on and off in each hour, and which applications asked. \
              When a flag was asked for last is known for 400 days.",
    },
    Key {
        name: "retention.audit_days",
        flag: "audit-days",
        kind: Kind::Number {
            min: 1,
            max: DAYS_MAX,
        },
        preset: Preset::Value("400"),
        secret: None,
        doc: "Days for which the audit log says who changed what; a year and what an auditor is late.",
    },
    Key {
        name: "retention.tombstone_days",
        flag: "tombstone-days",
        kind: Kind::Number {
            min: 1,
            max: DAYS_MAX,
        },
        preset: Preset::Value("400"),
        secret: None,
        doc: "Days for which it is kept that a user or a group was erased. What an edge ships later than that would \
              come back.",
    },
];

/// Settings of a store that cannot break a rule.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    listen: Address,
    tls: Option<ListenerTls>,
    proxies: ProxiesConfig,
    data: PathBuf,
    signing: PathBuf,
    fresh_for: Duration,
    timestamp_life: Duration,
    webhooks_allow_http: bool,
    webhooks_allow_private: bool,
    conversation_life: Duration,
    dead_letter_life: Duration,
    usage_life: Duration,
    audit_life: Duration,
    tombstone_life: Duration,
    traces: Option<TracesConfig>,
    log: LogConfig,
}

impl StoreConfig {
    /// Checks settings; the error holds every fault.
    pub fn build(settings: Settings) -> Result<Self, Faults> {
        let mut reader = Reader::new(settings);
        let data = reader.path("data");
        let signing = reader.optional_text("signing.folder");
        let config = Self {
            listen: reader.address("listen"),
            tls: tls::listener(&mut reader, "tls."),
            proxies: proxies::read(&mut reader),
            signing: signing.map_or_else(|| data.join("signing"), PathBuf::from),
            data,
            fresh_for: reader.seconds("publish.fresh_for_s"),
            timestamp_life: reader.seconds("publish.timestamp_life_s"),
            webhooks_allow_http: reader.truth("webhooks.allow_http"),
            webhooks_allow_private: reader.truth("webhooks.allow_private"),
            conversation_life: days(reader.number("retention.conversation_days")),
            dead_letter_life: days(reader.number("retention.dead_letter_days")),
            usage_life: days(reader.number("retention.usage_days")),
            audit_life: days(reader.number("retention.audit_days")),
            tombstone_life: days(reader.number("retention.tombstone_days")),
            traces: telemetry::read(&mut reader),
            log: reader.log(),
        };
        if config.tls.is_some() && config.listen.tcp().is_none() {
            reader.broken(
                "tls.certificate",
                "cannot be used while listen is a socket file (its mode says who may connect)",
            );
        }
        if config.fresh_for > config.timestamp_life {
            reader.broken(
                "publish.fresh_for_s",
                "is above publish.timestamp_life_s (answers would be called fresh when expired)",
            );
        }
        reader.finish(config)
    }

    /// Where everybody connects.
    pub fn listen(&self) -> &Address {
        &self.listen
    }

    /// How the listener shows who it is; none in the clear.
    pub fn tls(&self) -> Option<&ListenerTls> {
        self.tls.as_ref()
    }

    /// Which proxies are believed.
    pub fn proxies(&self) -> &ProxiesConfig {
        &self.proxies
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of signing keys.
    pub fn signing(&self) -> &Path {
        &self.signing
    }

    /// From issued to fresh-until.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// From issued to expires.
    pub fn timestamp_life(&self) -> Duration {
        self.timestamp_life
    }

    /// Whether webhooks may go without TLS.
    pub fn webhooks_allow_http(&self) -> bool {
        self.webhooks_allow_http
    }

    /// Whether webhooks may go where only our own network reaches.
    pub fn webhooks_allow_private(&self) -> bool {
        self.webhooks_allow_private
    }

    /// From a conversation's last activity to its end.
    pub fn conversation_life(&self) -> Duration {
        self.conversation_life
    }

    /// How long what did not fit is kept.
    pub fn dead_letter_life(&self) -> Duration {
        self.dead_letter_life
    }

    /// How long hours of the use of flags are kept.
    pub fn usage_life(&self) -> Duration {
        self.usage_life
    }

    /// How long the audit log is kept.
    pub fn audit_life(&self) -> Duration {
        self.audit_life
    }

    /// How long it is kept that somebody was erased.
    pub fn tombstone_life(&self) -> Duration {
        self.tombstone_life
    }

    /// Where traces go; nowhere by default.
    pub fn traces(&self) -> Option<&TracesConfig> {
        self.traces.as_ref()
    }

    /// The log.
    pub fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn days(number: u64) -> Duration {
    const DAY_S: u64 = 24 * 60 * 60;
    Duration::from_secs(number * DAY_S)
}
