//! Where is a subject found?
//!
//! In memory whenever possible and without waiting: our own records first,
//! then what the ledger said, unless another edge has changed it since. All
//! else is read through; with upstream away, what was known is good enough,
//! and of whom nothing is known the operator decides. Whom upstream refuses to
//! tell of is not served.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    OnUnknownSubject,
    keys::{Kind, Name, SubjectKey},
    known::{Known, KnownGroup},
    pending::Entry,
    reading::{Answer, Job},
    request::{Place, Read, ReadError},
    stepping::Progress,
    subjects::{Cached, Kept},
};
use crate::{current::EnvironmentSlot, limits::STEP_TRIES_MAX, telemetry::traces};

/// A subject as it was found, and the generation that proves it current.
pub(super) struct Found<T> {
    pub(super) cached: Cached<T>,
    pub(super) generation: u64,
    /// Others have changed it since, and the ledger could not be asked.
    pub(super) is_behind: bool,
}

/// A subject as memory holds it.
pub(super) struct Held<T> {
    pub(super) cached: Cached<T>,
    /// Others have changed it since it was read: good only while the ledger
    /// cannot be asked.
    is_stale: bool,
}

impl Progress {
    /// The fast path: what memory holds, without waiting. None on any miss.
    pub fn cached(&self, slot: EnvironmentSlot, user: &str, group: Option<&str>) -> Option<Read> {
        let key = SubjectKey::new(Kind::User, slot, user);
        let known = self.fresh::<Known>(key.bytes())?;
        let group = match group {
            Some(group) => {
                let key = SubjectKey::new(Kind::Group, slot, group);
                Some(self.fresh::<KnownGroup>(key.bytes())?)
            }
            None => None,
        };
        Some(Read {
            subject: known.subject.clone(),
            group: group.map(|group| group.profile.clone()),
            assumed: known.assumed,
            behind: false,
        })
    }

    /// Reads through to the ledger on a miss; coalesced and bounded.
    pub async fn read(
        &self,
        place: &Place,
        user: &str,
        group: Option<&str>,
    ) -> Result<Read, ReadError> {
        if let Some(read) = self.cached(place.slot, user, group) {
            return Ok(read);
        }
        let key = SubjectKey::new(Kind::User, place.slot, user);
        let Found {
            cached: known,
            is_behind: mut behind,
            ..
        } = self.user(place, &key, user).await?;
        let group = match group {
            Some(group) => {
                let key = SubjectKey::new(Kind::Group, place.slot, group);
                let found = self.group(place, &key, group).await?;
                behind |= found.is_behind;
                Some(found.cached.document.profile.clone())
            }
            None => None,
        };
        Ok(Read {
            subject: known.document.subject.clone(),
            group,
            assumed: known.document.assumed,
            behind,
        })
    }

    pub(super) async fn user(
        &self,
        place: &Place,
        key: &SubjectKey,
        user: &str,
    ) -> Result<Found<Known>, ReadError> {
        self.find(place, key.bytes(), Name::User(user)).await
    }

    pub(super) async fn group(
        &self,
        place: &Place,
        key: &SubjectKey,
        group: &str,
    ) -> Result<Found<KnownGroup>, ReadError> {
        self.find(place, key.bytes(), Name::Group(group)).await
    }

    /// What memory holds, if it may be used without asking.
    pub(super) fn fresh<T: Kept>(&self, key: &[u8]) -> Option<Arc<T>> {
        let held = self.held(key)?;
        (!held.is_stale).then_some(held.cached.document)
    }

    /// A subject from memory or from the ledger, with recovered records laid
    /// over.
    pub(super) async fn find<T: Kept>(
        &self,
        place: &Place,
        key: &[u8],
        name: Name<'_>,
    ) -> Result<Found<T>, ReadError> {
        for _ in 0..STEP_TRIES_MAX {
            let generation = T::pending(&self.memory).generation(key);
            let stale = match self.held(key) {
                Some(Held {
                    cached,
                    is_stale: false,
                }) => {
                    return Ok(Found {
                        cached,
                        generation,
                        is_behind: false,
                    });
                }
                held => held.map(|held| held.cached),
            };
            let answer = self.ask(place, key, name, generation).await;
            let is_behind = !matches!(answer, Ok(Answer::Known(..)));
            let (below, tail) = match (answer, stale) {
                (Ok(Answer::Known(below, tail)), _) => (T::of_below(below), tail),
                // It cannot be asked, or not now: what was known goes on.
                (Ok(Answer::Away(_)) | Err(ReadError::Busy), Some(stale)) => (Some(stale), None),
                (Ok(Answer::Away(tail)), None) => (Some(self.assumed(key, &name)?), tail),
                // Taken for new, somebody who is known would begin everything
                // again.
                (Ok(Answer::Refused), _) => return Err(ReadError::Refused),
                (Ok(Answer::Unreadable), _) => return Err(ReadError::Unreadable),
                (Err(error), _) => return Err(error),
            };
            let raised = below.and_then(|below| self.raise(key, below, tail, generation));
            if let Some(cached) = raised {
                self.relieve();
                return Ok(Found {
                    cached,
                    generation,
                    is_behind,
                });
            }
        }
        Err(ReadError::Busy)
    }

    /// The subject as readers see it, if memory has it.
    fn held<T: Kept>(&self, key: &[u8]) -> Option<Held<T>> {
        let pending = T::pending(&self.memory);
        if let Some(mut locked) = pending.lock_occupied(key) {
            match locked.recall(key, &self.journal) {
                Some(Entry::Live(live)) => {
                    return Some(Held {
                        cached: live.seen(&self.journal),
                        is_stale: false,
                    });
                }
                // What lies below is still to be read: not a hit.
                Some(Entry::OnDisk(_)) => return None,
                None => {}
            }
        }
        let cached = T::cache(&self.memory.subjects).get(key)?;
        Some(Held {
            is_stale: !self.memory.ticks.is_current(cached.tick),
            cached,
        })
    }

    /// What the operator wants when nothing is known and the ledger cannot be
    /// asked. Whoever has records of ours is known, even if not completely.
    fn assumed<T: Kept>(&self, key: &[u8], name: &Name<'_>) -> Result<Cached<T>, ReadError> {
        let mut locked = T::pending(&self.memory).lock(key);
        let is_ours = locked.entry(key, &self.journal).is_some();
        if self.on_unknown == OnUnknownSubject::Refuse && !is_ours {
            return Err(ReadError::Unknown);
        }
        Ok(Cached {
            document: Arc::new(T::assumed(name)),
            tick: self.memory.ticks.now(name.hash()),
            through: None,
        })
    }

    async fn ask(
        &self,
        place: &Place,
        key: &[u8],
        name: Name<'_>,
        generation: u64,
    ) -> Result<Answer, ReadError> {
        let reads = &self.memory.reads;
        let _seat = reads.take(place.asker).ok_or(ReadError::Busy)?;
        let (sender, answer) = oneshot::channel();
        let span = traces::awaited("read", &place.snapshot.environment);
        let job = Job {
            key: key.into(),
            environment: place.snapshot.environment.clone(),
            name: name.to_owned(),
            generation,
            tick: self.memory.ticks.now(name.hash()),
            span: span.clone(),
            answer: sender,
        };
        self.jobs.try_send(job).map_err(|_| ReadError::Busy)?;
        // The reader ends only when the process stops.
        let answer = answer.await.unwrap_or(Answer::Away(None));
        drop(span);
        Ok(answer)
    }
}
