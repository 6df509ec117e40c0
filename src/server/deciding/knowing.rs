//! What does a decision rest on, and from where?
//!
//! The user, the group, and for each flow the percentage decision on record:
//! from memory without waiting, or else read at once. A record is needed only
//! where the decision asks it. One that cannot be read is assumed not to be
//! there, whatever the operator wants of unknown users: this user is known.

use futures_util::future::{join, join_all};

use super::Inquiry;
use crate::{
    evaluate::{Enrolment, Profile, Reason, Subject, SubjectView, Tag, VersionSource, enrolment},
    progress::{Place, Read, ReadError, Remembered},
    server::{EdgeService, error::Fault, target::place},
    snapshot::RolloutSource,
};

/// Nothing is remembered where nothing could be.
const FORGOTTEN: Remembered = Remembered {
    membership: None,
    assumed: false,
};

/// What cannot be read is taken for not there, and nothing is recorded on it.
const ASSUMED: Remembered = Remembered {
    membership: None,
    assumed: true,
};

/// What decisions rest on.
pub(crate) struct Known {
    pub(crate) read: Read,
    /// For the first flow, apart so that a request for one flow needs no list.
    first: Remembered,
    /// For the others, in the order asked; shorter where nothing is remembered.
    others: Vec<Remembered>,
}

impl Known {
    fn new(read: Read, remembered: impl Iterator<Item = Remembered>) -> Self {
        let mut remembered = remembered;
        Self {
            read,
            first: remembered.next().unwrap_or(FORGOTTEN),
            others: remembered.collect(),
        }
    }

    /// What is remembered about the flow at this place of the list.
    pub(crate) fn remembered(&self, at: usize) -> Remembered {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.others.get(at).copied().unwrap_or(FORGOTTEN),
        }
    }

    /// Whether anybody could not be asked.
    pub(crate) fn is_assumed(&self) -> bool {
        let mut all = std::iter::once(&self.first).chain(&self.others);
        self.read.assumed || all.any(|remembered| remembered.assumed)
    }

    /// Whether what would be remembered about this flow can be: only what was
    /// looked up may be written down.
    pub(crate) fn is_certain(&self, at: usize) -> bool {
        !self.read.assumed && !self.remembered(at).assumed
    }
}

impl<'r> Inquiry<'r> {
    /// The key of what is remembered about this flow, if anything can be.
    fn enrolment<'v>(&self, read: &'v Read, sid: &str) -> Option<Enrolment<'r, 'v>>
    where
        'r: 'v,
    {
        enrolment(self.deployment(sid)?, &self.view(read))
    }

    /// Whether a record counts at all for this user: not for whoever is held
    /// to the version they began, nor where it ends before.
    fn asks_record(&self, read: &Read, sid: &str) -> bool {
        // The tag does not count where there is a deployment.
        let decision = self.decide(read, sid, Tag::Latest, None);
        let ends_before = matches!(
            decision.reason,
            Reason::UnknownFlow
                | Reason::DeploymentRequired
                | Reason::UnknownVersion
                | Reason::EmptyVersion
                | Reason::SetAside
                | Reason::Disabled
                | Reason::Inactive
        );
        decision.version_source != VersionSource::Pin && !ends_before
    }

    /// What is remembered about this flow, if that can be said without reading.
    pub(super) fn remembered_now(
        &self,
        edge: &EdgeService,
        read: &Read,
        sid: &str,
    ) -> Option<Remembered> {
        let Some(key) = self.enrolment(read, sid) else {
            return Some(FORGOTTEN);
        };
        let slot = self.access.environment.slot;
        let cached = edge.progress.cached_membership(slot, &key);
        cached.or_else(|| (!self.asks_record(read, sid)).then_some(FORGOTTEN))
    }

    /// What decisions about these flows rest on, if memory has all of it. Who
    /// answers by it asks [`Self::admit`] first.
    pub(crate) fn known_now<'q>(
        &self,
        edge: &EdgeService,
        mut sids: impl Iterator<Item = &'q str>,
    ) -> Option<Known> {
        let read = self.read_now(edge)?;
        if self.channel.is_none() {
            return Some(Known::new(read, std::iter::empty()));
        }
        let mut remembered = |sid| self.remembered_now(edge, &read, sid);
        let first = sids.next().map_or(Some(FORGOTTEN), &mut remembered)?;
        let others: Option<Vec<Remembered>> = sids.map(remembered).collect();
        Some(Known {
            first,
            others: others?,
            read,
        })
    }

    fn read_now(&self, edge: &EdgeService) -> Option<Read> {
        let slot = self.access.environment.slot;
        edge.progress.cached(slot, self.who.user, self.who.group)
    }

    /// The same, reading what is missing. For a user of whom nothing is known
    /// yet, every record whose key does not hang on the user's properties is
    /// read at the same time.
    pub(crate) async fn known<'q>(
        &self,
        edge: &EdgeService,
        sids: impl Iterator<Item = &'q str> + Clone,
    ) -> Result<Known, Fault> {
        if let Some(known) = self.known_now(edge, sids.clone()) {
            return self.admit(known);
        }
        let place = place(self.access);
        let (read, early) = match self.read_now(edge) {
            Some(read) => (read, Vec::new()),
            None => self.read_at_once(edge, &place, sids.clone()).await?,
        };
        let late = sids.enumerate().map(async |(at, sid)| {
            let early = early.get(at).copied().flatten();
            if let Some(known) = self.remembered_now(edge, &read, sid).or(early) {
                return known;
            }
            match self.enrolment(&read, sid) {
                None => FORGOTTEN,
                Some(key) => read_record(edge, &place, &key).await,
            }
        });
        let remembered = join_all(late).await;
        self.admit(Known::new(read, remembered.into_iter()))
    }

    async fn read_at_once<'q>(
        &self,
        edge: &EdgeService,
        place: &Place,
        sids: impl Iterator<Item = &'q str>,
    ) -> Result<(Read, Vec<Option<Remembered>>), ReadError> {
        let who = self.who;
        let nobody = Subject::unseen(who.user);
        let group = who.group.map(|group| Profile {
            identifier: group.into(),
            ..Profile::default()
        });
        let unread = SubjectView {
            user: &nobody,
            group: group.as_ref(),
            attributes: None,
            conversation: who.conversation,
        };
        let early = sids.map(async |sid| {
            let deployment = self.deployment(sid)?;
            if let RolloutSource::Attribute(_) = deployment.id {
                return None;
            }
            let key = enrolment(deployment, &unread)?;
            Some(read_record(edge, place, &key).await)
        });
        let reading = edge.progress.read(place, who.user, who.group);
        let (read, early) = join(reading, join_all(early)).await;
        Ok((read?, early))
    }
}

async fn read_record(edge: &EdgeService, place: &Place, key: &Enrolment<'_, '_>) -> Remembered {
    let read = edge.progress.membership(place, key).await;
    read.unwrap_or(ASSUMED)
}
