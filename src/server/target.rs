//! Which version is a step about?
//!
//! Steps and block reads settle flow, version and status by the same decision
//! as every read, but before the subject is known: none of the three depends
//! on who asks.

use std::sync::Arc;

use super::{
    auth::Access,
    error::{AuthError, Fault, Missing},
};
use crate::{
    clock::UnixMs,
    current::Environment,
    evaluate::{Ask, Decision, Reason, Subject, SubjectView, Tag, decide},
    progress::Place,
    snapshot::{Block, BlockIndex, BlockKey, Flow, Version, wire::KeyKind},
};

/// What a step is about.
pub(crate) enum Target<'s> {
    /// A version that can be stepped through.
    Version(&'s Arc<Flow>, &'s Arc<Version>),
    /// The flow is disabled: a step succeeds and does nothing.
    Disabled(&'s Arc<Flow>, &'s Arc<Version>),
    /// Nothing is committed: a step succeeds and does nothing.
    Empty(&'s Arc<Flow>),
}

/// Finds the flow and version a step names.
pub(crate) fn target<'s>(
    access: Access<'s>,
    sid: &str,
    tag: Tag,
    now: UnixMs,
) -> Result<Target<'s>, Fault> {
    // Nobody will do: flow, version and status are the same for everybody.
    let nobody = Subject::default();
    let view = SubjectView {
        user: &nobody,
        group: None,
        attributes: None,
        conversation: None,
    };
    let decision = decision(access, &view, sid, tag, now);
    refuse_unknown(&decision, access.environment, sid)?;
    match (decision.flow, decision.version) {
        (Some(flow), Some(version)) if decision.reason == Reason::Disabled => {
            Ok(Target::Disabled(flow, version))
        }
        (Some(flow), Some(version)) => Ok(Target::Version(flow, version)),
        (Some(flow), None) => Ok(Target::Empty(flow)),
        (None, _) => Err(unknown_flow(sid, access.environment)),
    }
}

/// Decides for a subject with the caller's view of projects.
pub(crate) fn decision<'s, 'u>(
    access: Access<'s>,
    view: &SubjectView<'u>,
    sid: &str,
    tag: Tag,
    now: UnixMs,
) -> Decision<'s, 'u> {
    let sees = |project: &str| access.key.sees(project);
    let ask = Ask {
        sid,
        tag,
        ..Ask::default()
    };
    decide(&access.environment.snapshot, view, &ask, sees, now)
}

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
pub(crate) fn place(environment: &Environment) -> Place {
    Place {
        slot: environment.slot,
        snapshot: Arc::clone(&environment.snapshot),
    }
}
