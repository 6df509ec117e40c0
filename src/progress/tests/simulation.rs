//! Whatever happens in whatever order, who acts next?
//!
//! One edge, a few users, a ledger whose every call is held. A seed decides
//! who acts: a client, the committer, the reader, the shipper, the network,
//! the disk, the power. What clients are told is checked at every answer, in
//! [`super::answering`]; what the ledger made of it in [`super::terminal`].

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    answering::{Answered, Asked, Client, Tally, What},
    edge::{Setup, SimEdge, Task},
    ledger::SimLedger,
    scene::{Act, group_task, identify_task, step_task},
    world::World,
};
use crate::{
    disk::memory::{Fault, MemoryDisk, Random},
    progress::{
        event::EventId,
        keys::{Kind, SubjectKey},
        stepping::Flaw,
    },
};

/// What one run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Reads fail, so that users are assumed to be new; else only shipping does.
    pub(super) reads_fail: bool,
    /// Users whose state is pinned while their records are outstanding.
    pub(super) resident_max: usize,
    pub(super) flaw: Option<Flaw>,
}

/// Where a record stands among all of the edge's: run and seq.
pub(super) type Rank = (usize, u64);

/// One run of everything.
pub(super) struct Simulation {
    pub(super) plan: Plan,
    pub(super) world: World,
    pub(super) ledger: SimLedger,
    pub(super) edge: SimEdge,
    pub(super) clients: BTreeMap<&'static str, Client>,
    /// Journal ids in the order they were begun.
    pub(super) journals: Vec<String>,
    disk: MemoryDisk,
    random: Random,
    pub(super) asked: Vec<Asked>,
    setup: Setup,
    pub(super) tally: Tally,
}

const USERS: [&str; 3] = ["ann", "bob", "cid"];
/// The group that all users belong to.
pub(super) const GROUP: &str = "acme";
/// As whom the group is identified alone: records about it name no user.
pub(super) const NOBODY: &str = "";
const TICKS: usize = 900;
/// Enough for every call and every record there can be.
const TICKS_TO_END: usize = 3_000;
/// Turns in which nothing was under way any more.
const TICKS_AT_REST: usize = 40;

impl Simulation {
    pub(super) fn new(seed: u64, plan: Plan, world: &World) -> Self {
        let ledger = SimLedger::new(world);
        let disk = MemoryDisk::new(seed);
        let setup = Setup {
            flaw: plan.flaw,
            records_max: 60,
            resident_max: plan.resident_max,
            ..Setup::default()
        };
        let edge = SimEdge::boot(&disk, &ledger, world, setup);
        Self {
            plan,
            journals: vec![edge.journal.id().to_owned()],
            clients: USERS
                .into_iter()
                .chain([NOBODY])
                .map(|user| (user, Client::default()))
                .collect(),
            asked: Vec::new(),
            tally: Tally::default(),
            random: Random(seed ^ 0x5eed),
            world: world.clone(),
            ledger,
            edge,
            disk,
            setup,
        }
    }

    /// Lets things happen, then lets everything come to its end.
    pub(super) fn run(&mut self) -> Result<(), String> {
        for _ in 0..TICKS {
            self.tick()?;
        }
        self.disk.set_broken(None);
        self.disk.set_capacity(None);
        self.ledger.look().away = false;
        let mut at_rest = 0;
        for _ in 0..TICKS_TO_END {
            self.edge.commit();
            self.edge.turn_reader();
            self.edge.turn_shipping();
            self.ledger.advance(0, false);
            self.answers()?;
            let moves = !self.asked.is_empty()
                || !self.ledger.look().calls.is_empty()
                || self.edge.progress.backlog() > 0;
            at_rest = if moves { 0 } else { at_rest + 1 };
            if at_rest == TICKS_AT_REST {
                break;
            }
        }
        if !self.asked.is_empty() {
            return Err(format!("{} requests never end", self.asked.len()));
        }
        self.count_outcomes();
        self.check_end()
    }

    fn tick(&mut self) -> Result<(), String> {
        match self.random.below(1_000) {
            0..220 => self.ask(),
            220..440 => self.edge.commit(),
            440..560 => self.edge.turn_reader(),
            560..680 => self.edge.turn_shipping(),
            680..910 => self.network(),
            910..930 => self.forget(),
            930..940 => self.hang_up(),
            940..960 => self.trouble(),
            960..970 => self.outage(),
            970..974 => self.crash(),
            _ => self.heal(),
        }
        self.answers()
    }

    /// A call goes on, or is lost.
    fn network(&mut self) {
        let calls = self.ledger.look().calls.len();
        let at = self.random.below(calls.max(1));
        let may_fail = self.plan.reads_fail || self.ledger.is_shipment(at);
        let lose = may_fail && self.random.chance(6);
        self.ledger.advance(at, lose);
    }

    /// The cache loses a user or the group.
    fn forget(&mut self) {
        let slot = self.world.slot();
        let subjects = &self.edge.progress.memory.subjects;
        match self.random.below(USERS.len() + 1) {
            at if at < USERS.len() => {
                let key = SubjectKey::new(Kind::User, slot, USERS[at]);
                subjects.users.invalidate(key.bytes());
            }
            _ => {
                let key = SubjectKey::new(Kind::Group, slot, GROUP);
                subjects.groups.invalidate(key.bytes());
            }
        }
    }

    fn hang_up(&mut self) {
        if !self.asked.is_empty() {
            let at = self.random.below(self.asked.len());
            drop(self.asked.remove(at));
        }
    }

    fn trouble(&mut self) {
        let after = self.random.below(6) as u64;
        match self.random.below(6) {
            0 => self.disk.set_broken(Some(Fault::Io)),
            1 => self.disk.set_capacity(Some(40_000)),
            2 | 3 => self.disk.fail_after(after, Fault::Io),
            _ => self.disk.fail_after(after, Fault::NoSpace),
        }
    }

    fn outage(&mut self) {
        self.ledger.look().away = self.plan.reads_fail;
        if self.random.chance(2) {
            self.crash_as_it_is();
        }
    }

    fn heal(&mut self) {
        self.disk.set_broken(None);
        self.disk.set_capacity(None);
        self.ledger.look().away = false;
    }

    fn crash(&mut self) {
        self.heal();
        self.crash_as_it_is();
    }

    /// The power fails. What was sent may still arrive; nobody hears answers.
    fn crash_as_it_is(&mut self) {
        self.asked.clear();
        self.disk.crash(self.random.next());
        self.disk.set_broken(None);
        self.disk.set_capacity(None);
        self.ledger.forget_answers();
        self.edge = SimEdge::boot(&self.disk, &self.ledger, &self.world, self.setup);
        self.journals.push(self.edge.journal.id().to_owned());
        let records = self.edge.recovered.iter().map(|old| old.records as usize);
        self.tally.recovered += records.sum::<usize>();
    }

    /// Some client asks for something.
    fn ask(&mut self) {
        let user = USERS[self.random.below(USERS.len())];
        let user = match self.random.below(11) {
            10 => NOBODY,
            _ => user,
        };
        let (task, what) = match self.random.below(10) {
            _ if user == NOBODY => match self.ask_group() {
                Some(asked) => asked,
                None => return,
            },
            0..6 => self.ask_step(user),
            6 => match self.ask_identify(user) {
                Some(asked) => asked,
                None => return,
            },
            _ => (self.ask_read(user), What::Read),
        };
        let client = &self.clients[user];
        self.asked.push(Asked {
            user,
            seen: client.seen,
            number: client.number,
            alone: self.clients[NOBODY].number,
            task,
            what,
        });
    }

    fn ask_step(&mut self, user: &'static str) -> (Task<Answered>, What) {
        let leaves = [
            Act::Leave("first", "next"),
            Act::Leave("first", "skip"),
            Act::Leave("gold", "again"),
            Act::Leave("gold", "done"),
            Act::Leave("plain", "again"),
        ];
        let act = match self.random.below(20) {
            0..5 => Act::Auto,
            5 => Act::Start,
            6 => Act::Reset,
            7 => Act::Stop,
            8 => Act::Finish,
            other => leaves[other % leaves.len()],
        };
        let at = ("tour", 1 + u32::from(self.random.chance(4)));
        let client = self.clients.entry(user).or_default();
        let (at, act, id) = match client.last {
            // The same request again, as after an answer that never came.
            Some(last) if self.random.chance(4) => last,
            // A client that takes a key for something else.
            Some((at, _, id)) if self.random.chance(30) => {
                let body = id.body + 1;
                (at, Act::Stop, EventId { body, ..id })
            }
            _ => {
                client.next_key += 1;
                let key = client.next_key;
                (
                    at,
                    act,
                    EventId {
                        key,
                        body: key as u32,
                    },
                )
            }
        };
        client.last = Some((at, act, id));
        let id = (!self.random.chance(4)).then_some(id);
        let task = step_task(&self.edge.progress, &self.world, user, (at, act), id, None);
        let task = Box::pin(async move { Answered::Stepped(task.await) });
        (task, What::Step(at))
    }

    /// One identify call of a user at a time, so that numbers only grow.
    fn ask_identify(&mut self, user: &'static str) -> Option<(Task<Answered>, What)> {
        let is_same = |one: &Asked| one.user == user && matches!(one.what, What::Identify(_));
        if self.asked.iter().any(is_same) {
            return None;
        }
        let client = self.clients.entry(user).or_default();
        let (number, rich) = match client.last_told {
            // The same call again, as after an answer that never came.
            Some(last) if self.random.chance(3) => last,
            _ => {
                client.next_number += 1;
                (client.next_number, self.random.chance(2))
            }
        };
        client.last_told = Some((number, rich));
        let own = json!({"number": number, "rich": rich});
        let told = (own, vec![(GROUP.to_owned(), json!({ user: number }))]);
        let id = EventId {
            key: number,
            body: number as u32,
        };
        let progress = &self.edge.progress;
        let task = identify_task(progress, &self.world, user, told, Some(id));
        let task = Box::pin(async move { Answered::Identified(task.await) });
        Some((task, What::Identify(number)))
    }

    /// The group alone, one call at a time.
    fn ask_group(&mut self) -> Option<(Task<Answered>, What)> {
        if self.asked.iter().any(|one| one.user == NOBODY) {
            return None;
        }
        let client = self.clients.entry(NOBODY).or_default();
        client.next_number += 1;
        let number = client.next_number;
        let told = json!({ NOBODY: number });
        let task = group_task(&self.edge.progress, &self.world, GROUP, told);
        let task = Box::pin(async move { Answered::Identified(task.await) });
        Some((task, What::Identify(number)))
    }

    fn ask_read(&self, user: &'static str) -> Task<Answered> {
        let (progress, place) = (self.edge.progress.clone(), self.world.place());
        Box::pin(async move {
            let key = SubjectKey::new(Kind::User, place.slot, user);
            let read = async {
                let found = progress.user(&place, &key, user).await?;
                let key = SubjectKey::new(Kind::Group, place.slot, GROUP);
                let group = progress.group(&place, &key, GROUP).await?;
                Ok((found, group.cached.document.profile.clone()))
            };
            Answered::Read(read.await)
        })
    }
}
