//! How are properties of a user and their groups merged?
//!
//! One try under the user's shard and the shards of all groups the call names,
//! so that groups change in the order of the journal and are seen, like
//! users, only when durable. The ledger merges the same way again.

use std::sync::Arc;

use super::{
    finding::Found,
    keys::SubjectKey,
    known::{IDENTIFY, Known, KnownGroup, Place, merged},
    pending::Locked,
    recording::identify_event,
    request::{IdentifyRequest, Token, WriteError},
    stepping::{Attempt, Progress},
    subjects::Cached,
};
use crate::{evaluate::Subject, limits::GROUPS_PER_USER_MAX};

/// A group as it was found.
pub(super) struct FoundGroup {
    pub(super) key: SubjectKey,
    pub(super) found: Found<KnownGroup>,
}

/// A group before and after one mention of it.
struct Merged {
    /// Which of the mentions.
    at: usize,
    below: Cached<KnownGroup>,
    after: Arc<KnownGroup>,
}

impl Progress {
    /// One try at an identify call; `groups` are those of the request, in order.
    pub(super) fn attempt_identify(
        &self,
        request: &IdentifyRequest,
        key: &SubjectKey,
        found: &Found<Known>,
        groups: &[FoundGroup],
    ) -> Result<Attempt<Option<Token>>, WriteError> {
        let era = self.journal.era();
        let mut locked = self.memory.pending.lock(key.bytes());
        let Some(newest) = self.newest(&mut locked, key.bytes(), found) else {
            return Ok(Attempt::Raced);
        };
        let known = newest.cached.document.clone();
        if let Some(id) = request.id
            && let Some(body) = known.seen(IDENTIFY, id.key)
        {
            if body != id.body {
                return Err(WriteError::KeyReused);
            }
            let last = known.last.clone();
            let token = last.map(|(journal, seq)| Token { journal, seq });
            return self.unchanged(era, newest.waiting, token);
        }
        let profile = merged(&known.subject.profile, &request.properties, request.now)
            .map_err(WriteError::TooLarge)?;
        let subject = Subject {
            profile: Arc::new(profile),
            flows: known.subject.flows.clone(),
        };
        let keys = groups.iter().map(|group| group.key.bytes());
        let mut shards = self.memory.groups.lock_all(keys);
        let Some(merged) = self.merge_groups(&mut shards, request, groups)? else {
            return Ok(Attempt::Raced);
        };
        let mut after = (*known).clone();
        let names = request.groups.iter().map(|group| group.identifier.as_str());
        let joined = after.join(names);
        if joined > GROUPS_PER_USER_MAX {
            return Err(WriteError::TooLarge(format!(
                "the user would belong to {joined} groups; at most {GROUPS_PER_USER_MAX} are kept"
            )));
        }
        let event = identify_event(self, request, &known);
        let Some(ticket) = self.enqueue(era, request.now, &event)? else {
            return Ok(Attempt::Raced);
        };
        if let Some(id) = request.id {
            after.note(Place::identify(), id);
        }
        let after = after.after(subject, (self.journal.shared_id(), ticket.seq));
        let below = &newest.cached;
        locked.push(key.bytes(), era, below, ticket.seq, Arc::new(after));
        for one in merged {
            let key = groups[one.at].key.bytes();
            if let Some(shard) = shard_of(&mut shards, key) {
                shard.push(key, era, &one.below, ticket.seq, one.after);
            }
        }
        Ok(Attempt::Decided {
            told: Some(self.token(ticket.seq)),
            ticket: Some(ticket),
        })
    }

    /// What the call makes of its groups; none when one of them changed since
    /// it was found.
    fn merge_groups(
        &self,
        shards: &mut [Locked<'_, KnownGroup>],
        request: &IdentifyRequest,
        groups: &[FoundGroup],
    ) -> Result<Option<Vec<Merged>>, WriteError> {
        let mut done: Vec<Merged> = Vec::with_capacity(groups.len());
        for (at, (asked, group)) in request.groups.iter().zip(groups).enumerate() {
            let earlier = |one: &&Merged| groups[one.at].key.bytes() == group.key.bytes();
            let below = match done.iter().rev().find(earlier) {
                // The same group twice in one call builds on its own first mention.
                Some(earlier) => Cached {
                    document: earlier.after.clone(),
                    tick: earlier.below.tick,
                    through: None,
                },
                None => match self.newest_group(shards, group) {
                    Some(below) => below,
                    None => return Ok(None),
                },
            };
            let after = below.document.merged(&asked.properties, request.now);
            done.push(Merged {
                at,
                below,
                after: Arc::new(after.map_err(WriteError::TooLarge)?),
            });
        }
        Ok(Some(done))
    }

    fn newest_group(
        &self,
        shards: &mut [Locked<'_, KnownGroup>],
        group: &FoundGroup,
    ) -> Option<Cached<KnownGroup>> {
        let key = group.key.bytes();
        let shard = shard_of(shards, key)?;
        Some(self.newest(shard, key, &group.found)?.cached)
    }
}

fn shard_of<'s, 'p>(
    shards: &'s mut [Locked<'p, KnownGroup>],
    key: &[u8],
) -> Option<&'s mut Locked<'p, KnownGroup>> {
    shards.iter_mut().find(|shard| shard.holds(key))
}
