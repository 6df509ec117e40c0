//! When does somebody who follows a subject look again, and may they still?
//!
//! Streams of changes and sockets wait for the same three things: the subject
//! changed, something was published, or the last look was not sure of what it
//! saw. What they say then is their own matter.

use std::{net::IpAddr, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{EdgeService, auth::Access, route::Route};
use crate::{
    current::{Current, Environments},
    limits::{STREAM_BEAT_MS, STREAM_LOOK_MS_MIN, STREAM_SYNC_WAIT_MS},
    progress::{Listener, Progress, Woken},
};

/// Why to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The subject may have changed.
    Subject(Woken),
    /// Something was published.
    Published,
    /// It was not sure the last time, or what is live is older now.
    Unsure,
}

/// What wakes one follower.
pub(crate) struct Waking {
    listener: Listener,
    published: watch::Receiver<u64>,
    /// Looks in a row after which it was not sure.
    unsure: u32,
    again: Option<Instant>,
    /// When what is live gets another age.
    turns: Option<Instant>,
}

impl Waking {
    /// To be made before the first look, which finds what was before it.
    pub(crate) fn new(edge: &EdgeService, user: &str, group: Option<&str>) -> Self {
        Self {
            listener: edge.progress.listen(user, group),
            published: edge.current.watch(),
            unsure: 0,
            again: None,
            turns: None,
        }
    }

    /// Waits until there is a reason to look; none when nothing is published
    /// any more. Nothing is lost when it is not waited for to the end.
    pub(crate) async fn reason(&mut self) -> Option<Reason> {
        let again = self.again.into_iter().chain(self.turns).min();
        tokio::select! {
            woken = self.listener.woken() => Some(Reason::Subject(woken)),
            changed = self.published.changed() => changed.ok().map(|()| Reason::Published),
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                self.again = None;
                self.turns = None;
                Some(Reason::Unsure)
            }
        }
    }

    /// What is published from here on is looked at again.
    pub(crate) fn looking(&mut self) {
        self.published.mark_unchanged();
    }

    /// Notes whether the look was sure of what it saw.
    pub(crate) fn looked(&mut self, sure: bool) {
        self.unsure = if sure {
            0
        } else {
            self.unsure.saturating_add(1)
        };
        self.again = self.pause().map(|pause| Instant::now() + pause);
    }

    /// Notes in how many milliseconds what is live gets another age, which is
    /// looked at as well.
    pub(crate) fn turns_in_ms(&mut self, left_ms: Option<u64>) {
        // One that lies centuries ahead is no time to wait for.
        self.turns =
            left_ms.and_then(|left_ms| Instant::now().checked_add(Duration::from_millis(left_ms)));
    }

    /// Whether the last look was not sure.
    pub(crate) fn is_unsure(&self) -> bool {
        self.unsure > 0
    }

    /// Waits, too, for what is published while something else is waited for.
    pub(crate) fn publishing(&self) -> watch::Receiver<u64> {
        self.published.clone()
    }

    fn pause(&self) -> Option<Duration> {
        let doubled = self.unsure.checked_sub(1)?.min(16);
        let pause = Duration::from_millis(STREAM_LOOK_MS_MIN << doubled);
        Some(pause.min(Duration::from_millis(STREAM_BEAT_MS)))
    }
}

/// Waits until a record shows whose handler did not wait for it.
pub(crate) async fn visible(progress: &Progress, woken: Woken) {
    let longest = Duration::from_millis(STREAM_SYNC_WAIT_MS);
    // Too long, and it is looked at all the same.
    drop(tokio::time::timeout(longest, progress.synced(woken.unsynced)).await);
}

/// With what somebody follows: the key, and the environment it opened when
/// they came.
#[derive(Clone, Debug)]
pub(crate) struct Title {
    pub(crate) key: [u8; 32],
    pub(crate) environment_uid: Box<str>,
    pub(crate) route: Route,
    pub(crate) from: IpAddr,
}

/// What ended a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It does not open the environment any more.
    Key,
    /// It is not served here any more.
    Environment,
}

impl Ended {
    /// In a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Environment => "environment",
        }
    }
}

impl Title {
    /// What let somebody in now.
    pub(crate) fn of(access: Access<'_>) -> Self {
        Self {
            key: access.key.sha256,
            environment_uid: access.environment.snapshot.environment_uid.clone(),
            route: access.route,
            from: access.from,
        }
    }

    /// The environment and key as they are now; as whom was asked when they
    /// came.
    pub(crate) fn access<'e>(&self, live: &'e Environments) -> Result<Access<'e>, Ended> {
        let uid = &self.environment_uid;
        let opened = live.key(&self.key).filter(|opened| {
            opened
                .key
                .is_one_of(|kind| self.route.permission().contains(kind))
                && opened.environment.snapshot.environment_uid == *uid
        });
        match opened {
            Some(opened) => Ok(Access::of(opened, self.route, self.from)),
            None => Err(match is_there(live, uid) {
                true => Ended::Key,
                false => Ended::Environment,
            }),
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self, current: &Current) -> bool {
        self.access(&current.load()).is_err()
    }
}

fn is_there(live: &Environments, uid: &str) -> bool {
    let mut all = live.all().iter();
    all.any(|own| *own.snapshot.environment_uid == *uid)
}
