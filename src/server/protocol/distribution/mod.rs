//! How do other edges pull snapshots from this one?
//!
//! `/edge/v1` as a store serves it, as far as it concerns snapshots, for edges
//! whose keys the operator listed by their hashes. What is sent is what was
//! verified here, byte for byte; whoever receives it verifies it again. A key
//! opens its own environment and no other; keys of applications open none.
//! Progress is not taken: it would have to be trusted on its way.

mod path;
mod serve;

pub(crate) use path::Document;
pub(crate) use serve::answer;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use subtle::ConstantTimeEq;

use crate::{distribution::Shelf, limits::PARTS_PER_REQUEST_MAX};

/// A list of hashes: 64 digits, quotes, a comma and a space each.
pub(crate) const PARTS_BODY_BYTES_MAX: usize = PARTS_PER_REQUEST_MAX * 70;

/// What is offered, and to whom.
#[derive(Debug, Default)]
pub struct Distribution {
    shelves: BTreeMap<Box<str>, Arc<Shelf>>,
    /// Key hash to the name of the environment it opens.
    keys: HashMap<[u8; 32], Box<str>>,
}

impl Distribution {
    /// Adds an environment with the hashes of the keys that open it.
    pub fn add(&mut self, environment: &str, shelf: Arc<Shelf>, keys: &[[u8; 32]]) {
        self.shelves.insert(environment.into(), shelf);
        for key in keys {
            self.keys.insert(*key, environment.into());
        }
    }

    /// The environment that a key with this hash opens. The map finds the
    /// candidate; the comparison that counts takes the same time wherever the
    /// hashes differ.
    fn opened_by(&self, sha256: &[u8; 32]) -> Option<(&str, &Shelf)> {
        let (key, environment) = self.keys.get_key_value(sha256)?;
        let shelf = self.shelves.get(environment)?;
        bool::from(key.ct_eq(sha256)).then_some((environment, shelf))
    }
}

/// Why an edge gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DistributionError {
    #[error("the key opens another environment")]
    Environment,
    #[error("keys of applications pull no snapshots")]
    ApplicationKey,
    #[error("no snapshot of the environment has come here yet")]
    NotYet,
    #[error("there is no {what} {name} here: ask for a newer timestamp")]
    NoDocument { what: &'static str, name: String },
    #[error(
        "this edge passes snapshots on and takes no progress: set upstream.ledger_url of the edge below to the store"
    )]
    NoLedger,
}
