//! How is a request for a subject settled?
//!
//! Every route goes the same way: who asks, over which channel → the user, the
//! group and what is remembered of them, from memory without waiting or else
//! read at once → one decision for each flow → what of it is kept
//! ([`keeping`]) or stepped. What a route does with a decision goes by its
//! [`Standing`].

mod keeping;

use std::sync::Arc;

use futures_util::future::{join, join_all};
use serde_json::{Map, Value};

pub(crate) use keeping::{Settled, ToKeep};

use super::{
    EdgeService,
    auth::Access,
    error::{AuthError, Fault, Invalid},
    target::place,
};
use crate::{
    clock::UnixMs,
    evaluate::{
        Ask, Decision, Enrolment, Membership, Profile, Reason, Subject, SubjectView, Tag, decide,
        deployment_of, enrolment,
    },
    progress::{Read, ReadError, Remembered},
    snapshot::{Deployment, Key, RolloutSource, Snapshot, compile::channel_fault},
};

/// A subject as a request names it, within its limits and allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) user: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) conversation: Option<&'a str>,
    pub(crate) attributes: Option<&'a Map<String, Value>>,
}

/// Who asks what over which channel, and when.
#[derive(Clone, Copy)]
pub(crate) struct Inquiry<'r> {
    pub(crate) access: Access<'r>,
    pub(crate) who: Who<'r>,
    pub(crate) channel: Option<&'r str>,
    pub(crate) now: UnixMs,
}

/// The channel of a request: its key's where the key is bound to one, else the
/// one it names.
pub(crate) fn channel<'a>(key: &'a Key, named: Option<&'a str>) -> Result<Option<&'a str>, Fault> {
    if let Some(named) = named
        && channel_fault(named).is_some()
    {
        return Err(Invalid::Value {
            what: "channel",
            found: named.to_owned(),
            expected: "platform or platform:workspace of the characters A-Z a-z 0-9 _ - . \
                       and at most 128 bytes",
        }
        .into());
    }
    match (key.channel.as_deref(), named) {
        (Some(bound), Some(named)) if bound != named => Err(AuthError::Channel {
            found: named.into(),
            expected: bound.into(),
        }
        .into()),
        (Some(bound), _) => Ok(Some(bound)),
        (None, named) => Ok(named),
    }
}

/// Nothing is remembered where nothing could be.
const FORGOTTEN: Remembered = Remembered {
    membership: None,
    assumed: false,
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
    fn snapshot(&self) -> &'r Snapshot {
        &self.access.environment.snapshot
    }

    fn deployment(&self, sid: &str) -> Option<&'r Arc<Deployment>> {
        // Most requests come without a channel: they look nothing up.
        self.channel?;
        deployment_of(self.snapshot(), sid, self.channel)
    }

    pub(crate) fn view<'v>(&self, read: &'v Read) -> SubjectView<'v>
    where
        'r: 'v,
    {
        SubjectView {
            user: &read.subject,
            group: read.group.as_deref(),
            attributes: self.who.attributes,
            conversation: self.who.conversation,
        }
    }

    /// The key of what is remembered about this flow, if anything can be.
    fn enrolment<'v>(&self, read: &'v Read, sid: &str) -> Option<Enrolment<'r, 'v>>
    where
        'r: 'v,
    {
        enrolment(self.deployment(sid)?, &self.view(read))
    }

    fn remembered_now(&self, edge: &EdgeService, read: &Read, sid: &str) -> Option<Remembered> {
        match self.enrolment(read, sid) {
            None => Some(FORGOTTEN),
            Some(key) => edge
                .progress
                .cached_membership(self.access.environment.slot, &key),
        }
    }

    /// What decisions about these flows rest on, if memory has all of it.
    pub(crate) fn known_now<'q>(
        &self,
        edge: &EdgeService,
        mut sids: impl Iterator<Item = &'q str>,
    ) -> Option<Known> {
        let who = self.who;
        let slot = self.access.environment.slot;
        let read = edge.progress.cached(slot, who.user, who.group)?;
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

    /// The same, reading what is missing: the user and every membership whose
    /// key does not hang on the user's properties at once.
    pub(crate) async fn known<'q>(
        &self,
        edge: &EdgeService,
        sids: impl Iterator<Item = &'q str> + Clone,
    ) -> Result<Known, Fault> {
        if let Some(known) = self.known_now(edge, sids.clone()) {
            return Ok(known);
        }
        let who = self.who;
        let place = place(self.access.environment);
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
        let early = sids.clone().map(async |sid| {
            let deployment = self.deployment(sid)?;
            if let RolloutSource::Attribute(_) = deployment.id {
                return None;
            }
            let key = enrolment(deployment, &unread)?;
            Some(edge.progress.membership(&place, &key).await)
        });
        let reading = edge.progress.read(&place, who.user, who.group);
        let (read, early) = join(reading, join_all(early)).await;
        let read = read?;
        let late = sids.zip(early).map(async |(sid, early)| {
            if let Some(early) = early {
                return early;
            }
            match self.enrolment(&read, sid) {
                None => Ok(FORGOTTEN),
                Some(key) => edge.progress.membership(&place, &key).await,
            }
        });
        let remembered: Result<Vec<Remembered>, ReadError> =
            join_all(late).await.into_iter().collect();
        Ok(Known::new(read, remembered?.into_iter()))
    }

    /// Decides one flow.
    pub(crate) fn decide<'u>(
        &self,
        read: &'u Read,
        sid: &str,
        tag: Tag,
        membership: Option<Membership>,
    ) -> Decision<'r, 'u>
    where
        'r: 'u,
    {
        let key = self.access.key;
        let ask = Ask {
            sid,
            tag,
            channel: self.channel,
            membership,
        };
        let sees = |project: &str| key.sees(project);
        decide(self.snapshot(), &self.view(read), &ask, sees, self.now)
    }

    /// Decides the flow at this place of the list that `known` was read for.
    pub(crate) fn decision<'u>(
        &self,
        known: &'u Known,
        at: usize,
        sid: &str,
        tag: Tag,
    ) -> Decision<'r, 'u>
    where
        'r: 'u,
    {
        self.decide(&known.read, sid, tag, known.remembered(at).membership)
    }
}

/// What a decision lets a subject see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything: blocks, and steps that may lead somewhere.
    Open,
    /// What is stored, with every block inactive; nothing moves.
    Still,
    /// Nothing of the content; nothing moves.
    Shut,
    /// There is no version to see.
    Nothing,
}

impl Standing {
    pub(crate) fn of(decision: &Decision<'_, '_>) -> Self {
        match decision.reason {
            Reason::Disabled | Reason::Inactive => Self::Still,
            Reason::Excluded | Reason::AudienceMismatch | Reason::NoRolloutId => Self::Shut,
            Reason::Percentage if decision.enrolled.is_none_or(|enrolled| !enrolled.is_in) => {
                Self::Shut
            }
            Reason::UnknownFlow
            | Reason::UnknownVersion
            | Reason::SetAside
            | Reason::EmptyVersion
            | Reason::DeploymentRequired => Self::Nothing,
            Reason::Percentage
            | Reason::Pinned
            | Reason::Member
            | Reason::EntryCondition
            | Reason::Started
            | Reason::Finished
            | Reason::Stopped => Self::Open,
        }
    }
}
