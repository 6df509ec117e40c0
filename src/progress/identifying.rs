//! How are properties of users and groups merged?
//!
//! One try under the user's shard, if there is one, and the shards of all
//! groups the call names, so that groups change in the order of the journal
//! and are seen, like users, only when durable. The ledger merges the same way
//! again. Many calls at once stand in [`super::batching`].

use std::sync::Arc;

use super::{
    event::GroupDocument,
    finding::Found,
    keys::{Kind, SubjectKey},
    known::{IDENTIFY, Known, KnownGroup, Place, merged},
    pending::Locked,
    recording::{group_event, identify_event},
    request::{GroupRequest, IdentifyRequest, ReadError, Token, WriteError},
    stepping::{Attempt, Progress},
    subjects::Cached,
};
use crate::{
    clock::UnixMs,
    disk::journal::Ticket,
    evaluate::Subject,
    limits::{GROUPS_PER_USER_MAX, STEP_TRIES_MAX},
};

/// A write that was queued, and what makes it durable.
pub(super) type Queued = (Option<Token>, Option<Ticket>);

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
    /// Merges properties and returns when durable.
    pub async fn identify(&self, request: IdentifyRequest) -> Result<Option<Token>, WriteError> {
        self.sweep();
        let (token, ticket) = self.queue_identify(&request).await?;
        let news = self.news(&request.user, &request.groups);
        self.acknowledged(token, ticket, news).await
    }

    /// Merges properties of a group, with no user in sight, and returns when
    /// durable.
    pub async fn identify_group(&self, request: GroupRequest) -> Result<Option<Token>, WriteError> {
        self.sweep();
        let groups = std::slice::from_ref(&request.group);
        for _ in 0..STEP_TRIES_MAX {
            let found = self.found_groups(&request.place, groups).await?;
            match self.attempt_group(&request, &found)? {
                Attempt::Raced => {}
                Attempt::Decided { told, ticket } => {
                    // Nobody has the empty id.
                    return self.acknowledged(told, ticket, self.news("", groups)).await;
                }
            }
        }
        Err(WriteError::Unavailable("the group changes too quickly"))
    }

    /// Queues the record of an identify call.
    pub(super) async fn queue_identify(
        &self,
        request: &IdentifyRequest,
    ) -> Result<Queued, WriteError> {
        let place = &request.place;
        let key = SubjectKey::new(Kind::User, place.slot, &request.user);
        for _ in 0..STEP_TRIES_MAX {
            let groups = self.found_groups(place, &request.groups).await?;
            let found = self.user(place, &key, &request.user).await?;
            match self.attempt_identify(request, &key, &found, &groups)? {
                Attempt::Raced => {}
                Attempt::Decided { told, ticket } => return Ok((told, ticket)),
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// The groups of a call, in its order.
    pub(super) async fn found_groups(
        &self,
        place: &super::Place,
        groups: &[GroupDocument],
    ) -> Result<Vec<FoundGroup>, ReadError> {
        let mut found = Vec::with_capacity(groups.len());
        for group in groups {
            let key = SubjectKey::new(Kind::Group, place.slot, &group.identifier);
            found.push(FoundGroup {
                found: self.group(place, &key, &group.identifier).await?,
                key,
            });
        }
        Ok(found)
    }

    /// One try at an identify call; `groups` are those of the request, in order.
    fn attempt_identify(
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
        let mut after = known.identified(request)?;
        let keys = groups.iter().map(|group| group.key.bytes());
        let mut shards = self.memory.groups.lock_all(keys);
        let asked = (request.groups.as_slice(), request.now);
        let Some(merged) = self.merge_groups(&mut shards, asked, groups)? else {
            return Ok(Attempt::Raced);
        };
        let event = identify_event(self, request, &known);
        let Some(ticket) = self.enqueue(era, request.now, &event)? else {
            return Ok(Attempt::Raced);
        };
        if let Some(id) = request.id {
            after.note(Place::identify(), id);
        }
        after.last = Some((self.journal.shared_id(), ticket.seq));
        let below = &newest.cached;
        locked.push(key.bytes(), era, below, ticket.seq, Arc::new(after));
        push_groups(&mut shards, era, (groups, merged), ticket.seq);
        Ok(Attempt::Decided {
            told: Some(self.token(ticket.seq)),
            ticket: Some(ticket),
        })
    }

    /// One try at a call for a group alone.
    fn attempt_group(
        &self,
        request: &GroupRequest,
        found: &[FoundGroup],
    ) -> Result<Attempt<Option<Token>>, WriteError> {
        let era = self.journal.era();
        let keys = found.iter().map(|group| group.key.bytes());
        let mut shards = self.memory.groups.lock_all(keys);
        let asked = (std::slice::from_ref(&request.group), request.now);
        let Some(merged) = self.merge_groups(&mut shards, asked, found)? else {
            return Ok(Attempt::Raced);
        };
        let event = group_event(self, request);
        let Some(ticket) = self.enqueue(era, request.now, &event)? else {
            return Ok(Attempt::Raced);
        };
        push_groups(&mut shards, era, (found, merged), ticket.seq);
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
        (asked, now): (&[GroupDocument], UnixMs),
        groups: &[FoundGroup],
    ) -> Result<Option<Vec<Merged>>, WriteError> {
        let mut done: Vec<Merged> = Vec::with_capacity(groups.len());
        for (at, (asked, group)) in asked.iter().zip(groups).enumerate() {
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
            let after = below.document.merged(&asked.properties, now);
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

impl Known {
    /// The user after the call, but for the record that says so.
    pub(super) fn identified(&self, request: &IdentifyRequest) -> Result<Self, WriteError> {
        let profile = merged(&self.subject.profile, &request.properties, request.now)
            .map_err(WriteError::TooLarge)?;
        let mut after = self.clone();
        after.subject = Arc::new(Subject {
            profile: Arc::new(profile),
            flows: self.subject.flows.clone(),
        });
        let names = request.groups.iter().map(|group| group.identifier.as_str());
        let joined = after.join(names);
        if joined > GROUPS_PER_USER_MAX {
            return Err(WriteError::TooLarge(format!(
                "the user would belong to {joined} groups; at most {GROUPS_PER_USER_MAX} are kept"
            )));
        }
        Ok(after)
    }
}

/// Makes groups known as they are after the record.
fn push_groups(
    shards: &mut [Locked<'_, KnownGroup>],
    era: u64,
    (groups, merged): (&[FoundGroup], Vec<Merged>),
    seq: u64,
) {
    for one in merged {
        let key = groups[one.at].key.bytes();
        if let Some(shard) = shard_of(shards, key) {
            shard.push(key, era, &one.below, seq, one.after);
        }
    }
}

fn shard_of<'s, 'p>(
    shards: &'s mut [Locked<'p, KnownGroup>],
    key: &[u8],
) -> Option<&'s mut Locked<'p, KnownGroup>> {
    shards.iter_mut().find(|shard| shard.holds(key))
}
