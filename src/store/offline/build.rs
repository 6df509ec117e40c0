//! What do project files look like to an edge?
//!
//! The files are imported into a workspace that exists for this alone, with
//! the rules of every import, and published as far as that goes without a
//! signature. Nothing random and no time is in the result.

use std::collections::BTreeMap;

use super::{CONTENT_FORMAT, ContentFile, EnvironmentGiven};
use crate::{
    limits,
    snapshot::{
        compile::channel_fault,
        flags::Flags,
        is_sha256_hex, parts,
        wire::{AccessPart, EnvironmentType, PartKind},
    },
    store::{
        Fault, ImportError, PublishError, SourceFile,
        import::{NO_CLOCK, import_named, read_files},
        naming::{Naming, environment_uid},
        publish,
        workspace::{Environment, StoredKey, StoredKeyKind, Workspace},
    },
};

/// A key that is to open a built environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGiven {
    /// Environment name.
    pub environment: String,
    /// What it may do.
    pub kind: StoredKeyKind,
    /// For people.
    pub name: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// The channel every request with it comes over.
    pub channel: Option<String>,
}

/// One environment, ready to be written and signed.
#[derive(Clone, Debug)]
pub struct Built {
    /// What is to be signed.
    pub content: ContentFile,
    /// Encoded bytes by their SHA-256.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Faults in the files.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// No edge would take the content.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The same refusal as an edge's.
    #[error("no edge would take environment {environment}")]
    Parts {
        /// Which.
        environment: String,
        /// Why.
        source: parts::PartsError,
    },
    /// Flags that no edge would serve.
    #[error("the flags of environment {environment} cannot be built: {what}: {why}")]
    Flag {
        /// Which environment.
        environment: String,
        /// Which flag or segment.
        what: String,
        /// What was found and expected.
        why: String,
    },
    /// An environment cannot be called so.
    #[error("environment {0:?} cannot be built: {1}")]
    Environment(String, &'static str),
    /// A key cannot be put into a snapshot.
    #[error("key {name:?} cannot be put into the snapshot: {why}")]
    Key {
        /// Its name.
        name: String,
        /// What was found and expected.
        why: String,
    },
}

/// Environments that every store has, and so files may name them also where
/// only one of them is built.
const ALWAYS_KNOWN: [(&str, EnvironmentType); 2] = [
    ("development", EnvironmentType::Development),
    ("production", EnvironmentType::Production),
];

/// Builds every environment given, and says what in the files may not be meant.
pub fn build(
    files: &[SourceFile],
    environments: &[EnvironmentGiven],
    keys: &[KeyGiven],
) -> Result<(Vec<Built>, Vec<Fault>), BuildError> {
    let mut workspace = Workspace {
        environments: all_environments(environments)?,
        ..Workspace::default()
    };
    for key in keys {
        let stored = stored(&workspace, key).map_err(|why| BuildError::Key {
            name: key.name.clone(),
            why,
        })?;
        workspace.keys.push(stored);
    }
    let given = workspace.environments.len();
    for (name, kind) in ALWAYS_KNOWN {
        if workspace.environment(name).is_none() {
            let uid = environment_uid(name);
            let environment = Environment::new(uid, name, kind, false);
            workspace.environments.push(environment);
        }
    }
    // No time of the import is published.
    let imported = import_named(&workspace, read_files(files), Naming::Derived, NO_CLOCK)?;
    let workspace = imported.workspace;
    let mut notices = imported.report.notices;
    for environment in environments {
        notices.extend(check_flags(environment, &workspace)?);
    }
    let built = workspace
        .environments
        .iter()
        .take(given)
        .zip(environments)
        .map(|(environment, given)| {
            let unsigned = publish::unsigned(&workspace, environment, &given.flags);
            let (index, control) = unsigned?;
            // With the reader's eyes, while somebody can still do something.
            let find = |sha256: &str| index.blobs.get(sha256).map(Vec::as_slice);
            parts::resolve_index(&index.index, find, limits::SNAPSHOT_BYTES_MAX).map_err(
                |source| BuildError::Parts {
                    environment: environment.name.clone(),
                    source,
                },
            )?;
            let content = ContentFile {
                flowgate: CONTENT_FORMAT.to_owned(),
                environment: environment.name.clone(),
                environment_uid: environment.uid.clone(),
                index: index.index,
                disabled_flows: control.disabled_flows,
                inactive_deployments: control.inactive_deployments,
            };
            Ok(Built {
                content,
                blobs: index.blobs,
            })
        });
    let built = built.collect::<Result<_, BuildError>>()?;
    Ok((built, notices))
}

/// Refuses flags that would be set aside: here somebody can still mend them.
/// Returns what never holds, which may be meant.
fn check_flags(given: &EnvironmentGiven, workspace: &Workspace) -> Result<Vec<Fault>, BuildError> {
    let twice = given.flags.parts().find(|(kind, id, _)| match kind {
        PartKind::Segment => workspace.segments.keys().any(|own| own.to_string() == *id),
        _ => workspace.flags.contains_key(id),
    });
    if let Some((kind, id, _)) = twice {
        return Err(BuildError::Flag {
            environment: given.name.clone(),
            what: format!("{} {id}", kind.name()),
            why: "the project files have it as well (expected it in one of the two)".to_owned(),
        });
    }
    let flags = Flags::compile(&given.flags);
    let mut notices = Vec::new();
    for trouble in flags.troubles() {
        if trouble.set_aside {
            return Err(BuildError::Flag {
                environment: given.name.clone(),
                what: trouble.what.to_string(),
                why: trouble.why.clone(),
            });
        }
        notices.push(Fault {
            file: format!("flags of {}", given.name),
            position: format!("flag {:?}", trouble.what),
            rule: trouble.why.clone(),
        });
    }
    Ok(notices)
}

fn all_environments(given: &[EnvironmentGiven]) -> Result<Vec<Environment>, BuildError> {
    let mut environments: Vec<Environment> = Vec::new();
    for own in given {
        let wrong = |why| BuildError::Environment(own.name.clone(), why);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = (1..=limits::SID_BYTES_MAX).contains(&own.name.len());
        if !fits || !own.name.bytes().all(plain) {
            return Err(wrong("expected a name of letters, digits, - and _"));
        }
        let uid = own.uid.clone();
        let uid = uid.unwrap_or_else(|| environment_uid(&own.name));
        if environments
            .iter()
            .any(|other| other.name == own.name || other.uid == uid)
        {
            return Err(wrong("its name or its uid is given twice"));
        }
        let drafts = own.kind == EnvironmentType::Development;
        environments.push(Environment {
            access: AccessPart {
                unsigned_users: own.unsigned_users,
                ..AccessPart::default()
            },
            ..Environment::new(uid, &own.name, own.kind, drafts)
        });
    }
    Ok(environments)
}

/// The key as it would stand in a store.
fn stored(workspace: &Workspace, given: &KeyGiven) -> Result<StoredKey, String> {
    let environment = workspace.environment(&given.environment).ok_or_else(|| {
        format!(
            "environment {:?} is not built (expected one of {})",
            given.environment,
            crate::store::environment_names(workspace)
        )
    })?;
    let kind = given.kind;
    if kind.published().is_none() {
        return Err(format!(
            "keys of kind {} are in no snapshot (expected blocks, users, client, frontend or server)",
            kind.name()
        ));
    }
    if !is_sha256_hex(&given.sha256) {
        return Err("found no SHA-256 (expected 64 lower-case hexadecimal digits)".to_owned());
    }
    if workspace.keys.iter().any(|own| own.sha256 == given.sha256) {
        return Err("the same key is given twice (every environment needs its own)".to_owned());
    }
    if let Some(fault) = given.channel.as_deref().and_then(channel_fault) {
        return Err(fault);
    }
    if given.name.is_empty()
        || given.name.len() > limits::SID_BYTES_MAX
        || given.name.chars().any(char::is_control)
    {
        return Err(format!(
            "expected a name of 1 to {} printable bytes",
            limits::SID_BYTES_MAX
        ));
    }
    Ok(StoredKey {
        sha256: given.sha256.clone(),
        kind,
        environment_uid: Some(environment.uid.clone()),
        name: given.name.clone(),
        projects: Vec::new(),
        channel: given.channel.clone(),
        origins: Vec::new(),
        rights: None,
        last: String::new(),
        created_ms: 0,
        expires_ms: None,
        rotated_ms: None,
        revoked_ms: None,
    })
}
