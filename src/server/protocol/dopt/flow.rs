//! Where does a user stand in a flow, or at a block?
//!
//! Reading a flow starts it for a user who qualifies, and keeps what migration
//! and a percentage came to; all of it is durable before the answer. When it
//! cannot be stored, the read still answers, with the flow not started.
//! Reading a block changes nothing. Whoever is not let in gets a flow without
//! blocks, and no block of it.

use arc_swap::Guard;

use super::inquiry;
use crate::{
    evaluate::Tag,
    http::Answer,
    server::{
        EdgeService,
        asked::Asked,
        deciding::{Door, Inquiry, Known, Settled, ToKeep, token},
        error::Fault,
        respond::mark_assumed,
        target::{block_in, block_missing, flow_of_block, refuse_unknown},
    },
    snapshot::{Flow, flow_bytes_max, write_block, write_empty_flow, write_flow},
};

/// What a flow read asks for.
#[derive(Clone, Copy)]
struct FlowRead {
    tag: Tag,
    blocks: bool,
}

/// `GET /v2/flow/:sid`.
pub(crate) async fn flow(edge: &EdgeService, asked: Asked<'_>, sid: &str) -> Result<Answer, Fault> {
    let live = asked.live(&edge.current).await?;
    let access = asked.access(&live)?;
    let query = asked.query()?;
    let wanted = FlowRead {
        tag: query.tag()?,
        blocks: query.include_blocks()?,
    };
    let now = edge.now();
    let inquiry = inquiry(access, &query, now)?;
    let shown = token(asked.sent)?;
    if shown.is_none()
        && let Some(known) = inquiry.known_now(edge, std::iter::once(sid))
    {
        let known = inquiry.admit(known)?;
        let decision = inquiry.decision(&known, 0, sid, wanted.tag);
        refuse_unknown(&decision, access.environment, sid)?;
        if ToKeep::of(&decision, true, known.is_certain(0)).is_nothing() {
            let settled = Settled::unkept(decision);
            inquiry.sample(edge, &known, 0, (sid, wanted.tag));
            return Ok(wanted.answer(edge, &inquiry, (&known, false), &settled));
        }
    }
    // From here on it may wait: the guard becomes an owned value, and what is
    // done is a box, which reads from memory never make.
    let live = Guard::into_inner(live);
    let waiting = async {
        let inquiry = super::inquiry(asked.access(&live)?, &query, now)?;
        let behind = inquiry.is_behind(edge, shown.as_ref()).await;
        let known = inquiry.known(edge, std::iter::once(sid)).await?;
        let settled = inquiry
            .settle(edge, &known, 0, (sid, wanted.tag), true)
            .await;
        refuse_unknown(&settled.decision, inquiry.access.environment, sid)?;
        inquiry.sample(edge, &known, 0, (sid, wanted.tag));
        Ok(wanted.answer(edge, &inquiry, (&known, behind), &settled))
    };
    Box::pin(waiting).await
}

impl FlowRead {
    fn answer(
        &self,
        edge: &EdgeService,
        inquiry: &Inquiry<'_>,
        (known, behind): (&Known, bool),
        settled: &Settled<'_, '_>,
    ) -> Answer {
        let answer =
            edge.stamps
                .evaluated(inquiry.access.environment, inquiry.now, self.body(settled));
        mark_assumed(answer, known.is_assumed() || behind)
    }

    fn body(&self, settled: &Settled<'_, '_>) -> Vec<u8> {
        let decision = &settled.decision;
        let shut = Door::of(decision) == Door::Shut;
        let mut body = Vec::new();
        match (decision.version, decision.flow) {
            (Some(version), _) => {
                let content = self.blocks && !shut;
                body.reserve_exact(flow_bytes_max(version, content));
                let running = settled.is_running();
                write_flow(&mut body, version, settled.state(), running, content);
                if self.blocks && shut {
                    // Asked for and not given.
                    body.pop();
                    body.extend_from_slice(b",\"blocks\":[]}");
                }
            }
            (None, Some(flow)) => write_empty_flow(&mut body, flow, self.blocks),
            // A decision without a flow was refused before.
            (None, None) => {}
        }
        body
    }
}

/// `GET /v2/block/:uid`.
pub(crate) async fn block(
    edge: &EdgeService,
    asked: Asked<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let live = asked.live(&edge.current).await?;
    let access = asked.access(&live)?;
    let query = asked.query()?;
    let tag = query.tag()?;
    let now = edge.now();
    let inquiry = inquiry(access, &query, now)?;
    let flow = flow_of_block(access, uid)?;
    let shown = token(asked.sent)?;
    if shown.is_none()
        && let Some(known) = inquiry.known_now(edge, std::iter::once(&*flow.sid))
    {
        let known = inquiry.admit(known)?;
        return block_answer(edge, &inquiry, &known, (flow, uid), tag);
    }
    let live = Guard::into_inner(live);
    let waiting = async {
        let access = asked.access(&live)?;
        let inquiry = super::inquiry(access, &query, now)?;
        let flow = flow_of_block(access, uid)?;
        let behind = inquiry.is_behind(edge, shown.as_ref()).await;
        let known = inquiry.known(edge, std::iter::once(&*flow.sid)).await?;
        let answer = block_answer(edge, &inquiry, &known, (flow, uid), tag)?;
        Ok(mark_assumed(answer, behind))
    };
    Box::pin(waiting).await
}

fn block_answer(
    edge: &EdgeService,
    inquiry: &Inquiry<'_>,
    known: &Known,
    (flow, uid): (&Flow, &str),
    tag: Tag,
) -> Result<Answer, Fault> {
    let environment = inquiry.access.environment;
    let decision = inquiry.decision(known, 0, &flow.sid, tag);
    refuse_unknown(&decision, environment, &flow.sid)?;
    // For whoever is not let in the flow has no blocks, as for everybody when
    // nothing is committed.
    let version = decision
        .version
        .filter(|_| Door::of(&decision) != Door::Shut);
    let version = version.ok_or_else(|| block_missing(decision.number, uid))?;
    let (_, block) = block_in(version, uid)?;
    let settled = Settled::unkept(decision);
    let state = settled.state();
    let state = state.and_then(|state| state.block(block.key));
    let mut body = Vec::with_capacity(block.json_head.len() + 256);
    write_block(&mut body, block, state, settled.is_running());
    let answer = edge.stamps.evaluated(environment, inquiry.now, body);
    Ok(mark_assumed(answer, known.is_assumed()))
}
