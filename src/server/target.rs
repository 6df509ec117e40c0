//! Is what a request names there at all?
//!
//! Flows, versions and blocks that are not in the environment (or not for the
//! key) are errors of the request; what is there and leads nowhere for this
//! subject is not.

use std::sync::Arc;

use super::{
    auth::Access,
    error::{AuthError, Fault, Missing},
};
use crate::{
    current::Environment,
    evaluate::{Decision, Reason},
    progress::{Asker, Place},
    snapshot::{Block, BlockIndex, BlockKey, Flow, Version, wire::KeyKind},
};

/// Turns decisions about nothing into errors.
pub(crate) fn refuse_unknown(
    decision: &Decision<'_, '_>,
    environment: &Environment,
    sid: &str,
) -> Result<(), Fault> {
    let snapshot = &environment.snapshot;
    let number = decision.number;
    match decision.reason {
        Reason::UnknownFlow => Err(unknown_flow(sid, environment)),
        Reason::UnknownVersion if number == 0 && !snapshot.drafts => Err(Missing::Draft {
            sid: sid.to_owned(),
            environment: snapshot.environment.to_string(),
        }
        .into()),
        Reason::UnknownVersion => Err(Missing::Version {
            sid: sid.to_owned(),
            number,
            environment: snapshot.environment.to_string(),
        }
        .into()),
        Reason::SetAside => Err(Fault::SetAside {
            sid: sid.to_owned(),
            number,
        }),
        Reason::Disabled
        | Reason::EmptyVersion
        | Reason::EntryCondition
        | Reason::Started
        | Reason::Finished
        | Reason::Stopped
        | Reason::DeploymentRequired
        | Reason::Inactive
        | Reason::Pinned
        | Reason::Member
        | Reason::Excluded
        | Reason::AudienceMismatch
        | Reason::NoRolloutId
        | Reason::Percentage => Ok(()),
    }
}

fn unknown_flow(sid: &str, environment: &Environment) -> Fault {
    Fault::Missing(Missing::Flow {
        sid: sid.to_owned(),
        environment: environment.snapshot.environment.to_string(),
    })
}

/// The flow a block belongs to, if the key sees it.
pub(crate) fn flow_of_block<'s>(access: Access<'s>, uid: &str) -> Result<&'s Arc<Flow>, Fault> {
    let snapshot = &access.environment.snapshot;
    let flow = snapshot.block_flows.get(uid);
    let unknown = || Missing::Block {
        uid: uid.to_owned(),
        environment: snapshot.environment.to_string(),
    };
    let visible = flow.filter(|flow| access.key.sees(&flow.project));
    visible.ok_or_else(|| unknown().into())
}

/// A shown block of this version.
pub(crate) fn block_in<'v>(
    version: &'v Version,
    uid: &str,
) -> Result<(BlockIndex, &'v Block), Fault> {
    let index = version.find(BlockKey::of(uid));
    let found = index.map(|index| (index, version.block(index)));
    // Logic blocks exist inside only.
    found
        .filter(|(_, block)| !block.is_logic())
        .ok_or_else(|| block_missing(version.number, uid))
}

/// The version has no such block.
pub(crate) fn block_missing(number: u32, uid: &str) -> Fault {
    Fault::Missing(Missing::BlockInVersion {
        uid: uid.to_owned(),
        number,
    })
}

/// Whether `force` counts. A flow may take none from public keys: they would
/// walk around its entry condition.
pub(crate) fn check_force(access: Access<'_>, flow: &Flow) -> Result<(), AuthError> {
    if flow.refuse_public_force && access.key.kind == KeyKind::Blocks {
        return Err(AuthError::Force);
    }
    Ok(())
}

/// The environment as progress needs it.
pub(crate) fn place(access: Access<'_>) -> Place {
    Place {
        slot: access.environment.slot,
        snapshot: Arc::clone(&access.environment.snapshot),
        asker: Asker::of(&access.key.sha256),
    }
}
