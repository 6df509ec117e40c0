//! How is one segment changed by hand?
//!
//! As flags are: through the import. One that strategies refer to is not
//! deleted, because without it they would hold for nobody.

use std::sync::Arc;

use super::{
    FlagError, FlagText, Segment,
    editing::{SOURCE, known_project, named, node},
};
use crate::store::{
    Store, StoreError, Terms,
    engine::Write,
    export,
    import::{ChangeKind, Fault, ImportError, ImportReport, change},
    project_file::Node,
    workspace::Workspace,
};

impl Store {
    /// One segment as text.
    pub fn segment_text(&self, which: &str) -> Result<FlagText, StoreError> {
        text_of(known_segment(&self.workspace(), which)?)
    }

    /// Makes a segment of a text with its project, name and constraints.
    pub fn create_segment(&self, text: &str) -> Result<(String, ImportReport), StoreError> {
        let (project, node, name) = named(text)?;
        let report = self.author_imported(|workspace| {
            known_project(workspace, &project)?;
            if let Some(segment) = workspace.segment(&name) {
                return Err(FlagError::Taken {
                    what: "segment",
                    name: name.clone(),
                    project: segment.project.clone(),
                    archived: false,
                }
                .into());
            }
            self.piece(workspace, &project, "segments", node)
        })?;
        Ok((name, report))
    }

    /// Says of a segment what a text does; what it leaves out stays.
    pub fn change_segment(
        &self,
        which: &str,
        change: &str,
        terms: &Terms,
    ) -> Result<ImportReport, StoreError> {
        let change = node(change)?;
        self.author_imported(|workspace| {
            let segment = known_segment(workspace, which)?;
            unchanged(segment, terms)?;
            let Node::Table(mut members) = change else {
                return Err(FlagError::Text("expected a table of members".to_owned()).into());
            };
            // What is null counts as left out.
            members.retain(|(member, given)| member != "id" || *given != Node::Null);
            let id = Node::Number(segment.id.into());
            match members.iter().find(|(member, _)| member == "id") {
                None => members.push(("id".to_owned(), id)),
                Some((_, given)) if *given == id => {}
                Some((_, given)) => return Err(renumbered(segment, given.clone()).into()),
            }
            match members.iter().find(|(member, _)| member == "name") {
                None => members.push(("name".to_owned(), Node::Text(segment.name.clone()))),
                Some((_, Node::Text(name))) => free(workspace, segment, name)?,
                // The import says what a name is.
                Some(_) => {}
            }
            self.renaming_piece(workspace, &segment.project, Node::Table(members))
        })
    }

    /// Forgets a segment that no strategy refers to.
    pub fn delete_segment(&self, which: &str, terms: &Terms) -> Result<ImportReport, StoreError> {
        self.author(|workspace| {
            let segment = known_segment(workspace, which)?;
            unchanged(segment, terms)?;
            let by = users(workspace, segment.id);
            if !by.is_empty() {
                let segment = segment.name.clone();
                return Err(FlagError::InUse { segment, by }.into());
            }
            let mut after = workspace.clone();
            after.segments.remove(&segment.id);
            let writes = vec![Write::DeleteSegment { id: segment.id }];
            let report = ImportReport {
                changes: vec![change(ChangeKind::SegmentDeleted, &segment.name, None)],
                ..ImportReport::default()
            };
            Ok((after, writes, report))
        })
    }
}

/// A segment by its name or its number.
pub(in crate::store) fn known_segment<'w>(
    workspace: &'w Workspace,
    which: &str,
) -> Result<&'w Arc<Segment>, FlagError> {
    let by_id = || workspace.segments.get(&which.parse::<i64>().ok()?);
    let found = workspace.segment(which).or_else(by_id);
    found.ok_or_else(|| {
        let names = workspace.segments.values().map(|own| own.name.as_str());
        let names: Vec<&str> = names.collect();
        FlagError::UnknownSegment {
            found: which.to_owned(),
            expected: match names.is_empty() {
                true => "none: there are no segments".to_owned(),
                false => format!("one of {}", names.join(", ")),
            },
        }
    })
}

/// Flags whose strategies refer to a segment, and where; archived ones too,
/// since they may come back.
pub(in crate::store) fn users(workspace: &Workspace, id: i64) -> Vec<String> {
    let flags = workspace.flags.values();
    let used = flags.filter(|flag| flag.segments().any(|own| own == id));
    used.map(|flag| {
        let environments = workspace.environments.iter().filter(|environment| {
            let settings = flag.environments.get(&environment.uid);
            let strategies = settings.into_iter().flat_map(|own| &own.strategies);
            strategies
                .flat_map(|own| &own.segments)
                .any(|own| *own == id)
        });
        let names: Vec<&str> = environments.map(|own| own.name.as_str()).collect();
        format!("flag {:?} in {}", flag.name, names.join(" and "))
    })
    .collect()
}

/// Refuses a name that another segment has.
fn free(workspace: &Workspace, segment: &Segment, name: &str) -> Result<(), FlagError> {
    match workspace.segment(name) {
        Some(other) if other.id != segment.id => Err(FlagError::Taken {
            what: "segment",
            name: name.to_owned(),
            project: other.project.clone(),
            archived: false,
        }),
        _ => Ok(()),
    }
}

/// A segment keeps its number: clients read it.
fn renumbered(segment: &Segment, given: Node) -> ImportError {
    let rule = format!(
        "id is {} (expected {}, or none)",
        given.into_value(),
        segment.id
    );
    let fault = Fault {
        file: SOURCE.to_owned(),
        position: format!("segment {:?}", segment.name),
        rule,
    };
    ImportError {
        faults: vec![fault],
        count: 1,
    }
}

fn text_of(segment: &Segment) -> Result<FlagText, StoreError> {
    export::segment_text(segment).map(FlagText::of)
}

fn unchanged(segment: &Segment, terms: &Terms) -> Result<(), StoreError> {
    let Some(found) = &terms.tag else {
        return Ok(());
    };
    let expected = text_of(segment)?.tag;
    if *found == expected {
        return Ok(());
    }
    Err(FlagError::Changed {
        what: "segment",
        name: segment.name.clone(),
        found: found.clone(),
        expected,
    }
    .into())
}
