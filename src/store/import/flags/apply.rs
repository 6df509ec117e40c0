//! Do the flags and segments of the files fit the store?
//!
//! Both are matched by their names. What was not changed keeps its `Arc`, so
//! that nothing of it is written or published again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{Faults, NO_CLOCK},
    read::{FlagFile, SegmentFile, SegmentNamed, SettingsFile, StrategyFile},
    settle::settle,
};
use crate::{
    clock::UnixMs,
    store::{
        environment_names,
        flags::{Flag, FlagSettings, FlagStrategy, Segment, check},
        naming::Naming,
        workspace::Workspace,
    },
};

/// Flags and segments of an import that are not yet in the workspace.
#[derive(Default)]
pub(in crate::store::import) struct Flagging {
    /// File and project of each.
    segments: Vec<(String, String, SegmentFile)>,
    flags: Vec<(String, String, FlagFile)>,
}

/// File and position by name.
pub(super) type Places = BTreeMap<String, (String, String)>;

impl Flagging {
    /// Takes a segment for later.
    pub(in crate::store::import) fn segment(
        &mut self,
        file: &str,
        project: &str,
        given: SegmentFile,
    ) {
        let place = (file.to_owned(), project.to_owned());
        self.segments.push((place.0, place.1, given));
    }

    /// Takes a flag for later.
    pub(in crate::store::import) fn flag(&mut self, file: &str, project: &str, given: FlagFile) {
        let place = (file.to_owned(), project.to_owned());
        self.flags.push((place.0, place.1, given));
    }

    /// Puts everything into the workspace and looks at the whole.
    pub(in crate::store::import) fn finish(
        self,
        workspace: &mut Workspace,
        naming: Naming<'_>,
        now: UnixMs,
        faults: &mut Faults,
    ) {
        let mut segments = Places::new();
        // Those that have a number first: a new one must not take it.
        let (numbered, others): (Vec<_>, Vec<_>) = self
            .segments
            .into_iter()
            .partition(|(_, _, own)| own.id.is_some());
        let mut ids = BTreeSet::new();
        for (file, project, given) in numbered.into_iter().chain(others) {
            let position = format!("segment {:?}", given.name);
            if given.id.is_some_and(|id| !ids.insert(id)) {
                faults.add(&file, &position, "its id appears twice in this import");
            }
            let place = (file.clone(), position.clone());
            if segments.insert(given.name.clone(), place).is_some() {
                faults.add(&file, &position, "the segment appears twice in this import");
                continue;
            }
            put_segment(
                workspace,
                (&file, &position),
                &project,
                given,
                naming,
                faults,
            );
        }
        let mut flags = Places::new();
        for (file, project, given) in self.flags {
            let position = format!("flag {:?}", given.name);
            let place = (file.clone(), position.clone());
            if flags.insert(given.name.clone(), place).is_some() {
                faults.add(&file, &position, "the flag appears twice in this import");
                continue;
            }
            put_flag(workspace, (&file, &position), &project, given, now, faults);
        }
        if !flags.is_empty() || !segments.is_empty() {
            settle(workspace, &flags, &segments, faults);
        }
    }
}

fn put_segment(
    workspace: &mut Workspace,
    (file, position): (&str, &str),
    project: &str,
    given: SegmentFile,
    naming: Naming<'_>,
    faults: &mut Faults,
) {
    let by_id = given.id.and_then(|id| workspace.segments.get(&id));
    let by_name = workspace.segment(&given.name);
    // One that is called so was taken by an earlier release, and stays.
    if let (Some(rule), None) = (check::segment_name(&given.name), by_name) {
        faults.add(file, position, rule);
    }
    if let (Some(known), Some(id)) = (by_name, given.id)
        && known.id != id
    {
        let rule = format!("id is {id} (expected {}, or none)", known.id);
        return faults.add(file, position, rule);
    }
    if let (Some(other), None, false) = (by_id, by_name, given.is_rename) {
        let rule = format!(
            "id is {}, which segment {:?} of project {:?} has (expected another, or none)",
            other.id, other.name, other.project
        );
        return faults.add(file, position, rule);
    }
    let known = by_id.or(by_name);
    if let Some(known) = known.filter(|own| own.project != project) {
        let rule = format!("it belongs to project {:?}, not {project:?}", known.project);
        return faults.add(file, position, rule);
    }
    if known.is_none() && given.constraints.is_none() {
        return faults.add(file, position, "constraints are missing (expected a list)");
    }
    let id = known.map(|own| own.id).or(given.id);
    let id = id.unwrap_or_else(|| naming.segment_id(&given.name, &workspace.segments));
    let segment = Segment {
        id,
        name: given.name,
        description: given
            .description
            .or_else(|| known.map(|own| own.description.clone()))
            .unwrap_or_default(),
        project: project.to_owned(),
        constraints: given
            .constraints
            .or_else(|| known.map(|own| own.constraints.clone()))
            .unwrap_or_default(),
    };
    if known.is_none_or(|own| **own != segment) {
        workspace.segments.insert(id, Arc::new(segment));
    }
}

fn put_flag(
    workspace: &mut Workspace,
    (file, position): (&str, &str),
    project: &str,
    given: FlagFile,
    now: UnixMs,
    faults: &mut Faults,
) {
    let known = workspace.flags.get(&given.name);
    if let Some(known) = known.filter(|own| own.project != project) {
        let rule = format!("it belongs to project {:?}, not {project:?}", known.project);
        return faults.add(file, position, rule);
    }
    let created_ms = given.created_ms.unwrap_or(now);
    let fresh = || Flag::new(&given.name, project, created_ms);
    let mut flag = known.map_or_else(fresh, |own| (**own).clone());
    if given.created_ms.is_some_and(|own| own != flag.created_ms) {
        let rule = "created differs from when it was made (history cannot change)";
        faults.add(file, position, rule);
    }
    say(&mut flag, &given);
    for (environment, settings) in given.environments {
        let Some(environment) = workspace.environment(&environment) else {
            let rule = format!(
                "environment {environment:?} does not exist (expected one of {})",
                environment_names(workspace)
            );
            faults.add(file, position, rule);
            continue;
        };
        let place = format!("{position}, environment {}", environment.name);
        let uid = environment.uid.clone();
        configure(
            workspace,
            &mut flag,
            (file, &place),
            (&uid, settings),
            now,
            faults,
        );
    }
    if flag.archived_ms.is_some() && flag.environments.values().any(|own| own.enabled) {
        let rule = "it is archived and on somewhere (expected enabled: false, or archived: false; \
                    flowgate flag revive takes it back)";
        faults.add(file, position, rule);
    }
    if known.is_none_or(|own| **own != flag) {
        workspace.flags.insert(flag.name.clone(), Arc::new(flag));
    }
}

/// What is said of a flag in all environments.
fn say(flag: &mut Flag, given: &FlagFile) {
    if let Some(kind) = given.kind {
        flag.kind = kind;
    }
    if let Some(description) = &given.description {
        flag.description.clone_from(description);
    }
    if let Some(stale) = given.stale {
        flag.stale = stale;
    }
    if let Some(impression_data) = given.impression_data {
        flag.impression_data = impression_data;
    }
    if let Some(variants) = &given.variants {
        flag.variants.clone_from(variants);
    }
    if let Some(dependencies) = &given.dependencies {
        flag.dependencies.clone_from(dependencies);
    }
    if let Some(completed) = given.completed {
        flag.completed = completed;
    }
    if let Some(archived) = given.archived_ms {
        flag.archived_ms = archived;
    }
}

fn configure(
    workspace: &Workspace,
    flag: &mut Flag,
    (file, place): (&str, &str),
    (environment_uid, given): (&str, SettingsFile),
    now: UnixMs,
    faults: &mut Faults,
) {
    let strategies = given.strategies.map(|list| {
        let list = (1..).zip(list);
        let resolved = list.map(|(ordinal, own)| {
            let place = format!("{place}, strategy {ordinal}");
            resolved(workspace, file, &place, own, faults)
        });
        resolved.collect::<Vec<_>>()
    });
    let settings = flag.environments.entry(environment_uid.to_owned());
    let settings = settings.or_default();
    let emptied = settings.enabled && strategies.as_ref().is_some_and(Vec::is_empty);
    let enabled = match given.enabled {
        None if emptied => {
            let text = "it was on and has no strategies any more: so it is switched off";
            faults.notice(file, place, text);
            false
        }
        // What a file says that switched it on says the same once more.
        Some(true) if emptied && settings.strategies == [FlagStrategy::everybody(&flag.name)] => {
            true
        }
        Some(true) if emptied => {
            let rule = "it is on and would lose all strategies (expected at least one, or \
                        enabled: false)";
            return faults.add(file, place, rule);
        }
        enabled => enabled.unwrap_or(settings.enabled),
    };
    if let Some(strategies) = strategies.filter(|_| !(emptied && enabled)) {
        settings.strategies = strategies;
    }
    if let Some(variants) = given.variants {
        settings.variants = variants;
    }
    if let Some(first_ms) = given.first_enabled_ms {
        match history(settings.enabled_ms, first_ms, given.is_by_hand, now) {
            Some(rule) => faults.add(file, place, rule),
            None => settings.enabled_ms = Some(first_ms),
        }
    }
    flag.enable(environment_uid, enabled, now);
    if flag.environments.get(environment_uid) == Some(&FlagSettings::default()) {
        flag.environments.remove(environment_uid);
    }
    let all_disabled = flag
        .environments
        .get(environment_uid)
        .is_some_and(|own| own.enabled && own.strategies.iter().all(|strategy| strategy.disabled));
    if all_disabled {
        let text = "it is on, and every strategy is disabled: so it is on for nobody";
        faults.notice(file, place, text);
    }
}

/// What is wrong with what is said of when a flag was first switched on. It
/// cannot be mended later, so what cannot be true is not taken.
fn history(known: Option<UnixMs>, given: UnixMs, is_by_hand: bool, now: UnixMs) -> Option<String> {
    match known {
        Some(known) if known == given => None,
        Some(_) => Some(
            "firstEnabled differs from when it was (expected the same or none: history cannot \
             change)"
                .to_owned(),
        ),
        None if is_by_hand => Some(
            "firstEnabled of a flag that never was on is told by project files only (expected \
             none: switching it on says it)"
                .to_owned(),
        ),
        None if given > now && now != NO_CLOCK => {
            let time = i64::try_from(given).ok();
            let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            let found = time.map_or_else(|| format!("{given} ms"), |own| own.to_string());
            Some(format!(
                "firstEnabled is {found} (expected no later than now)"
            ))
        }
        None => None,
    }
}

/// A strategy with the numbers of its segments.
fn resolved(
    workspace: &Workspace,
    file: &str,
    place: &str,
    given: StrategyFile,
    faults: &mut Faults,
) -> FlagStrategy {
    let mut strategy = given.strategy;
    for named in given.segments {
        let (found, name) = match &named {
            SegmentNamed::Name(name) => (workspace.segment(name), format!("{name:?}")),
            SegmentNamed::Id(id) => (workspace.segments.get(id), id.to_string()),
        };
        match found {
            Some(segment) if strategy.segments.contains(&segment.id) => {
                faults.add(file, place, format!("segment {name} appears twice"));
            }
            Some(segment) => strategy.segments.push(segment.id),
            None => {
                let names = workspace.segments.values().map(|own| own.name.as_str());
                let names: Vec<&str> = names.collect();
                let expected = match names.is_empty() {
                    true => "one that segments: describes".to_owned(),
                    false => format!("one of {}", names.join(", ")),
                };
                let rule = format!("segment {name} does not exist (expected {expected})");
                faults.add(file, place, rule);
            }
        }
    }
    strategy
}
