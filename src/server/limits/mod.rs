//! How much may be asked of an edge, and what is given up first?
//!
//! A request passes here once, after its key is known: the key's rate, a place
//! among the requests under way, and whether its class is still served by a
//! worker that is behind. Rates are shared by all workers without locks;
//! places and waits are each worker's own. What is refused says when to come
//! again.

mod gate;
mod places;
mod rate;
mod shedding;

pub(crate) use gate::{Gate, Visit};

use std::{num::NonZeroUsize, sync::Arc, time::Instant};

use self::rate::{Buckets, Rate};
use crate::telemetry::limits::LimitNames;

/// Kinds of work, in the order in which they are given up. Health is asked of
/// another listener, which gives up nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Connections that are not open yet.
    Connections,
    /// Answers about many things, and explanations.
    Lists,
    /// Evaluations that would have to ask the ledger first.
    Uncached,
    /// Evaluations from memory.
    Evaluations,
    /// Steps and identify calls.
    Writes,
}

impl Class {
    pub(super) const ALL: [Self; 5] = [
        Self::Connections,
        Self::Lists,
        Self::Uncached,
        Self::Evaluations,
        Self::Writes,
    ];

    /// What of so many places this class may use: six tenths for the first,
    /// all for the last.
    fn share_of(self, places: u32) -> u32 {
        let tenths = 6 + self as u64;
        u32::try_from((u64::from(places) * tenths).div_ceil(10)).unwrap_or(places)
    }

    /// For people, and in metrics.
    pub(crate) fn name(self) -> &'static str {
        LIMIT_NAMES.classes[self as usize]
    }
}

/// Names in metrics; [`Limit::number`] and a class as a number are places in
/// them.
pub(crate) static LIMIT_NAMES: LimitNames = LimitNames {
    reasons: &[
        ("key_rate", "429"),
        ("unseen_users", "429"),
        ("key_places", "429"),
        ("places", "503"),
        ("queue", "503"),
    ],
    classes: &["connections", "lists", "uncached", "evaluations", "writes"],
};

/// Why a request is not served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Limit {
    #[error("the key is used more often than this edge allows (limits.requests_per_s_per_key)")]
    KeyRate { retry_s: u32 },
    #[error(
        "more users who are new here come from this address than this edge allows \
         (limits.unseen_users_per_s)"
    )]
    UnseenUsers { retry_s: u32 },
    #[error("the key has its share of the requests under way (limits.in_flight_max)")]
    KeyPlaces { retry_s: u32 },
    #[error("too many requests are under way (limits.in_flight_max); {} wait", .class.name())]
    Places { class: Class, retry_s: u32 },
    #[error("requests wait too long for their turn (limits.queue_ms_max); {} wait", .class.name())]
    Queue { class: Class, retry_s: u32 },
}

impl Limit {
    /// Its place in the reasons of [`LIMIT_NAMES`].
    pub(crate) fn number(self) -> usize {
        match self {
            Self::KeyRate { .. } => 0,
            Self::UnseenUsers { .. } => 1,
            Self::KeyPlaces { .. } => 2,
            Self::Places { .. } => 3,
            Self::Queue { .. } => 4,
        }
    }

    /// The class that was given up, where it was not about the caller.
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Self::Places { class, .. } | Self::Queue { class, .. } => Some(class),
            Self::KeyRate { .. } | Self::UnseenUsers { .. } | Self::KeyPlaces { .. } => None,
        }
    }

    /// When to come again.
    pub(crate) fn retry_s(self) -> u32 {
        match self {
            Self::KeyRate { retry_s }
            | Self::UnseenUsers { retry_s }
            | Self::KeyPlaces { retry_s }
            | Self::Places { retry_s, .. }
            | Self::Queue { retry_s, .. } => retry_s,
        }
    }
}

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests a second of one key; 0 for any number.
    pub requests_per_s_per_key: u32,
    /// Requests of one key at once, after a rest.
    pub requests_burst: u32,
    /// Users a second that memory does not have, of one public key and address;
    /// 0 for any number.
    pub unseen_users_per_s: u32,
    /// Such users at once, after a rest.
    pub unseen_users_burst: u32,
    /// Requests under way, over all workers.
    pub in_flight_max: usize,
    /// Milliseconds that ready work may wait for its turn; 0 for any.
    pub queue_ms_max: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_s_per_key: 0,
            requests_burst: 1,
            unseen_users_per_s: 0,
            unseen_users_burst: 1,
            in_flight_max: 20_000,
            queue_ms_max: 250,
        }
    }
}

/// What the workers of an edge share of its limits. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Limits {
    settings: LimitSettings,
    workers: NonZeroUsize,
    begun: Instant,
    of_keys: Option<Arc<Buckets>>,
    of_addresses: Option<Arc<Buckets>>,
}

impl Limits {
    /// For so many workers.
    pub fn new(settings: LimitSettings, workers: NonZeroUsize) -> Self {
        let buckets = |per_s, burst| Rate::new(per_s, burst).map(Buckets::new).map(Arc::new);
        Self {
            of_keys: buckets(settings.requests_per_s_per_key, settings.requests_burst),
            of_addresses: buckets(settings.unseen_users_per_s, settings.unseen_users_burst),
            settings,
            workers,
            begun: Instant::now(),
        }
    }
}
