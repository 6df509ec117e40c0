//! What must hold of what authors and edges send a store, whatever it is?
//!
//! Targets of `crate::fuzzing`: an import that is taken can be exported and
//! taken again without a change; a batch gives every record one outcome and is
//! taken once; a line of users is written as it is read.

use std::sync::{Arc, LazyLock};

use super::{
    Environment, SourceFile, UserLine, Workspace, export,
    flags::part,
    import::{import_named, read_files},
    ledger::changes::Cursor,
    memory::{self, MemoryLedger},
    naming::Naming,
};
use crate::{
    progress::event::{Batch, Outcome},
    snapshot::{
        Version,
        compile::compile_version,
        flags::{Flags, FlagsDocument},
        wire::{EnvironmentType, VersionPart},
    },
};

const NOW: u64 = 1_700_000_000_000;

fn workspace() -> Workspace {
    let environment =
        |name: &str, kind, drafts| Environment::new(format!("uid-{name}"), name, kind, drafts);
    Workspace {
        environments: vec![
            environment("development", EnvironmentType::Development, true),
            environment("production", EnvironmentType::Production, false),
        ],
        ..Workspace::default()
    }
}

/// A project file, YAML or JSON.
pub(crate) fn project(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let take = |workspace: &Workspace, content: &str| {
        let files = [SourceFile {
            name: "project.yaml".to_owned(),
            content: content.to_owned(),
        }];
        import_named(workspace, read_files(&files), Naming::Derived, NOW)
    };
    let empty = workspace();
    let imported = match take(&empty, text) {
        Ok(imported) => imported.workspace,
        Err(refused) => {
            assert!(refused.count >= refused.faults.len() && !refused.faults.is_empty());
            return;
        }
    };
    for version in imported
        .flows
        .values()
        .flat_map(|flow| flow.versions.values())
    {
        assert!(compile_version(&version.part).is_ok(), "an edge could not");
    }
    for flag in imported.flags.values() {
        for environment in &imported.environments {
            let part = part::flag(flag, &environment.uid);
            let document = FlagsDocument::of_parts(vec![part], Vec::new());
            let compiled = Flags::compile(&document);
            let aside = compiled.troubles().iter().find(|own| own.set_aside);
            assert_eq!(aside, None, "an edge would set it aside");
        }
    }
    let written = export::export(&imported, None).expect("what was imported is written");
    let again = take(&imported, &written);
    let again = again.unwrap_or_else(|error| panic!("its own export is refused: {error:?}"));
    assert!(again.writes.is_empty(), "{:?}\n{written}", again.report);
}

/// A line of a file of users.
pub(crate) fn line(bytes: &[u8]) {
    let Ok(line) = UserLine::read(bytes) else {
        return;
    };
    let written = line.clone().write().expect("it is written");
    let again = UserLine::read(written.as_bytes());
    assert!(again.is_ok_and(|again| again == line), "{written}");
}

/// A cursor in the stream of changes.
pub(crate) fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(cursor) = Cursor::read(text) {
        let end = text
            .rsplit('-')
            .next()
            .and_then(|digits| digits.parse().ok());
        assert_eq!(end, Some(cursor.position));
    }
}

/// The one version that the batches of the corpus are about.
static VERSION: LazyLock<Arc<Version>> = LazyLock::new(|| {
    let part: VersionPart = serde_json::from_value(serde_json::json!({
        "flow_uid": "hello", "flow_sid": "hello", "number": 1, "entry": "everyone",
        "blocks": [
            {"uid": "first", "sid": "first", "kind": "custom", "transitions": ["next"]},
            {"uid": "rich", "sid": "rich", "kind": "boolean", "expression": "user.properties.rich = true"},
            {"uid": "end", "sid": "end", "kind": "finish"},
        ],
        "paths": [
            {"uid": "p0", "to": "first"},
            {"uid": "p1", "from": "first", "on": ["next"], "to": "rich"},
            {"uid": "p2", "from": "rich", "on": ["true", "false"], "to": "end"},
        ],
    }))
    .expect("a part");
    Arc::new(compile_version(&part).expect("it compiles"))
});

struct Known;

impl super::LedgerVersions for Known {
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>> {
        (flow_uid == "hello" && number == 1).then(|| Arc::clone(&VERSION))
    }
}

/// A batch as an edge ships it, JSON.
pub(crate) fn batch(bytes: &[u8]) {
    let Ok(batch) = serde_json::from_slice::<Batch>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&batch).expect("it is written");
    let again: Batch = serde_json::from_slice(&written).expect("it is read again");
    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
    let mut ledger = MemoryLedger::default();
    let environment = memory::environment("env_1", "production");
    let Ok(answer) = ledger.ship(&environment, &batch, &Known) else {
        return;
    };
    assert_eq!(answer.outcomes.len(), batch.records.len());
    let users = ledger.users.clone();
    if let Ok(second) = ledger.ship(&environment, &batch, &Known) {
        let outcomes = second.outcomes.iter().map(|record| record.outcome);
        let is_settled = |outcome: Outcome| matches!(outcome, Outcome::Already | Outcome::Dead);
        assert!(outcomes.into_iter().all(is_settled), "{second:?}");
    }
    assert_eq!(ledger.users, users, "a batch is taken once");
}
