//! Does evaluation agree with Unleash's client specification?
//!
//! Every case of the published package, in process and over HTTP. Where it is
//! not installed (`tests/clients/unleash/run` does that), the stories say so
//! and do nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flowgate::{
    evaluate::{FlagAsk, Subject, SubjectView, judge},
    snapshot::flags::{Flags, FlagsDocument},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::offline::Offline;

/// Cases of version 6.1.0; fewer would mean that files went unread.
const CASES: usize = 279;

/// What is given out for chance: the specification must not depend on it.
const CHANCES: [u64; 4] = [0, 1, u64::MAX, 0x0123_4567_89ab_cdef];

/// 2026-01-01; no case may depend on it.
const NOW: u64 = 1_767_225_600_000;

/// One file of the package.
struct Suite {
    name: String,
    content: Value,
}

impl Suite {
    fn state(&self) -> String {
        self.content["state"].to_string()
    }

    fn cases(&self) -> impl Iterator<Item = &Value> {
        let lists = ["tests", "variantTests"].map(|list| self.content[list].as_array());
        lists.into_iter().flatten().flatten()
    }
}

/// All files; none where the package is not installed, which is said.
fn suites() -> Option<Vec<Suite>> {
    let named = std::env::var_os("UNLEASH_SPECIFICATIONS").map(PathBuf::from);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients/unleash/node_modules/@unleash/client-specification/specifications");
    let folder = named.unwrap_or(installed);
    if !folder.is_dir() {
        println!(
            "the client specification was NOT run: it is not installed (run tests/clients/unleash/run)"
        );
        return None;
    }
    let index = read(&folder.join("index.json"));
    let files = index.as_array().expect("a list of files").iter();
    let suites = files.map(|name| {
        let name = name.as_str().expect("a name").to_owned();
        let content = read(&folder.join(&name));
        Suite { name, content }
    });
    Some(suites.collect())
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What was run, and what came out otherwise.
#[derive(Default)]
struct Report {
    run: usize,
    wrong: Vec<String>,
}

impl Report {
    fn case(&mut self, suite: &Suite, case: &Value, found: &[Value]) {
        self.run += 1;
        let expected = &case["expectedResult"];
        if found.is_empty() || found.iter().any(|found| found != expected) {
            let (file, what) = (&suite.name, &case["description"]);
            let text = format!("{file}: {what}: found {found:?}, expected {expected}");
            self.wrong.push(text);
        }
    }

    fn end(self, how: &str) {
        let Self { run, wrong } = self;
        println!(
            "{run} cases of the client specification {how}, {} wrong",
            wrong.len()
        );
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
        assert_eq!(run, CASES);
    }
}

/// What a client makes of a frontend's answer about a flag; none for one that
/// is not there.
fn as_client(toggle: Option<&Value>, case: &Value) -> Value {
    let is_on = toggle.is_some_and(|toggle| toggle["enabled"] == true);
    if case["expectedResult"].is_boolean() {
        return is_on.into();
    }
    let Some(toggle) = toggle else {
        return json!({"name": "disabled", "enabled": false, "feature_enabled": false});
    };
    let Value::Object(mut variant) = toggle["variant"].clone() else {
        panic!("no variant in {toggle}");
    };
    // Told under the name of older clients, too; and what is null is absent.
    let newer = variant.remove("featureEnabled");
    assert_eq!(newer.as_ref(), variant.get("feature_enabled"));
    variant.retain(|_, value| !value.is_null());
    variant.into()
}

#[test]
fn every_case_of_the_client_specification_holds_in_process() {
    let Some(suites) = suites() else { return };
    let mut report = Report::default();
    for suite in &suites {
        let document = FlagsDocument::read(suite.state().as_bytes()).expect("a document");
        let flags = Flags::compile(&document);
        for case in suite.cases() {
            let found = CHANCES.map(|chance| in_process(&flags, case, chance));
            report.case(suite, case, &found);
        }
    }
    report.end("in process");
}

fn in_process(flags: &Flags, case: &Value, chance: u64) -> Value {
    let mut attributes = case["context"].as_object().expect("a context").clone();
    if let Some(Value::Object(properties)) = attributes.remove("properties") {
        attributes.extend(properties);
    }
    let user = attributes.remove("userId");
    let user = user.as_ref().and_then(Value::as_str).unwrap_or_default();
    let user = Subject::unseen(user);
    let view = SubjectView {
        user: &user,
        group: None,
        attributes: Some(&attributes),
        conversation: None,
    };
    let ask = FlagAsk::of(flags, view, NOW).drawing(chance);
    let flag = flags.named(case["toggleName"].as_str().expect("a name"));
    let toggle = flag.map(|flag| {
        let judged = judge(flags, flag, &ask);
        serde_json::from_slice(flag.toggle(&judged)).expect("JSON")
    });
    as_client(toggle.as_ref(), case)
}

#[test]
fn every_case_of_the_client_specification_holds_over_http() {
    let Some(suites) = suites() else { return };
    let mut report = Report::default();
    for suite in &suites {
        let edge = Offline::start(&suite.state(), &["*:development.a-secret-of-the-story"]);
        for case in suite.cases() {
            let found = [by_post(&edge, case), by_get(&edge, case)];
            report.case(suite, case, &found);
        }
    }
    report.end("over HTTP");
}

/// Among all flags, with the context as a body.
fn by_post(edge: &Offline, case: &Value) -> Value {
    let body = json!({"context": case["context"]});
    let answer = edge.client.post("/api/frontend/all", &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let mut toggles = answer["toggles"].as_array().expect("toggles").iter();
    let toggle = toggles.find(|own| own["name"] == case["toggleName"]);
    as_client(toggle, case)
}

/// The flag alone, with the context as a query.
fn by_get(edge: &Offline, case: &Value) -> Value {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let context = case["context"].as_object().expect("a context");
    let pair = |name: String, value: &Value| {
        let text = value.as_str().expect("a text");
        format!("{}={}", encoded(&name), encoded(text))
    };
    let nothing = Map::new();
    let properties = context.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&nothing).iter();
    let properties = properties.filter(|(_, value)| !value.is_null());
    let properties = properties.map(|(name, value)| pair(format!("properties[{name}]"), value));
    let fields = context.iter().filter(|(name, _)| *name != "properties");
    let fields = fields.map(|(name, value)| pair(name.clone(), value));
    let query: Vec<String> = fields.chain(properties).collect();
    let name = encoded(case["toggleName"].as_str().expect("a name"));
    let path = format!("/api/frontend/features/{name}?{}", query.join("&"));
    let answer = edge
        .client
        .send(Method::GET, &path, &[], None)
        .expect("an answer");
    match answer.status {
        404 => as_client(None, case),
        200 => as_client(Some(&answer.json()), case),
        other => panic!("{other} for {path}: {}", answer.text),
    }
}
