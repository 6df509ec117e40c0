//! What does a user do, in Dopt's words?
//!
//! Intents and transitions answer 204 and say in a header whether anything
//! changed, that is whether a push follows. Steps into nothing (a disabled or
//! empty flow, an inactive block) are successes that changed nothing.

use crate::{
    clock::UnixMs,
    http::Answer,
    progress::{Action, StepRequest},
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{Fault, Invalid},
        query::Query,
        route::Intent,
        target::{Target, block_in, block_missing, check_force, flow_of_block, place, target},
    },
    snapshot::{Flow, NameKey, Version},
};

/// `POST /v2/flow/:sid/:intent`.
pub(crate) async fn intent(
    edge: &EdgeService,
    posted: &Posted<'_>,
    sid: &str,
    intent: Intent,
) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let query = posted.asked.query()?;
    let force = query.force()?;
    if let Some(found) = force
        && !intent.takes_force()
    {
        return Err(Invalid::Value {
            what: "force",
            found: format!("force={found} with {}", intent.name()),
            expected: "force only with start and reset",
        }
        .into());
    }
    let now = edge.now();
    let target = target(access, sid, query.tag()?, now)?;
    take(edge, access, &query, now, target, |flow, _| {
        let force = force == Some(true) && check_force(access, flow).is_ok();
        Ok(match intent {
            Intent::Start => Action::Start { force },
            Intent::Reset => Action::Reset { force },
            Intent::Stop => Action::Stop,
            Intent::Finish => Action::Finish,
        })
    })
    .await
}

/// `POST /v2/block/:uid/transition`.
pub(crate) async fn transition(
    edge: &EdgeService,
    posted: &Posted<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let query = posted.asked.query()?;
    let names = query.transitions()?.iter();
    let names: Vec<NameKey> = names.map(|name| NameKey::of(name)).collect();
    let now = edge.now();
    let flow = flow_of_block(access, uid)?;
    let target = target(access, &flow.sid, query.tag()?, now)?;
    if let Target::Empty(_) = target {
        return Err(block_missing(0, uid));
    }
    take(edge, access, &query, now, target, |_, version| {
        let (block, _) = block_in(version, uid)?;
        Ok(Action::Transition {
            block,
            names: &names,
        })
    })
    .await
}

/// Takes the step if there is anything to step through.
async fn take<'a>(
    edge: &EdgeService,
    access: Access<'_>,
    query: &Query<'_>,
    now: UnixMs,
    target: Target<'_>,
    action: impl FnOnce(&Flow, &Version) -> Result<Action<'a>, Fault>,
) -> Result<Answer, Fault> {
    let (user, group) = (query.user()?, query.group()?);
    let changed = match target {
        Target::Version(flow, version) => {
            let step = StepRequest {
                place: place(access.environment),
                user,
                group,
                conversation: None,
                attributes: None,
                flow,
                version,
                action: action(flow, version)?,
                membership: None,
                id: None,
                now,
            };
            edge.progress.step(step).await?.changed
        }
        Target::Disabled(flow, version) => {
            // Asking for a block that does not exist is misuse all the same.
            action(flow, version)?;
            false
        }
        Target::Empty(_) => false,
    };
    Ok(edge.stamps.stepped(access.environment, now, changed))
}
