//! How does what was built get its numbers and signatures?
//!
//! The folder's own timestamp, release and control document say where the
//! numbers stand, if a key that may sign has signed them: otherwise somebody
//! who can write to the folder could have them raised out of reach. Content
//! that did not change gets a new timestamp and nothing else.

use super::{FolderError, SnapshotFolder};
use crate::{
    clock::UnixMs,
    limits,
    snapshot::{
        envelope::Role,
        layout,
        pack::Pack,
        parts::{self, PartsError},
        trust::{Origin, Trust, TrustError, VerifyError, verify_pack},
        wire::{ControlDocument, EnvironmentType},
    },
    store::{
        PublishError, Timing,
        engine::{DocumentRole, Publication, PublishedDocument, Write},
        publish,
        signing::Signing,
        workspace::Environment,
    },
};

/// What may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignOptions {
    /// How long the timestamp is accepted; none: as long as the root allows.
    pub life_ms: Option<u64>,
    /// How long it counts as fresh; none: as long as it is accepted.
    pub fresh_ms: Option<u64>,
    /// The smallest number that new versions get.
    pub number: Option<u64>,
}

/// One environment as it was signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Signed {
    /// Environment name.
    pub environment: String,
    /// `epoch.N`.
    pub revision: String,
    /// Version of the release in force.
    pub release: u64,
    /// Version of the control document in force.
    pub control: u64,
    /// Of the timestamp.
    pub serial: u64,
    /// Whether there is a new revision, and not a new timestamp alone.
    pub changed: bool,
    /// After this no edge accepts it any more.
    pub expires_ms: UnixMs,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is nothing to sign.
    #[error("no environment was built in the folder (run: flowgate snapshot build)")]
    Nothing,
    /// A part that was built is not there, or not what it was.
    #[error("what was built of environment {environment} is not whole")]
    Parts {
        /// Which.
        environment: String,
        /// Why.
        source: PartsError,
    },
    /// A life that no edge would accept.
    #[error(
        "a timestamp is to live {found} days, the root allows {expected} (a new root allows more: flowgate key signing rotate --timestamp-life-days)"
    )]
    Life {
        /// Asked for.
        found: u64,
        /// Allowed.
        expected: u64,
    },
    /// The folder's own documents are not to be continued.
    #[error(
        "the signed files of environment {environment} are not to be continued: these keys have not signed them (remove its timestamp.json, and give a --number above every earlier one)"
    )]
    Foreign {
        /// Which.
        environment: String,
        /// Why.
        source: VerifyError,
    },
    /// The root in the signing folder is not sound.
    #[error("the root in the signing folder is refused")]
    Root(#[source] TrustError),
    /// Signing.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Signs every environment that was built in a folder.
pub fn sign(
    folder: &SnapshotFolder,
    signing: &Signing,
    options: &SignOptions,
    now: UnixMs,
) -> Result<Vec<Signed>, SignError> {
    let allowed = signing.root().timestamp_life_ms_max;
    let life_ms = options.life_ms.unwrap_or(allowed);
    if life_ms > allowed {
        return Err(SignError::Life {
            found: life_ms / DAY_MS,
            expected: allowed / DAY_MS,
        });
    }
    let timing = Timing {
        fresh_ms: options.fresh_ms.unwrap_or(life_ms),
        life_ms,
        refresh_ms: 0,
    };
    let mut ready = Vec::new();
    for name in folder.environments()? {
        ready.extend(prepare(folder, signing, &name, (options, &timing), now)?);
    }
    if ready.is_empty() {
        return Err(SignError::Nothing);
    }
    // All or none: nothing is written while another environment may be refused.
    for (number, file) in signing.roots() {
        folder.write(&layout::root(*number), file)?;
    }
    let signed = ready.into_iter().map(|ready| ready.write(folder));
    Ok(signed.collect::<Result<_, _>>()?)
}

/// One environment, signed and not written.
struct Ready {
    environment: String,
    publication: Publication,
    documents: Vec<Write>,
    changed: bool,
    expires_ms: UnixMs,
}

fn prepare(
    folder: &SnapshotFolder,
    signing: &Signing,
    name: &str,
    (options, timing): (&SignOptions, &Timing),
    now: UnixMs,
) -> Result<Option<Ready>, SignError> {
    let Some(content) = folder.content(name)? else {
        return Ok(None);
    };
    let blobs = folder.blobs(name, &content.index)?;
    let find = |sha256: &str| blobs.get(sha256).map(Vec::as_slice);
    let whole = parts::resolve_index(&content.index, find, limits::SNAPSHOT_BYTES_MAX);
    let whole = whole.map_err(|source| SignError::Parts {
        environment: name.to_owned(),
        source,
    })?;
    // Only the names are signed: the rest is in the settings part.
    let uid = content.environment_uid.clone();
    let environment = Environment::new(uid, name, EnvironmentType::Production, false);
    let before = match folder.pack(name)? {
        Some(pack) => Some(published(signing, name, &pack, now)?),
        None => None,
    };
    let before = at_least(before, &content.environment_uid, signing, options.number);
    let control = ControlDocument {
        environment: environment.name.clone(),
        environment_uid: environment.uid.clone(),
        epoch: before.epoch,
        disabled_flows: content.disabled_flows,
        inactive_deployments: content.inactive_deployments,
        ..ControlDocument::default()
    };
    let sealed = publish::seal(
        signing,
        &environment,
        (content.index, whole.min_reader(), control),
        before.clone(),
        now,
        timing,
    )?;
    let publication = if sealed.publication.serial == before.serial {
        let again = publish::refresh(signing, &environment, &sealed.publication, now, timing)?;
        again.unwrap_or(sealed.publication)
    } else {
        sealed.publication
    };
    Ok(Some(Ready {
        environment: environment.name,
        publication,
        documents: sealed.documents,
        changed: sealed.changed,
        expires_ms: now
            .saturating_add(timing.life_ms)
            .min(signing.root().expires_ms),
    }))
}

/// Where the folder stands, if our keys have brought it there: those of the
/// root in force or, after rotations, of an earlier one.
fn published(
    signing: &Signing,
    environment: &str,
    pack: &Pack,
    now: UnixMs,
) -> Result<Publication, SignError> {
    let mut refused = None;
    for (_, root) in signing.roots().iter().rev() {
        let trust = Trust::new(environment, root, None);
        let mut trust = trust.map_err(SignError::Root)?;
        let alone = Pack {
            roots: Vec::new(),
            ..pack.clone()
        };
        match verify_pack(&mut trust, &alone, now, Origin::Disk) {
            Ok(checked) => {
                let timestamp = checked.timestamp.document();
                let release = checked.release.document();
                let document = |reference: &crate::snapshot::wire::DocumentReference, keyid| {
                    PublishedDocument {
                        version: reference.version,
                        sha256: reference.sha256.clone(),
                        length: reference.length,
                        keyid,
                    }
                };
                // Under the root in force its key has signed; else it has to
                // sign again, which another key's id brings about.
                let is_current = root.as_slice() == signing.current_root_file();
                let keyid = |role| match is_current {
                    true => signing.keyid(role),
                    false => String::new(),
                };
                return Ok(Publication {
                    environment_uid: timestamp.environment_uid.clone(),
                    epoch: timestamp.epoch,
                    revision: timestamp.revision,
                    serial: timestamp.serial,
                    release: document(&timestamp.release, keyid(Role::Release)),
                    index_sha256: release.index.sha256.clone(),
                    control: document(&timestamp.control, keyid(Role::Control)),
                    control_content: checked.control.document().clone(),
                    timestamp_keyid: keyid(Role::Timestamp),
                    root_version: trust.root().version,
                    issued_ms: timestamp.issued_ms,
                    timestamp: pack.timestamp.clone(),
                });
            }
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    Err(match refused {
        Some(source) => SignError::Foreign {
            environment: environment.to_owned(),
            source,
        },
        None => SignError::Nothing,
    })
}

/// What the next documents follow on, with numbers raised to just below the
/// smallest that was asked for.
fn at_least(
    before: Option<Publication>,
    environment_uid: &str,
    signing: &Signing,
    number: Option<u64>,
) -> Publication {
    let epochs = &signing.root().epochs;
    let epoch = epochs.get(environment_uid).copied().unwrap_or(0);
    let same = before.filter(|own| own.epoch == epoch && own.environment_uid == environment_uid);
    let mut before = same.unwrap_or_else(|| Publication {
        environment_uid: environment_uid.to_owned(),
        epoch,
        ..Publication::default()
    });
    let below = number.unwrap_or(0).saturating_sub(1);
    for counter in [
        &mut before.revision,
        &mut before.serial,
        &mut before.release.version,
        &mut before.control.version,
    ] {
        *counter = below.max(*counter);
    }
    before
}

impl Ready {
    /// Documents first, the timestamp that leads to them last.
    fn write(self, folder: &SnapshotFolder) -> Result<Signed, FolderError> {
        let publication = self.publication;
        for document in &self.documents {
            let Write::Document(name, file) = document else {
                continue;
            };
            let path = match name.role {
                DocumentRole::Release => layout::release(&self.environment, name.version),
                DocumentRole::Control => layout::control(&self.environment, name.version),
            };
            folder.write(&path, file)?;
        }
        folder.write(
            &layout::timestamp(&self.environment),
            &publication.timestamp,
        )?;
        Ok(Signed {
            environment: self.environment,
            revision: format!("{}.{}", publication.epoch, publication.revision),
            release: publication.release.version,
            control: publication.control.version,
            serial: publication.serial,
            changed: self.changed,
            expires_ms: self.expires_ms,
        })
    }
}
