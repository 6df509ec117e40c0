//! Which users fit, and what does one of them see?
//!
//! Finding looks through users in the order of their ids, a bounded number a
//! call. Seeing judges flows as an edge would, without a channel and over every
//! channel that they are deployed on, in each conversation of the user.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{
    PageAsk, Store, StoreError,
    engine::EngineError,
    known_environment,
    paging::FOUND_USERS,
    rehearse::{judged, recorded, rehearse},
    workspace::{Flow, Workspace},
};
use crate::{
    clock::UnixMs,
    evaluate::{Decision, Profile, Subject, SubjectView},
    limits,
    progress::event::{GroupRecord, UserDocument},
    snapshot::{FlowKey, Snapshot},
};

/// Users read from the engine at once.
const PAGE: usize = 500;

/// Whom somebody looks for. Everything given has to fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserSearch {
    /// How the id begins.
    pub prefix: Option<String>,
    /// What stands in the id.
    pub contains: Option<String>,
    /// A property, and what it is (or one element of it); none for any value.
    pub property: Option<(String, Option<String>)>,
    /// A group they belong to.
    pub group: Option<String>,
    /// Which page.
    pub page: PageAsk,
}

/// Who was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FoundUsers {
    /// In the order of their ids.
    pub users: Vec<FoundUser>,
    /// How many were looked at.
    pub scanned: usize,
    /// Where the next call goes on; none when all were looked at.
    pub next: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundUser {
    /// User id.
    pub user: String,
    /// First seen.
    pub created_ms: Option<UnixMs>,
    /// Identified last.
    pub updated_ms: Option<UnixMs>,
    /// How many flows they have been in.
    pub flows: usize,
    /// Groups they belong to.
    pub groups: Vec<String>,
}

/// What a user sees of a flow, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserStanding {
    /// The flow's sid.
    pub flow: String,
    /// The channel of the request; none without one.
    pub channel: Option<String>,
    /// The deployment that decides there, by name.
    pub deployment: Option<String>,
    /// The conversation of the request.
    pub conversation: Option<String>,
    /// Whether they get anything.
    pub served: bool,
    /// The resolved version.
    pub version: u32,
    /// What fixed the version.
    pub version_source: &'static str,
    /// The step that fixed what is seen.
    pub reason: &'static str,
    /// Where they stand.
    pub state: &'static str,
    /// What the percentage came to.
    pub membership: Option<UserMembership>,
}

/// What a percentage decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserMembership {
    /// In, or out.
    #[serde(rename = "in")]
    pub is_in: bool,
    /// Where the id falls.
    pub bucket: u16,
    /// The percentage it was judged at.
    pub basis_points: u16,
    /// Whether the ledger has it.
    pub recorded: bool,
    /// When it was decided, of one that is recorded.
    pub decided_ms: Option<UnixMs>,
    /// Whether a start rests on it.
    pub started: bool,
}

/// What a user sees.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserStandings {
    /// By flow, channel and conversation.
    pub standings: Vec<UserStanding>,
    /// The flow after which the next call goes on; none when all were judged.
    pub next_flow: Option<String>,
}

impl UserSearch {
    fn fits(&self, document: &UserDocument) -> bool {
        let id = &document.identifier;
        self.prefix.as_ref().is_none_or(|own| id.starts_with(own))
            && self.contains.as_ref().is_none_or(|own| id.contains(own))
            && self
                .group
                .as_ref()
                .is_none_or(|own| document.groups.contains(own))
            && self.property.as_ref().is_none_or(|(name, wanted)| {
                let found = document.properties.get(name);
                found
                    .is_some_and(|found| wanted.as_ref().is_none_or(|wanted| spells(found, wanted)))
            })
    }
}

/// Whether a value is what somebody typed, or holds it.
fn spells(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(elements) => elements.iter().any(|own| spells(own, wanted)),
        other => {
            let spelt = other.to_string();
            spelt == wanted
        }
    }
}

impl Store {
    /// Finds users of an environment.
    pub fn find_users(
        &self,
        environment: &str,
        search: &UserSearch,
    ) -> Result<FoundUsers, StoreError> {
        let workspace = self.workspace();
        let uid = &known_environment(&workspace, environment)?.uid;
        let mut found = FoundUsers::default();
        let mut after: String = FOUND_USERS.place(&search.page)?.unwrap_or_default();
        let count_max = FOUND_USERS.count(search.page.count_max);
        if let Some(prefix) = search.prefix.as_ref().filter(|own| **own > after) {
            // Itself first: what follows comes after it.
            let own = self.engine.user(uid, prefix)?;
            let own = own.filter(|own| own.tombstone_ms().is_none());
            found.scanned += 1;
            found
                .users
                .extend(own.filter(|own| search.fits(own)).map(row));
            after.clone_from(prefix);
        }
        loop {
            let page = self.engine.users_after(uid, &after, PAGE)?;
            let is_last = page.len() < PAGE;
            for document in page {
                let id = &document.identifier;
                // In the order of ids nobody follows who begins so.
                let begins = |prefix: &String| id.starts_with(prefix);
                if !search.prefix.as_ref().is_none_or(begins) {
                    return Ok(found);
                }
                let is_full = found.users.len() >= count_max
                    || found.scanned >= limits::USER_SEARCH_SCANNED_MAX;
                if is_full {
                    found.next = Some(FOUND_USERS.cursor(&after));
                    return Ok(found);
                }
                after.clone_from(id);
                found.scanned += 1;
                if search.fits(&document) {
                    found.users.push(row(document));
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Judges flows for a user, those after a sid in the order of sids, or one.
    pub fn user_standings(
        &self,
        environment: &str,
        document: &UserDocument,
        (only, after): (Option<&str>, &str),
    ) -> Result<UserStandings, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let flows = workspace.flows.values();
        let wanted = flows.filter(|flow| match only {
            Some(sid) => flow.sid == sid,
            None => *flow.sid > *after,
        });
        let mut flows: Vec<&Flow> = wanted.take(limits::USER_FLOWS_PER_ANSWER + 1).collect();
        let is_more = flows.len() > limits::USER_FLOWS_PER_ANSWER;
        flows.truncate(limits::USER_FLOWS_PER_ANSWER);
        let next_flow = flows.last().filter(|_| is_more).map(|own| own.sid.clone());
        let snapshot = rehearse(&workspace, environment, flows.iter().copied())?;
        let subject = document.to_subject();
        let group = document.groups.first();
        let group = group.map(|id| self.engine.group(&environment.uid, id));
        let group = group.transpose()?.flatten();
        let group = group.map(GroupRecord::into_profile);
        let look = Look {
            store: self,
            snapshot: &snapshot,
            subject: &subject,
            group: group.as_ref(),
            now: self.now_ms(),
        };
        let mut standings = Vec::new();
        for flow in flows {
            look.flow(&workspace, &environment.uid, flow, &mut standings)?;
        }
        Ok(UserStandings {
            standings,
            next_flow,
        })
    }
}

fn row(document: UserDocument) -> FoundUser {
    let flows: BTreeSet<&String> = document.flows.iter().map(|own| &own.flow).collect();
    FoundUser {
        flows: flows.len(),
        user: document.identifier,
        created_ms: document.created_ms,
        updated_ms: document.updated_ms,
        groups: document.groups,
    }
}

/// A look at one user.
struct Look<'a> {
    store: &'a Store,
    snapshot: &'a Snapshot,
    subject: &'a Subject,
    group: Option<&'a Profile>,
    now: UnixMs,
}

impl Look<'_> {
    fn flow(
        &self,
        workspace: &Workspace,
        environment_uid: &str,
        flow: &Flow,
        found: &mut Vec<UserStanding>,
    ) -> Result<(), EngineError> {
        let deployments = workspace.deployments_in(environment_uid);
        let channels: BTreeSet<&str> = deployments
            .filter(|own| own.flow_uid == flow.uid)
            .map(|own| own.channel.as_str())
            .collect();
        let key = FlowKey::of(&flow.uid);
        let own = self.subject.flows.iter().filter(|own| own.flow == key);
        let begun: BTreeSet<&str> = own.filter_map(|own| own.conversation.as_deref()).collect();
        for channel in std::iter::once(None).chain(channels.into_iter().map(Some)) {
            let views = std::iter::once(None).chain(begun.iter().copied().map(Some));
            for conversation in views.take(limits::PREVIEW_VIEWS_PER_USER_MAX) {
                found.push(self.standing(flow, channel, conversation)?);
            }
        }
        Ok(())
    }

    fn standing(
        &self,
        flow: &Flow,
        channel: Option<&str>,
        conversation: Option<&str>,
    ) -> Result<UserStanding, EngineError> {
        let view = SubjectView {
            user: self.subject,
            group: self.group,
            attributes: None,
            conversation,
        };
        let place = (flow.sid.as_str(), channel);
        let engine = &*self.store.engine;
        let decision = judged(engine, self.snapshot, &view, place, self.now)?;
        let record = recorded(engine, self.snapshot, &view, place)?;
        let record = record.map(|(_, record)| record);
        let membership = decision.enrolled.map(|own| UserMembership {
            is_in: own.is_in,
            bucket: own.bucket,
            basis_points: own.basis_points,
            recorded: own.recorded,
            decided_ms: record
                .as_ref()
                .filter(|_| own.recorded)
                .map(|own| own.decided_ms),
            started: record.as_ref().is_some_and(|own| own.started),
        });
        Ok(UserStanding {
            flow: flow.sid.clone(),
            channel: channel.map(ToOwned::to_owned),
            deployment: decision.deployment.map(|own| own.name.to_string()),
            conversation: conversation.map(ToOwned::to_owned),
            served: decision.served,
            version: decision.number,
            version_source: decision.version_source.name(),
            reason: decision.reason.name(),
            state: state_of(&decision),
            membership,
        })
    }
}

fn state_of(decision: &Decision<'_, '_>) -> &'static str {
    match decision.state.as_deref() {
        Some(state) if state.finished => "finished",
        Some(state) if state.stopped => "stopped",
        Some(state) if state.started => "started",
        _ => "not started",
    }
}
