//! What are clients told, and may they be told that?
//!
//! Reads never go backwards and include whatever was acknowledged before they
//! began; an answer says what its record says; a key counts once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    edge::{Task, poll},
    scene::{Act, At},
    simulation::{NOBODY, Rank, Simulation},
};
use crate::{
    evaluate::Profile,
    progress::{
        ReadError, Stepped, Token, WriteError, event::EventId, finding::Found, known::Known,
    },
};

/// What the clients of one user were told.
#[derive(Default)]
pub(super) struct Client {
    /// Highest record that was acknowledged or seen.
    pub(super) seen: Rank,
    /// Highest number in the properties that was acknowledged or seen.
    pub(super) number: u64,
    pub(super) next_number: u64,
    pub(super) next_key: u64,
    /// What was told last, to be repeated: number and riches.
    pub(super) last_told: Option<(u64, bool)>,
    /// The step that was asked last, to be repeated.
    pub(super) last: Option<(At, Act, EventId)>,
    /// Acknowledged changes and where they led to.
    pub(super) changes: BTreeMap<Rank, (At, Stepped)>,
    /// Records that acknowledged identify calls made or rest on.
    pub(super) told: BTreeSet<Rank>,
}

/// A request under way.
pub(super) struct Asked {
    pub(super) user: &'static str,
    /// What a read must show at least.
    pub(super) seen: Rank,
    pub(super) number: u64,
    /// The same of the group alone.
    pub(super) alone: u64,
    pub(super) task: Task<Answered>,
    pub(super) what: What,
}

/// What a request was about.
#[derive(Clone, Copy)]
pub(super) enum What {
    Step(At),
    Identify(u64),
    Read,
}

/// How it ended.
pub(super) enum Answered {
    Stepped(Result<Stepped, WriteError>),
    Identified(Result<Option<Token>, WriteError>),
    Read(Result<(Found<Known>, Arc<Profile>), ReadError>),
}

/// How much has happened: a simulation in which nothing does proves nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    pub(super) identified: usize,
    pub(super) reads: usize,
    pub(super) assumed: usize,
    pub(super) unclear: usize,
    pub(super) unavailable: usize,
    pub(super) keys_reused: usize,
    pub(super) recovered: usize,
    pub(super) applied: usize,
    pub(super) already: usize,
    pub(super) superseded: usize,
}

impl Tally {
    /// Counts a step that was not taken.
    pub(super) fn refused(&mut self, error: &WriteError) {
        match error {
            WriteError::Unclear => self.unclear += 1,
            WriteError::Unavailable(_) => self.unavailable += 1,
            WriteError::KeyReused => self.keys_reused += 1,
            _ => {}
        }
    }

    /// Adds another run's.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum += *more;
        }
    }

    fn counts(&mut self) -> [&mut usize; 12] {
        [
            &mut self.changed,
            &mut self.unchanged,
            &mut self.identified,
            &mut self.reads,
            &mut self.assumed,
            &mut self.unclear,
            &mut self.unavailable,
            &mut self.keys_reused,
            &mut self.recovered,
            &mut self.applied,
            &mut self.already,
            &mut self.superseded,
        ]
    }
}

impl Simulation {
    /// Hands out the answers that are ready and looks at them.
    pub(super) fn answers(&mut self) -> Result<(), String> {
        let mut at = 0;
        while at < self.asked.len() {
            let Some(answered) = poll(&mut self.asked[at].task) else {
                at += 1;
                continue;
            };
            let asked = self.asked.remove(at);
            match (answered, asked.what) {
                (Answered::Stepped(Ok(stepped)), What::Step(flow)) => {
                    self.stepped(&asked, flow, stepped)?;
                }
                (Answered::Identified(Ok(token)), What::Identify(number)) => {
                    let rank = token.and_then(|token| self.rank(&token.journal, token.seq));
                    let client = self.clients.entry(asked.user).or_default();
                    self.tally.identified += 1;
                    if let Some(rank) = rank {
                        client.told.insert(rank);
                        client.seen = client.seen.max(rank);
                        client.number = client.number.max(number);
                    }
                }
                (Answered::Read(Ok((found, group))), _) => self.read(&asked, &found, &group)?,
                (Answered::Stepped(Err(error)), _) => self.tally.refused(&error),
                // Refused or unclear: the client may come again.
                _ => {}
            }
        }
        let wrong = std::mem::take(&mut self.ledger.look().wrong);
        wrong.first().map_or(Ok(()), |wrong| Err(wrong.clone()))
    }

    fn stepped(&mut self, asked: &Asked, at: At, stepped: Stepped) -> Result<(), String> {
        let rank = match &stepped.token {
            Some(token) => self.rank(&token.journal, token.seq),
            None => None,
        };
        let client = self.clients.entry(asked.user).or_default();
        self.tally.changed += usize::from(stepped.changed);
        self.tally.unchanged += usize::from(!stepped.changed);
        let Some(rank) = rank else { return Ok(()) };
        if stepped.changed && client.changes.insert(rank, (at, stepped)).is_some() {
            return Err(format!("record {rank:?} was acknowledged to two steps"));
        }
        client.seen = client.seen.max(rank);
        Ok(())
    }

    /// Reads never go backwards and include what was acknowledged before.
    fn read(&mut self, asked: &Asked, found: &Found<Known>, group: &Profile) -> Result<(), String> {
        let known = &found.cached.document;
        let rank = match &known.last {
            Some((journal, seq)) => self.rank(journal, *seq),
            None => self.rank_of_revision(asked.user, known.doc_rev),
        };
        let number = |profile: &Profile, name: &str| {
            let number = profile
                .properties
                .get(name)
                .and_then(|value| value.as_u64());
            number.unwrap_or(0)
        };
        self.tally.reads += 1;
        self.tally.assumed += usize::from(known.assumed);
        // Of an assumed user, and after one, nothing is promised until the
        // ledger has said which of their steps stand.
        if known.assumed || self.plan.reads_fail {
            return Ok(());
        }
        let rank = rank.unwrap_or_default();
        let client = self.clients.entry(asked.user).or_default();
        if rank < asked.seen {
            return Err(format!(
                "{} read record {rank:?} after {:?}",
                asked.user, asked.seen
            ));
        }
        if let Some((at, stepped)) = client.changes.get(&rank) {
            let flow = self.world.flow(at.0, at.1).0.key;
            if known.subject.state(flow, at.1, None) != Some(&stepped.state) {
                return Err(format!("{} reads another state at {rank:?}", asked.user));
            }
        }
        let alone = number(group, NOBODY);
        if alone < asked.alone {
            return Err(format!("the group reads {alone} after {}", asked.alone));
        }
        let nobody = self.clients.entry(NOBODY).or_default();
        nobody.number = nobody.number.max(alone);
        let client = self.clients.entry(asked.user).or_default();
        let own = number(&known.subject.profile, "number");
        let in_group = number(group, asked.user);
        if own < asked.number || in_group < asked.number {
            return Err(format!(
                "{} reads {own} and the group's {in_group} after {}",
                asked.user, asked.number
            ));
        }
        client.seen = client.seen.max(rank);
        client.number = client.number.max(own.min(in_group));
        Ok(())
    }

    /// Where a record stands.
    pub(super) fn rank(&self, journal: &str, seq: u64) -> Option<Rank> {
        let run = self.journals.iter().position(|own| own == journal)?;
        Some((run + 1, seq))
    }

    fn rank_of_revision(&self, user: &str, doc_rev: u64) -> Option<Rank> {
        let inner = self.ledger.look();
        let (journal, seq) = inner.made_by.get(&(user.to_owned(), doc_rev))?;
        self.rank(journal, *seq)
    }
}
