//! What imports refuse, change and leave alone.

mod deployments;
mod flags;
mod identity;
mod logic;

use super::*;
use crate::store::{
    Environment,
    tests::{demo, file},
};

const ONE: &str = "
flowgate: project/1
project: shop
name: Shop
flows:
  - sid: hello
    name: Hello
    status: {production: disabled}
    versions:
      - number: 1
        message: first
        author: ann
        created: 2026-01-02T03:04:05Z
        entry: {expression: user.properties.age > 3}
        blocks:
          - sid: ask
            type: custom
            transitions: [yes, later]
            fields: {title: Hello, size: 3, loud: true}
          - sid: grown
            type: boolean
            when: user.properties.age > 18
          - sid: end
            type: finish
        paths:
          - {from: entry, to: ask}
          - {from: ask, on: [yes, later], to: grown}
          - {from: grown, on: 'true', to: end}
";

fn workspace() -> Workspace {
    let environment =
        |name: &str, kind, drafts| Environment::new(format!("uid-{name}"), name, kind, drafts);
    Workspace {
        environments: vec![
            environment(
                "development",
                crate::snapshot::wire::EnvironmentType::Development,
                true,
            ),
            environment(
                "production",
                crate::snapshot::wire::EnvironmentType::Production,
                false,
            ),
        ],
        ..Workspace::default()
    }
}

fn take(workspace: &Workspace, content: &str) -> Result<Imported, ImportError> {
    import(workspace, read_files(&file(content)), &Ambient::system())
}

#[test]
fn a_version_that_no_edge_could_read_is_refused() {
    let nested = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        ONE.replace(
            "title: Hello",
            &format!("title: {{type: richText, value: {value}}}"),
        )
    };
    assert!(take(&workspace(), &nested(40)).is_ok());
    let said = faults(&workspace(), &nested(100));
    assert!(said.contains("no edge could read the version"), "{said}");
}

#[test]
fn a_fault_is_not_as_long_as_what_it_complains_of() {
    let long = ONE.replace("sid: ask", &format!("sid: {}", "é".repeat(50_000)));
    assert!(faults(&workspace(), &long).len() < 20_000);
}

fn with_one() -> Workspace {
    take(&workspace(), ONE).unwrap().workspace
}

/// The faults of a file as text, one a line.
fn faults(workspace: &Workspace, content: &str) -> String {
    let error = take(workspace, content).unwrap_err();
    assert_eq!(error.count, error.faults.len());
    let lines: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn kinds(imported: &Imported) -> Vec<ChangeKind> {
    let changes = imported.report.changes.iter();
    changes.map(|change| change.kind).collect()
}

#[test]
fn every_fault_of_a_file_is_reported_with_its_place() {
    let text = faults(
        &workspace(),
        "
flowgate: project/1
project: sh op
colour: red
flows:
  - sid: hello
    shape: round
    status: {production: off, nowhere: enabled}
    versions:
      - number: 0
      - number: 1
        created: yesterday
        migration: sometimes
        entry: nobody
        blocks:
          - {sid: a, type: rocket}
          - {sid: b, type: card, fields: {x: null, y: {type: number, value: text}}}
          - {type: card}
        paths:
          - {from: entry}
",
    );
    for expected in [
        "project is \"sh op\"",
        "unknown member \"colour\"",
        "flow \"hello\": unknown member \"shape\"",
        "status in production is \"off\"",
        "version at place 1: number is missing",
        "version 1: created is \"yesterday\"",
        "version 1: migration is \"sometimes\"",
        "version 1: entry is \"nobody\"",
        "version 1, block \"a\": unknown block type \"rocket\"",
        "block \"b\": field \"x\" is nothing",
        "block \"b\": field \"y\" has a value that is text",
        "version 1, block 3: sid is missing",
        "version 1, path 1: to is missing",
    ] {
        assert!(text.contains(expected), "{expected} not in:\n{text}");
    }
}

#[test]
fn faults_of_the_compiler_name_file_version_and_block() {
    let content = ONE.replace("user.properties.age > 18", "user.properties.age >");
    let text = faults(&workspace(), &content);
    assert!(
        text.contains("project.yaml: flow \"hello\", version 1, block \"grown\""),
        "{text}"
    );
}

#[test]
fn a_format_of_another_kind_is_refused() {
    assert!(faults(&workspace(), "project: shop").contains("no format is named"));
    let other = "flowgate: project/9\nproject: shop";
    assert!(faults(&workspace(), other).contains("expected \"project/1\""));
    assert!(faults(&workspace(), "- just\n- words").contains("found text"));
}

#[test]
fn one_bad_file_keeps_all_others_out() {
    let mut files = demo();
    files[1].content.push_str("\ncolour: red\n");
    let error = import(&workspace(), read_files(&files), &Ambient::system()).unwrap_err();
    assert_eq!(error.count, 1);
    assert_eq!(error.faults[0].file, files[1].name);
}

#[test]
fn importing_twice_makes_no_difference() {
    let first = with_one();
    let again = take(&first, ONE).unwrap();
    assert!(again.writes.is_empty() && again.report.changes.is_empty());
    assert_eq!(again.workspace, first);
}

#[test]
fn differing_content_of_a_committed_version_is_a_content_deployment() {
    let before = with_one();
    for (old, new) in [
        ("title: Hello", "title: Good day"),
        ("age > 18", "age > 21"),
        ("age > 3", "age > 4"),
    ] {
        let imported = take(&before, &ONE.replace(old, new)).unwrap();
        assert_eq!(kinds(&imported), [ChangeKind::ContentDeployed], "{new}");
        let uids = |workspace: &Workspace| -> Vec<String> {
            let part = &workspace.flows["hello"].versions[&1].part;
            part.blocks.iter().map(|block| block.uid.clone()).collect()
        };
        assert_eq!(uids(&before), uids(&imported.workspace));
    }
}

#[test]
fn differing_structure_of_a_committed_version_is_refused_with_a_diff() {
    let before = with_one();
    for (old, new, shown) in [
        (
            "[yes, later]\n",
            "[yes, never]\n",
            "+   transitions yes, never",
        ),
        ("type: finish", "type: card", "- block end finish"),
        ("size: 3", "size: three", "+   field size string"),
        (", loud: true", "", "-   field loud boolean"),
        ("on: 'true'", "on: 'false'", "+ path grown [false] -> end"),
        (
            "entry: {exp",
            "migration: carry-over\n        entry: {exp",
            "+ migration carry-over",
        ),
    ] {
        let text = faults(&before, &ONE.replace(old, new));
        assert!(text.contains("cannot change"), "{text}");
        assert!(text.contains(shown), "{shown} not in:\n{text}");
    }
}

#[test]
fn history_cannot_be_rewritten_and_may_be_left_out() {
    let before = with_one();
    let text = faults(&before, &ONE.replace("message: first", "message: other"));
    assert!(text.contains("message differs"), "{text}");
    let without = ONE
        .replace("message: first", "")
        .replace("author: ann", "")
        .replace("created: 2026-01-02T03:04:05Z", "");
    assert!(take(&before, &without).unwrap().writes.is_empty());
}

#[test]
fn a_new_version_must_be_the_next_one_and_keeps_uids_by_sid() {
    let before = with_one();
    let at = ONE.find("      - number: 1").unwrap();
    let next = |number: u32| {
        let second = ONE[at..].replace("number: 1", &format!("number: {number}"));
        format!("{ONE}{second}")
    };
    assert!(faults(&before, &next(3)).contains("version 3 would be new (expected 2"));
    let imported = take(&before, &next(2)).unwrap();
    assert_eq!(kinds(&imported), [ChangeKind::Committed]);
    let versions = &imported.workspace.flows["hello"].versions;
    assert_eq!(versions[&1].part.blocks, versions[&2].part.blocks);
    assert_eq!(versions[&1].part.paths, versions[&2].part.paths);
}

#[test]
fn a_version_left_out_of_the_file_stays() {
    let before = with_one();
    let content = "
flowgate: project/1
project: shop
flows:
  - sid: hello
    draft:
      blocks: [{sid: ask, type: card}]
      paths: [{from: entry, to: ask}]
";
    let imported = take(&before, content).unwrap();
    assert_eq!(kinds(&imported), [ChangeKind::DraftReplaced]);
    let flow = &imported.workspace.flows["hello"];
    assert_eq!(flow.latest(), 1);
    assert_eq!(flow.name, "Hello");
    assert_eq!(
        flow.versions[&0].part.blocks[0].uid, flow.versions[&1].part.blocks[0].uid,
        "the same sid is the same block"
    );
    assert!(!flow.enabled_in("uid-production"), "status stays");
}

#[test]
fn status_is_set_where_the_file_says_and_stays_elsewhere() {
    let before = with_one();
    let enable = ONE.replace("{production: disabled}", "{production: enabled}");
    let imported = take(&before, &enable).unwrap();
    assert_eq!(kinds(&imported), [ChangeKind::Enabled]);
    let unknown = ONE.replace("{production: disabled}", "{nowhere: disabled}");
    let text = faults(&before, &unknown);
    assert!(
        text.contains("expected one of development, production"),
        "{text}"
    );
}

#[test]
fn names_and_uids_of_others_are_refused() {
    let before = with_one();
    let uid = before.flows["hello"].versions[&1].part.blocks[0]
        .uid
        .clone();
    let flow_uid = before.flows["hello"].uid.clone();
    let other = format!(
        "
flowgate: project/1
project: shop
flows:
  - sid: other
    draft:
      blocks: [{{sid: a, type: card, uid: {uid}}}]
  - {{sid: third, uid: {flow_uid}}}
  - {{sid: hello, uid: mine}}
  - {{sid: third}}
"
    );
    let text = faults(&before, &other);
    assert!(
        text.contains("belongs to a block of flow \"hello\""),
        "{text}"
    );
    assert!(text.contains("belongs to flow \"hello\""), "{text}");
    assert!(text.contains("uid is \"mine\""), "{text}");
    assert!(text.contains("appears twice in this import"), "{text}");
    let moved = ONE.replace("project: shop", "project: market");
    assert!(faults(&before, &moved).contains("it belongs to project \"shop\""));
}

#[test]
fn blocks_that_are_not_there_are_named() {
    let text = faults(&workspace(), &ONE.replace("to: end}", "to: nowhere}"));
    assert!(
        text.contains("path 3: \"nowhere\" is not a block"),
        "{text}"
    );
    let text = faults(&workspace(), &ONE.replace("sid: end", "sid: ask"));
    assert!(
        text.contains("block \"ask\": the sid appears twice"),
        "{text}"
    );
    let text = faults(&workspace(), &ONE.replace("sid: end", "sid: entry"));
    assert!(text.contains("means the entry of the flow"), "{text}");
}

#[test]
fn an_endless_list_of_faults_is_cut_but_counted() {
    let members: Vec<String> = (0..300).map(|n| format!("m{n}: 1")).collect();
    let content = format!("flowgate: project/1\nproject: shop\n{}", members.join("\n"));
    let error = take(&workspace(), &content).unwrap_err();
    assert_eq!(error.faults.len(), limits::IMPORT_FAULTS_MAX);
    assert_eq!(error.count, 300);
}
