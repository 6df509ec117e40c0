//! How is a request for a subject settled?
//!
//! Every route goes the same way: who asks, over which channel → the user, the
//! group and what is remembered of them, from memory without waiting or else
//! read at once ([`knowing`]) → whether they are served by what is this old →
//! one decision for each flow → what of it is kept
//! ([`keeping`]) or stepped. What a route does with a decision goes by its
//! [`Door`]. A token the client shows is seen to before anything is read
//! ([`showing`]).

mod door;
mod keeping;
mod knowing;
mod showing;

use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use self::{
    door::Door,
    keeping::{Settled, ToKeep},
    knowing::Known,
    showing::{read as read_token, token},
};

use super::{
    EdgeService,
    auth::Access,
    error::{AuthError, Fault, Invalid, Old},
};
use crate::{
    clock::UnixMs,
    current::{Environment, Policy},
    evaluate::{Ask, Decision, Membership, SubjectView, Tag, decide, deployment_of},
    guard::Context,
    progress::Read,
    snapshot::{Deployment, Key, Snapshot, compile::channel_fault},
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
    /// The time the decision is made for.
    pub(crate) now: UnixMs,
    /// The time it is: another one only where somebody asks about another time.
    clock: UnixMs,
}

/// Refuses whoever it is, where the environment is too old to serve anybody.
pub(crate) fn refuse_old(environment: &Environment, clock: UnixMs) -> Result<(), Box<Old>> {
    match environment.judged(clock).1 {
        Policy::Refuse => Err(old(environment, clock, "and nobody is served by it then")),
        Policy::Serve | Policy::RefuseNewUsers => Ok(()),
    }
}

/// Refuses a user of whom nothing is known, where it is too old for those.
pub(crate) fn refuse_new(environment: &Environment, clock: UnixMs) -> Result<(), Box<Old>> {
    let whom = "and users of whom nothing is known here are not served by it then";
    match environment.judged(clock).1 {
        Policy::RefuseNewUsers => Err(old(environment, clock, whom)),
        Policy::Serve | Policy::Refuse => Ok(()),
    }
}

/// The refusal of who is not served by what is old.
fn old(environment: &Environment, clock: UnixMs, whom: &'static str) -> Box<Old> {
    let freshness = &environment.freshness;
    let seconds = |until: UnixMs| until.saturating_sub(freshness.issued_ms) / 1_000;
    Box::new(Old {
        environment: environment.snapshot.environment.clone(),
        age: freshness.age(clock),
        age_s: seconds(clock),
        fresh_s: seconds(freshness.fresh_until_ms),
        whom,
    })
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

impl<'r> Inquiry<'r> {
    /// The inquiry, unless the environment is too old to answer anybody:
    /// before anything is read for it.
    pub(crate) fn open(
        access: Access<'r>,
        who: Who<'r>,
        channel: Option<&'r str>,
        (now, clock): (UnixMs, UnixMs),
    ) -> Result<Self, Fault> {
        refuse_old(access.environment, clock)?;
        Ok(Self {
            access,
            who,
            channel,
            now,
            clock,
        })
    }

    /// Whether this user is served: of whom nothing is known is not, where the
    /// environment is too old for new users.
    pub(crate) fn admit(&self, known: Known) -> Result<Known, Fault> {
        if known.read.subject.is_new() {
            refuse_new(self.access.environment, self.clock)?;
        }
        Ok(known)
    }

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

    /// Lets the guard have what a decision is made of, every so often. What was
    /// only assumed of a user is nothing to judge a release by.
    pub(crate) fn sample(&self, edge: &EdgeService, known: &Known, at: usize, asked: (&str, Tag)) {
        if !known.is_certain(at) {
            return;
        }
        edge.sampler.offer(|| Context {
            slot: self.access.environment.slot,
            sid: asked.0.into(),
            tag: asked.1,
            channel: self.channel.map(Into::into),
            membership: known.remembered(at).membership,
            user: Arc::clone(&known.read.subject),
            group: known.read.group.clone(),
            attributes: self.who.attributes.cloned(),
            conversation: self.who.conversation.map(Into::into),
        });
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
