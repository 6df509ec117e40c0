//! What does a user do, in Dopt's words?
//!
//! Intents and transitions answer 204 and say in a header whether anything
//! changed, that is whether a push follows. Steps into nothing (a disabled or
//! empty flow, an inactive block, a subject who is not let in) are successes
//! that changed nothing.

use super::inquiry;
use crate::{
    evaluate::Decision,
    http::Answer,
    progress::Action,
    server::{
        EdgeService,
        asked::Posted,
        deciding::Inquiry,
        error::{Fault, Invalid},
        query::Query,
        route::Intent,
        target::{block_in, block_missing, check_force, flow_of_block, refuse_unknown},
    },
    snapshot::NameKey,
};

/// `POST /v2/flow/:sid/:intent`.
pub(crate) async fn intent(
    edge: &EdgeService,
    posted: &Posted<'_>,
    sid: &str,
    intent: Intent,
) -> Result<Answer, Fault> {
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
    let inquiry = inquiry(posted.access()?, &query, edge.now())?;
    take(edge, &inquiry, &query, sid, |decision| {
        let refused = |flow| check_force(inquiry.access, flow).is_err();
        let force = force == Some(true) && !decision.flow.is_some_and(|flow| refused(flow));
        Ok(Some(intent.action(force)))
    })
    .await
    .map(|taken| taken.answer)
}

/// `POST /v2/block/:uid/transition`.
pub(crate) async fn transition(
    edge: &EdgeService,
    posted: &Posted<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let query = posted.asked.query()?;
    let names = query.transitions()?.iter();
    let names: Vec<NameKey> = names.map(|name| NameKey::of(name)).collect();
    let inquiry = inquiry(posted.access()?, &query, edge.now())?;
    let taken = walk(edge, &inquiry, &query, uid, &names).await;
    // Clients show a block as left before they hear what came of it: one that
    // was not left is told again.
    if !taken.as_ref().is_ok_and(|taken| taken.changed) {
        edge.progress.remind(inquiry.who.user);
    }
    Ok(taken?.answer)
}

async fn walk(
    edge: &EdgeService,
    inquiry: &Inquiry<'_>,
    query: &Query<'_>,
    uid: &str,
    names: &[NameKey],
) -> Result<Taken, Fault> {
    let flow = flow_of_block(inquiry.access, uid)?;
    take(edge, inquiry, query, &flow.sid, |decision| {
        let found = match decision.version {
            Some(version) => block_in(version, uid),
            None => Err(block_missing(decision.number, uid)),
        };
        match found {
            Ok((block, _)) => Ok(Some(Action::Transition { block, names })),
            // Whoever names a version knows what is in it.
            Err(missing) if goes_by_tag(decision) => Err(missing),
            // The edge chose another version than the client holds: its block
            // leads nowhere there, which is no misuse.
            Err(_) => Ok(None),
        }
    })
    .await
}

/// Whether the version is the one that was asked for.
fn goes_by_tag(decision: &Decision<'_, '_>) -> bool {
    let by_deployments = decision.flow.is_some_and(|flow| flow.deployments_only);
    decision.deployment.is_none() && !by_deployments
}

/// What came of a step.
struct Taken {
    changed: bool,
    answer: Answer,
}

/// Takes the step if there is anything to step through.
async fn take<'a>(
    edge: &EdgeService,
    inquiry: &Inquiry<'_>,
    query: &Query<'_>,
    sid: &str,
    action: impl FnOnce(&Decision<'_, '_>) -> Result<Option<Action<'a>>, Fault>,
) -> Result<Taken, Fault> {
    let environment = inquiry.access.environment;
    let tag = query.tag()?;
    let known = inquiry.known(edge, std::iter::once(sid)).await?;
    let decision = inquiry.decision(&known, 0, sid, tag);
    refuse_unknown(&decision, environment, sid)?;
    let stepped = match action(&decision)? {
        Some(action) => inquiry.step(edge, &known, &decision, action, None).await?,
        None => None,
    };
    let changed = stepped.is_some_and(|stepped| stepped.changed);
    let answer = edge.stamps.stepped(environment, inquiry.now, changed);
    Ok(Taken { changed, answer })
}
