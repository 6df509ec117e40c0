//! How does content come onto a version that is committed?
//!
//! Values of fields, expressions, whom webhooks call: onto the version itself,
//! which all environments see, or for one environment only. Content deployed
//! everywhere takes the place of what single environments had; content that
//! says what the version says is none of an environment's own. Users stay
//! where they are.

use std::sync::Arc;

use super::{
    FlowError, HISTORY, Terms, VersionText, Which, Written, comparing, known, node, refuse_changed,
    table, text, text_of, version,
};
use crate::store::{
    Store, StoreError,
    engine::Write,
    import::{Change, ChangeKind, Imported},
    known_environment,
    project_file::Node,
    workspace::{AuthoredVersion, Environment, Flow, Workspace},
};

/// A version, as all environments see it or as one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVersion {
    /// Which version.
    pub which: Which,
    /// By name; none for what all see that have nothing of their own.
    pub environment: Option<String>,
}

impl SeenVersion {
    /// `draft`, `latest` or a number, and perhaps `@` and an environment.
    pub fn named(text: &str) -> Option<Self> {
        let (which, environment) = match text.split_once('@') {
            Some((which, name)) => (which, Some(name.to_owned())),
            None => (text, None),
        };
        Some(Self {
            which: Which::named(which)?,
            environment,
        })
    }

    fn in_flow(
        &self,
        workspace: &Workspace,
        flow: &Flow,
    ) -> Result<Arc<AuthoredVersion>, StoreError> {
        let plain = version(flow, self.which)?;
        let Some(name) = &self.environment else {
            return Ok(Arc::clone(plain));
        };
        let uid = &known_environment(workspace, name)?.uid;
        let own = flow.version_in(plain.part.number, uid);
        Ok(Arc::clone(own.unwrap_or(plain)))
    }
}

impl std::fmt::Display for SeenVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.environment {
            Some(name) => write!(f, "{}@{name}", self.which),
            None => self.which.fmt(f),
        }
    }
}

impl Store {
    /// A version as text, as it is seen.
    pub fn seen_text(&self, sid: &str, seen: &SeenVersion) -> Result<VersionText, StoreError> {
        let workspace = self.workspace();
        let flow = known(&workspace, sid)?;
        text_of(Some(&*seen.in_flow(&workspace, flow)?))
    }

    /// What differs between two versions, as they are seen.
    pub fn compare_seen(
        &self,
        sid: &str,
        from: &SeenVersion,
        to: &SeenVersion,
    ) -> Result<Vec<comparing::Difference>, StoreError> {
        let workspace = self.workspace();
        let flow = known(&workspace, sid)?;
        let from = from.in_flow(&workspace, flow)?;
        comparing::compare(Some(&from), &*to.in_flow(&workspace, flow)?)
    }

    /// Puts content onto a committed version, everywhere or in one environment.
    pub fn deploy_content(
        &self,
        sid: &str,
        (number, environment): (u32, Option<&str>),
        content: &str,
        terms: &Terms,
    ) -> Result<Written, StoreError> {
        let Node::Table(mut members) = node(content)? else {
            return Err(FlowError::Text("a table is expected".to_owned()).into());
        };
        // Whose version it is stands in the path.
        members.retain(|(name, _)| !HISTORY.contains(&name.as_str()));
        members.push(("number".to_owned(), Node::Number(number.into())));
        let versions = Node::List(vec![Node::Table(members)]);
        let place = (sid, number, environment);
        self.write_content(place, terms, |workspace, flow| {
            let change = table([("sid", text(sid)), ("versions", versions)]);
            self.imported(workspace, &flow.project, change)
        })
    }

    /// Lets an environment see again what all see of a version.
    pub fn follow_content(
        &self,
        sid: &str,
        (number, environment): (u32, &str),
        terms: &Terms,
    ) -> Result<Written, StoreError> {
        let place = (sid, number, Some(environment));
        self.write_content(place, terms, |workspace, _| {
            Ok(Imported::nothing(workspace.clone()))
        })
    }

    /// Takes what `deployed` makes of the version that all see, and puts it
    /// where it is meant for.
    fn write_content(
        &self,
        (sid, number, environment): (&str, u32, Option<&str>),
        terms: &Terms,
        deployed: impl FnOnce(&Workspace, &Flow) -> Result<Imported, StoreError>,
    ) -> Result<Written, StoreError> {
        let seen = SeenVersion {
            which: Which::Number(number),
            environment: environment.map(ToOwned::to_owned),
        };
        let mut tag = String::new();
        let mut differences = Vec::new();
        let report = self.author_flow(|workspace| {
            let flow = known(workspace, sid)?;
            let before = seen.in_flow(workspace, flow)?;
            refuse_changed(terms, sid, Some(&before))?;
            let imported = deployed(workspace, flow)?;
            let done = match environment {
                None => everywhere(imported, flow, number),
                Some(name) => {
                    let place = known_environment(workspace, name)?;
                    only(workspace, imported, (flow, number), place)
                }
            };
            let after = known(&done.workspace, sid)?;
            let after = seen.in_flow(&done.workspace, after)?;
            tag = text_of(Some(&after))?.tag;
            differences = comparing::compare(Some(&before), &after)?;
            Ok(done)
        })?;
        Ok(Written {
            version: number,
            tag,
            report,
            differences,
        })
    }
}

/// What single environments had of their own is gone.
fn everywhere(mut imported: Imported, flow: &Flow, number: u32) -> Imported {
    let own = flow.content.keys().filter(|(of, _)| *of == number);
    for (_, environment_uid) in own {
        let place = (number, environment_uid.as_str());
        imported.workspace.flows.set_content(&flow.sid, place, None);
        imported.writes.push(Write::DeleteContent {
            flow_uid: flow.uid.clone(),
            number,
            environment_uid: environment_uid.clone(),
        });
        let environment = imported.workspace.environment_by_uid(environment_uid);
        let environment = environment.map(|own| own.name.clone());
        imported
            .report
            .changes
            .push(changed(flow, number, environment));
    }
    imported
}

/// The version stays as it was; what was made of it is the environment's own.
fn only(
    workspace: &Workspace,
    imported: Imported,
    (flow, number): (&Flow, u32),
    environment: &Environment,
) -> Imported {
    let of = |flow: &Flow| flow.versions.get(&number).cloned();
    let deployed = imported.workspace.flows.get(&flow.sid).and_then(of);
    let content = deployed.filter(|own| of(flow).as_ref() != Some(own));
    let place = (number, environment.uid.clone());
    let mut done = Imported::nothing(workspace.clone());
    done.report.notices = imported.report.notices;
    if flow.content.get(&place) == content.as_ref() {
        return done;
    }
    let place = (number, environment.uid.as_str());
    let environment_uid = environment.uid.clone();
    done.writes.push(match &content {
        Some(version) => Write::Content {
            environment_uid,
            version: Arc::clone(version),
        },
        None => Write::DeleteContent {
            flow_uid: flow.uid.clone(),
            number,
            environment_uid,
        },
    });
    done.workspace.flows.set_content(&flow.sid, place, content);
    let environment = Some(environment.name.clone());
    done.report.changes.push(changed(flow, number, environment));
    done
}

fn changed(flow: &Flow, number: u32, environment: Option<String>) -> Change {
    Change {
        kind: ChangeKind::ContentDeployed,
        sid: flow.sid.clone(),
        version: Some(number),
        environment,
        deployment: None,
    }
}
