//! How is one flag changed by hand?
//!
//! Every change is put together as a piece of a project file and goes through
//! the import, so that the same rules hold and every fault is named. Any of it
//! can be tried first, and made to depend on what was read.

use std::sync::Arc;

use super::{Flag, FlagError};
use crate::{
    clock::UnixMs,
    snapshot::sha256_hex,
    store::{
        Store, StoreError, Terms,
        deploying::refuse_hidden,
        engine::Write,
        export,
        import::{self, ChangeKind, Fault, ImportError, ImportReport, change},
        known_environment,
        project_file::{Budget, FORMAT, FORMAT_MEMBER, Node, parse},
        workspace::Workspace,
    },
};

/// Hexadecimal digits of a tag: nobody tries to find two texts with one tag.
const TAG_DIGITS: usize = 32;

/// How faults call what came with a request.
pub(super) const SOURCE: &str = "body";

/// A flag or segment as it stands in a project file, and what names this state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagText {
    /// YAML.
    pub text: String,
    /// Changes with the text.
    pub tag: String,
}

impl FlagText {
    pub(super) fn of(text: String) -> Self {
        let mut tag = sha256_hex(text.as_bytes());
        tag.truncate(TAG_DIGITS);
        Self { text, tag }
    }
}

impl Store {
    /// One flag as text.
    pub fn flag_text(&self, name: &str) -> Result<FlagText, StoreError> {
        let workspace = self.workspace();
        text_of(&workspace, known(&workspace, name)?)
    }

    /// Makes a flag of a text with its project, its name and whatever else a
    /// project file may say of it.
    pub fn create_flag(&self, text: &str) -> Result<(String, ImportReport), StoreError> {
        let (project, node, name) = named(text)?;
        let report = self.author_imported(|workspace| {
            known_project(workspace, &project)?;
            if let Some(flag) = workspace.flags.get(&name) {
                return Err(FlagError::Taken {
                    what: "flag",
                    name: name.clone(),
                    project: flag.project.clone(),
                    archived: flag.archived_ms.is_some(),
                }
                .into());
            }
            self.piece(workspace, &project, "flags", node)
        })?;
        Ok((name, report))
    }

    /// Says of a flag what a text does; what it leaves out stays.
    pub fn change_flag(
        &self,
        name: &str,
        change: &str,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        let Node::Table(members) = node(change)? else {
            return Err(not_a_table());
        };
        self.write_flag(name, terms, |_, _| Ok(members))
    }

    /// Switches a flag on or off in an environment.
    pub fn enable_flag(
        &self,
        name: &str,
        environment: &str,
        enabled: bool,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        self.write_flag(name, terms, |workspace, flag| {
            let known = known_environment(workspace, environment)?;
            if enabled {
                refuse_hidden(workspace, &flag.project, known)?;
            }
            Ok(settings(environment, [("enabled", Node::Bool(enabled))]))
        })
    }

    /// Gives a flag other strategies in an environment. `work` changes the list
    /// as it stands at that moment.
    fn change_strategies(
        &self,
        (name, environment): (&str, &str),
        terms: &Terms,
        work: impl FnOnce(&mut Vec<Node>) -> Result<(), StoreError>,
    ) -> Result<ImportReport, StoreError> {
        self.write_flag(name, terms, |workspace, flag| {
            known_environment(workspace, environment)?;
            let text = text_of(workspace, flag)?.text;
            let mut list = strategies_in(node(&text)?, environment);
            work(&mut list)?;
            Ok(settings(environment, [("strategies", Node::List(list))]))
        })
    }

    /// Replaces the strategies of an environment by a list.
    pub fn put_strategies(
        &self,
        place: (&str, &str),
        list: &str,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        // A list of nothing is a list as well, and no text of a project.
        let given = match list.trim() {
            "[]" => Vec::new(),
            text => parse(text, &Budget::default()).map_err(FlagError::Text)?,
        };
        self.change_strategies(place, terms, |list| {
            *list = given;
            Ok(())
        })
    }

    /// Adds a strategy behind the others.
    pub fn add_strategy(
        &self,
        place: (&str, &str),
        strategy: &str,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        let given = node(strategy)?;
        self.change_strategies(place, terms, |list| {
            list.push(given);
            Ok(())
        })
    }

    /// Takes a strategy out; they are counted from 1.
    pub fn remove_strategy(
        &self,
        place: (&str, &str),
        ordinal: usize,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        self.change_strategies(place, terms, |list| {
            let at = ordinal.checked_sub(1).filter(|at| *at < list.len());
            let Some(at) = at else {
                return Err(FlagError::UnknownStrategy {
                    flag: place.0.to_owned(),
                    environment: place.1.to_owned(),
                    found: ordinal,
                    expected: match list.len() {
                        0 => "none: there are no strategies".to_owned(),
                        count => format!("1 to {count}"),
                    },
                }
                .into());
            };
            list.remove(at);
            Ok(())
        })
    }

    /// Takes a flag from all edges; its name stays taken.
    pub fn archive_flag(&self, name: &str, terms: &Terms) -> Result<ImportReport, StoreError> {
        let now = spelled_time(self.ambient.now_ms())?;
        self.write_flag(name, terms, |workspace, flag| {
            if flag.archived_ms.is_some() {
                return Ok(Vec::new());
            }
            // As Unleash does: what is revived begins switched off.
            let environments = workspace.environments.iter();
            let on = environments.filter(|own| flag.enabled_in(&own.uid));
            let off = on.map(|own| (own.name.clone(), table([("enabled", Node::Bool(false))])));
            Ok(vec![
                ("archived".to_owned(), Node::Text(now)),
                ("environments".to_owned(), Node::Table(off.collect())),
            ])
        })
    }

    /// Takes a flag back from the archive; it is off everywhere.
    pub fn revive_flag(&self, name: &str, terms: &Terms) -> Result<ImportReport, StoreError> {
        self.write_flag(name, terms, |_, _| {
            Ok(vec![("archived".to_owned(), Node::Bool(false))])
        })
    }

    /// Forgets an archived flag.
    pub fn delete_flag(&self, name: &str, terms: &Terms) -> Result<ImportReport, StoreError> {
        self.author(|workspace| {
            let flag = known(workspace, name)?;
            unchanged(workspace, flag, terms)?;
            if flag.archived_ms.is_none() {
                return Err(FlagError::NotArchived(name.to_owned()).into());
            }
            let by: Vec<String> = workspace.dependents(name).map(Flag::called).collect();
            if !by.is_empty() {
                let flag = name.to_owned();
                return Err(FlagError::DependedOn { flag, by }.into());
            }
            let mut after = workspace.clone();
            after.flags.remove(name);
            let writes = vec![Write::DeleteFlag {
                name: name.to_owned(),
            }];
            let report = ImportReport {
                changes: vec![change(ChangeKind::FlagDeleted, name, None)],
                ..ImportReport::default()
            };
            Ok((after, writes, report))
        })
    }

    /// Imports a change of one flag, made from what it is at that moment.
    fn write_flag(
        &self,
        name: &str,
        terms: &Terms,
        members: impl FnOnce(&Workspace, &Flag) -> Result<Vec<(String, Node)>, StoreError>,
    ) -> Result<ImportReport, StoreError> {
        self.author_imported(|workspace| {
            let flag = Arc::clone(known(workspace, name)?);
            unchanged(workspace, &flag, terms)?;
            let mut members = members(workspace, &flag)?;
            // What is null counts as left out.
            members.retain(|(member, given)| member != "name" || *given != Node::Null);
            let own = Node::Text(name.to_owned());
            match members.iter().find(|(member, _)| member == "name") {
                None => members.push(("name".to_owned(), own)),
                Some((_, given)) if *given == own => {}
                Some((_, given)) => return Err(renamed(name, given.clone()).into()),
            }
            self.piece(workspace, &flag.project, "flags", Node::Table(members))
        })
    }

    /// Imports one flag or segment of a project.
    pub(super) fn piece(
        &self,
        workspace: &Workspace,
        project: &str,
        list: &'static str,
        node: Node,
    ) -> Result<import::Imported, StoreError> {
        let files = piece_of(project, list, node).by_hand();
        Ok(import::import(workspace, files, &self.ambient)?)
    }

    /// Imports what is said of the segment that has its number, which may be
    /// called otherwise from now on.
    pub(super) fn renaming_piece(
        &self,
        workspace: &Workspace,
        project: &str,
        segment: Node,
    ) -> Result<import::Imported, StoreError> {
        let files = piece_of(project, "segments", segment).renaming();
        Ok(import::import(workspace, files, &self.ambient)?)
    }

    pub(super) fn author_imported(
        &self,
        work: impl FnOnce(&Workspace) -> Result<import::Imported, StoreError>,
    ) -> Result<ImportReport, StoreError> {
        self.author(|workspace| {
            let imported = work(workspace)?;
            Ok((imported.workspace, imported.writes, imported.report))
        })
    }
}

/// One flag or segment as a project file.
fn piece_of(project: &str, list: &'static str, node: Node) -> import::Files {
    let file = table([
        (FORMAT_MEMBER, Node::Text(FORMAT.to_owned())),
        ("project", Node::Text(project.to_owned())),
        (list, Node::List(vec![node])),
    ]);
    import::file_of(SOURCE, file)
}

pub(in crate::store) fn known<'w>(
    workspace: &'w Workspace,
    name: &str,
) -> Result<&'w Arc<Flag>, FlagError> {
    let flag = workspace.flags.get(name);
    flag.ok_or_else(|| FlagError::Unknown(name.to_owned()))
}

pub(super) fn known_project(workspace: &Workspace, sid: &str) -> Result<(), FlagError> {
    if workspace.projects.contains_key(sid) {
        return Ok(());
    }
    let names: Vec<&str> = workspace.projects.keys().map(String::as_str).collect();
    Err(FlagError::UnknownProject {
        found: sid.to_owned(),
        expected: match names.is_empty() {
            true => "none: there are no projects".to_owned(),
            false => format!("one of {}", names.join(", ")),
        },
    })
}

fn text_of(workspace: &Workspace, flag: &Flag) -> Result<FlagText, StoreError> {
    export::flag_text(workspace, flag).map(FlagText::of)
}

/// Refuses what was made of another state than the one there is.
fn unchanged(workspace: &Workspace, flag: &Flag, terms: &Terms) -> Result<(), StoreError> {
    let Some(found) = &terms.tag else {
        return Ok(());
    };
    let expected = text_of(workspace, flag)?.tag;
    if *found == expected {
        return Ok(());
    }
    Err(FlagError::Changed {
        what: "flag",
        name: flag.name.clone(),
        found: found.clone(),
        expected,
    }
    .into())
}

/// The one table of a text.
pub(super) fn node(text: &str) -> Result<Node, StoreError> {
    let nodes = parse(text, &Budget::default()).map_err(FlagError::Text)?;
    match <[Node; 1]>::try_from(nodes) {
        Ok([node @ Node::Table(_)]) => Ok(node),
        _ => Err(not_a_table()),
    }
}

fn not_a_table() -> StoreError {
    FlagError::Text("expected one table of members".to_owned()).into()
}

/// A new thing's project, what is said of it, and its name.
pub(super) fn named(text: &str) -> Result<(String, Node, String), StoreError> {
    let Node::Table(mut members) = node(text)? else {
        return Err(not_a_table());
    };
    let at = members.iter().position(|(name, _)| name == "project");
    let project = at.map(|at| members.remove(at).1);
    let name = members.iter().find(|(name, _)| name == "name");
    let name = name.map(|(_, node)| node.clone());
    match (project, name) {
        (Some(Node::Text(project)), Some(Node::Text(name))) => {
            Ok((project, Node::Table(members), name))
        }
        _ => Err(FlagError::Text("expected project and name, both texts".to_owned()).into()),
    }
}

/// What is said of one environment.
fn settings(
    environment: &str,
    members: impl IntoIterator<Item = (&'static str, Node)>,
) -> Vec<(String, Node)> {
    let own = Node::Table(vec![(environment.to_owned(), table(members))]);
    vec![("environments".to_owned(), own)]
}

/// The strategies of an environment in a flag's text.
fn strategies_in(flag: Node, environment: &str) -> Vec<Node> {
    let member = |node: Node, wanted: &str| match node {
        Node::Table(members) => {
            let mut members = members.into_iter();
            let found = members.find(|(name, _)| name == wanted);
            found.map(|(_, node)| node)
        }
        _ => None,
    };
    let environments = member(flag, "environments");
    let own = environments.and_then(|own| member(own, environment));
    match own.and_then(|own| member(own, "strategies")) {
        Some(Node::List(list)) => list,
        _ => Vec::new(),
    }
}

fn spelled_time(ms: UnixMs) -> Result<String, StoreError> {
    let time = i64::try_from(ms).ok();
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.ok_or_else(|| FlagError::Text(format!("the time {ms} ms")))?;
    Ok(time.to_string())
}

fn table(members: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    let members = members.into_iter();
    Node::Table(
        members
            .map(|(name, node)| (name.to_owned(), node))
            .collect(),
    )
}

/// A flag keeps its name: applications ask for it.
fn renamed(name: &str, given: Node) -> ImportError {
    let fault = Fault {
        file: SOURCE.to_owned(),
        position: format!("flag {name:?}"),
        rule: format!(
            "name is {} (expected {name:?}, or none: make another flag, and archive this one)",
            given.into_value()
        ),
    };
    ImportError {
        faults: vec![fault],
        count: 1,
    }
}
