//! Whom would a change of a deployment let in, put out, or move?
//!
//! Stored users are judged twice by the evaluator that edges have: as things
//! are, and as they would be. What is recorded counts in both. Each user is
//! looked at as a request that names no conversation and in every conversation
//! in which they have begun the flow, with the group they joined first.
//! Attributes that only requests carry are not known here; a question may give
//! some. A bounded number of users a call, in the order of their ids, and the
//! answer says where the next one goes on. Nothing is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Store, StoreError,
    deploying::put_deployment,
    engine::EngineError,
    rehearse::{judged, rehearse},
    workspace::{Deployment, Environment, Workspace},
};
use crate::{
    clock::UnixMs,
    evaluate::{Decision, Profile, Subject, SubjectView},
    limits,
    progress::event::UserDocument,
    snapshot::{FlowKey, Snapshot, wire::RolloutId},
};

/// What is asked of a preview.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreviewAsk {
    /// Users whose ids come after this one.
    pub after: String,
    /// At most so many users.
    pub users_max: usize,
    /// At most so many examples of each movement.
    pub examples_max: usize,
    /// Judged as if it were this time; none for now.
    pub at_ms: Option<UnixMs>,
    /// Attributes that every request would carry.
    pub attributes: Option<Map<String, Value>>,
}

/// What a preview came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The time everything was judged at.
    pub at: UnixMs,
    /// Stored users that were looked at.
    pub users: usize,
    /// Ways in which they were looked at; what is counted below.
    pub views: usize,
    /// Where the next call goes on; none when all were looked at.
    pub next: Option<String>,
    /// How many make each movement.
    pub counts: MovementCounts,
    /// By which step each is decided afterwards.
    pub reasons: BTreeMap<&'static str, usize>,
    /// The first of each movement; of those who stay as they are none.
    pub examples: Vec<Example>,
    /// What could mislead a reader of the numbers.
    pub remarks: Vec<String>,
}

/// One number for each movement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MovementCounts {
    /// Get nothing of the flow now, and would.
    pub enter: usize,
    /// Get something of it now, and would no more.
    pub leave: usize,
    /// Would get another version.
    pub change: usize,
    /// Go on with what they get.
    pub stay: usize,
    /// Get nothing, now as then.
    pub out: usize,
}

/// What a change does to one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Movement {
    /// See [`MovementCounts`].
    Enter,
    /// See [`MovementCounts`].
    Leave,
    /// See [`MovementCounts`].
    Change,
    /// See [`MovementCounts`].
    Stay,
    /// See [`MovementCounts`].
    Out,
}

/// One who would be served otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// User id.
    pub user: String,
    /// The conversation they were looked at in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The group they were looked at with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What they do.
    pub movement: Movement,
    /// As things are.
    pub before: Seen,
    /// As they would be.
    pub after: Seen,
}

/// What an edge answers, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Whether they get anything of the flow.
    pub served: bool,
    /// The resolved version.
    pub version: u32,
    /// The step that fixed it.
    pub reason: &'static str,
}

impl Seen {
    fn of(decision: &Decision<'_, '_>) -> Self {
        Self {
            served: decision.served,
            version: decision.number,
            reason: decision.reason.name(),
        }
    }

    fn to(self, after: Self) -> Movement {
        match (self.served, after.served) {
            (false, true) => Movement::Enter,
            (true, false) => Movement::Leave,
            (false, false) => Movement::Out,
            (true, true) if self.version != after.version => Movement::Change,
            (true, true) => Movement::Stay,
        }
    }
}

impl Store {
    /// Judges stored users against a deployment that is not there yet, or is
    /// otherwise. It has to fit the store as if it were saved.
    pub fn preview_deployment(
        &self,
        proposed: &Deployment,
        ask: &PreviewAsk,
    ) -> Result<Preview, StoreError> {
        let before = self.workspace();
        let (after, _) = put_deployment(&before, proposed.clone())?;
        let Some(environment) = before.environment_by_uid(&proposed.environment_uid) else {
            // `put_deployment` has looked.
            return Err(StoreError::UnknownEnvironment {
                found: proposed.environment_uid.clone(),
                expected: super::environment_names(&before),
            });
        };
        let known = before.deployments.get(&proposed.uid);
        let channel = known.map_or(&proposed.channel, |own| &own.channel);
        let now = ask.at_ms.unwrap_or_else(|| self.ambient.now_ms());
        let mut look = Look {
            store: self,
            environment,
            before: Side::of(&before, environment, proposed, channel)?,
            after: Side::of(&after, environment, proposed, &proposed.channel)?,
            flow: FlowKey::of(&proposed.flow_uid),
            ask,
            now,
            groups: HashMap::new(),
            met: BTreeSet::new(),
            found: Preview {
                at: now,
                users: 0,
                views: 0,
                next: None,
                counts: MovementCounts::default(),
                reasons: BTreeMap::new(),
                examples: Vec::new(),
                remarks: Vec::new(),
            },
        };
        let users_max = ask.users_max.clamp(1, limits::PREVIEW_USERS_MAX);
        let users = self
            .engine
            .users_after(&environment.uid, &ask.after, users_max)?;
        if users.len() == users_max {
            look.found.next = users.last().map(|user| user.identifier.clone());
        }
        for user in &users {
            look.user(user)?;
        }
        Ok(look.finish(proposed))
    }
}

/// One state of things.
struct Side<'a> {
    snapshot: Snapshot,
    sid: &'a str,
    channel: &'a str,
}

impl<'a> Side<'a> {
    fn of(
        workspace: &'a Workspace,
        environment: &Environment,
        deployment: &Deployment,
        channel: &'a str,
    ) -> Result<Self, StoreError> {
        let flow = workspace.flow_by_uid(&deployment.flow_uid);
        let snapshot = rehearse(workspace, environment, flow)?;
        Ok(Self {
            snapshot,
            sid: flow.map_or("", |flow| &flow.sid),
            channel,
        })
    }
}

/// A preview under way.
struct Look<'a> {
    store: &'a Store,
    environment: &'a Environment,
    before: Side<'a>,
    after: Side<'a>,
    flow: FlowKey,
    ask: &'a PreviewAsk,
    now: UnixMs,
    /// Groups are shared by many.
    groups: HashMap<String, Option<Profile>>,
    /// Names of properties that somebody has.
    met: BTreeSet<String>,
    found: Preview,
}

impl Look<'_> {
    fn user(&mut self, document: &UserDocument) -> Result<(), StoreError> {
        self.found.users += 1;
        for name in document.properties.keys() {
            if !self.met.contains(name) {
                self.met.insert(name.clone());
            }
        }
        let subject = document.to_subject();
        let group = document.groups.first();
        let profile = group.map(|id| self.group(id)).transpose()?.flatten();
        let begun: BTreeSet<&str> = subject
            .flows
            .iter()
            .filter(|own| own.flow == self.flow)
            .filter_map(|own| own.conversation.as_deref())
            .collect();
        let views = std::iter::once(None).chain(begun.into_iter().map(Some));
        for conversation in views.take(limits::PREVIEW_VIEWS_PER_USER_MAX) {
            let group = group.filter(|_| profile.is_some());
            self.view((&subject, conversation), (group, profile.as_ref()))?;
        }
        Ok(())
    }

    fn group(&mut self, id: &str) -> Result<Option<Profile>, EngineError> {
        if let Some(known) = self.groups.get(id) {
            return Ok(known.clone());
        }
        let record = self.store.engine.group(&self.environment.uid, id)?;
        let profile = record.map(crate::progress::event::GroupRecord::into_profile);
        self.groups.insert(id.to_owned(), profile.clone());
        Ok(profile)
    }

    fn view(
        &mut self,
        (subject, conversation): (&Subject, Option<&str>),
        (group, profile): (Option<&String>, Option<&Profile>),
    ) -> Result<(), EngineError> {
        let view = SubjectView {
            user: subject,
            group: profile,
            attributes: self.ask.attributes.as_ref(),
            conversation,
        };
        let [before, after] = [&self.before, &self.after].map(|side| {
            let place = (side.sid, Some(side.channel));
            let decision = judged(&*self.store.engine, &side.snapshot, &view, place, self.now);
            decision.map(|decision| Seen::of(&decision))
        });
        let (before, after) = (before?, after?);
        let movement = before.to(after);
        let found = &mut self.found;
        found.views += 1;
        *found.reasons.entry(after.reason).or_default() += 1;
        let count = match movement {
            Movement::Enter => &mut found.counts.enter,
            Movement::Leave => &mut found.counts.leave,
            Movement::Change => &mut found.counts.change,
            Movement::Stay => &mut found.counts.stay,
            Movement::Out => &mut found.counts.out,
        };
        *count += 1;
        let tells = !matches!(movement, Movement::Stay | Movement::Out);
        if tells && *count <= self.ask.examples_max {
            found.examples.push(Example {
                user: subject.profile.identifier.to_string(),
                conversation: conversation.map(ToOwned::to_owned),
                group: group.cloned(),
                movement,
                before,
                after,
            });
        }
        Ok(())
    }

    /// With what a reader has to know of the numbers.
    fn finish(mut self, proposed: &Deployment) -> Preview {
        let rules = proposed.rollout.alternatives.iter();
        let rules = rules.flat_map(|alternative| &alternative.rules);
        let id = match &proposed.rollout.id {
            RolloutId::Attribute(name) => Some(name),
            RolloutId::User | RolloutId::Group => None,
        };
        let asked: BTreeSet<&String> = rules.map(|rule| &rule.attribute).chain(id).collect();
        for name in asked {
            let comes_with_requests = |given: &Map<String, Value>| given.contains_key(name);
            let is_given = self
                .ask
                .attributes
                .as_ref()
                .is_some_and(comes_with_requests);
            let is_stored = name.starts_with("user.") || name.starts_with("group.");
            if self.found.users > 0 && !is_given && !is_stored && !self.met.contains(name) {
                self.found.remarks.push(format!(
                    "no user looked at has a property {name:?}: requests that carry it as an \
                     attribute may be decided otherwise"
                ));
            }
        }
        if !proposed.active {
            self.found
                .remarks
                .push("the deployment is inactive: it processes nothing".to_owned());
        }
        self.found
    }
}
