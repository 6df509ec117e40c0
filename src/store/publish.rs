//! How does what was authored become signed documents?
//!
//! The only writer of the snapshot format. Pure but for the signatures: the
//! workspace goes in, documents and blobs come out, and the store writes all
//! of them in one transaction. Content that did not change makes no release.

use std::collections::BTreeSet;

use super::{
    engine::{DocumentName, DocumentRole, Publication, PublishedDocument, Write},
    shelf::{Shelf, Stocked},
    signing::Signing,
    workspace::{Environment, Workspace},
};
use crate::{
    clock::UnixMs,
    limits::FLAGS_AUTHORED_MAX,
    snapshot::{
        envelope::Role,
        flags::FlagsDocument,
        parts, sha256_hex,
        wire::{
            Blob, ControlDocument, DocumentReference, ReleaseDocument, TIMESTAMP_LIFE_DEFAULT_MS,
            TimestampDocument,
        },
    },
};

/// Changes that follow a publish within this time share the next one.
const SHARE_MS: u64 = 50;

/// Blobs no release in force holds are kept this long, for edges that are in
/// the middle of fetching.
pub(super) const RETIRED_BLOB_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// How long signed statements about the present hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A timestamp says "fresh" for this long.
    pub fresh_ms: u64,
    /// A timestamp is accepted for this long (and never longer than the root).
    pub life_ms: u64,
    /// A timestamp is signed again after this long.
    pub refresh_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            fresh_ms: 5 * 60 * 1000,
            life_ms: TIMESTAMP_LIFE_DEFAULT_MS,
            refresh_ms: 60 * 1000,
        }
    }
}

/// When to publish: the first change at once, its followers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishPlan {
    published_ms: Option<UnixMs>,
    changed: bool,
}

/// What the plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing has changed.
    Nothing,
    /// Publish now.
    Now,
    /// Publish after so many milliseconds.
    In(u64),
}

impl PublishPlan {
    /// A change was accepted.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Everything accepted so far is being published.
    pub fn publishing(&mut self, now: UnixMs) {
        self.changed = false;
        self.published_ms = Some(now);
    }

    /// What there is to do. A clock that went backwards delays nothing.
    pub fn due(&self, now: UnixMs) -> Due {
        if !self.changed {
            return Due::Nothing;
        }
        let since = self.published_ms.and_then(|last| now.checked_sub(last));
        match since {
            Some(since) if since < SHARE_MS => Due::In(SHARE_MS - since),
            _ => Due::Now,
        }
    }
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody would accept it.
    #[error("the root expired {0} seconds ago (rotate the root key and restart the store)")]
    RootExpired(u64),
    /// The signing folder is from before the last publish.
    #[error(
        "environment {environment} has epoch {expected}, the root says {found} (restore the newer signing folder)"
    )]
    OldRoot {
        /// Which environment.
        environment: String,
        /// In the root.
        found: u32,
        /// Published.
        expected: u32,
    },
    /// No edge would take the content.
    #[error(transparent)]
    Parts(#[from] parts::PartsError),
    /// Confirmed was what no timestamp names any more, or not yet.
    #[error(
        "release {found} of environment {environment} is not in force (expected {expected}, the newest)"
    )]
    NotInForce {
        /// Which environment.
        environment: String,
        /// As asked.
        found: u64,
        /// The newest.
        expected: u64,
    },
    /// A document cannot be written as JSON.
    #[error("a document cannot be written: {0}")]
    Encode(String),
}

/// One environment, ready to be written.
pub(super) struct Issue {
    /// What holds from now on.
    pub(super) publication: Publication,
    /// Signed documents that are new.
    pub(super) documents: Vec<Write>,
    /// What the release has that the last one has not.
    pub(super) stock: Stocked,
    /// Whether there is a new revision, and not just nothing to do.
    pub(super) changed: bool,
}

/// Builds one environment from the workspace. With nothing changed the issue
/// says so and its publication is the old one.
pub(super) fn issue(
    signing: &Signing,
    workspace: &Workspace,
    environment: &Environment,
    (before, shelf): (Option<&Publication>, &Shelf),
    confirmed: Option<u64>,
    now: UnixMs,
    timing: &Timing,
) -> Result<Issue, PublishError> {
    let before = continued(signing, environment, before)?;
    let stock = shelf.stock(workspace, environment)?;
    let control = control(workspace, environment, &before, confirmed);
    let sealed = seal(
        signing,
        environment,
        (stock.index().clone(), stock.min_reader(), control),
        before,
        now,
        timing,
    )?;
    Ok(Issue {
        publication: sealed.publication,
        documents: sealed.documents,
        stock,
        changed: sealed.changed,
    })
}

/// What [`issue`] would sign of an environment that was never published.
pub(super) fn unsigned(
    workspace: &Workspace,
    environment: &Environment,
    flags: &FlagsDocument,
) -> Result<(parts::Built, ControlDocument), PublishError> {
    let stock = Shelf::default().stock_with(workspace, environment, flags)?;
    let control = control(workspace, environment, &Publication::default(), None);
    Ok((stock.into_built(), control))
}

/// Documents over an index and a control document, where they say anything new.
pub(super) struct Sealed {
    /// What holds from now on.
    pub(super) publication: Publication,
    /// Signed documents that are new.
    pub(super) documents: Vec<Write>,
    /// Whether there is a new revision.
    pub(super) changed: bool,
}

/// Numbers and signs content, following on what was published before.
pub(super) fn seal(
    signing: &Signing,
    environment: &Environment,
    (index, min_reader, control): (Blob, u32, ControlDocument),
    before: Publication,
    now: UnixMs,
    timing: &Timing,
) -> Result<Sealed, PublishError> {
    let mut next = before;
    let mut documents = Vec::new();
    let release_key = signing.keyid(Role::Release);
    if next.release.version == 0
        || index.sha256 != next.index_sha256
        || next.release.keyid != release_key
    {
        next.index_sha256.clone_from(&index.sha256);
        let document = ReleaseDocument {
            environment: environment.name.clone(),
            environment_uid: environment.uid.clone(),
            epoch: next.epoch,
            version: next.release.version + 1,
            created_ms: now,
            previous_sha256: (!next.release.sha256.is_empty()).then(|| next.release.sha256.clone()),
            index,
            min_reader,
        };
        let file = signing.seal(Role::Release, &encode(&document)?);
        next.release = published(document.version, &file, release_key);
        documents.push(kept(&next, DocumentRole::Release, document.version, file));
    }
    let control = ControlDocument {
        // Of releases that no timestamp names any more nobody asks.
        confirmed_releases: control
            .confirmed_releases
            .iter()
            .copied()
            .filter(|version| *version == next.release.version)
            .collect(),
        ..control
    };
    let control_key = signing.keyid(Role::Control);
    if next.control.version == 0
        || !says_the_same(&control, &next.control_content)
        || next.control.keyid != control_key
    {
        let document = ControlDocument {
            version: next.control.version + 1,
            created_ms: now,
            ..control
        };
        let file = signing.seal(Role::Control, &encode(&document)?);
        next.control = published(document.version, &file, control_key);
        documents.push(kept(&next, DocumentRole::Control, document.version, file));
        next.control_content = document;
    }
    let changed = !documents.is_empty();
    if changed {
        next.revision += 1;
    }
    if changed || must_sign_again(signing, &next) {
        sign_timestamp(signing, environment, &mut next, now, timing)?;
    }
    Ok(Sealed {
        publication: next,
        documents,
        changed,
    })
}

/// Signs the timestamp anew over the same documents, when it is due.
pub(super) fn refresh(
    signing: &Signing,
    environment: &Environment,
    before: &Publication,
    now: UnixMs,
    timing: &Timing,
) -> Result<Option<Publication>, PublishError> {
    // A clock that went backwards signs again: what it says of the present
    // is wrong either way, and freshness must not depend on when it catches up.
    let age = now.checked_sub(before.issued_ms);
    if age.is_some_and(|age| age < timing.refresh_ms) {
        return Ok(None);
    }
    let mut next = before.clone();
    sign_timestamp(signing, environment, &mut next, now, timing)?;
    Ok(Some(next))
}

/// What the next documents follow on: the last publication, or a clean start
/// in the first and in every raised epoch.
fn continued(
    signing: &Signing,
    environment: &Environment,
    before: Option<&Publication>,
) -> Result<Publication, PublishError> {
    let epochs = &signing.root().epochs;
    let epoch = epochs.get(&environment.uid).copied().unwrap_or(0);
    match before {
        Some(before) if before.epoch == epoch => Ok(before.clone()),
        Some(before) if before.epoch > epoch => Err(PublishError::OldRoot {
            environment: environment.name.clone(),
            found: epoch,
            expected: before.epoch,
        }),
        _ => Ok(Publication {
            environment_uid: environment.uid.clone(),
            epoch,
            ..Publication::default()
        }),
    }
}

fn must_sign_again(signing: &Signing, publication: &Publication) -> bool {
    publication.timestamp_keyid != signing.keyid(Role::Timestamp)
        || publication.root_version != signing.root().version
}

fn sign_timestamp(
    signing: &Signing,
    environment: &Environment,
    publication: &mut Publication,
    now: UnixMs,
    timing: &Timing,
) -> Result<(), PublishError> {
    let root = signing.root();
    if root.expires_ms <= now {
        return Err(PublishError::RootExpired((now - root.expires_ms) / 1000));
    }
    publication.serial += 1;
    publication.issued_ms = now;
    publication.timestamp_keyid = signing.keyid(Role::Timestamp);
    publication.root_version = root.version;
    let life_ms = timing.life_ms.min(root.timestamp_life_ms_max);
    let expires_ms = now.saturating_add(life_ms).min(root.expires_ms);
    let document = TimestampDocument {
        environment: environment.name.clone(),
        environment_uid: environment.uid.clone(),
        epoch: publication.epoch,
        revision: publication.revision,
        serial: publication.serial,
        release: reference(&publication.release),
        control: reference(&publication.control),
        issued_ms: now,
        fresh_until_ms: now.saturating_add(timing.fresh_ms).min(expires_ms),
        expires_ms,
    };
    publication.timestamp = signing.seal(Role::Timestamp, &encode(&document)?);
    Ok(())
}

/// What the control document says: everything that is switched off. Revoked
/// keys and inactive deployments that were deleted stay listed: an edge may
/// hold a release that still has them.
fn control(
    workspace: &Workspace,
    environment: &Environment,
    publication: &Publication,
    confirmed: Option<u64>,
) -> ControlDocument {
    let listed = publication.control_content.confirmed_releases.iter();
    let confirmed_releases: BTreeSet<u64> = listed.copied().chain(confirmed).collect();
    let revoked = workspace.keys.iter().filter(|key| {
        key.kind.published().is_some()
            && key.revoked_ms.is_some()
            && key.environment_uid.as_deref() == Some(&environment.uid)
    });
    let disabled = workspace
        .flows
        .values()
        .filter(|flow| !flow.enabled_in(&environment.uid));
    let inactive = workspace
        .deployments_in(&environment.uid)
        .filter(|deployment| !deployment.active)
        .map(|own| own.uid.clone());
    // One that was deleted while it was inactive stays so wherever a release
    // is held that has it.
    let listed = publication.control_content.inactive_deployments.iter();
    let deleted = listed
        .filter(|uid| !workspace.deployments.contains_key(*uid))
        .cloned();
    let inactive: BTreeSet<String> = inactive.chain(deleted).collect();
    ControlDocument {
        environment: environment.name.clone(),
        environment_uid: environment.uid.clone(),
        epoch: publication.epoch,
        disabled_flows: disabled.map(|flow| flow.uid.clone()).collect(),
        inactive_deployments: inactive.into_iter().collect(),
        disabled_flags: disabled_flags(workspace, environment, publication),
        revoked_keys: revoked.map(|key| key.sha256.clone()).collect(),
        confirmed_releases: confirmed_releases.into_iter().collect(),
        ..ControlDocument::default()
    }
}

/// Flags that are off and were on once, and so may be in a release that some
/// edge holds. What was listed stays so until it is on again, also when it was
/// deleted or made anew since, as long as there is room.
fn disabled_flags(
    workspace: &Workspace,
    environment: &Environment,
    publication: &Publication,
) -> Vec<String> {
    let was_on = workspace.flags.values().filter(|flag| {
        let settings = flag.environments.get(&environment.uid);
        settings.is_some_and(|own| own.enabled_ms.is_some())
    });
    let was_on = was_on.map(|flag| &flag.name);
    let is_on = |name: &&String| {
        let flag = workspace.flags.get(*name);
        flag.is_some_and(|own| {
            own.enabled_in(&environment.uid) && workspace.shows(&own.project, &environment.uid)
        })
    };
    let mut off: BTreeSet<&String> = was_on.filter(|name| !is_on(name)).collect();
    let listed = publication.control_content.disabled_flags.iter();
    for name in listed.filter(|name| !is_on(name)) {
        if off.len() < FLAGS_AUTHORED_MAX {
            off.insert(name);
        }
    }
    off.into_iter().cloned().collect()
}

fn says_the_same(one: &ControlDocument, other: &ControlDocument) -> bool {
    let unversioned = |document: &ControlDocument| ControlDocument {
        version: 0,
        created_ms: 0,
        ..document.clone()
    };
    unversioned(one) == unversioned(other)
}

fn published(version: u64, file: &[u8], keyid: String) -> PublishedDocument {
    PublishedDocument {
        version,
        sha256: sha256_hex(file),
        length: file.len() as u64,
        keyid,
    }
}

fn kept(publication: &Publication, role: DocumentRole, version: u64, file: Vec<u8>) -> Write {
    let name = DocumentName {
        environment_uid: publication.environment_uid.clone(),
        epoch: publication.epoch,
        role,
        version,
    };
    Write::Document(name, file)
}

fn reference(document: &PublishedDocument) -> DocumentReference {
    DocumentReference {
        version: document.version,
        sha256: document.sha256.clone(),
        length: document.length,
    }
}

pub(super) fn encode(document: &impl serde::Serialize) -> Result<Vec<u8>, PublishError> {
    serde_json::to_vec(document).map_err(|error| PublishError::Encode(error.to_string()))
}
