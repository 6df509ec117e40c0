//! Can a flow be worked on from the command line alone, and is nobody's work
//! lost on the way?

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Ended, deployments::Desk, ended};
use crate::harness::{body_of, check_problem, eventually, flowgate};

const FIRST: &str = "\
entry: everyone
blocks:
- { sid: hello, type: card, fields: { title: Hello } }
- { sid: big, type: boolean, when: user.properties.seats >= 50 }
- { sid: thanks, type: card }
- { sid: done, type: finish }
paths:
- { from: entry, to: hello }
- { from: hello, on: [complete, dismiss], to: big }
- { from: big, on: 'true', to: thanks }
- { from: big, on: 'false', to: done }
- { from: thanks, on: complete, to: done }
";

impl Desk {
    fn file(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        file.display().to_string()
    }

    #[track_caller]
    fn saves(&self, text: &str) -> Ended {
        let file = self.file("draft.yaml", text);
        self.runs(&["flow", "edit", "greeting", "--file", &file])
    }

    #[track_caller]
    fn prints(&self, version: &str) -> String {
        self.prints_of("greeting", version)
    }

    #[track_caller]
    fn prints_of(&self, flow: &str, version: &str) -> String {
        self.runs(&["flow", "print", flow, "--version", version])
            .with(0)
            .out
    }

    /// A flow with this draft.
    #[track_caller]
    fn drafted() -> Self {
        let desk = Self::start();
        let words = ["flow", "create", "greeting", "--project", "harbor"];
        assert_eq!(desk.runs(&words).with(0).out, "created\n");
        let saved = desk.saves(FIRST).with(0).out;
        assert!(saved.contains("+ block hello (card)"), "{saved}");
        assert!(saved.ends_with("saved: the draft\n"), "{saved}");
        desk
    }

    fn title(&self, version: &str) -> Option<String> {
        let path = format!("/v2/flow/greeting?version={version}&include=block&userIdentifier=ada");
        let flow = self.dev.edge("blocks").get(&path).json();
        let blocks = flow["blocks"].as_array()?;
        let hello = blocks
            .iter()
            .find(|block| block["sid"] == "greeting.hello")?;
        Some(hello["fields"][0]["value"].as_str()?.to_owned())
    }
}

#[test]
fn a_flow_goes_from_nothing_to_its_second_version_and_back() {
    let desk = Desk::drafted();
    let commit = [
        "flow", "commit", "greeting", "-m", "First", "--author", "ada",
    ];
    assert!(
        desk.runs(&commit)
            .with(0)
            .out
            .ends_with("committed: version 1\n")
    );
    let nothing = desk.runs(&commit).with(2).error;
    assert!(nothing.contains("there is nothing to commit"), "{nothing}");
    eventually("the edge serves it", || {
        desk.title("1").filter(|title| title == "Hello")
    });

    // The second, by somebody's editor.
    let editor = desk.file(
        "editor",
        "#!/bin/sh\nsed -i 's/title: Hello/title: Welcome/' \"$2\"\n",
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&editor, mode).expect("it may be run");
    let data = desk.folder.path().join("dev");
    let mut command = flowgate();
    command.current_dir(desk.folder.path());
    command.args(["flow", "edit", "greeting", "--yes", "--data"]);
    command
        .arg(&data)
        .env("EDITOR", format!("{editor} --wait"))
        .env_remove("VISUAL");
    let saved = ended(&mut command).with(0).out;
    let line = "~ block hello, fields.title: \"Hello\" -> \"Welcome\"\n";
    assert!(saved.starts_with(line), "{saved}");
    assert_eq!(ended(&mut command).with(0).out, "nothing was changed\n");
    let diff = desk.runs(&["flow", "diff", "greeting"]);
    assert_eq!(diff.with(1).out, line);
    let words = [
        "flow",
        "commit",
        "greeting",
        "-m",
        "Second",
        "--migration",
        "carry-over",
    ];
    assert!(
        desk.runs(&words)
            .with(0)
            .out
            .ends_with("committed: version 2\n")
    );
    let history = desk.runs(&["flow", "history", "greeting", "--output", "json"]);
    let history = history.with(0).json();
    let told: Vec<_> = history.as_array().expect("a list").iter().collect();
    assert_eq!(told.len(), 3, "{history}");
    assert_eq!(
        (&told[1]["message"], &told[1]["author"]),
        (&json!("First"), &json!("ada"))
    );
    assert_eq!(told[2]["migration"], "carry-over");
    // Without an author it is the key's name.
    assert_eq!(told[2]["author"], "first", "{history}");

    // Back to the first: what nobody committed must be given up in words.
    let third = desk.prints("draft").replace("Welcome", "Ahoy");
    desk.saves(&third).with(0);
    let restore = ["flow", "restore", "greeting", "--version", "1"];
    let refused = desk.runs(&restore).with(2).error;
    assert!(
        refused.contains("1 changes that no version has"),
        "{refused}"
    );
    assert!(desk.prints("draft").contains("Ahoy"));
    let restored = desk
        .runs(&[&restore[..], &["--discard"]].concat())
        .with(0)
        .out;
    assert!(restored.ends_with("restored: the draft\n"), "{restored}");
    let words = ["flow", "diff", "greeting", "1"];
    let diff = desk.runs(&words).with(0).out;
    assert_eq!(diff, "");
    // What a version has can be restored over without a word.
    let words = ["flow", "restore", "greeting", "--version", "latest"];
    desk.runs(&words).with(0);
}

/// Found by review: who began a draft while somebody else began it overwrote
/// theirs, and the advice after a refusal led to the same.
#[test]
fn who_edits_beside_somebody_else_is_refused_and_told_how_to_go_on() {
    let desk = Desk::drafted();
    let data = desk.folder.path().join("dev").display().to_string();
    let create = ["flow", "create", "beside", "--project", "harbor"];
    desk.runs(&create).with(0);
    let text = |title: &str| FIRST.replace("title: Hello", &format!("title: {title}"));
    for (round, theirs) in ["Began", "Went on"].into_iter().enumerate() {
        // While the text is edited, somebody else saves theirs.
        let other = desk.file("theirs.yaml", &text(theirs));
        let mine = desk.file("mine.yaml", &text(&format!("Mine {round}")));
        let program = env!("CARGO_BIN_EXE_flowgate");
        let script = format!(
            "#!/bin/sh\n{program} flow edit beside --file {other} --data {data} > /dev/null && cp {mine} \"$1\"\n"
        );
        let editor = desk.file("editor", &script);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&editor, mode).expect("it may be run");
        let mut command = flowgate();
        command
            .current_dir(desk.folder.path())
            .args(["flow", "edit", "beside", "--yes", "--data", &data]);
        command.env("EDITOR", &editor).env_remove("VISUAL");
        let refused = ended(&mut command).with(2).error;
        assert!(
            refused.contains("was changed since it was read"),
            "{refused}"
        );
        assert!(refused.contains("first changed it at "), "{refused}");
        assert!(desk.prints_of("beside", "draft").contains(theirs));
        // With the advice, typed as it stands.
        let kept = refused.split_once("your text is in ").expect("a place").1;
        let kept = desk
            .folder
            .path()
            .join(kept.split_once(':').expect("a place").0);
        assert!(
            std::fs::read_to_string(&kept)
                .expect("it is there")
                .contains("Mine")
        );
        assert!(refused.contains("flowgate flow print beside"), "{refused}");
        let tag = desk
            .runs(&["flow", "print", "beside", "--etag"])
            .with(0)
            .out;
        let kept = kept.display().to_string();
        let words = [
            "flow",
            "edit",
            "beside",
            "--dry-run",
            "--file",
            &kept,
            "--if-match",
        ];
        let would = desk.runs(&[&words[..], &[tag.trim()]].concat()).with(0).out;
        assert!(would.contains(&format!("{theirs:?} -> ")), "{would}");
    }
    let late = desk.file("late.yaml", &text("Late"));
    let words = [
        "flow",
        "edit",
        "beside",
        "--file",
        &late,
        "--if-match",
        "\"\"",
    ];
    let refused = desk.runs(&words).with(2).error;
    assert!(refused.contains("draft of flow \"beside\""), "{refused}");
}

#[test]
fn content_is_deployed_onto_a_version_and_users_stay() {
    let desk = Desk::drafted();
    desk.runs(&["flow", "commit", "greeting", "-m", "First"])
        .with(0);
    eventually("the edge serves it", || {
        desk.title("1").filter(|title| title == "Hello")
    });
    let words = [
        "flow",
        "deploy-content",
        "greeting",
        "--version",
        "1",
        "--file",
    ];
    let text = desk.prints("1");
    let other = desk.file("content.yaml", &text.replace("title: Hello", "title: Hi"));
    let dry = desk
        .runs(&[&words[..], &[&other, "--dry-run"]].concat())
        .with(0)
        .out;
    assert!(dry.ends_with("would be deployed: version 1\n"), "{dry}");
    assert!(
        desk.prints("1").contains("title: Hello"),
        "it was only asked"
    );
    desk.runs(&[&words[..], &[&other]].concat()).with(0);
    eventually("the edge serves it", || {
        desk.title("1").filter(|title| title == "Hi")
    });
    let structure = desk.file("structure.yaml", &text.replace("type: card", "type: modal"));
    let refused = desk
        .runs(&[&words[..], &[&structure]].concat())
        .with(2)
        .error;
    assert!(refused.contains("- block hello card"), "{refused}");
    let nowhere = [
        "flow",
        "deploy-content",
        "greeting",
        "--version",
        "7",
        "--file",
        &other,
    ];
    let refused = desk.runs(&nowhere).with(2).error;
    assert!(refused.contains("expected one of draft, 1"), "{refused}");
}

#[test]
fn a_draft_is_walked_for_a_pretended_user() {
    let desk = Desk::drafted();
    let words = ["flow", "try", "greeting", "--step", "hello:complete"];
    let small = desk.runs(&words).with(0).out;
    let lines: Vec<&str> = small.lines().map(str::trim_end).collect();
    assert!(
        lines[1].starts_with("start ") && lines[1].ends_with(" hello"),
        "{small}"
    );
    assert!(
        lines[2].contains("finished") && lines[2].contains("big: false"),
        "{small}"
    );
    let pretended = [
        &words[..],
        &["--user", r#"{"seats": 80}"#, "--output", "json"],
    ]
    .concat();
    let walked = desk.runs(&pretended).with(0).json();
    assert_eq!(walked["steps"][1]["active"], json!(["thanks"]), "{walked}");
    let wrong = desk.runs(&["flow", "try", "greeting", "--step", "helo:complete"]);
    assert!(wrong.with(2).error.contains("expected one of hello"));
    let wrong = desk.runs(&["flow", "try", "greeting", "--step", "hello:next"]);
    assert!(wrong.with(2).error.contains("has complete, dismiss"));
    let wrong = desk.runs(&["flow", "try", "greeting", "--step", "hello"]);
    assert!(wrong.with(64).error.contains("expected BLOCK:NAME"));
    // Nobody was stored, and nothing moved.
    let user = desk
        .dev
        .store()
        .get("/admin/v1/users/pretended?environment=development");
    assert_eq!(body_of(&user, 200)["flows"], json!([]));
}

#[test]
fn every_fault_of_a_draft_is_named_and_nothing_is_saved() {
    let desk = Desk::drafted();
    let before = desk.prints("draft");
    let faulty = FIRST
        .replace("user.properties.seats >= 50", "user.seats >=")
        .replace("to: thanks", "to: thank");
    let refused = desk.saves(&faulty).with(2).error;
    for expected in ["flow \"greeting\", draft", "\"big\"", "thank"] {
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    for (text, expected) in [
        ("- 1", "expected a table"),
        ("entry: everyone\n---\nentry: everyone", "found 2 documents"),
        ("entry: everyone\nblokcs: []", "blokcs"),
        ("number: 3\nentry: everyone", "number"),
        ("a: [", "the text is no version"),
    ] {
        let refused = desk.saves(text).with(2).error;
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    assert_eq!(desk.prints("draft"), before);
}

#[test]
fn of_two_authors_who_read_the_same_draft_one_is_told() {
    let desk = Desk::drafted();
    let store = desk.dev.store();
    let path = "/admin/v1/flows/greeting/versions/draft";
    let read = store.get(path);
    let tag = read.header("etag").to_owned();
    let put = |tag: Option<&str>, text: &str| {
        let header = tag.map(|tag| ("if-match", tag));
        let headers: Vec<_> = header.into_iter().collect();
        store
            .send(Method::PUT, path, &headers, Some(text.to_owned()))
            .expect("an answer")
    };
    let one = read.text.replace("Hello", "One");
    let two = read.text.replace("Hello", "Two");
    assert_eq!(put(Some(&tag), &one).status, 200);
    let late = put(Some(&tag), &two);
    let problem = check_problem(&late, 412, "changed");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("since it was read"))
    );
    assert!(store.get(path).text.contains("One"), "the first stands");
    check_problem(&put(None, &two), 428, "precondition-required");
    check_problem(&put(Some("W/\"x\""), &two), 400, "malformed-condition");
    assert_eq!(put(Some("*"), &two).status, 200);
    // A commit may say which draft it means, too.
    let body = json!({"message": "m"}).to_string();
    let late = store.send(
        Method::POST,
        "/admin/v1/flows/greeting/commit",
        &[("if-match", &tag)],
        Some(body),
    );
    check_problem(&late.expect("an answer"), 412, "changed");
}

#[test]
fn a_flow_in_use_is_not_deleted_and_a_renamed_one_is_the_same() {
    let desk = Desk::drafted();
    desk.runs(&["flow", "commit", "greeting", "-m", "First"])
        .with(0);
    eventually("the edge serves it", || {
        desk.title("1").filter(|title| title == "Hello")
    });
    desk.runs(&["flow", "rename", "greeting", "Say hello"])
        .with(0);
    let shown = desk
        .runs(&["flow", "show", "greeting", "--output", "json"])
        .with(0)
        .json();
    assert_eq!(
        (&shown["name"], &shown["sid"]),
        (&json!("Say hello"), &json!("greeting"))
    );
    assert_eq!(desk.title("1").as_deref(), Some("Hello"));
    desk.dev.import(
        "flowgate: project/1\nproject: harbor\nflows:\n  - sid: caller\n    draft:\n      \
         blocks: [ { sid: go, type: flowTrigger, flow: greeting, action: start } ]\n      \
         paths: [ { from: entry, to: go } ]\n    versions: []\n  - sid: greeting\n    deployments:\n      \
         - { name: all, environment: production, channel: web }\n",
    );
    let refused = desk.runs(&["flow", "delete", "greeting"]).with(2).error;
    for expected in [
        "deployment \"all\"",
        "flow \"caller\" triggers it",
        "enabled in development",
    ] {
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    desk.runs(&["deployment", "delete", "all"]).with(0);
    desk.runs(&["flow", "delete", "caller"]).with(0);
    for environment in ["development", "production"] {
        desk.runs(&["flow", "disable", "greeting", "--environment", environment])
            .with(0);
    }
    desk.runs(&["flow", "delete", "greeting", "--dry-run"])
        .with(0);
    desk.runs(&["flow", "show", "greeting"]).with(0);
    desk.runs(&["flow", "delete", "greeting"]).with(0);
    let gone = desk.runs(&["flow", "show", "greeting"]).with(2).error;
    assert!(gone.contains("does not exist"), "{gone}");
    eventually("the edge has forgotten it", || {
        desk.title("1").is_none().then_some(())
    });
    // The name is free, and what comes is another flow.
    let uid = shown["uid"].clone();
    desk.runs(&["flow", "create", "greeting", "--project", "harbor"])
        .with(0);
    let shown: Value = desk
        .runs(&["flow", "show", "greeting", "--output", "json"])
        .with(0)
        .json();
    assert_ne!(shown["uid"], uid);
    let taken = desk
        .runs(&["flow", "create", "greeting", "--project", "harbor"])
        .with(2)
        .error;
    assert!(taken.contains("exists already"), "{taken}");
    let nowhere = desk
        .runs(&["flow", "create", "new", "--project", "habor"])
        .with(2)
        .error;
    assert!(
        nowhere.contains("expected one of") && nowhere.contains("harbor"),
        "{nowhere}"
    );
}

#[test]
fn what_was_typed_is_kept_until_it_is_saved() {
    let desk = Desk::drafted();
    let editor = desk.file("editor", "#!/bin/sh\nsed -i 's/everyone/nobody/' \"$1\"\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&editor, mode).expect("it may be run");
    let mut command = flowgate();
    command.current_dir(desk.folder.path());
    command.args(["flow", "edit", "greeting", "--data"]);
    command
        .arg(desk.folder.path().join("dev"))
        .env("VISUAL", &editor);
    let refused = ended(&mut command).with(2).error;
    assert!(refused.contains("nobody"), "{refused}");
    let kept = refused
        .split("your text is in ")
        .nth(1)
        .and_then(|rest| rest.split(": ").next());
    let kept = desk.folder.path().join(kept.expect("its place"));
    let text = std::fs::read_to_string(&kept).expect("it is there");
    assert!(text.contains("entry: nobody"), "{text}");
    let mode = std::fs::metadata(&kept)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_file(kept).expect("it goes");
    command.env_remove("VISUAL").env_remove("EDITOR");
    assert!(
        ended(&mut command)
            .with(64)
            .error
            .contains("no editor is known")
    );
}
