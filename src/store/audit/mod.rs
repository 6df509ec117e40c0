//! Who changed what, and how is that found again?
//!
//! Every accepted change has one entry, written in the transaction of the
//! change: neither is ever there without the other. Entries are read a page at
//! a time, the newest first, and forgotten after a time that operators choose.

mod entry;

pub use entry::{AuditChange, AuditEntry, Who};

use serde::Serialize;

use super::{
    Page, PageAsk, Store, StoreError, known_environment, paging::AUDIT, workspace::Environment,
};

/// Why entries are not told of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Not there, or not any more.
    #[error("no entry {0} is in the audit log (was it too long ago?)")]
    Unknown(u64),
}

/// Which entries are meant; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Noticed in this environment, by uid.
    pub environment_uid: Option<String>,
    /// In the name of this key.
    pub who: Option<String>,
    /// About what is called so.
    pub object: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Not before this time.
    pub since_ms: u64,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// Noticed in this environment, by name.
    pub environment: Option<String>,
    /// The rest of the filter.
    pub filter: AuditFilter,
    /// Which page.
    pub page: PageAsk,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next stretch begins; none when this was the last.
    pub next: Option<String>,
}

impl Store {
    /// A stretch of the audit log.
    pub fn audit(&self, asked: &Audited) -> Result<AuditPage, StoreError> {
        let workspace = self.workspace();
        let environment = asked.environment.as_deref();
        let environment = environment.map(|name| known_environment(&workspace, name));
        let filter = AuditFilter {
            environment_uid: environment.transpose()?.map(|own| own.uid.clone()),
            ..asked.filter.clone()
        };
        let before = AUDIT.place(&asked.page)?.unwrap_or(u64::MAX);
        let count_max = AUDIT.count(asked.page.count_max);
        // One more says whether anything follows.
        let entries = self.engine.audited(&filter, before, count_max + 1)?;
        let Page { rows, next } = AUDIT.cut(entries, count_max, |last| last.id);
        let entries = rows;
        Ok(AuditPage { entries, next })
    }

    /// One entry; with an environment, only if it is noticed there.
    pub fn audit_entry(
        &self,
        id: u64,
        environment: Option<&str>,
    ) -> Result<AuditEntry, StoreError> {
        let workspace = self.workspace();
        let environment = environment.map(|name| known_environment(&workspace, name));
        let filter = AuditFilter {
            environment_uid: environment.transpose()?.map(|own| own.uid.clone()),
            ..AuditFilter::default()
        };
        let beyond = id.checked_add(1).ok_or(AuditError::Unknown(id))?;
        let found = self.engine.audited(&filter, beyond, 1)?;
        let found = found.into_iter().find(|own| own.id == id);
        found.ok_or_else(|| AuditError::Unknown(id).into())
    }

    /// An entry about something in one environment, to be written where that
    /// is done.
    pub(super) fn audited(
        &self,
        what: (&str, &str, &str),
        environment: &Environment,
        after: Option<serde_json::Value>,
    ) -> AuditEntry {
        let place = (environment.uid.as_str(), environment.name.as_str());
        AuditEntry::of(&self.actor, self.ambient.now_ms()).with(what, place, after)
    }
}
