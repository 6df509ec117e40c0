//! When is something told?
//!
//! One task for each stream, on the worker of its connection. It looks when it
//! was woken, when something was published, and when it could not be sure the
//! last time; it sleeps otherwise. One piece waits for the client at the most:
//! while a slow one takes it, changes gather in the subject and not here.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Changes,
    ticket::{Followed, TicketError},
    told::{Now, Told},
};
use crate::{
    current::{Current, Environments},
    limits::{STREAM_BEAT_MS, STREAM_LOOK_MS_MIN, STREAM_SYNC_WAIT_MS},
    progress::{Listener, Place, Progress, Read, ReadError, Seat},
    server::{auth::Access, route::Route},
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
    pub(super) key: [u8; 32],
    pub(super) environment_uid: Box<str>,
    pub(super) followed: Followed,
    pub(super) listener: Listener,
    pub(super) published: watch::Receiver<u64>,
    pub(super) told: Told,
    /// Looks in a row after which it was not sure.
    pub(super) unsure: u32,
    /// Given back when the stream ends.
    pub(super) _seat: Seat,
}

/// Why a look came to nothing.
pub(super) enum Blind {
    /// Nobody may look any more; why, in a word.
    Over(&'static str),
    /// Not now.
    Unread(ReadError),
}

/// The environment and key of a stream as they are now.
pub(super) fn entitled<'e>(
    live: &'e Environments,
    key: &[u8; 32],
    environment_uid: &str,
) -> Result<Access<'e>, TicketError> {
    let (environment, key) = live.key(key).ok_or(TicketError::Key)?;
    let may = Route::Changes.permission().contains(key.kind);
    let same = *environment.snapshot.environment_uid == *environment_uid;
    if !may || !same {
        return Err(TicketError::Key);
    }
    Ok(Access { environment, key })
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
            let again = self
                .pause()
                .map_or(beat, |pause| beat.min(Instant::now() + pause));
            let looked = tokio::select! {
                // Dropping the sender would be noticed only by sending.
                () = sender.closed() => return,
                seq = self.listener.woken() => {
                    self.visible(seq).await;
                    self.look().await
                }
                changed = self.published.changed() => match changed {
                    Ok(()) => self.look().await,
                    Err(_) => return,
                },
                () = sleep_until(again) => {
                    if Instant::now() >= beat {
                        beat = Instant::now() + BEAT_EVERY;
                        self.on_beat().await
                    } else {
                        self.look().await
                    }
                }
            };
            piece = match looked {
                Ok(piece) => piece,
                Err(Blind::Over(reason)) => {
                    let last = self.told.close(reason, self.changes.counts());
                    // Whoever takes nothing any more is not told why.
                    drop(sender.try_send(last.into()));
                    return;
                }
                Err(Blind::Unread(_)) => {
                    self.unsure = self.unsure.saturating_add(1);
                    Bytes::new()
                }
            };
        }
    }

    /// Waits for room and sends; false when the stream is over. A key that is
    /// revoked ends it also for a client that takes nothing.
    async fn send(&mut self, sender: &mpsc::Sender<Bytes>, piece: Bytes) -> bool {
        // Not marked as seen: whatever was published meanwhile is looked at
        // when the piece is out.
        let mut published = self.published.clone();
        loop {
            tokio::select! {
                room = sender.reserve() => {
                    let Ok(room) = room else { return false };
                    room.send(piece);
                    return true;
                }
                changed = published.changed() => {
                    let live = self.current.load();
                    let is_over = entitled(&live, &self.key, &self.environment_uid).is_err();
                    if changed.is_err() || is_over {
                        return false;
                    }
                }
            }
        }
    }

    /// Keeps the connection awake; and a change that nobody was woken for (a
    /// document that was read meanwhile) is told no later than this.
    async fn on_beat(&mut self) -> Result<Bytes, Blind> {
        let piece = if self.unsure > 0 {
            self.look().await
        } else {
            self.look_now()
        };
        piece.map(|piece| if piece.is_empty() { BEAT } else { piece })
    }

    /// When to look again without being woken, while it is not sure.
    fn pause(&self) -> Option<Duration> {
        let doubled = self.unsure.checked_sub(1)?.min(16);
        let pause = Duration::from_millis(STREAM_LOOK_MS_MIN << doubled);
        Some(pause.min(BEAT_EVERY))
    }

    /// Waits until a record shows whose handler did not wait for it.
    async fn visible(&self, seq: u64) {
        let longest = Duration::from_millis(STREAM_SYNC_WAIT_MS);
        // Too long, and it is looked at all the same.
        drop(tokio::time::timeout(longest, self.progress.synced(seq)).await);
    }

    /// Reads what holds now, and says what is to be told.
    pub(super) async fn look(&mut self) -> Result<Bytes, Blind> {
        // What is published from here on is looked at again.
        self.published.mark_unchanged();
        let read = self.read().await?;
        self.tell(&read)
    }

    /// The same from memory alone; nothing where memory has it not.
    fn look_now(&mut self) -> Result<Bytes, Blind> {
        let slot = {
            let live = self.current.load();
            let access = entitled(&live, &self.key, &self.environment_uid);
            access
                .map_err(|_| over(&live, &self.environment_uid))?
                .environment
                .slot
        };
        let Followed { user, group, .. } = &self.followed;
        match self.progress.cached(slot, user, group.as_deref()) {
            Some(read) => self.tell(&read),
            None => Ok(Bytes::new()),
        }
    }

    async fn read(&self) -> Result<Read, Blind> {
        let place = {
            let live = self.current.load();
            let access = entitled(&live, &self.key, &self.environment_uid);
            let access = access.map_err(|_| over(&live, &self.environment_uid))?;
            crate::server::target::place(access)
        };
        let Followed { user, group, .. } = &self.followed;
        if let Some(read) = self.progress.cached(place.slot, user, group.as_deref()) {
            return Ok(read);
        }
        self.read_through(&place).await.map_err(Blind::Unread)
    }

    async fn read_through(&self, place: &Place) -> Result<Read, ReadError> {
        // The semaphore is never closed.
        let _turn = self.changes.reads.acquire().await;
        let Followed { user, group, .. } = &self.followed;
        self.progress.read(place, user, group.as_deref()).await
    }

    /// Against the live value of this moment, which is no older than any that
    /// was told before.
    fn tell(&mut self, read: &Read) -> Result<Bytes, Blind> {
        let live = self.current.load();
        let access = entitled(&live, &self.key, &self.environment_uid);
        let access = access.map_err(|_| over(&live, &self.environment_uid))?;
        let now = Now::new(access, read);
        let piece = self.told.tell(now, &self.followed, self.changes.counts());
        self.unsure = match read.assumed || read.behind {
            true => self.unsure.saturating_add(1),
            false => 0,
        };
        Ok(piece.into())
    }
}

/// Why nobody may look any more.
fn over(live: &Environments, environment_uid: &str) -> Blind {
    let mut all = live.all().iter();
    let is_there = all.any(|own| *own.snapshot.environment_uid == *environment_uid);
    Blind::Over(if is_there { "key" } else { "environment" })
}
