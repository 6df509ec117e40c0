//! Is every decision explained, and can it be made again?

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Ended, deployments::Desk, said};
use crate::harness::{body_of, eventually};

/// `explain` of the flow for a user on `web`.
#[track_caller]
fn explains(desk: &Desk, user: &str, more: &[&str]) -> Ended {
    let words = [
        "explain",
        "--user",
        user,
        "--flow",
        "help",
        "--channel",
        "web",
    ];
    desk.runs(&[&words[..], more].concat())
}

/// A receipt in a file.
#[track_caller]
fn receipt_file(desk: &Desk, name: &str, text: &str) -> PathBuf {
    let file = desk.folder.path().join(name);
    std::fs::write(&file, text).expect("a file");
    file
}

fn root(desk: &Desk) -> PathBuf {
    let root = desk.folder.path().join("dev/store/signing/root.json");
    assert!(root.exists(), "{}", root.display());
    root
}

#[track_caller]
fn replays(desk: &Desk, file: &Path, snapshot: &Path) -> Ended {
    said(&[
        "replay",
        &file.display().to_string(),
        "--snapshot",
        &snapshot.display().to_string(),
        "--trust-root",
        &root(desk).display().to_string(),
    ])
}

/// A deployment to a tenth of the VIPs.
#[track_caller]
fn deployed() -> Desk {
    let desk = Desk::start();
    let file = desk.folder.path().join("audience.json");
    let audience = json!([{"name": "vips", "rules": [{"attribute": "tags", "operator": "contains", "value": "vip"}]}]);
    std::fs::write(&file, audience.to_string()).expect("a file");
    desk.deploys(
        "on-web",
        &[
            "--percentage",
            "10",
            "--audience",
            &file.display().to_string(),
        ],
    );
    desk.becomes("ada", "audience_mismatch");
    desk
}

const VIP: [&str; 2] = [
    "--attributes",
    "{\"tags\":[\"vip\"],\"score\":0.30000000000000004}",
];

#[test]
fn a_decision_is_told_in_words_and_as_json() {
    let desk = deployed();
    let told = explains(&desk, "ada", &[]).with(0).out;
    for word in [
        "vips: ",
        "→ no",
        "audience_mismatch",
        "not served",
        "on-web",
        "revision",
    ] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    let answer = explains(&desk, "ada", &[&VIP[..], &["--output", "json"]].concat())
        .with(0)
        .json();
    let (inputs, receipt) = (&answer["inputs"], &answer["receipt"]);
    assert_eq!(inputs["attributes"]["tags"], json!(["vip"]), "{answer}");
    let bucket = receipt["rollout"]["bucket"].as_u64().expect("a bucket");
    assert_eq!(receipt["rollout"]["basis_points"], 1000);
    assert_eq!(receipt["membership"]["in"], bucket < 1000);
    assert_eq!(receipt["reason"], "percentage");
    // By the deployment's name it is the same flow and channel.
    let by_name = [
        "explain",
        "--user",
        "ada",
        "--deployment",
        "on-web",
        "--output",
        "json",
    ];
    let by_name = desk.runs(&by_name).with(0).json();
    assert_eq!(by_name["inputs"]["channel"], "web");
    assert_eq!(by_name["receipt"]["reason"], "audience_mismatch");
    // What /v1/evaluate says is what was explained.
    let body = json!({"subject": {"user": "ada", "attributes": {"tags": ["vip"]}}, "channel": "web",
        "flows": {"help": "latest"}});
    let answer = desk.dev.edge("server").post("/v1/evaluate", &body);
    let decision = body_of(&answer, 200)["decisions"]["help"].clone();
    assert_eq!(decision["membership"]["bucket"], bucket, "{decision}");
    assert_eq!(decision["reason"], receipt["reason"]);
}

#[test]
fn explaining_leaves_no_trace() {
    let desk = deployed();
    for _ in 0..3 {
        explains(&desk, "grace", &VIP).with(0);
    }
    let unknown = desk.runs(&["user", "show", "grace"]);
    assert_eq!(unknown.code, 1, "{}", unknown.out);
    let answer = explains(&desk, "grace", &[&VIP[..], &["--output", "json"]].concat())
        .with(0)
        .json();
    assert_eq!(answer["receipt"]["rollout"]["record"], Value::Null);
    assert_eq!(answer["inputs"]["states"], json!([]));
}

#[test]
fn what_is_not_known_is_a_receipt_or_a_refusal_with_words() {
    let desk = deployed();
    let unknown = desk
        .runs(&["explain", "--user", "ada", "--flow", "nope"])
        .with(0)
        .out;
    assert!(unknown.contains("unknown_flow"), "{unknown}");
    let version = ["explain", "--user", "ada", "--flow", "help", "--tag", "9"];
    assert!(desk.runs(&version).with(0).out.contains("unknown_version"));
    desk.runs(&["explain", "--user", "ada"])
        .with(64)
        .complains_of(&["--flow"]);
    let deployment = ["explain", "--user", "ada", "--deployment", "nope"];
    desk.runs(&deployment)
        .with(2)
        .complains_of(&["404", "nope"]);
    let attributes = ["--attributes", "[1]"];
    explains(&desk, "ada", &attributes)
        .with(64)
        .complains_of(&["an object"]);
    let wrong = explains(&desk, "ada", &["--at-revision", "999999"]).with(2);
    wrong.complains_of(&["found 0.", "expected 999999", "--snapshot"]);
    // Only server keys may ask, and what is wrong is said by the edge too.
    let body = json!({"subject": {"user": "ada"}, "flow": "help"});
    assert_eq!(
        desk.dev.edge("blocks").post("/v1/explain", &body).status,
        403
    );
    let server = desk.dev.edge("server");
    for (body, word) in [
        (json!({"subject": {"user": "ada"}}), "flow"),
        (
            json!({"subject": {"user": "ada"}, "flow": "help", "deployment": "on-web"}),
            "both",
        ),
        (
            json!({"subject": {"user": "ada"}, "flow": "help", "now": "soon"}),
            "soon",
        ),
        (
            json!({"subject": {"user": "ada"}, "flow": "help", "flows": {}}),
            "flows",
        ),
        (
            json!({"subject": {"user": "ada"}, "flow": "help", "channel": "a b"}),
            "a b",
        ),
    ] {
        let refused = server.post("/v1/explain", &body);
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        assert!(refused.text.contains(word), "{body}: {}", refused.text);
    }
}

#[test]
fn another_time_can_be_asked_about() {
    let desk = Desk::start();
    desk.deploys(
        "on-web",
        &[
            "--percentage",
            "0",
            "--schedule",
            "2040-01-01T00:00:00Z=100",
        ],
    );
    desk.becomes("ada", "percentage");
    let points = |more: &[&str]| {
        let words = [more, &["--output", "json"]].concat();
        explains(&desk, "ada", &words).with(0).json()["receipt"]["rollout"].clone()
    };
    assert_eq!(points(&[])["basis_points"], 0);
    let later = points(&["--now", "2040-06-01T00:00:00Z"]);
    assert_eq!(
        (&later["basis_points"], &later["scheduled"]),
        (&json!(10_000), &json!(true))
    );
}

#[test]
fn a_receipt_is_made_again_from_the_snapshot_an_edge_kept() {
    let desk = deployed();
    let edge = desk.folder.path().join("dev/edge");
    let text = explains(&desk, "ada", &[&VIP[..], &["--output", "json"]].concat())
        .with(0)
        .out;
    let file = receipt_file(&desk, "receipt.json", &text);
    let equal = eventually("the edge has kept its snapshot", || {
        let ended = replays(&desk, &file, &edge);
        (ended.code == 0).then_some(ended)
    });
    assert!(equal.out.starts_with("equal: "), "{}", equal.out);

    // One byte of the inputs, and it is told.
    let changed = text.replace("\"identifier\":\"ada\"", "\"identifier\":\"adb\"");
    assert_ne!(changed, text);
    let different = replays(&desk, &receipt_file(&desk, "changed.json", &changed), &edge).with(1);
    for word in [
        "different",
        "receipt.inputs_sha256",
        "receipt.rollout.bucket",
    ] {
        assert!(
            different.out.contains(word),
            "no {word} in {}",
            different.out
        );
    }
    // One that nothing looked at as well.
    let changed = text.replace(
        "\"score\":0.30000000000000004",
        "\"score\":0.30000000000000005",
    );
    assert_ne!(changed, text);
    let different = replays(&desk, &receipt_file(&desk, "changed.json", &changed), &edge);
    assert!([0, 1].contains(&different.code), "{}", different.error);
    // And one of the receipt.
    let changed = text.replace("\"reason\":\"percentage\"", "\"reason\":\"excluded\"");
    let different = replays(&desk, &receipt_file(&desk, "changed.json", &changed), &edge).with(1);
    let expected = "receipt.reason: found \"excluded\", expected \"percentage\"";
    assert!(different.out.contains(expected), "{}", different.out);
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let desk = deployed();
    let edge = desk.folder.path().join("dev/edge");
    let text = explains(&desk, "ada", &["--output", "json"]).with(0).out;
    let file = receipt_file(&desk, "receipt.json", &text);
    eventually("the edge has kept its snapshot", || {
        (replays(&desk, &file, &edge).code == 0).then_some(())
    });
    let other = text.replace("\"revision\":\"0.", "\"revision\":\"7.");
    let other = receipt_file(&desk, "other.json", &other);
    replays(&desk, &other, &edge)
        .with(2)
        .complains_of(&["revision 7.", "found", "expected"]);
    let torn = receipt_file(&desk, "torn.json", &text[..text.len() / 2]);
    replays(&desk, &torn, &edge)
        .with(2)
        .complains_of(&["torn.json", "not a receipt"]);
    replays(&desk, Path::new("nowhere.json"), &edge)
        .with(2)
        .complains_of(&["nowhere.json"]);
    replays(&desk, &file, Path::new("nowhere"))
        .with(2)
        .complains_of(&["nowhere"]);

    // Packs put away, one of them damaged.
    let archive = desk.folder.path().join("archive");
    std::fs::create_dir(&archive).expect("a folder");
    for entry in std::fs::read_dir(edge.join("snapshots/development")).expect("packs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|own| own == "pack") {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, archive.join(name)).expect("a copy");
        }
    }
    replays(&desk, &file, &archive).with(0);
    for entry in std::fs::read_dir(&archive).expect("packs") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("a pack");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("a damaged pack");
    }
    replays(&desk, &file, &archive)
        .with(2)
        .complains_of(&["refused", "expected revision"]);
}

#[test]
fn an_archived_snapshot_explains_without_an_edge() {
    let mut desk = deployed();
    let edge = desk.folder.path().join("dev/edge");
    let text = explains(&desk, "ada", &["--output", "json"]).with(0).out;
    let file = receipt_file(&desk, "receipt.json", &text);
    eventually("the edge has kept its snapshot", || {
        (replays(&desk, &file, &edge).code == 0).then_some(())
    });
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let revision = answer["inputs"]["revision"].as_str().expect("a revision");
    desk.dev.program.kill();
    let (root, edge) = (
        root(&desk).display().to_string(),
        edge.display().to_string(),
    );
    let words = [
        "explain",
        "--user",
        "ada",
        "--deployment",
        "on-web",
        "--at-revision",
        revision,
        "--environment",
        "development",
        "--snapshot",
        &edge,
        "--trust-root",
        &root,
    ];
    let offline = said(&[&words[..], &VIP, &["--output", "json"]].concat()).with(0);
    assert_eq!(offline.json()["receipt"]["reason"], "percentage");
    // It can be replayed like any other.
    let file = receipt_file(&desk, "offline.json", &offline.out);
    replays(&desk, &file, Path::new(&edge)).with(0);
    let told = said(&words).with(0).out;
    assert!(told.contains("could not be asked for"), "{told}");
}
