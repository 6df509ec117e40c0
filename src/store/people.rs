//! Who is a user, where do they stand and why, and how is that changed?
//!
//! What operators do with single users and groups of an environment: finding
//! them, seeing every flow as an edge would decide it, beginning a flow anew,
//! moving somebody to another version or block, and erasing. Everything goes
//! through the ledger's own transaction, so that edges hear of it at once.

use serde::Serialize;
use serde_json::json;

use super::{
    AuditEntry, Store, StoreError, deploying, known_environment,
    ledger::{self, Gone, Versions as _},
    rehearse::rehearse,
    theirs::OfDeployments,
    workspace::{Environment, Flow, Workspace},
};
use crate::{
    clock::UnixMs,
    evaluate::{FlowState, LiveJudge, Profile, Step, SubjectView, carry, place, transition},
    progress::event::{
        Assumption, Base, Event, FlowStateDocument, GroupRecord, Intent, Operation,
        OutcomeDocument, UserDocument,
    },
    snapshot::{BlockIndex, BlockKey, FlowKey, Snapshot, Version},
};

/// Why nothing was done to a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is nothing to begin anew or to move.
    #[error("user {user:?} has no state of flow {flow:?}{place} (expected {expected})")]
    NotVisited {
        /// User id.
        user: String,
        /// The flow's sid.
        flow: String,
        /// In which conversation or version.
        place: String,
        /// What there is.
        expected: String,
    },
    /// No such version can be stood in.
    #[error("version {found} of flow {flow:?} does not exist (expected {expected})")]
    UnknownVersion {
        /// The flow's sid.
        flow: String,
        /// As asked.
        found: u32,
        /// Numbers there are.
        expected: String,
    },
    /// A block that nobody can stand on.
    #[error("block {found:?} cannot be stood on (expected some of {expected})")]
    Block {
        /// As asked.
        found: String,
        /// Shown blocks of the version.
        expected: String,
    },
    /// What they stand on is not in the version.
    #[error(
        "what the user stands on is not in version {to} of flow {flow:?} (name blocks of it, or \
         begin it anew)"
    )]
    Incompatible {
        /// The flow's sid.
        flow: String,
        /// Where to.
        to: u32,
    },
    /// The step leads nowhere.
    #[error("the entry condition of version {version} does not hold for the user (force skips it)")]
    NoEntry {
        /// Which.
        version: u32,
    },
    /// The ledger does not take it.
    #[error("the ledger refused: {0}")]
    Refused(String),
}

/// Which state of a user is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// The flow's sid.
    pub flow: String,
    /// A version; without one the newest they have been in.
    pub version: Option<u32>,
    /// The conversation; none for states outside of any.
    pub conversation: Option<String>,
}

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErasedTally {
    /// Whether the ledger knew them; a tombstone is left in any case.
    pub known: bool,
    /// Percentage decisions that were forgotten.
    pub memberships: usize,
    /// Webhooks, and records that did not fit.
    pub traces: usize,
}

impl From<Gone> for ErasedTally {
    fn from(gone: Gone) -> Self {
        Self {
            known: gone.known,
            memberships: gone.memberships,
            traces: gone.traces,
        }
    }
}

impl Store {
    /// Begins a flow anew for a user, as their own reset would: the condition is
    /// judged again unless `force` skips it. Says what is known of them then.
    pub fn reset_user(
        &self,
        environment: &str,
        user: &str,
        wanted: &Where,
        force: bool,
    ) -> Result<UserDocument, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let flow = known_flow(&workspace, &wanted.flow)?;
        let snapshot = rehearse(&workspace, environment, reachable(&workspace, flow))?;
        let now = self.now_ms();
        let reset = Reset {
            environment,
            revision: self.revision_text(environment),
            flow,
            wanted,
            force,
            snapshot: &snapshot,
            now,
        };
        let journal = self.ambient.hex::<16>();
        let entry = self.act_of(("reset", user), environment, wanted);
        let done = ledger::act(
            &*self.engine,
            environment,
            &self.versions_in(&environment.uid),
            (user, &journal),
            (&self.retention, now),
            (entry.as_ref(), &mut |document, group| {
                reset.record(document, group)
            }),
        )?;
        self.after_acting(environment, done)
    }

    /// Puts a user into a version: as they stand, or on these blocks.
    pub fn move_user(
        &self,
        environment: &str,
        user: &str,
        wanted: &Where,
        (to, blocks): (u32, &[String]),
    ) -> Result<UserDocument, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let flow = known_flow(&workspace, &wanted.flow)?;
        let versions = self.versions_in(&environment.uid);
        let target = versions.version(&flow.uid, to).filter(|_| to > 0);
        let target = target.ok_or_else(|| UserError::UnknownVersion {
            flow: flow.sid.clone(),
            found: to,
            expected: deploying::versions_of(flow),
        })?;
        let indexes = standable(flow, &target, blocks)?;
        let mut place = |document: &UserDocument| {
            let conversation = wanted.conversation.as_deref();
            let states = states_of(document, flow, conversation);
            let generation = states.iter().map(|own| own.generation).max().unwrap_or(0);
            let state = match indexes.is_empty() {
                true => {
                    let from = newest(document, flow, wanted)?;
                    let source = versions.version(&flow.uid, from.version);
                    let carried =
                        source.and_then(|source| carry(&source, &target, &from.to_state()));
                    let state = carried.filter(|_| from.started);
                    state.ok_or_else(|| UserError::Incompatible {
                        flow: flow.sid.clone(),
                        to,
                    })?
                }
                false => place(&target, generation, &indexes),
            };
            let state = FlowState {
                generation: generation.saturating_add(1),
                ..state
            };
            Ok(FlowStateDocument::of(
                &flow.uid,
                &target,
                conversation,
                &state,
            ))
        };
        let now = self.now_ms();
        let entry = self.act_of(("moved", user), environment, wanted);
        let how = (entry.as_ref(), &mut place as &mut ledger::Place<'_>);
        let done = ledger::put(&*self.engine, environment, user, now, how)?;
        self.after_acting(environment, done)
    }

    /// Erases a user: everything the ledger has of them. A tombstone stays.
    pub fn erase_user(&self, environment: &str, user: &str) -> Result<ErasedTally, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let now = self.now_ms();
        let theirs = OfDeployments::new(&workspace, environment);
        let entry = self.unless_trial(self.audited(("erased", "user", user), environment, None));
        let how = (entry.as_ref(), now);
        let gone = ledger::erase_user(&*self.engine, environment, user, &theirs, how)?;
        if !self.is_trial() {
            self.following.taken(&environment.uid);
        }
        Ok(gone.into())
    }

    /// Erases a group's properties. That users name it stays.
    pub fn erase_group(&self, environment: &str, group: &str) -> Result<ErasedTally, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let now = self.now_ms();
        let entry = self.audited(("erased", "group", group), environment, None);
        let entry = self.unless_trial(entry);
        let gone = ledger::erase_group(&*self.engine, environment, group, (entry.as_ref(), now))?;
        if !self.is_trial() {
            self.following.taken(&environment.uid);
        }
        Ok(gone.into())
    }

    /// For the audit log.
    fn act_of(
        &self,
        (verb, user): (&str, &str),
        environment: &Environment,
        wanted: &Where,
    ) -> Option<AuditEntry> {
        let what = json!({"flow": wanted.flow, "version": wanted.version,
            "conversation": wanted.conversation});
        self.unless_trial(self.audited((verb, "user", user), environment, Some(what)))
    }

    /// What is only tried has no entry, and without one nothing is kept.
    fn unless_trial(&self, entry: AuditEntry) -> Option<AuditEntry> {
        (!self.is_trial()).then_some(entry)
    }

    fn after_acting(
        &self,
        environment: &Environment,
        done: Result<UserDocument, UserError>,
    ) -> Result<UserDocument, StoreError> {
        let document = done?;
        if !self.is_trial() {
            self.following.taken(&environment.uid);
        }
        Ok(document)
    }

    fn revision_text(&self, environment: &Environment) -> String {
        let current = self.following.current(&environment.uid);
        current.map_or_else(String::new, |own| own.borrow().revision.to_string())
    }
}

/// A flow by its sid.
fn known_flow<'w>(workspace: &'w Workspace, sid: &str) -> Result<&'w Flow, StoreError> {
    let found = workspace.flows.get(sid);
    found.ok_or_else(|| super::DeployError::UnknownFlow(sid.to_owned()).into())
}

/// A flow and all that its triggers may act on.
fn reachable<'w>(workspace: &'w Workspace, flow: &'w Flow) -> Vec<&'w Flow> {
    let mut found = vec![flow];
    let mut next = 0;
    while let Some(flow) = found.get(next).copied() {
        next += 1;
        let blocks = flow.versions.values().flat_map(|own| &own.part.blocks);
        for trigger in blocks.filter_map(|block| block.trigger.as_ref()) {
            let other = workspace.flows.get(&trigger.flow_sid);
            let is_new = |other: &&Flow| found.iter().all(|own| own.uid != other.uid);
            if let Some(other) = other.filter(is_new) {
                found.push(other);
            }
        }
    }
    found
}

fn states_of<'d>(
    document: &'d UserDocument,
    flow: &Flow,
    conversation: Option<&str>,
) -> Vec<&'d FlowStateDocument> {
    let own = document
        .flows
        .iter()
        .filter(|own| own.flow == flow.uid && own.conversation.as_deref() == conversation);
    own.collect()
}

/// The state that is meant, or the newest of those that may be.
fn newest<'d>(
    document: &'d UserDocument,
    flow: &Flow,
    wanted: &Where,
) -> Result<&'d FlowStateDocument, UserError> {
    let states = states_of(document, flow, wanted.conversation.as_deref());
    let fits =
        |own: &&&FlowStateDocument| wanted.version.is_none_or(|number| number == own.version);
    let found = states.iter().filter(fits).max_by_key(|own| own.version);
    found.copied().ok_or_else(|| {
        let visited = document.flows.iter().filter(|own| own.flow == flow.uid);
        let visited: Vec<String> = visited
            .map(|own| match &own.conversation {
                Some(name) => format!("version {} in conversation {name:?}", own.version),
                None => format!("version {}", own.version),
            })
            .collect();
        let version = wanted.version.map(|own| format!(" in version {own}"));
        let conversation = wanted.conversation.as_ref();
        let conversation = conversation.map(|own| format!(" in conversation {own:?}"));
        UserError::NotVisited {
            user: document.identifier.clone(),
            flow: flow.sid.clone(),
            place: version.unwrap_or_default() + &conversation.unwrap_or_default(),
            expected: match visited.is_empty() {
                true => "a flow they have visited".to_owned(),
                false => visited.join(", "),
            },
        }
    })
}

/// Shown blocks by their sids.
fn standable(
    flow: &Flow,
    version: &Version,
    sids: &[String],
) -> Result<Vec<BlockIndex>, UserError> {
    let authored = flow.versions.get(&version.number);
    let blocks = authored.map_or(&[][..], |own| &own.part.blocks);
    let index = |sid: &str| {
        let own = blocks.iter().find(|own| own.sid == sid)?;
        let index = version.find(BlockKey::of(&own.uid))?;
        (!version.block(index).is_logic()).then_some(index)
    };
    sids.iter()
        .map(|sid| {
            index(sid).ok_or_else(|| {
                let shown = blocks.iter().map(|own| own.sid.as_str());
                let shown: Vec<&str> = shown.filter(|own| index(own).is_some()).collect();
                UserError::Block {
                    found: sid.clone(),
                    expected: shown.join(", "),
                }
            })
        })
        .collect()
}

/// A reset that is to be recorded.
struct Reset<'a> {
    environment: &'a Environment,
    revision: String,
    flow: &'a Flow,
    wanted: &'a Where,
    force: bool,
    snapshot: &'a Snapshot,
    now: UnixMs,
}

impl Reset<'_> {
    fn record(
        &self,
        document: &UserDocument,
        group: Option<GroupRecord>,
    ) -> Result<Event, UserError> {
        let own = newest(document, self.flow, self.wanted)?;
        let unknown = || UserError::UnknownVersion {
            flow: self.flow.sid.clone(),
            found: own.version,
            expected: "one that can still be run".to_owned(),
        };
        let flow = self.snapshot.flows.get(self.flow.sid.as_str());
        let flow = flow.ok_or_else(unknown)?;
        let slot = flow.version(own.version).ok_or_else(unknown)?;
        let version = slot.version.as_deref().ok_or_else(unknown)?;
        let subject = document.to_subject();
        let group_id = document.groups.first().filter(|_| group.is_some());
        let group: Option<Profile> = group.map(GroupRecord::into_profile);
        let conversation = self.wanted.conversation.as_deref();
        let view = SubjectView {
            user: &subject,
            group: group.as_ref(),
            attributes: None,
            conversation,
        };
        let mut judge = LiveJudge {
            snapshot: self.snapshot,
            view,
            now: self.now,
        };
        let before = subject.state(FlowKey::of(&self.flow.uid), own.version, conversation);
        let before = before.cloned().unwrap_or_default();
        let step = Step::Reset { force: self.force };
        let effect = transition(version, &before, &step, &mut judge)
            .map_err(|error| UserError::Refused(error.to_string()))?;
        if !effect.changed {
            return Err(UserError::NoEntry {
                version: own.version,
            });
        }
        let state = FlowStateDocument::of(&self.flow.uid, version, conversation, &effect.state);
        let others = effect.others.iter().map(|other| {
            let version = &other.version;
            FlowStateDocument::of(&version.flow_uid, version, conversation, &other.state)
        });
        Ok(Event {
            environment: self.environment.name.clone(),
            environment_uid: self.environment.uid.clone(),
            user: document.identifier.clone(),
            group: group_id.cloned(),
            conversation: self.wanted.conversation.clone(),
            revision: self.revision.clone(),
            decided_ms: self.now,
            operation: Operation::Intent {
                flow: self.flow.uid.clone(),
                version: own.version,
                generation: before.generation,
                intent: Intent::Reset,
                force: self.force,
                restarted: effect.state.started,
            },
            outcomes: effect.outcomes.iter().map(OutcomeDocument::of).collect(),
            base: Base::Document(document.doc_rev),
            assumed: Assumption::Nothing,
            membership: None,
            states: std::iter::once(state).chain(others).collect(),
            id: None,
            edge: "store".to_owned(),
        })
    }
}
