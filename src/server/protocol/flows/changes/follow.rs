//! When is something told?
//!
//! One task for each stream, on the worker of its connection. It looks when it
//! was woken, when something was published, and when it could not be sure the
//! last time; it sleeps otherwise. One piece waits for the client at the most:
//! while a slow one takes it, changes gather in the subject and not here.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Changes,
    ticket::Followed,
    told::{Now, Told},
};
use crate::{
    current::{Age, Current, Environments},
    limits::STREAM_BEAT_MS,
    progress::{Place, Progress, Read, ReadError, Seat},
    server::{
        auth::Access,
        deciding::{refuse_new, refuse_old},
        error::Old,
        following::{Ended, Reason, Title, Waking, visible},
    },
};

/// What keeps a connection, and balancers on the way, from taking the silence
/// for an end.
const BEAT: Bytes = Bytes::from_static(b":\n\n");

const BEAT_EVERY: Duration = Duration::from_millis(STREAM_BEAT_MS);

/// One stream.
pub(super) struct Follower {
    pub(super) current: Arc<Current>,
    pub(super) progress: Progress,
    pub(super) changes: Changes,
    pub(super) title: Title,
    pub(super) followed: Followed,
    pub(super) waking: Waking,
    pub(super) told: Told,
    /// Given back when the stream ends.
    pub(super) _seat: Seat,
}

/// Why a look came to nothing.
pub(super) enum Blind {
    /// Nobody may look any more.
    Over(Ended),
    /// What is live is too old for this subject.
    Old(Box<Old>),
    /// Not now.
    Unread(ReadError),
}

impl Follower {
    /// Tells until the client goes, serving ends or the key does.
    pub(super) async fn run(mut self, sender: mpsc::Sender<Bytes>, hello: Bytes) {
        let mut piece = hello;
        let mut beat = Instant::now() + BEAT_EVERY;
        loop {
            if !piece.is_empty() {
                if !self.send(&sender, piece).await {
                    return;
                }
                beat = Instant::now() + BEAT_EVERY;
            }
            let looked = tokio::select! {
                // Dropping the sender would be noticed only by sending.
                () = sender.closed() => return,
                reason = self.waking.reason() => match reason {
                    Some(reason) => {
                        if let Reason::Subject(woken) = reason {
                            visible(&self.progress, woken).await;
                        }
                        self.look().await
                    }
                    None => return,
                },
                () = sleep_until(beat) => {
                    beat = Instant::now() + BEAT_EVERY;
                    self.on_beat().await
                }
            };
            piece = match looked {
                Ok(piece) => piece,
                Err(Blind::Over(ended)) => return self.close(&sender, ended.name()),
                Err(Blind::Old(old)) => {
                    let is_expired = old.age == Age::Expired;
                    let reason = if is_expired { "expired" } else { "stale" };
                    return self.close(&sender, reason);
                }
                Err(Blind::Unread(_)) => {
                    self.waking.looked(false);
                    Bytes::new()
                }
            };
        }
    }

    fn close(&mut self, sender: &mpsc::Sender<Bytes>, reason: &str) {
        let last = self.told.close(reason, self.changes.counts());
        // Whoever takes nothing any more is not told why.
        drop(sender.try_send(last.into()));
    }

    /// Waits for room and sends; false when the stream is over. A key that is
    /// revoked ends it also for a client that takes nothing.
    async fn send(&mut self, sender: &mpsc::Sender<Bytes>, piece: Bytes) -> bool {
        // Not marked as seen: whatever was published meanwhile is looked at
        // when the piece is out.
        let mut published = self.waking.publishing();
        loop {
            tokio::select! {
                room = sender.reserve() => {
                    let Ok(room) = room else { return false };
                    room.send(piece);
                    return true;
                }
                changed = published.changed() => {
                    if changed.is_err() || self.title.has_ended(&self.current) {
                        return false;
                    }
                }
            }
        }
    }

    /// Keeps the connection awake; and a change that nobody was woken for (a
    /// document that was read meanwhile) is told no later than this.
    async fn on_beat(&mut self) -> Result<Bytes, Blind> {
        let piece = if self.waking.is_unsure() {
            self.look().await
        } else {
            self.look_now()
        };
        piece.map(|piece| if piece.is_empty() { BEAT } else { piece })
    }

    /// Reads what holds now, and says what is to be told.
    pub(super) async fn look(&mut self) -> Result<Bytes, Blind> {
        self.waking.looking();
        let read = self.read().await?;
        self.tell(&read)
    }

    /// The same from memory alone; nothing where memory has it not.
    fn look_now(&mut self) -> Result<Bytes, Blind> {
        let slot = self.served(&self.current.load())?.environment.slot;
        let Followed { user, group, .. } = &self.followed;
        match self.progress.cached(slot, user, group.as_deref()) {
            Some(read) => self.tell(&read),
            None => Ok(Bytes::new()),
        }
    }

    async fn read(&self) -> Result<Read, Blind> {
        let place = crate::server::target::place(self.served(&self.current.load())?);
        let Followed { user, group, .. } = &self.followed;
        if let Some(read) = self.progress.cached(place.slot, user, group.as_deref()) {
            return Ok(read);
        }
        self.read_through(&place).await.map_err(Blind::Unread)
    }

    async fn read_through(&self, place: &Place) -> Result<Read, ReadError> {
        let _turn = self.changes.turn().await;
        let Followed { user, group, .. } = &self.followed;
        self.progress.read(place, user, group.as_deref()).await
    }

    /// Against the live value of this moment, which is no older than any that
    /// was told before.
    fn tell(&mut self, read: &Read) -> Result<Bytes, Blind> {
        let live = self.current.load();
        let access = self.served(&live)?;
        let (environment, now_ms) = (access.environment, self.changes.now());
        if read.subject.is_new() && !self.told.knows_subject() {
            refuse_new(environment, now_ms).map_err(Blind::Old)?;
        }
        let now = Now::new(access, read, environment.freshness.is_stale(now_ms));
        let piece = self.told.tell(now, &self.followed, self.changes.counts());
        self.waking.looked(!read.assumed && !read.behind);
        let turns_ms = environment.freshness.turns_ms(now_ms);
        self.waking
            .turns_in_ms(turns_ms.map(|turns_ms| turns_ms.saturating_sub(now_ms)));
        Ok(piece.into())
    }

    /// The environment and key as they are now, unless nobody is served.
    fn served<'e>(&self, live: &'e Environments) -> Result<Access<'e>, Blind> {
        let access = self.title.access(live)?;
        refuse_old(access.environment, self.changes.now()).map_err(Blind::Old)?;
        Ok(access)
    }
}

impl From<Ended> for Blind {
    fn from(ended: Ended) -> Self {
        Self::Over(ended)
    }
}
