//! What do import and export do, and what is shown of a user?

use serde_json::{Value, json};

use super::{Ended, ended};
use crate::harness::{Dev, body_of, check_flow, flowgate};

/// A running dev and the command line on its folder.
struct Author {
    dev: Dev,
    folder: tempfile::TempDir,
}

impl Author {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            dev: Dev::start(folder.path()),
            folder,
        }
    }

    #[track_caller]
    fn runs(&self, words: &[&str]) -> Ended {
        let data = self.folder.path().join("dev");
        ended(flowgate().args(words).arg("--data").arg(data))
    }

    /// Imports texts as files.
    #[track_caller]
    fn imports(&self, texts: &[&str]) -> Ended {
        let mut words = vec!["import".to_owned()];
        for (number, text) in texts.iter().enumerate() {
            let file = self.folder.path().join(format!("file-{number}.yaml"));
            std::fs::write(&file, text).expect("a file");
            words.push(file.display().to_string());
        }
        words.extend(["--output", "json"].map(ToOwned::to_owned));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.runs(&words)
    }

    #[track_caller]
    fn export(&self) -> String {
        self.runs(&["export"]).with(0).out
    }

    fn revisions(&self) -> Value {
        let answer = self.dev.store().get("/admin/v1/environments");
        let answer = body_of(&answer, 200);
        let all = answer["environments"].as_array().into_iter().flatten();
        all.map(|own| own["revision"].clone()).collect()
    }
}

#[test]
fn what_was_exported_imports_without_a_change() {
    let author = Author::new();
    let exported = author.export();
    let before = author.revisions();
    let again = author.imports(&[&exported]).with(0).json();
    assert_eq!(again["changes"], json!([]), "{again}");
    assert_eq!(author.revisions(), before, "nothing was published");
    assert_eq!(author.export(), exported, "byte for byte");
    // In a table it says so in words.
    let file = author.folder.path().join("file-0.yaml");
    let told = author
        .runs(&["import", &file.display().to_string()])
        .with(0);
    assert_eq!(told.out, "nothing to change\n");
    // Into an empty store it makes the very same project.
    let folder = tempfile::tempdir().expect("a folder");
    let store = crate::harness::Store::start(folder.path());
    let file = folder.path().join("exported.yaml");
    std::fs::write(&file, &exported).expect("a file");
    store.import(&file);
    let copied = ended(&mut store.command(&["export"])).with(0);
    assert_eq!(copied.out, exported);
}

#[test]
fn an_import_says_what_it_changed_and_the_edge_has_it() {
    let author = Author::new();
    let flow = |title: &str| {
        format!(
            "flowgate: project/1\nproject: harbor\nflows:\n  - sid: hello\n    versions:\n      \
             - {{ number: 1, entry: everyone, blocks: [{{ sid: card, type: card, fields: \
             {{ title: {title} }} }}], paths: [{{ from: entry, to: card }}] }}\n"
        )
    };
    let made = author.imports(&[&flow("One")]).with(0).json();
    assert!(
        made["changes"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    );
    author.dev.import(&flow("Two"));
    let path = "/v2/flow/hello?version=1&include=block&userIdentifier=ada";
    let read = body_of(&author.dev.edge("blocks").get(path), 200);
    check_flow(&read, true);
    assert_eq!(read["blocks"][0]["fields"][0]["value"], "Two");
    // Committed structure never changes; the difference is shown.
    let other = flow("Two").replace("type: card", "type: modal");
    let refused = author.imports(&[&other]).with(2);
    refused.complains_of(&[
        "hello",
        "version 1",
        "- block card card",
        "+ block card modal",
    ]);
}

#[test]
fn a_faulty_import_names_every_fault_and_changes_nothing() {
    let author = Author::new();
    let (exported, before) = (author.export(), author.revisions());
    let types = ["form", "rocket"];
    let mut blocks = String::new();
    for (number, name) in types.iter().enumerate() {
        blocks.push_str(&format!("          - {{ sid: b{number}, type: {name} }}\n"));
    }
    let unbuilt = format!(
        "flowgate: project/1\nproject: harbor\nflags: [{{}}]\nsegments: [{{}}]\nchannels: [{{}}]\n\
         deployments: [{{}}]\nflows:\n  - sid: later\n    deployments: [{{}}]\n    deploymentsOnly: 1\n\
         \x20   versions:\n      - number: 1\n        blocks:\n{blocks}"
    );
    let good = "flowgate: project/1\nproject: harbor\nflows:\n  - sid: good\n    versions:\n      \
        - { number: 1, blocks: [{ sid: c, type: card }], paths: [{ from: entry, to: c }] }\n";
    let refused = author.imports(&[good, &unbuilt]).with(2);
    for name in types {
        refused.complains_of(&[name]);
    }
    refused.complains_of(&[
        "flag 1: name is missing",
        "segment 1: name is missing",
        "channel 1: name is missing",
        "deployments stand under the flow",
        "deployment 1: environment is missing",
        "deploymentsOnly is a number",
        "file-1.yaml",
    ]);
    assert!(!refused.error.contains("file-0.yaml"), "{}", refused.error);
    // All or nothing: the good file beside it was not taken.
    assert_eq!(author.export(), exported);
    assert_eq!(author.revisions(), before);
}

#[test]
fn every_example_of_the_guide_imports_and_comes_back() {
    let author = Author::new();
    let guide = include_str!("../../../docs/authoring.md");
    let examples: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 3, "{}", examples.len());
    author.imports(&examples).with(0);
    // What may not be meant is told beside what changed.
    let mut deploying = examples
        .iter()
        .filter(|own| own.contains("percentage: 12.5"));
    let last = deploying.next().expect("an example");
    let full = last.replace("percentage: 12.5", "percentage: 100");
    let file = author.folder.path().join("full.yaml");
    std::fs::write(&file, full).expect("a file");
    let told = author
        .runs(&["import", &file.display().to_string()])
        .with(0);
    for word in [
        "deployment-changed",
        "vips-on-web",
        "notice: ",
        "100 % is a full launch",
    ] {
        assert!(told.out.contains(word), "no {word} in {}", told.out);
    }
    author.imports(&[last]).with(0);
    let exported = author.export();
    for word in [
        "support-2026",
        "exclusive: true",
        "percentage: 12.5",
        "deploymentsOnly: true",
        "url: https://crm.example.com/hooks/setup",
        "type: checklist",
    ] {
        assert!(exported.contains(word), "no {word} in {exported}");
    }
    let again = author.imports(&[&exported]).with(0).json();
    assert_eq!(again["changes"], json!([]), "{again}");
    let development = author
        .runs(&["export", "--environment", "development"])
        .with(0)
        .out;
    assert!(!development.contains("support-2026"), "{development}");
}

#[test]
fn faults_of_form_and_meaning_are_named_with_their_place() {
    let author = Author::new();
    let exported = author.export();
    let version = |body: &str| {
        format!(
            "flowgate: project/1\nproject: harbor\nflows:\n  - sid: bad\n    versions:\n      - {{ number: 1, {body} }}\n"
        )
    };
    let card = "blocks: [{ sid: c, type: card }]";
    for (text, words) in [
        (String::new(), vec!["empty"]),
        ("flows: []".to_owned(), vec!["flowgate: project/1"]),
        (
            "flowgate: project/9\nproject: p".to_owned(),
            vec!["project/9", "project/1"],
        ),
        ("flowgate: project/1\nproject: a b".to_owned(), vec!["a b"]),
        (
            "flowgate: project/1\nproject: p\nprojct: x".to_owned(),
            vec!["projct"],
        ),
        (
            "flowgate: project/1\nproject: p\nproject: q".to_owned(),
            vec!["project", "once", "line"],
        ),
        ("{\"flowgate\": ".to_owned(), vec!["file-0.yaml"]),
        (
            version(&format!("{card}, paths: [{{ from: entry, to: nowhere }}]")),
            vec!["bad", "version 1", "nowhere"],
        ),
        (
            version(&format!("{card}, paths: [{{ from: c, on: never, to: c }}]")),
            vec!["never"],
        ),
        (
            version("blocks: [{ sid: c, type: card }, { sid: c, type: modal }]"),
            vec!["twice"],
        ),
        (
            version(&format!(
                "{card}, entry: {{ expression: 'user.properties.a >' }}"
            )),
            vec!["bad"],
        ),
        (
            version("blocks: [{ sid: b, type: boolean, when: 'nobody.x = 1' }]"),
            vec!["nobody"],
        ),
        (
            version(&format!("{card}, migration: sometimes")),
            vec!["sometimes", "restart-all"],
        ),
        (
            version(&format!("{card}, created: yesterday")),
            vec!["yesterday"],
        ),
    ] {
        author.imports(&[&text]).with(2).complains_of(&words);
    }
    assert_eq!(author.export(), exported, "nothing of it was taken");
}

#[test]
fn a_user_is_shown_flow_by_flow() {
    let author = Author::new();
    let unknown = author.runs(&["user", "show", "ada"]).with(1);
    unknown.complains_of(&["ada", "not known"]);
    let body = json!({"identifier": "ada", "properties": {"plan": "team"}});
    assert_eq!(
        author.dev.edge("users").post("/identify", &body).status,
        204
    );
    let path = "/v2/flow/onboarding-tour?tag=latest&userIdentifier=ada";
    assert_eq!(author.dev.edge("blocks").get(path).status, 200);
    let document = crate::harness::eventually("the ledger has both", || {
        let shown = author.runs(&["user", "show", "ada", "--output", "json"]);
        let document: Value = serde_json::from_str(&shown.out).ok()?;
        (document["doc_rev"] == 2).then_some(document)
    });
    assert_eq!(document["identifier"], "ada");
    assert_eq!(document["properties"], json!({"plan": "team"}));
    assert_eq!(document["flows"][0]["started"], true, "{document}");
    let shown = author.runs(&["user", "show", "ada"]).with(0).out;
    for word in ["ada", "plan", "team", "started"] {
        assert!(shown.contains(word), "no {word} in {shown}");
    }
    let shown = author.runs(&["user", "show", "ada", "--environment", "production"]);
    shown.with(1);
    let shown = author.runs(&["user", "show", "ada", "--environment", "nowhere"]);
    shown.with(2).complains_of(&["nowhere"]);
}
