//! What if a receipt is not what was answered?
//!
//! A receipt is a file that people send around. Torn, edited, of another
//! environment, of wrong types or made up altogether: replaying it ends with 1
//! or 2 and words, and never with a panic.

use std::path::Path;

use serde_json::{Value, json};

use super::{Desk, Ended};
use crate::harness::{body_of, eventually, flowgate, run};

#[track_caller]
fn replays(desk: &Desk, file: &Path) -> Ended {
    let dev = desk.folder.path().join("dev");
    let output = run(flowgate()
        .arg("replay")
        .arg(file)
        .arg("--snapshot")
        .arg(dev.join("edge"))
        .arg("--trust-root")
        .arg(dev.join("store/signing/root.json")));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ended = Ended {
        code: output.status.code().expect("it was not killed"),
        out: text(&output.stdout),
        error: text(&output.stderr),
    };
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    ended
}

/// A receipt of a decision with an audience, a percentage and a state.
fn receipt(desk: &Desk) -> Value {
    let server = desk.dev.edge("server");
    // Whoever of them is among the tenth that is let in.
    let mut people = (0..500).map(|number| {
        let user = format!("vip-{number}");
        json!({"user": user, "conversation": "c-1", "attributes": {"tags": ["vip"], "n": 7}})
    });
    let channel = "intercom:acme";
    let subject = people.find(|subject| {
        let start = json!({"subject": subject, "channel": channel, "start": true});
        let answer = body_of(&server.post("/v1/evaluate", &start), 200);
        answer["decisions"]["customer-support"]["served"] == true
    });
    let question = json!({"subject": subject, "channel": channel, "flow": "customer-support"});
    let answer = body_of(&server.post("/v1/explain", &question), 200);
    assert_eq!(answer["receipt"]["reason"], "started", "{answer}");
    answer
}

#[test]
fn a_damaged_receipt_is_told_and_never_a_panic() {
    let desk = Desk::open();
    let sound = receipt(&desk);
    let text = sound.to_string();
    let file = desk.file("receipt.json", &text);
    eventually("the edge has kept its snapshot", || {
        (replays(&desk, &file).code == 0).then_some(())
    });
    // Torn at places all over it.
    for part in 0..16 {
        let mut end = text.len() * part / 16;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let ended = replays(&desk, &desk.file("torn.json", &text[..end]));
        assert_eq!(ended.code, 2, "{end}: {}", ended.out);
        assert!(ended.error.contains("torn.json"), "{}", ended.error);
    }
    // Every member of the inputs as every type.
    let inputs = sound["inputs"].as_object().expect("inputs");
    let mut told = [0, 0, 0];
    for name in inputs.keys() {
        for value in [
            json!(null),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(""),
            json!("\u{0}"),
            json!([]),
            json!({}),
            json!([{}]),
            json!(true),
        ] {
            let mut edited = sound.clone();
            if edited["inputs"][name] == value {
                continue;
            }
            edited["inputs"][name] = value.clone();
            let ended = replays(&desk, &desk.file("edited.json", &edited.to_string()));
            assert!(
                [1, 2].contains(&ended.code),
                "{name} {value}: {}",
                ended.out
            );
            let words = [&ended.out, &ended.error][usize::from(ended.code == 2)];
            assert!(words.lines().count() >= 1, "{name} {value}");
            told[ended.code as usize] += 1;
        }
        let mut edited = sound.clone();
        edited["inputs"]
            .as_object_mut()
            .expect("inputs")
            .remove(name);
        let ended = replays(&desk, &desk.file("edited.json", &edited.to_string()));
        // A member that may be left out is null.
        let null = inputs[name].is_null();
        assert_eq!(
            ended.code == 0,
            null,
            "{name} left out: {} {}",
            ended.out,
            ended.error
        );
    }
    assert!(told[1] > 0 && told[2] > 0, "{told:?}");
}

#[test]
fn a_made_up_receipt_is_told_and_never_a_panic() {
    let desk = Desk::open();
    let sound = receipt(&desk);
    let file = desk.file("receipt.json", &sound.to_string());
    eventually("the edge has kept its snapshot", || {
        (replays(&desk, &file).code == 0).then_some(())
    });
    let production = sound.to_string().replace(
        "\"environment\":\"development\"",
        "\"environment\":\"production\"",
    );
    let mut cases = vec![
        (production, 2, "snapshot"),
        (String::new(), 2, "not a receipt"),
        ("null".to_owned(), 2, "not a receipt"),
        ("[]".to_owned(), 2, "not a receipt"),
        (
            "{\"inputs\":{},\"receipt\":{}}".to_owned(),
            2,
            "not a receipt",
        ),
        ("[".repeat(1_000_000), 2, "not a receipt"),
        (
            format!("{{\"receipt\":{}{}}}", "[".repeat(500), "]".repeat(500)),
            2,
            "not a receipt",
        ),
    ];
    let block = sound["inputs"]["states"][0]["blocks"][0]["block"].clone();
    let mut edit = |place: &str, value: Value, code: i32, word: &'static str| {
        let mut edited = sound.clone();
        *edited
            .pointer_mut(place)
            .unwrap_or_else(|| panic!("no {place} in {sound}")) = value;
        cases.push((edited.to_string(), code, word));
    };
    edit("/inputs/format", json!(2), 2, "format");
    edit("/inputs/environment_uid", json!("another"), 2, "another");
    edit(
        "/inputs/revision",
        json!("99999999999999999999.1"),
        2,
        "revision",
    );
    edit("/inputs/revision", json!("0.999999"), 2, "0.999999");
    edit("/inputs/flow", json!("onboarding-tour"), 2, "flow uid");
    edit("/inputs/flow", json!("../x"), 1, "unknown_flow");
    edit("/inputs/tag", json!("4294967295"), 1, "tag");
    edit("/inputs/channel", json!("mars"), 1, "channel");
    edit("/inputs/channel", json!("not a channel"), 1, "deployment");
    edit("/inputs/projects", json!(["nobody's"]), 1, "unknown_flow");
    edit("/inputs/now_ms", json!(u64::MAX), 1, "now_ms");
    edit("/inputs/subject/identifier", json!(""), 1, "inputs_sha256");
    edit(
        "/inputs/subject/created_ms",
        json!(u64::MAX),
        1,
        "inputs_sha256",
    );
    edit("/inputs/conversation", json!("c-2"), 1, "receipt");
    edit(
        "/inputs/membership",
        json!({"in": true, "basis_points": 65535}),
        1,
        "inputs_sha256",
    );
    edit(
        "/inputs/states/0/version",
        json!(4294967295_u64),
        1,
        "receipt",
    );
    edit("/inputs/states/0/version", json!(0), 1, "receipt");
    edit("/inputs/states/0/flow", json!("another"), 2, "flow uid");
    edit("/inputs/states/0/blocks", json!([]), 1, "receipt");
    edit(
        "/inputs/states/0/blocks/0/block",
        json!("nobody"),
        1,
        "receipt",
    );
    let taken =
        json!({"block": block, "active": true, "exited": true, "taken": ["nobody", "nobody"]});
    edit("/inputs/states/0/blocks/0", taken, 1, "receipt");
    edit("/inputs/states/0/generation", json!(u32::MAX), 1, "receipt");
    let twice = json!([sound["inputs"]["states"][0], sound["inputs"]["states"][0]]);
    edit("/inputs/states", twice, 1, "receipt");
    edit("/receipt", json!(null), 1, "receipt: found null");
    edit("/receipt", json!([]), 1, "receipt: found []");
    edit(
        "/receipt/rollout",
        json!({"bucket": {"a": [[[]]]}}),
        1,
        "receipt.rollout",
    );
    edit(
        "/receipt/served",
        json!("yes"),
        1,
        "receipt.served: found \"yes\"",
    );
    for (text, code, word) in cases {
        let ended = replays(&desk, &desk.file("made-up.json", &text));
        let shown: String = text.chars().take(200).collect();
        assert_eq!(
            ended.code, code,
            "{word}: {} {} of {shown}",
            ended.out, ended.error
        );
        let said = format!("{}{}", ended.out, ended.error);
        assert!(said.contains(word), "no {word:?} in {said}");
        assert!(said.len() < 64 * 1024, "{} bytes", said.len());
    }
}
