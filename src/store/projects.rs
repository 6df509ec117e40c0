//! Which projects are there, and where are they active?
//!
//! A project is active in all environments, those of the future included, or in
//! the ones that were chosen, at least one. Where it is not active nothing of it
//! is published: keys of that environment see no flow of it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Page, PageAsk, Store, StoreError,
    called::{expected_name, is_name_for_people},
    engine::Write,
    environment_names,
    import::is_name,
    known_environment,
    paging::PROJECTS,
    workspace::{Project, Workspace},
};
use crate::limits;

/// A change; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectChange {
    /// For people.
    pub name: Option<String>,
    /// Names of the environments it is active in; the inner none for all there
    /// are and will be.
    pub environments: Option<Option<Vec<String>>>,
}

/// A project in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectListing {
    /// As in files and keys.
    pub sid: String,
    /// For people.
    pub name: String,
    /// Whether it is active in every environment, those of the future included.
    pub everywhere: bool,
    /// Names of the environments it is active in.
    pub environments: Vec<String>,
    /// Sids of its flows.
    pub flows: Vec<String>,
}

/// Why a project stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// No project has this sid.
    #[error("project {found:?} does not exist (expected one of {expected})")]
    Unknown {
        /// As asked.
        found: String,
        /// Sids there are.
        expected: String,
    },
    /// Sids stand in files, keys and urls.
    #[error(
        "{0:?} is no sid of a project (expected 1 to {max} of the characters A-Z a-z 0-9 _ -)",
        max = limits::SID_BYTES_MAX
    )]
    Sid(String),
    /// Names are for people and stand in listings.
    #[error("the name {0:?} does not fit (expected {expected})", expected = expected_name())]
    Name(String),
    /// Another project has it.
    #[error("project {0:?} exists already")]
    Taken(String),
    /// It would be nowhere.
    #[error("project {0:?} would be active nowhere (expected at least one environment)")]
    Nowhere(String),
    /// Something is in it.
    #[error("project {sid:?} is not empty: {}", .by.join("; "))]
    InUse {
        /// Which project.
        sid: String,
        /// What is in it, and how that goes.
        by: Vec<String>,
    },
}

impl Store {
    /// A page of all projects, by sid.
    pub fn projects(&self, ask: &PageAsk) -> Result<Page<ProjectListing>, StoreError> {
        let workspace = self.workspace();
        let projects = workspace.projects.values();
        let page = PROJECTS.page(ask, projects, |own| own.sid.clone())?;
        Ok(page.map(|own| listing(&workspace, own)))
    }

    /// One of them.
    pub fn project(&self, sid: &str) -> Result<ProjectListing, StoreError> {
        let workspace = self.workspace();
        Ok(listing(&workspace, known(&workspace, sid)?))
    }

    /// Makes a project without flows.
    pub fn create_project(
        &self,
        sid: &str,
        change: &ProjectChange,
    ) -> Result<ProjectListing, StoreError> {
        self.author(|workspace| {
            if !is_name(sid) {
                return Err(ProjectError::Sid(sid.to_owned()).into());
            }
            if workspace.projects.contains_key(sid) {
                return Err(ProjectError::Taken(sid.to_owned()).into());
            }
            let plain = Project {
                sid: sid.to_owned(),
                name: sid.to_owned(),
                environments: None,
            };
            let project = changed(workspace, &plain, change)?;
            Ok(put(workspace, project))
        })
    }

    /// Changes a project.
    pub fn set_project(
        &self,
        sid: &str,
        change: &ProjectChange,
    ) -> Result<ProjectListing, StoreError> {
        self.author(|workspace| {
            let before = known(workspace, sid)?;
            let project = changed(workspace, before, change)?;
            if project == *before {
                return Ok((workspace.clone(), Vec::new(), listing(workspace, before)));
            }
            Ok(put(workspace, project))
        })
    }

    /// Forgets a project that has nothing.
    pub fn delete_project(&self, sid: &str) -> Result<(), StoreError> {
        let now = self.ambient.now_ms();
        self.author(|workspace| {
            known(workspace, sid)?;
            let flows = workspace.flows.values().filter(|own| own.project == sid);
            let flows = flows.map(|own| format!("it has flow {:?} (delete that first)", own.sid));
            let keys = workspace.keys.iter().filter(|key| key.is_valid(now));
            let keys = keys.filter(|key| key.projects.iter().any(|own| own == sid));
            let keys = keys.map(|key| {
                let kind = key.kind.name();
                format!(
                    "{kind} key {:?} is bound to it (revoke that first)",
                    key.name
                )
            });
            let flags = workspace.flags.values().filter(|own| own.project == sid);
            let flags = flags.map(|own| format!("it has flag {:?} (delete that first)", own.name));
            let segments = workspace.segments.values();
            let segments = segments.filter(|own| own.project == sid);
            let segments =
                segments.map(|own| format!("it has segment {:?} (delete that first)", own.name));
            let by: Vec<String> = flows.chain(flags).chain(segments).chain(keys).collect();
            if !by.is_empty() {
                let sid = sid.to_owned();
                return Err(ProjectError::InUse { sid, by }.into());
            }
            let mut after = workspace.clone();
            after.projects.remove(sid);
            let sid = sid.to_owned();
            Ok((after, vec![Write::DeleteProject { sid }], ()))
        })
    }
}

fn known<'w>(workspace: &'w Workspace, sid: &str) -> Result<&'w Project, ProjectError> {
    let found = workspace.projects.get(sid);
    found.ok_or_else(|| {
        let sids: Vec<&str> = workspace.projects.keys().map(String::as_str).collect();
        ProjectError::Unknown {
            found: sid.to_owned(),
            expected: sids.join(", "),
        }
    })
}

fn changed(
    workspace: &Workspace,
    before: &Project,
    change: &ProjectChange,
) -> Result<Project, StoreError> {
    let mut project = before.clone();
    if let Some(name) = &change.name {
        if !is_name_for_people(name) {
            return Err(ProjectError::Name(name.clone()).into());
        }
        project.name.clone_from(name);
    }
    if let Some(listed) = &change.environments {
        let uids = listed.as_ref().map(|names| {
            let uids = names.iter().map(|name| {
                let environment = known_environment(workspace, name)?;
                Ok::<_, StoreError>(environment.uid.clone())
            });
            uids.collect::<Result<BTreeSet<_>, _>>()
        });
        project.environments = uids.transpose()?;
    }
    if project
        .environments
        .as_ref()
        .is_some_and(BTreeSet::is_empty)
    {
        return Err(ProjectError::Nowhere(project.sid).into());
    }
    Ok(project)
}

fn put(workspace: &Workspace, project: Project) -> (Workspace, Vec<Write>, ProjectListing) {
    let mut after = workspace.clone();
    let answer = listing(workspace, &project);
    let writes = vec![Write::Project(project.clone())];
    after.projects.insert(project.sid.clone(), project);
    (after, writes, answer)
}

fn listing(workspace: &Workspace, project: &Project) -> ProjectListing {
    let environments = workspace.environments.iter();
    let active = environments.filter(|own| project.is_active_in(&own.uid));
    let flows = workspace.flows.values();
    let flows = flows.filter(|flow| flow.project == project.sid);
    ProjectListing {
        sid: project.sid.clone(),
        name: project.name.clone(),
        everywhere: project.environments.is_none(),
        environments: active.map(|own| own.name.clone()).collect(),
        flows: flows.map(|flow| flow.sid.clone()).collect(),
    }
}

/// Uids of environments by their names; a name that is not there is said with
/// those that are.
pub(super) fn uids(workspace: &Workspace, names: &[String]) -> Result<BTreeSet<String>, String> {
    let uids = names.iter().map(|name| {
        let environment = workspace.environment(name);
        let uid = environment.map(|own| own.uid.clone());
        uid.ok_or_else(|| {
            format!(
                "environments names {name:?}, which does not exist (expected some of {})",
                environment_names(workspace)
            )
        })
    });
    uids.collect()
}
