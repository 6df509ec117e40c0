//! Does evaluation agree with Unleash's client specification?
//!
//! Every case of the published package, in process. Where it is not installed
//! (`tests/clients/unleash/run` does that), the story says so and does nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flowgate::{
    evaluate::{FlagAsk, Subject, SubjectView, judge},
    snapshot::flags::{Flags, FlagsDocument, Judged},
};
use serde_json::{Map, Value, json};

/// Cases of version 6.1.0; fewer would mean that files went unread.
const CASES: usize = 279;

/// What is given out for chance: the specification must not depend on it.
const CHANCES: [u64; 4] = [0, 1, u64::MAX, 0x0123_4567_89ab_cdef];

/// 2026-01-01; no case may depend on it.
const NOW: u64 = 1_767_225_600_000;

/// Where the package's files are, if anywhere.
fn specifications() -> Option<PathBuf> {
    let named = std::env::var_os("UNLEASH_SPECIFICATIONS").map(PathBuf::from);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients/unleash/node_modules/@unleash/client-specification/specifications");
    named.or(Some(installed)).filter(|folder| folder.is_dir())
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_case_of_the_client_specification_holds() {
    let Some(folder) = specifications() else {
        println!(
            "the client specification was NOT run: it is not installed (run tests/clients/unleash/run)"
        );
        return;
    };
    let index = read(&folder.join("index.json"));
    let (mut run, mut wrong) = (0, Vec::new());
    for name in index.as_array().expect("a list of files") {
        let suite = read(&folder.join(name.as_str().expect("a name")));
        let state = suite["state"].to_string();
        let document = FlagsDocument::read(state.as_bytes()).expect("a document");
        let flags = Flags::compile(&document);
        let lists = ["tests", "variantTests"].map(|list| suite[list].as_array());
        for case in lists.into_iter().flatten().flatten() {
            run += 1;
            let found = CHANCES.map(|chance| answer(&flags, case, chance));
            let expected = &case["expectedResult"];
            if found.iter().any(|found| found != expected) {
                let what = &case["description"];
                wrong.push(format!(
                    "{name}: {what}: found {found:?}, expected {expected}"
                ));
            }
        }
    }
    println!(
        "{run} cases of the client specification, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert_eq!(run, CASES);
}

/// What a client would answer: whether the flag is on, or its variant.
fn answer(flags: &Flags, case: &Value, chance: u64) -> Value {
    let mut attributes = case["context"].as_object().expect("a context").clone();
    if let Some(Value::Object(properties)) = attributes.remove("properties") {
        attributes.extend(properties);
    }
    let user = attributes.remove("userId");
    let user = user.as_ref().and_then(Value::as_str).unwrap_or_default();
    let judged = judged(flags, case, &Subject::unseen(user), &attributes, chance);
    if case["expectedResult"].is_boolean() {
        return judged.is_some_and(|(_, judged)| judged.enabled).into();
    }
    let off = json!({"name": "disabled", "enabled": false, "feature_enabled": false});
    let Some((flag, judged)) = judged else {
        return off;
    };
    let toggle: Value = serde_json::from_slice(flag.toggle(&judged)).expect("JSON");
    let Value::Object(mut variant) = toggle["variant"].clone() else {
        panic!("no variant in {toggle}");
    };
    // Told under the name of older clients, too; and what is null is absent.
    assert_eq!(
        variant.remove("featureEnabled"),
        variant.get("feature_enabled").cloned()
    );
    variant.retain(|_, value| !value.is_null());
    variant.into()
}

fn judged<'f>(
    flags: &'f Flags,
    case: &Value,
    user: &Subject,
    attributes: &Map<String, Value>,
    chance: u64,
) -> Option<(&'f flowgate::snapshot::flags::Flag, Judged<'f>)> {
    let flag = flags.named(case["toggleName"].as_str().expect("a name"))?;
    let view = SubjectView {
        user,
        group: None,
        attributes: Some(attributes),
        conversation: None,
    };
    let ask = FlagAsk {
        view,
        now: NOW,
        chance,
    };
    Some((flag, judge(flags, flag, &ask)))
}
