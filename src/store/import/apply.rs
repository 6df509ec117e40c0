//! Does what a file says fit what the store has?
//!
//! Works on a copy of the workspace. Flows are matched by sid. A committed
//! version keeps its structure and its history; its content may change. A new
//! number must be the next one. The draft is replaced. What needs a look at
//! all files, deployments and rings of triggers, comes last.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Faults,
    deploy::Deploy,
    flags::Flagging,
    read::{ActiveIn, FlowFile, ProjectFile},
    resolve,
    rings::rings,
    structure::{difference, lines},
    version::VersionFile,
};
use crate::{
    clock::UnixMs,
    limits,
    snapshot::{
        check_part,
        compile::{compile_version, warnings},
        wire::VersionPart,
    },
    store::{
        called::name_fault,
        environment_names,
        naming::Naming,
        projects::uids,
        workspace::{AuthoredVersion, Flow, Project, WebhookSettings, Workspace},
    },
};

/// The copy being worked on.
pub(super) struct Apply<'a> {
    before: &'a Workspace,
    workspace: Workspace,
    naming: Naming<'a>,
    now: UnixMs,
    /// Block uid to the sid of the flow that has it; uids are unique over all
    /// flows, because a step names nothing but the block.
    block_flows: HashMap<String, String>,
    /// Flows of this import, to find one that comes twice.
    seen: BTreeSet<String>,
    /// Versions that are new or differ: file and position of each.
    versions: BTreeMap<(String, u32), (String, String)>,
    deploy: Deploy,
    flagging: Flagging,
}

impl<'a> Apply<'a> {
    /// Starts from what the store has.
    pub(super) fn new(workspace: &'a Workspace, naming: Naming<'a>, now: UnixMs) -> Self {
        let mut block_flows = HashMap::new();
        for flow in workspace.flows.values() {
            for block in flow.versions.values().flat_map(|v| &v.part.blocks) {
                block_flows.insert(block.uid.clone(), flow.sid.clone());
            }
        }
        Self {
            before: workspace,
            workspace: workspace.clone(),
            naming,
            now,
            block_flows,
            seen: BTreeSet::new(),
            versions: BTreeMap::new(),
            deploy: Deploy::default(),
            flagging: Flagging::default(),
        }
    }

    /// The copy with everything of the files, after a look at the whole.
    pub(super) fn finish(mut self, faults: &mut Faults) -> Workspace {
        std::mem::take(&mut self.deploy).finish(
            self.before,
            &mut self.workspace,
            self.naming,
            faults,
        );
        let flagging = std::mem::take(&mut self.flagging);
        flagging.finish(&mut self.workspace, self.naming, self.now, faults);
        for (places, ring) in rings(&self.workspace) {
            let touched = places.iter().find_map(|place| self.versions.get(place));
            if let Some((file, position)) = touched {
                let rule = format!(
                    "its flow triggers come back without a shown block between (expected one in \
                     every ring): {ring}"
                );
                faults.add(file, position, rule);
            }
        }
        if faults.count > 0 {
            return self.workspace;
        }
        for ((sid, number), (file, position)) in &self.versions {
            let flow = self.workspace.flows.get(sid);
            let version = flow.and_then(|flow| flow.versions.get(number));
            for (place, text) in version.iter().flat_map(|own| self.notices(&own.part)) {
                faults.notice(file, &format!("{position}, {place}"), text);
            }
        }
        self.workspace
    }

    /// What the author of a version may not have meant.
    fn notices(&self, part: &VersionPart) -> Vec<(String, String)> {
        let triggers = part.blocks.iter().filter_map(|block| {
            let trigger = block.trigger.as_ref()?;
            let place = format!("block {:?}", block.sid);
            let Some(flow) = self.workspace.flows.get(&trigger.flow_sid) else {
                let text = format!(
                    "triggers flow {:?}, which does not exist (until it does, nothing happens)",
                    trigger.flow_sid
                );
                return Some((place, text));
            };
            let number = trigger.version.unwrap_or_else(|| flow.latest());
            let text = format!(
                "triggers version {} of flow {:?}, which is not committed (until it is, nothing \
                 happens)",
                trigger
                    .version
                    .map_or("latest".to_owned(), |n| n.to_string()),
                flow.sid
            );
            (number == 0 || !flow.versions.contains_key(&number)).then_some((place, text))
        });
        let gates = warnings(part).into_iter();
        gates
            .map(|warning| (warning.place, warning.rule))
            .chain(triggers)
            .collect()
    }

    /// Applies one project.
    pub(super) fn project(&mut self, file: &str, given: ProjectFile, faults: &mut Faults) {
        let known = self.workspace.projects.get(&given.sid);
        let so_far = known.map(|project| project.name.as_str());
        let fault = given.name.as_ref();
        let fault = fault.and_then(|name| name_fault("name", name, so_far));
        if let Some(rule) = fault {
            faults.add(file, "", rule);
        }
        let name = given
            .name
            .or_else(|| known.map(|project| project.name.clone()))
            .unwrap_or_else(|| given.sid.clone());
        let mut environments = known.and_then(|project| project.environments.clone());
        match given.environments {
            None => {}
            Some(ActiveIn::All) => environments = None,
            Some(ActiveIn::Listed(names)) => match uids(&self.workspace, &names) {
                Ok(uids) => environments = Some(uids),
                Err(rule) => faults.add(file, "", rule),
            },
        }
        let project = Project {
            sid: given.sid.clone(),
            name,
            environments,
        };
        self.workspace.projects.insert(given.sid.clone(), project);
        for channel in given.channels {
            self.deploy
                .channel(&mut self.workspace, file, channel, faults);
        }
        for segment in given.segments {
            self.flagging.segment(file, &given.sid, segment);
        }
        for flag in given.flags {
            self.flagging.flag(file, &given.sid, flag);
        }
        for flow in given.flows {
            self.flow(file, &given.sid, flow, faults);
        }
    }

    fn flow(&mut self, file: &str, project: &str, given: FlowFile, faults: &mut Faults) {
        let position = format!("flow {:?}", given.sid);
        if !self.seen.insert(given.sid.clone()) {
            faults.add(file, &position, "the flow appears twice in this import");
            return;
        }
        let Some(mut flow) = self.matched(file, project, &given, faults) else {
            return;
        };
        if let Some(name) = given.name {
            if let Some(rule) = name_fault("name", &name, Some(&flow.name)) {
                faults.add(file, &position, rule);
            }
            flow.name = name;
        }
        if let Some(refuse) = given.refuse_public_force {
            flow.refuse_public_force = refuse;
        }
        if let Some(only) = given.deployments_only {
            flow.deployments_only = only;
        }
        for (environment, enabled) in given.status {
            match self.workspace.environment(&environment) {
                Some(environment) => {
                    flow.status.insert(environment.uid.clone(), enabled);
                }
                None => faults.add(
                    file,
                    &position,
                    format!(
                        "status names environment {environment:?}, which does not exist (expected \
                         one of {})",
                        environment_names(&self.workspace)
                    ),
                ),
            }
        }
        for version in given.versions {
            self.version(file, &mut flow, version, faults);
        }
        for (environment, version) in given.contents {
            self.content(file, &mut flow, &environment, version, faults);
        }
        for deployment in given.deployments {
            self.deploy.deployment(file, &flow.sid, deployment);
        }
        self.workspace.flows.insert(given.sid, flow);
    }

    /// The flow a file speaks of: the one with its sid, or a new one.
    fn matched(
        &self,
        file: &str,
        project: &str,
        given: &FlowFile,
        faults: &mut Faults,
    ) -> Option<Flow> {
        let position = format!("flow {:?}", given.sid);
        if let Some(known) = self.workspace.flows.get(&given.sid) {
            if known.project != project {
                let rule = format!("it belongs to project {:?}, not {project:?}", known.project);
                faults.add(file, &position, rule);
                return None;
            }
            if given.uid.as_ref().is_some_and(|uid| *uid != known.uid) {
                let rule = format!(
                    "uid is {:?} (expected {:?}, or none)",
                    given.uid.as_deref().unwrap_or_default(),
                    known.uid
                );
                faults.add(file, &position, rule);
                return None;
            }
            return Some(known.clone());
        }
        if let Some(uid) = &given.uid
            && let Some(other) = self.workspace.flow_by_uid(uid)
        {
            let rule = format!("uid {uid:?} belongs to flow {:?}", other.sid);
            faults.add(file, &position, rule);
            return None;
        }
        Some(Flow {
            uid: given
                .uid
                .clone()
                .unwrap_or_else(|| self.naming.uid("flow", &[&given.sid])),
            sid: given.sid.clone(),
            name: given.sid.clone(),
            project: project.to_owned(),
            refuse_public_force: false,
            deployments_only: false,
            status: BTreeMap::new(),
            versions: BTreeMap::new(),
            content: BTreeMap::new(),
        })
    }

    fn version(&mut self, file: &str, flow: &mut Flow, given: VersionFile, faults: &mut Faults) {
        let position = given.position(&flow.sid);
        let number = given.number;
        let history = History {
            message: given.message.clone(),
            author: given.author.clone(),
            created_ms: given.created_ms,
        };
        let (part, webhooks) = resolve::version(file, flow, given, self.naming, faults);
        self.check(file, &position, flow, &part, faults);
        let known = flow.versions.get(&number).cloned();
        let so_far = known.as_ref().map(|known| known.author.as_str());
        let author = history.author.as_ref();
        if let Some(rule) = author.and_then(|own| name_fault("author", own, so_far)) {
            faults.add(file, &position, rule);
        }
        match &known {
            Some(known) if number > 0 => {
                history.refuse_other(file, &position, known, faults);
                refuse_structure(file, &position, &known.part, &part, faults);
            }
            None if number > 0 && number != flow.latest() + 1 => {
                let expected = flow.latest() + 1;
                let rule =
                    format!("version {number} would be new (expected {expected} as the next one)");
                faults.add(file, &position, rule);
            }
            _ => {}
        }
        // Also with faults, of which nothing comes: the next version would be
        // told off for following on nothing.
        for block in &part.blocks {
            self.block_flows.insert(block.uid.clone(), flow.sid.clone());
        }
        let version = match known {
            Some(known) if known.part == part && known.webhooks == webhooks => known,
            Some(known) => Arc::new(with_content(&known, part, webhooks)),
            None => Arc::new(AuthoredVersion {
                part,
                message: history.message.unwrap_or_default(),
                author: history.author.unwrap_or_default(),
                created_ms: history.created_ms.unwrap_or(self.now),
                webhooks,
            }),
        };
        if flow.versions.get(&number) != Some(&version) {
            let place = (flow.sid.clone(), number);
            self.versions.insert(place, (file.to_owned(), position));
        }
        flow.versions.insert(number, version);
    }

    /// What an environment has of its own for a version that is committed.
    fn content(
        &mut self,
        file: &str,
        flow: &mut Flow,
        environment: &str,
        given: VersionFile,
        faults: &mut Faults,
    ) {
        let position = format!("{}, content in {environment}", given.position(&flow.sid));
        let (number, place) = (given.number, self.workspace.environment(environment));
        let known = flow.versions.get(&number).cloned();
        let (Some(place), Some(known)) = (place, known) else {
            let rule = format!(
                "there is no such version or environment (expected a version of this flow, and one \
                 of {})",
                environment_names(&self.workspace)
            );
            faults.add(file, &position, rule);
            return;
        };
        let place = (number, place.uid.clone());
        let (part, webhooks) = resolve::version(file, flow, given, self.naming, faults);
        self.check(file, &position, flow, &part, faults);
        refuse_structure(file, &position, &known.part, &part, faults);
        let content = with_content(&known, part, webhooks);
        if content != *known && flow.content.get(&place).map(|own| &**own) != Some(&content) {
            flow.content.insert(place, Arc::new(content));
        }
    }

    /// Whether the version could be published: it compiles, fits into a part
    /// and takes no other flow's uids.
    fn check(
        &self,
        file: &str,
        position: &str,
        flow: &Flow,
        part: &VersionPart,
        faults: &mut Faults,
    ) {
        for block in &part.blocks {
            if let Some(other) = self.block_flows.get(&block.uid)
                && *other != flow.sid
            {
                let place = format!("{position}, block {:?}", block.sid);
                faults.add(
                    file,
                    &place,
                    format!("uid {:?} belongs to a block of flow {other:?}", block.uid),
                );
            }
        }
        if let Err(found) = compile_version(part) {
            for fault in found {
                let place = format!("{position}, {}", fault.place);
                faults.add(file, &place, fault.rule);
            }
        }
        if let Err(why) = readable(part) {
            faults.add(file, position, why);
        }
    }
}

/// Whether an edge could read the version as a part.
fn readable(part: &VersionPart) -> Result<(), String> {
    let json = serde_json::to_vec(part).map_err(|error| error.to_string())?;
    if json.len() > limits::PART_BYTES_MAX {
        return Err(format!(
            "the version takes {} bytes (expected at most {})",
            json.len(),
            limits::PART_BYTES_MAX
        ));
    }
    // Nesting above all: files may be nested more deeply than parts.
    check_part(&json).map_err(|error| format!("no edge could read the version: {error}"))
}

/// What a file says of how a version came to be; all of it may be left out.
struct History {
    message: Option<String>,
    author: Option<String>,
    created_ms: Option<UnixMs>,
}

impl History {
    fn refuse_other(
        &self,
        file: &str,
        position: &str,
        known: &AuthoredVersion,
        faults: &mut Faults,
    ) {
        let same = [
            (
                "message",
                self.message
                    .as_ref()
                    .is_none_or(|own| *own == known.message),
            ),
            (
                "author",
                self.author.as_ref().is_none_or(|own| *own == known.author),
            ),
            (
                "created",
                self.created_ms.is_none_or(|own| own == known.created_ms),
            ),
        ];
        for (member, _) in same.into_iter().filter(|(_, same)| !same) {
            let rule = format!("{member} differs from what was committed (history cannot change)");
            faults.add(file, position, rule);
        }
    }
}

/// A known version with the content of a file. Of a committed one the strategy
/// stays as it was written: none and the default one are the same structure.
fn with_content(
    known: &AuthoredVersion,
    part: VersionPart,
    webhooks: BTreeMap<String, WebhookSettings>,
) -> AuthoredVersion {
    let migration = if part.number > 0 {
        known.part.migration
    } else {
        part.migration
    };
    AuthoredVersion {
        part: VersionPart { migration, ..part },
        webhooks,
        ..known.clone()
    }
}

fn refuse_structure(
    file: &str,
    position: &str,
    stored: &VersionPart,
    given: &VersionPart,
    faults: &mut Faults,
) {
    let (stored, given) = (lines(stored), lines(given));
    if stored != given {
        let rule = format!(
            "its structure was committed and cannot change (commit a new version); - is stored, \
             + is in the file:\n{}",
            difference(&stored, &given)
        );
        faults.add(file, position, rule);
    }
}
