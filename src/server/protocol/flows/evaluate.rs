//! What does a subject see of several flows, at one revision?
//!
//! An unknown flow or version is a decision like any other here, with its
//! reason: one mistyped name does not take the answer for the others away.
//! Memberships and migrated states are kept for every flow that is answered,
//! starts with `"start": true`; what cannot be kept is answered all the same.

use std::borrow::Cow;

use super::{inquiry, state_json, wire::EvaluateBody, write_text, write_token};
use crate::{
    evaluate::{FlowState, Reason, Tag},
    http::{Answer, json},
    progress::Token,
    server::{
        EdgeService,
        asked::Posted,
        deciding::{Door, Inquiry, Known, Settled, read_token, token},
        error::{Fault, Invalid},
        respond::mark_assumed,
    },
    snapshot::{Version, flow_bytes_max, wire::KeyKind, write_block},
};

/// Room for one decision without its blocks.
const DECISION_BYTES: usize = 256;

/// Flows and tags in the order asked.
type Asked<'a> = [(Cow<'a, str>, Tag)];

/// `POST /v1/evaluate`.
pub(crate) async fn evaluate(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: EvaluateBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    let blocks = body.include_blocks()?;
    let inquiry = inquiry(access, &body.subject, body.channel.as_ref(), edge.now())?;
    let sole;
    let flows: &Asked<'_> = match &body.flows {
        Some(flows) if !flows.0.is_empty() => &flows.0,
        _ => {
            sole = [(Cow::Borrowed(sole_flow(&inquiry)?), Tag::Latest)];
            &sole
        }
    };
    let sids = flows.iter().map(|(sid, _)| &**sid);
    let shown = match (&body.token, token(posted.asked.sent)?) {
        (Some(_), Some(_)) => {
            return Err(Invalid::Both {
                one: "token",
                other: "Flowgate-Token",
            }
            .into());
        }
        (Some(text), None) => Some(read_token("token", text.as_ref())?),
        (None, header) => header,
    };
    let behind = inquiry.is_behind(edge, shown.as_ref()).await;
    let mut known = inquiry.known(edge, sids.clone()).await?;
    for (at, (sid, tag)) in flows.iter().enumerate() {
        inquiry.sample(edge, &known, at, (sid, *tag));
    }

    let mut out = Out::new(&inquiry, flows.len(), blocks);
    let touched = out.settle(edge, &known, flows, body.start).await;
    if touched {
        // A start has moved other flows of the user, perhaps some that were
        // answered before it: all are answered as they stand now.
        if let Some(newest) = inquiry.known_now(edge, sids) {
            known = newest;
            out.decisions.clear();
            out.decide(&known, flows);
        }
    }
    let environment = access.environment;
    // What was assumed is old truth as well: the ledger was not asked. So is
    // what lacks the client's own write.
    let assumed = known.is_assumed() || known.read.behind || behind;
    let stale = environment.freshness.is_stale(inquiry.now) || assumed;
    let answer = edge
        .stamps
        .evaluated(environment, inquiry.now, out.finish(stale));
    Ok(mark_assumed(answer, assumed))
}

/// The flow that a request without flows means: the one of an exclusive
/// channel. When that is switched off it is still the one that was meant.
pub(super) fn sole_flow<'r>(inquiry: &Inquiry<'r>) -> Result<&'r str, Fault> {
    let missing = Invalid::Missing {
        what: "flows",
        expected: "at least one flow sid with its tag, or an exclusive channel with one flow",
    };
    let snapshot = &inquiry.access.environment.snapshot;
    let channel = inquiry.channel.and_then(|name| snapshot.channels.get(name));
    let Some(channel) = channel.filter(|channel| channel.exclusive) else {
        return Err(missing.into());
    };
    let mut deployed = channel.by_flow.values();
    let only = match (deployed.next(), deployed.next()) {
        (only, None) => only,
        _ => None,
    };
    let meant = channel.sole.as_ref().or(only);
    // A flow of another project is as unknown to the key as it would be by name.
    let seen = meant.and_then(|deployment| snapshot.flows.get(&*deployment.flow_sid));
    let seen = seen.filter(|flow| inquiry.access.key.sees(&flow.project));
    seen.map(|flow| &*flow.sid).ok_or_else(|| missing.into())
}

/// The decisions as they are written; the head comes last and goes before.
struct Out<'r> {
    inquiry: &'r Inquiry<'r>,
    blocks: bool,
    decisions: Vec<u8>,
    token: Option<Token>,
}

impl<'r> Out<'r> {
    fn new(inquiry: &'r Inquiry<'r>, flows: usize, blocks: bool) -> Self {
        Self {
            inquiry,
            blocks,
            decisions: Vec::with_capacity(flows * DECISION_BYTES),
            token: None,
        }
    }

    /// Decides all flows and keeps what is to be kept. Returns whether flows
    /// beside those that were started have changed.
    async fn settle(
        &mut self,
        edge: &EdgeService,
        known: &Known,
        flows: &Asked<'_>,
        start: bool,
    ) -> bool {
        let mut touched = false;
        for (at, (sid, tag)) in flows.iter().enumerate() {
            let settled = self
                .inquiry
                .settle(edge, known, at, (sid, *tag), start)
                .await;
            touched |= settled.has_touched_others();
            if let Some(token) = settled.token() {
                self.token = Some(token.clone());
            }
            self.decision(sid, &settled);
        }
        touched
    }

    /// Decides all flows once more and keeps nothing.
    fn decide(&mut self, known: &Known, flows: &Asked<'_>) {
        for (at, (sid, tag)) in flows.iter().enumerate() {
            let decision = self.inquiry.decision(known, at, sid, *tag);
            self.decision(sid, &Settled::unkept(decision));
        }
    }

    fn decision(&mut self, sid: &str, settled: &Settled<'_, '_>) {
        let out = &mut self.decisions;
        if !out.is_empty() {
            out.push(b',');
        }
        let decision = &settled.decision;
        let reason = settled.reason();
        write_text(out, sid);
        out.extend_from_slice(b":{\"served\":");
        write_bool(out, settled.is_served());
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(reason.name().as_bytes());
        out.push(b'"');
        // Without a version in the snapshot there is no number that is not a guess.
        let empty = matches!(
            reason,
            Reason::EmptyVersion | Reason::DeploymentRequired | Reason::Disabled
        );
        if decision.version.is_some() || empty {
            out.extend_from_slice(b",\"version\":");
            out.extend_from_slice(itoa::Buffer::new().format(decision.number).as_bytes());
            out.extend_from_slice(b",\"version_source\":\"");
            out.extend_from_slice(decision.version_source.name().as_bytes());
            out.push(b'"');
        }
        self.membership(settled);
        let out = &mut self.decisions;
        if decision.version.is_some() || empty {
            out.extend_from_slice(b",\"state\":");
            out.extend_from_slice(state_json(settled.state()).as_bytes());
        }
        match decision.version {
            Some(version) if self.blocks && Door::of(decision) == Door::Open => {
                write_blocks(out, version, settled.state(), settled.is_running());
            }
            // Content is for those who are let in.
            Some(_) if self.blocks => out.extend_from_slice(b",\"blocks\":[]"),
            None if self.blocks && empty => out.extend_from_slice(b",\"blocks\":[]"),
            _ => {}
        }
        out.push(b'}');
    }

    /// What the percentage came to, where one was asked.
    fn membership(&mut self, settled: &Settled<'_, '_>) {
        let out = &mut self.decisions;
        let decision = &settled.decision;
        let (Some(enrolled), Some(deployment)) = (decision.enrolled, decision.deployment) else {
            return;
        };
        out.extend_from_slice(b",\"membership\":{\"deployment\":");
        write_text(out, &deployment.uid);
        // Names are for the people who gave them, not for every browser.
        if self.inquiry.access.key.kind == KeyKind::Server {
            out.extend_from_slice(b",\"name\":");
            write_text(out, &deployment.name);
        }
        out.extend_from_slice(b",\"in\":");
        write_bool(out, enrolled.is_in);
        let mut number = itoa::Buffer::new();
        out.extend_from_slice(b",\"bucket\":");
        out.extend_from_slice(number.format(enrolled.bucket).as_bytes());
        out.extend_from_slice(b",\"basis_points\":");
        out.extend_from_slice(number.format(enrolled.basis_points).as_bytes());
        out.extend_from_slice(b",\"recorded\":");
        write_bool(out, settled.is_recorded());
        out.push(b'}');
    }

    fn finish(self, stale: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.decisions.len() + DECISION_BYTES);
        let revision = self.inquiry.access.environment.snapshot.revision;
        out.extend_from_slice(b"{\"revision\":\"");
        out.extend_from_slice(itoa::Buffer::new().format(revision.epoch).as_bytes());
        out.push(b'.');
        out.extend_from_slice(itoa::Buffer::new().format(revision.number).as_bytes());
        out.extend_from_slice(b"\",\"stale\":");
        write_bool(&mut out, stale);
        write_token(&mut out, self.token.as_ref());
        out.extend_from_slice(b",\"decisions\":{");
        out.extend_from_slice(&self.decisions);
        out.extend_from_slice(b"}}");
        out
    }
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_blocks(out: &mut Vec<u8>, version: &Version, state: Option<&FlowState>, running: bool) {
    out.reserve(flow_bytes_max(version, true));
    out.extend_from_slice(b",\"blocks\":[");
    for (at, index) in version.shown.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let block = version.block(*index);
        let stored = state.and_then(|state| state.block(block.key));
        write_block(out, block, stored, running);
    }
    out.push(b']');
}
