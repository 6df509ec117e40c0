//! Which projects, flags and segments does an export have?
//!
//! Where strategies stand in a list of their own, they name the flag and the
//! environment; where they stand with the flag, the document is of one
//! environment.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::Faults,
    Places,
    convert::{constraints, dependencies, feature, items, strategy, variants},
    node,
};
use crate::store::{
    flags::FlagStrategy,
    project_file::{FORMAT, FORMAT_MEMBER, Node},
};

/// The project of what names none.
const PROJECT: &str = "default";

/// What we have no place for, and what it is.
const NOT_KEPT: [(&str, &str); 8] = [
    (
        "contextFields",
        "context fields (any field may be asked for)",
    ),
    ("featureTags", "tags of flags"),
    ("tagTypes", "types of tags"),
    ("tags", "tags"),
    ("strategies", "definitions of strategies"),
    (
        "environments",
        "environments (they are made with flowgate env)",
    ),
    ("links", "links of flags"),
    ("users", "users"),
];

/// Everything, as project files.
pub(super) fn projects(document: &Value, places: &Places<'_>, faults: &mut Faults) -> Vec<Node> {
    for (member, what) in NOT_KEPT {
        let count = items(document, member).len();
        if count > 0 {
            faults.notice(places.file, "", format!("{count} {what} are not kept"));
        }
    }
    let named = segment_names(document);
    let users = segment_users(document, &named);
    let mut by_project: BTreeMap<String, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for own in items(document, "segments") {
        let Some(segment) = segment(own, &named, places, faults) else {
            continue;
        };
        let name = segment["name"].as_str().unwrap_or_default();
        let known = || places.workspace.segment(name).map(|own| &*own.project);
        let project = own["project"].as_str().or_else(known);
        let project = project.or_else(|| users.get(name).copied());
        let project = project.unwrap_or(PROJECT).to_owned();
        by_project.entry(project).or_default().1.push(segment);
    }
    let is_split =
        document["featureStrategies"].is_array() || document["featureEnvironments"].is_array();
    let settings = match is_split {
        true => split(document, &named, places, faults),
        false => inline(document, &named, places, faults),
    };
    for own in items(document, "features") {
        let name = own["name"].as_str().unwrap_or_default();
        if own["archived"] == true {
            let text = "it is archived there, and not kept";
            faults.notice(places.file, &format!("flag {name:?}"), text);
            continue;
        }
        let flag = flag(own, document, settings.get(name));
        let project = own["project"].as_str().unwrap_or(PROJECT).to_owned();
        by_project.entry(project).or_default().0.push(flag);
    }
    let titles = items(document, "projects");
    let files = by_project.into_iter().map(|(sid, (flags, segments))| {
        let title = titles.iter().find(|own| own["id"] == sid.as_str());
        let mut file = json!({FORMAT_MEMBER: FORMAT, "project": sid, "flags": flags});
        if let Some(name) = title.and_then(|own| own["name"].as_str()) {
            file["name"] = json!(name);
        }
        file["segments"] = segments.into();
        node(&file)
    });
    files.collect()
}

/// By their numbers there; one without a name is called after its number.
fn segment_names(document: &Value) -> BTreeMap<i64, String> {
    let segments = items(document, "segments").iter();
    let named = segments.filter_map(|own| {
        let id = own["id"].as_i64()?;
        let name = own["name"].as_str();
        Some((
            id,
            name.map_or_else(|| format!("segment-{id}"), ToOwned::to_owned),
        ))
    });
    named.collect()
}

/// The project of the first flag that refers to a segment, by the segment's
/// name. Documents for clients do not say whose a segment is.
fn segment_users<'d>(
    document: &'d Value,
    named: &BTreeMap<i64, String>,
) -> BTreeMap<String, &'d str> {
    let features = items(document, "features").iter();
    let kept = features.filter(|own| own["archived"] != true);
    let kept: Vec<(&Value, &str)> = kept
        .map(|own| (own, own["project"].as_str().unwrap_or(PROJECT)))
        .collect();
    let by_name: BTreeMap<&str, &str> = kept
        .iter()
        .filter_map(|(own, project)| Some((own["name"].as_str()?, *project)))
        .collect();
    let inline = kept
        .iter()
        .flat_map(|(own, project)| items(own, "strategies").iter().map(|own| (own, *project)));
    let apart = items(document, "featureStrategies").iter();
    let apart = apart.filter_map(|own| {
        let flag = own["featureName"].as_str()?;
        Some((own, *by_name.get(flag)?))
    });
    let mut users = BTreeMap::new();
    for (strategy, project) in inline.chain(apart) {
        for segment in segments(document, strategy, named) {
            let name = segment.as_str().unwrap_or_default().to_owned();
            users.entry(name).or_insert(project);
        }
    }
    users
}

/// A segment, or none when only its name is told and ours has that name.
fn segment(
    own: &Value,
    named: &BTreeMap<i64, String>,
    places: &Places<'_>,
    faults: &mut Faults,
) -> Option<Value> {
    let id = own["id"].as_i64().unwrap_or_default();
    let name = named.get(&id)?;
    let Some(list) = own["constraints"].as_array() else {
        if places.workspace.segment(name).is_none() {
            let rule = "the export says nothing but its name (make it first: flowgate segment \
                        create)";
            faults.add(places.file, &format!("segment {name:?}"), rule);
        }
        return None;
    };
    let mut segment = json!({"name": name, "constraints": constraints(list)});
    if let Some(description) = own["description"].as_str().filter(|own| !own.is_empty()) {
        segment["description"] = json!(description);
    }
    Some(segment)
}

/// Flag name to environment name to what is said there.
type Settings = BTreeMap<String, Map<String, Value>>;

/// Of lists of strategies and environments.
fn split(
    document: &Value,
    named: &BTreeMap<i64, String>,
    places: &Places<'_>,
    faults: &mut Faults,
) -> Settings {
    let mut settings = Settings::new();
    let environments = items(document, "featureEnvironments");
    // The export of one environment names it with the flags only.
    let only = environments
        .first()
        .and_then(|own| own["environment"].as_str());
    let mut ours = |own: &Value| {
        let theirs = own["environment"].as_str().or(only);
        match (&places.terms.environment, theirs) {
            (None, Some(theirs)) => places.of(theirs, faults),
            (Some(_), _) | (None, None) => places.only(document, faults),
        }
    };
    for own in environments {
        let at = said(&mut settings, own, ours(own));
        at["enabled"] = json!(own["enabled"] == true);
        at["variants"] = variants(items(own, "variants"));
    }
    let mut strategies: Vec<&Value> = items(document, "featureStrategies").iter().collect();
    strategies.sort_by_key(|own| own["sortOrder"].as_i64().unwrap_or_default());
    for own in strategies {
        let at = said(&mut settings, own, ours(own));
        if let Some(list) = at["strategies"].as_array_mut() {
            list.push(strategy(own, segments(document, own, named)));
        }
    }
    for (flag, environments) in &mut settings {
        for own in environments.values_mut() {
            admit_everybody(flag, own);
        }
    }
    settings
}

/// To clients a flag that is on and names nobody is on for everybody; here a
/// strategy says so.
fn admit_everybody(flag: &str, settings: &mut Value) {
    if settings["enabled"] == true
        && let Some(list) = settings["strategies"].as_array_mut()
        && list.is_empty()
    {
        list.extend(serde_json::to_value(FlagStrategy::everybody(flag)));
    }
}

/// What is said of the flag that something belongs to, in an environment: its
/// list of strategies is whole, so that none of ours is left standing.
fn said<'s>(settings: &'s mut Settings, own: &Value, environment: String) -> &'s mut Value {
    let flag = own["featureName"].as_str().unwrap_or_default().to_owned();
    let environments = settings.entry(flag).or_default();
    environments
        .entry(environment)
        .or_insert_with(|| json!({"enabled": false, "strategies": []}))
}

/// Of flags that carry their strategies.
fn inline(
    document: &Value,
    named: &BTreeMap<i64, String>,
    places: &Places<'_>,
    faults: &mut Faults,
) -> Settings {
    let ours = places.only(document, faults);
    let flags = items(document, "features").iter().map(|own| {
        let name = own["name"].as_str().unwrap_or_default().to_owned();
        let strategies = items(own, "strategies").iter();
        let strategies = strategies.map(|own| strategy(own, segments(document, own, named)));
        let strategies: Vec<Value> = strategies.collect();
        let enabled = own["enabled"] == true;
        let mut settings = json!({"enabled": enabled, "strategies": strategies});
        admit_everybody(&name, &mut settings);
        (name, Map::from_iter([(ours.clone(), settings)]))
    });
    flags.collect()
}

/// What a strategy's segments are called: its own list, or the one beside.
fn segments(document: &Value, own: &Value, named: &BTreeMap<i64, String>) -> Vec<Value> {
    let beside = items(document, "featureStrategySegments").iter();
    let beside = beside.filter(|link| {
        let id = &link["featureStrategyId"];
        !id.is_null() && *id == own["id"]
    });
    let ids = items(own, "segments")
        .iter()
        .chain(beside.map(|link| &link["segmentId"]));
    let names = ids.map(|id| match id.as_i64().and_then(|id| named.get(&id)) {
        Some(name) => json!(name),
        // It is not there: the import says so.
        None => id.clone(),
    });
    let mut once: Vec<Value> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

fn flag(own: &Value, document: &Value, settings: Option<&Map<String, Value>>) -> Value {
    let mut flag = feature(own);
    let name = &own["name"];
    let apart = items(document, "dependencies").iter();
    let apart = apart.filter(|entry| entry["feature"] == *name);
    let apart = apart.flat_map(|entry| items(entry, "dependencies"));
    let parents: Vec<Value> = items(own, "dependencies")
        .iter()
        .chain(apart)
        .cloned()
        .collect();
    if !parents.is_empty() {
        flag.insert("dependencies".to_owned(), dependencies(&parents));
    }
    if let Some(settings) = settings {
        flag.insert("environments".to_owned(), settings.clone().into());
    }
    Value::Object(flag)
}
