//! Which versions are late records judged by?
//!
//! Compiled when they are asked for, as their environment sees them: it may
//! have content of its own for a version. What was compiled is kept only so
//! long as the version is what it was.

use std::sync::Arc;

use super::{Store, ledger::Versions, workspace::AuthoredVersion};
use crate::snapshot::{Version, compile::compile_version};

/// Versions kept compiled; each is asked for rarely.
const KEPT_MAX: u64 = 1_024;

/// Flow uid, number, and environment uid where that has content of its own.
type Place = (String, u32, Option<String>);

/// With what each was compiled from.
#[derive(Debug)]
pub(super) struct Compiled(moka::sync::Cache<Place, (Arc<AuthoredVersion>, Arc<Version>)>);

impl Default for Compiled {
    fn default() -> Self {
        Self(moka::sync::Cache::new(KEPT_MAX))
    }
}

/// The versions of one environment.
pub(super) struct VersionsIn<'s> {
    store: &'s Store,
    environment_uid: &'s str,
}

impl Store {
    /// The versions that an environment sees.
    pub(super) fn versions_in<'s>(&'s self, environment_uid: &'s str) -> VersionsIn<'s> {
        VersionsIn {
            store: self,
            environment_uid,
        }
    }
}

impl Versions for VersionsIn<'_> {
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>> {
        let workspace = self.store.workspace();
        let flow = workspace.flow_by_uid(flow_uid)?;
        let place = (number, self.environment_uid.to_owned());
        let own = flow.content.get(&place);
        let authored = own.or_else(|| flow.versions.get(&number))?;
        let place = (flow_uid.to_owned(), number, own.map(|_| place.1));
        let Compiled(kept) = &self.store.compiled;
        if let Some((compiled_from, version)) = kept.get(&place)
            // A draft changes under its number, content under its place.
            && Arc::ptr_eq(&compiled_from, authored)
        {
            return Some(version);
        }
        let version = Arc::new(compile_version(&authored.part).ok()?);
        kept.insert(place, (Arc::clone(authored), Arc::clone(&version)));
        Some(version)
    }
}
