//! What has the ledger made of everything that was acknowledged?
//!
//! Looked at when nothing moves any more: every acknowledged record has one
//! outcome and its effect is there, nothing is dead, and the edge has nothing
//! left to remember.

use super::{
    scene::At,
    simulation::{Rank, Simulation},
};
use crate::progress::{
    Stepped,
    event::{Assumption, FlowStateDocument, Outcome},
    known::Known,
};

impl Simulation {
    pub(super) fn check_end(&self) -> Result<(), String> {
        let progress = &self.edge.progress;
        let memory = &progress.memory;
        let left = (
            progress.backlog(),
            memory.groups.records(),
            memory.pending.entries(),
            memory.groups.entries(),
        );
        if left != (0, 0, 0, 0) {
            return Err(format!("records and entries are left: {left:?}"));
        }
        if let Some(letter) = self.ledger.look().ledger.dead.first() {
            return Err(format!("seq {} is dead: {}", letter.seq, letter.why));
        }
        self.check_outcomes()?;
        for (user, client) in &self.clients {
            for (rank, change) in &client.changes {
                self.check_acknowledged(user, *rank, Some(change))?;
            }
            for rank in &client.told {
                self.check_acknowledged(user, *rank, None)?;
            }
            self.check_cache(user)?;
        }
        Ok(())
    }

    /// Counts what the ledger made of the records.
    pub(super) fn count_outcomes(&mut self) {
        let inner = self.ledger.look();
        for taken in inner.taken.values() {
            match taken.outcome {
                Outcome::Applied => self.tally.applied += 1,
                Outcome::Already => self.tally.already += 1,
                Outcome::Superseded => self.tally.superseded += 1,
                Outcome::Dead => {}
            }
        }
    }

    /// With one edge that could always ask, everything applies as recorded.
    fn check_outcomes(&self) -> Result<(), String> {
        if self.plan.reads_fail {
            return Ok(());
        }
        let inner = self.ledger.look();
        for (place, taken) in &inner.taken {
            let is_plain = taken.outcome == Outcome::Applied && taken.as_recorded;
            if !is_plain || taken.event.assumed != Assumption::Nothing {
                return Err(format!(
                    "{place:?} is {:?}, as recorded: {}",
                    taken.outcome, taken.as_recorded
                ));
            }
        }
        Ok(())
    }

    fn check_acknowledged(
        &self,
        user: &str,
        rank: Rank,
        change: Option<&(At, Stepped)>,
    ) -> Result<(), String> {
        let inner = self.ledger.look();
        let journal = self.journals[rank.0 - 1].clone();
        let Some(taken) = inner.taken.get(&(journal, rank.1)) else {
            return Err(format!("{user}'s acknowledged record {rank:?} is lost"));
        };
        if taken.event.user != user {
            return Err(format!(
                "record {rank:?} is {}'s, not {user}'s",
                taken.event.user
            ));
        }
        if let Some(((flow, version), stepped)) = change {
            let is_it =
                |state: &&FlowStateDocument| state.flow == *flow && state.version == *version;
            let state = taken.event.states.iter().find(is_it);
            if state.map(FlowStateDocument::to_state).as_ref() != Some(&stepped.state) {
                return Err(format!("record {rank:?} holds another state than was told"));
            }
        }
        // Only what rests on an assumption may turn out to be meaningless.
        let assumed = |journal: &str, until: u64| {
            inner.taken.iter().any(|((own, seq), one)| {
                own == journal
                    && *seq <= until
                    && one.event.user == user
                    && one.event.assumed != Assumption::Nothing
            })
        };
        let mut runs = self.journals[..rank.0].iter().enumerate();
        let rests_on_one = runs.any(|(run, journal)| {
            let until = if run + 1 == rank.0 { rank.1 } else { u64::MAX };
            assumed(journal, until)
        });
        if taken.outcome != Outcome::Applied && !rests_on_one {
            return Err(format!("{user}'s record {rank:?} is {:?}", taken.outcome));
        }
        Ok(())
    }

    /// What is cached is what the ledger has.
    fn check_cache(&self, user: &str) -> Result<(), String> {
        let slot = self.world.slot();
        let Some(read) = self.edge.progress.cached(slot, user, None) else {
            return Ok(());
        };
        let document = self.ledger.look().ledger.document(user);
        let known = Known::of(&document);
        if read.assumed || *read.subject != *known.subject {
            return Err(format!(
                "{user} is cached as {:#?}, the ledger has {:#?}",
                read.subject, known.subject
            ));
        }
        Ok(())
    }
}
