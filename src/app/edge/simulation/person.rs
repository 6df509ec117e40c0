//! What does an application do for one user, and what is it told?
//!
//! One request at a time, and each repeated under its idempotency key until
//! there is a definite answer. So it is known at every moment where the user
//! can stand, and every answer is held against that. A settled user is served
//! by one edge; a roaming one by any, and shows the token of the last write.

use std::{collections::BTreeSet, time::Duration};

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    judge::Judge,
    publisher::{BLOCKS, CHAIN, CHANNEL, HALF, MARKER},
    store::Store,
    visit::{Reply, Visit},
};
use crate::disk::memory::Random;

/// How often, and after what pauses, it is looked for what must come in time.
const LOOKS_BACK: usize = 60;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// How an application and its user are.
#[derive(Clone)]
pub(super) struct Habits {
    pub(super) name: String,
    /// The one edge that serves them; none for those who roam.
    pub(super) home: Option<usize>,
    pub(super) edges: usize,
    /// Until then something new is begun.
    pub(super) busy_until: Duration,
}

/// Where a user stands in the circle: not in it, or at a block.
type Position = Option<usize>;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Reset,
    Leave(usize),
}

/// One application with its user.
pub(super) struct Person {
    habits: Habits,
    random: Random,
    judge: Judge,
    store: Store,
    visit: Visit,
    /// Where the user can stand; none when anything is possible.
    stands: Option<BTreeSet<Position>>,
    /// Whether nobody can say any more where the user stands.
    is_lost: bool,
    token: Option<String>,
    keys: u64,
    /// The number that was told last and acknowledged.
    number: u64,
    /// What was recorded of the percentage.
    member: Option<bool>,
}

impl Step {
    /// Where it leads from there.
    fn from(self, at: Position) -> Position {
        match (self, at) {
            (Self::Start, None) | (Self::Reset, _) => Some(0),
            (Self::Leave(block), Some(own)) if own == block => Some((own + 1) % BLOCKS.len()),
            _ => at,
        }
    }
}

impl Person {
    pub(super) fn new(seed: u64, habits: Habits, store: &Store, judge: &Judge) -> Self {
        let first = habits.home.unwrap_or(0);
        Self {
            random: Random(seed),
            visit: Visit::new(first, judge),
            judge: judge.clone(),
            store: store.clone(),
            habits,
            stands: Some(BTreeSet::from([None])),
            is_lost: false,
            token: None,
            keys: 0,
            number: 0,
            member: None,
        }
    }

    /// Asks for this and that until it is late, then looks once more.
    pub(super) async fn run(mut self) -> turmoil::Result {
        let begun = Instant::now();
        while begun.elapsed() < self.habits.busy_until {
            sleep(Duration::from_millis(10 + self.random.below(150) as u64)).await;
            match self.random.below(12) {
                0..6 => self.step().await,
                6..9 => drop(self.look().await),
                9 => self.identify().await,
                10 => self.enrol().await,
                _ => self.visit.hang_up(),
            }
            if self.judge.verdict().is_err() {
                return Ok(());
            }
        }
        self.look_back().await;
        Ok(())
    }

    async fn step(&mut self) {
        let step = match self.random.below(10) {
            0 => Step::Reset,
            1 | 2 => Step::Start,
            // Usually the block where the user is.
            _ => match self
                .stands
                .as_ref()
                .and_then(|all| all.first().copied().flatten())
            {
                Some(at) if !self.random.chance(6) => Step::Leave(at),
                _ => Step::Leave(self.random.below(BLOCKS.len())),
            },
        };
        let subject = json!({"user": self.habits.name});
        let (path, body) = match step {
            Step::Start | Step::Reset => {
                let name = if matches!(step, Step::Start) {
                    "start"
                } else {
                    "reset"
                };
                (
                    format!("/v1/flows/{CHAIN}/{name}"),
                    json!({"subject": subject, "version": 1}),
                )
            }
            Step::Leave(block) => (
                format!("/v1/blocks/{}/transition", BLOCKS[block]),
                json!({"subject": subject, "version": 1, "transitions": ["next"]}),
            ),
        };
        let Some((reply, tries)) = self.insist(&path, &body, true).await else {
            return;
        };
        self.stepped(step, &reply, tries);
    }

    /// Holds the answer against where the user could stand.
    fn stepped(&mut self, step: Step, reply: &Reply, tries: Tries) {
        let changed = reply.body["changed"] == true;
        if tries.edges > 1 || (reply.stale && changed) {
            // Taken twice perhaps, or on something older: where that leads to
            // the store decides, and nobody here knows when.
            self.is_lost = true;
        }
        self.judge.count(if changed {
            "steps"
        } else {
            "steps without effect"
        });
        self.remember(reply);
        let Some(before) = self.stands.take() else {
            return;
        };
        if reply.stale || self.is_lost {
            return;
        }
        let after = before.iter().map(|at| step.from(*at));
        let stands: BTreeSet<Position> = if changed {
            let can = before
                .iter()
                .filter(|at| matches!(step, Step::Reset) || step.from(**at) != **at);
            can.map(|at| step.from(*at)).collect()
        } else if tries.count > 1 {
            // It may have been taken before, and the answer was lost.
            before.iter().copied().chain(after).collect()
        } else if reply.body["reason"] == "disabled" {
            before.clone()
        } else {
            let idle = before.iter().filter(|at| step.from(**at) == **at);
            idle.copied().collect()
        };
        if stands.is_empty() {
            let name = &self.habits.name;
            self.judge.wrong(format!(
                "own writes: {name} at {before:?} asked for {step:?} and was told {}",
                reply.body
            ));
        }
        self.stands = Some(stands);
    }

    /// Reads where the user stands.
    async fn look(&mut self) -> Option<Reply> {
        let body = json!({
            "subject": {"user": self.habits.name}, "include": ["blocks"],
            "flows": {CHAIN: 1, MARKER: "latest"},
        });
        let (reply, _) = self.insist("/v1/evaluate", &body, false).await?;
        self.judge.count("reads");
        let decision = &reply.body["decisions"][CHAIN];
        if reply.stale {
            self.judge.count("stale answers");
            return Some(reply);
        }
        if decision["reason"] == "disabled" {
            return Some(reply);
        }
        let blocks = decision["blocks"].as_array().cloned().unwrap_or_default();
        let active = blocks
            .iter()
            .position(|block| block["state"]["active"] == true);
        let found = match decision["state"]["started"] == true {
            true if active.is_none() => {
                self.judge.wrong(format!(
                    "own writes: started, and nothing is active: {decision}"
                ));
                return Some(reply);
            }
            true => active,
            false => None,
        };
        if let Some(stands) = &self.stands
            && !stands.contains(&found)
        {
            let name = &self.habits.name;
            self.judge.wrong(format!(
                "own writes: {name} can stand at {stands:?} and reads {found:?} on edge {}",
                self.visit.edge
            ));
        }
        if !self.is_lost {
            self.stands = Some(BTreeSet::from([found]));
        }
        Some(reply)
    }

    async fn identify(&mut self) {
        let number = self.keys + 1;
        let body = json!({"identifier": self.habits.name, "properties": {"number": number}});
        if let Some((reply, _)) = self.insist("/v1/identify", &body, true).await {
            self.judge.count("identified");
            self.number = number;
            let token = self.token.clone();
            self.remember(&reply);
            if self.habits.home.is_none() {
                // It rests on nothing that was written elsewhere.
                self.token = token;
            }
        }
    }

    /// Has a percentage decided, and holds it against what was recorded.
    async fn enrol(&mut self) {
        let body = json!({
            "subject": {"user": self.habits.name}, "channel": CHANNEL, "flows": {HALF: "latest"},
        });
        let Some((reply, _)) = self.insist("/v1/evaluate", &body, false).await else {
            return;
        };
        self.judge.count("percentages");
        self.remember(&reply);
        let membership = &reply.body["decisions"][HALF]["membership"];
        let Some(is_in) = membership["in"].as_bool() else {
            return;
        };
        if reply.stale || membership["recorded"] != true || self.habits.home.is_none() {
            return;
        }
        self.judge.count("memberships recorded");
        if let Some(before) = self.member
            && before != is_in
            && !(is_in && membership["basis_points"] == 10_000)
        {
            let name = &self.habits.name;
            self.judge.wrong(format!(
                "membership: {name} was in: {before}, and is now {membership}"
            ));
        }
        self.member = Some(is_in);
    }

    fn remember(&mut self, reply: &Reply) {
        if let Some(token) = reply.body["token"].as_str() {
            if let Some((journal, seq)) = token.rsplit_once('-')
                && let Ok(seq) = seq.parse()
            {
                self.judge.acknowledged((journal.to_owned(), seq));
            }
            if !reply.stale {
                // Else it stands for something older than what was shown.
                self.token = Some(token.to_owned());
            }
        }
    }

    /// Asks until there is a definite answer; none when there is none until
    /// the end, or when it is one that cannot be.
    async fn insist(&mut self, path: &str, body: &Value, is_write: bool) -> Option<(Reply, Tries)> {
        self.keys += 1;
        let key = is_write.then(|| format!("{}-{}", self.habits.name, self.keys));
        let mut tries = Tries { count: 0, edges: 0 };
        let mut last = None;
        loop {
            // Whoever repeats a write elsewhere may have it taken twice.
            let moves = if is_write && tries.count > 0 { 8 } else { 2 };
            if self.habits.home.is_none() && self.random.chance(moves) {
                self.visit.go(self.random.below(self.habits.edges));
            }
            tries.count += 1;
            tries.edges += usize::from(last.replace(self.visit.edge) != Some(self.visit.edge));
            let asked = self
                .visit
                .ask(path, body, key.as_deref(), self.token.as_deref());
            match asked.await {
                Ok(reply) if reply.status == StatusCode::OK => {
                    self.accountable(&reply);
                    return Some((reply, tries));
                }
                Ok(reply) if reply.status.is_server_error() => {
                    self.judge.count("answers 503");
                }
                Ok(reply) => {
                    let (status, body) = (reply.status, reply.body);
                    self.judge
                        .wrong(format!("answer: {path} was answered {status}: {body}"));
                    return None;
                }
                Err(_) => self.judge.count("answers lost"),
            }
            self.judge.count("retries");
            if self.judge.verdict().is_err() {
                return None;
            }
            sleep(Duration::from_millis(50 + self.random.below(300) as u64)).await;
        }
    }

    /// Only what was published is ever evaluated.
    fn accountable(&self, reply: &Reply) {
        if let Some(revision) = reply.revision
            && !self.store.look().publisher.revisions.contains(&revision)
        {
            let edge = self.visit.edge;
            self.judge.wrong(format!(
                "refused document: edge {edge} evaluates revision {revision}"
            ));
        }
    }

    /// Everything is mended: what is there now, and stays?
    async fn look_back(&mut self) {
        let mut is_stale = false;
        for _ in 0..LOOKS_BACK {
            let Some(reply) = self.look().await else {
                return;
            };
            let (marker, revision) = {
                let publisher = &self.store.look().publisher;
                (publisher.marker, publisher.revision())
            };
            let decision = &reply.body["decisions"][MARKER];
            is_stale = reply.stale;
            let is_newest = reply.revision == Some(revision) && decision["version"] == marker;
            if is_newest && !is_stale {
                self.compare().await;
                return;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let name = &self.habits.name;
        self.judge.wrong(match is_stale {
            true => format!("own writes: {name} waits for {:?} for ever", self.token),
            false => format!("publish: {name} never sees the newest revision"),
        });
    }

    /// What was acknowledged is what the ledger comes to have. Others than
    /// settled users may have had their steps decided on something older.
    async fn compare(&mut self) {
        let name = self.habits.name.clone();
        if self.habits.home.is_none() {
            return;
        }
        let (stands, number) = (self.stands.clone().unwrap_or_default(), self.number);
        let mut found = (None, None);
        for _ in 0..LOOKS_BACK {
            {
                let document = self.store.look().ledger.document(&name);
                let told = document.properties.get("number").and_then(Value::as_u64);
                let state = document.flows.iter().find(|state| state.flow == CHAIN);
                let at = state.and_then(|state| {
                    let state = state.to_state();
                    let active = |uid: &&str| {
                        let block = crate::snapshot::BlockKey::of(uid);
                        state.block(block).is_some_and(|block| block.active)
                    };
                    BLOCKS.iter().position(active)
                });
                found = (at, told);
            }
            if self.store.look().is_assumed(&name) {
                return;
            }
            let is_there = self.is_lost || stands.contains(&found.0);
            if is_there && found.1.unwrap_or(0) == number {
                self.judge.count("users compared");
                return;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        self.judge.wrong(format!(
            "effect: {name} stands at {stands:?} with number {number}, the ledger has {found:?}"
        ));
    }
}

/// How often a request was sent, and how often to another edge than before.
#[derive(Clone, Copy)]
struct Tries {
    count: usize,
    edges: usize,
}
