//! Does a decision allocate?
//!
//! A test binary of its own, because it replaces the global allocator by one
//! that counts. Counts are kept by thread, so that the test harness does not
//! disturb them. Whole requests are counted in [`requests`].

mod requests;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

use flowgate::{
    evaluate::{
        Ask, FlagAsk, FlowState, LiveJudge, Membership, Profile, Reason, Step, Subject,
        SubjectView, VersionSource, decide, judge,
        predicate::{Constraint, Found, Predicate},
        transition,
    },
    snapshot::{
        Revision, Snapshot,
        compile::compile,
        flags::{Flags, FlagsDocument},
        flow_bytes_max,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
        write_flow,
    },
};
use serde_json::{Value, json};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // Without a destructor the counter is there as long as its thread.
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call is handed to the system's allocator as it came; counting
// touches a thread-local without a destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(black_box(Vec::<u8>::new()))), 0);
}

#[test]
fn a_decision_and_its_bytes_allocate_nothing() {
    let snapshot = snapshot();
    let mut user = subject();
    let decided = |user: &Subject| {
        let decision = decide(&snapshot, &view(user), &welcome(), |_| true, 7);
        (decision.reason, decision.may_start)
    };

    let mut answer = None;
    assert_eq!(allocations(|| answer = Some(decided(&user))), 0);
    assert_eq!(answer, Some((Reason::EntryCondition, true)));

    // Started, by a step that may allocate.
    let flow = &snapshot.flows["welcome"];
    let version = flow.latest().unwrap().version.as_ref().unwrap();
    let mut judge = LiveJudge {
        snapshot: &snapshot,
        view: view(&user),
        now: 7,
    };
    let start = Step::Start { force: false };
    let effect = transition(version, &FlowState::default(), &start, &mut judge).unwrap();
    assert!(effect.changed);
    user.set_state(flow.key, 1, None, effect.state);

    let mut out = Vec::with_capacity(flow_bytes_max(version, true));
    let counted = allocations(|| {
        let decision = decide(&snapshot, &view(&user), &welcome(), |_| true, 7);
        assert_eq!(decision.reason, Reason::Started);
        let version = decision.version.expect("a version");
        write_flow(&mut out, version, decision.state.as_deref(), true, true);
    });
    assert_eq!(counted, 0);
    let written: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(written["state"]["started"], json!(true));
    assert_eq!(written["blocks"].as_array().unwrap().len(), 5);
    assert_eq!(written["blocks"][0]["state"]["active"], json!(true));
}

#[test]
fn a_decision_under_a_deployment_allocates_nothing() {
    let snapshot = snapshot();
    let mut user = subject();
    let decided = |user: &Subject, conversation: Option<&str>, record: Option<Membership>| {
        let ask = Ask {
            channel: Some("web"),
            membership: record,
            ..welcome()
        };
        let view = SubjectView {
            conversation,
            ..view(user)
        };
        let decision = decide(&snapshot, &view, &ask, |_| true, 7);
        (decision.reason, decision.served)
    };
    let mut answers = Vec::with_capacity(8);
    let counted = allocations(|| {
        answers.push(decided(&user, None, None));
        answers.push(decided(&user, Some("talk"), None));
        for (is_in, basis_points) in [(true, 100), (false, 100)] {
            let record = Some(Membership {
                is_in,
                basis_points,
            });
            answers.push(decided(&user, None, record));
        }
    });
    assert_eq!(counted, 0);
    assert_eq!(
        answers,
        [
            (Reason::Percentage, true),
            (Reason::Percentage, true),
            (Reason::Member, true),
            (Reason::Excluded, false)
        ]
    );

    let flow = snapshot.flows["welcome"].key;
    let running = FlowState {
        started: true,
        ..FlowState::default()
    };
    user.set_state(flow, 1, Some("talk"), running);
    let mut answer = None;
    let counted = allocations(|| answer = Some(decided(&user, Some("talk"), None)));
    assert_eq!((counted, answer), (0, Some((Reason::Started, true))));

    // Attributes that are numbers are hashed as their digits.
    let ask = Ask {
        channel: Some("by-number"),
        ..welcome()
    };
    let counted = allocations(|| {
        let decision = decide(&snapshot, &view(&user), &ask, |_| true, 7);
        assert!(decision.enrolled.is_some());
    });
    assert_eq!(counted, 0);
}

#[test]
fn no_form_of_expression_allocates() {
    let user = subject();
    for source in [
        "lower(user.properties.name) = 'ann' AND lower(user.properties.name) LIKE '%n_%'",
        "contains(lower(user.properties.name), 'nn') OR endsWith(lower(user.properties.name), 'zz')",
        "contains(user.properties.name, 'nn') OR startsWith(user.properties.name, 'x')",
        "user.properties.since > now() - 7d",
        "user.properties.name < now() OR user.properties.name + 1d < now()",
        "user.properties.plan IN ('free', 'pro') AND user.properties.age BETWEEN 1 AND 99.5",
        "includes(user.properties.tags, 'b') AND length(user.properties.tags) = 2",
        "NOT user.properties.missing = 'x' AND user.properties.missing IS NULL",
        "user.properties.tags = user.properties.tags AND group.identifier IS NULL",
    ] {
        let predicate = Predicate::parse(source).unwrap();
        let counted = allocations(|| {
            black_box(predicate.holds(&view(&user), 1_767_225_600_000));
        });
        assert_eq!(counted, 0, "{source}");
    }
}

/// Every rule is judged: the first alternative fails at its last one, and those
/// of the second, of all operators, hold.
#[test]
fn twenty_rules_of_all_operators_allocate_nothing() {
    let snapshot = snapshot();
    let user = subject();
    let group = Profile {
        identifier: "acme".into(),
        ..Profile::default()
    };
    let attributes = json!({"source": "invite"});
    let judged = |attributes: Option<&Value>| {
        let view = SubjectView {
            group: Some(&group),
            attributes: attributes.and_then(Value::as_object),
            ..view(&user)
        };
        let ask = Ask {
            channel: Some("by-all"),
            ..welcome()
        };
        let decision = decide(&snapshot, &view, &ask, |_| true, 7);
        (decision.reason, decision.enrolled.is_some())
    };
    let mut answers = Vec::with_capacity(2);
    let counted = allocations(|| {
        answers.push(judged(Some(&attributes)));
        answers.push(judged(None));
    });
    assert_eq!(counted, 0);
    assert_eq!(
        answers,
        [
            (Reason::Percentage, true),
            (Reason::AudienceMismatch, false)
        ]
    );
}

#[test]
fn a_pinned_user_allocates_nothing() {
    let snapshot = snapshot();
    let mut user = subject();
    let flow = snapshot.flows["welcome"].key;
    user.set_state(flow, 1, None, FlowState::default());
    let ask = Ask {
        channel: Some("stays"),
        ..welcome()
    };
    let mut answer = None;
    let counted = allocations(|| {
        let decision = decide(&snapshot, &view(&user), &ask, |_| true, 7);
        answer = Some((decision.reason, decision.version_source));
    });
    assert_eq!(counted, 0);
    assert_eq!(answer, Some((Reason::Pinned, VersionSource::Pin)));
}

#[test]
fn no_constraint_allocates() {
    let user = subject();
    let attributes = json!({"remoteAddress": "10.0.0.7", "appVersion": "1.10.0-rc.1"});
    let view = SubjectView {
        attributes: attributes.as_object(),
        ..view(&user)
    };
    for (name, operator, value, holds) in [
        ("userId", "IN", "ann", true),
        ("plan", "NOT_IN", "pro", false),
        ("age", "IN", "42", true),
        ("ratio", "IN", "0.5", true),
        ("name", "STR_STARTS_WITH", "an", true),
        ("name", "STR_ENDS_WITH", "NA", true),
        ("name", "STR_CONTAINS", "zz", false),
        ("age", "NUM_GTE", "42", true),
        ("since", "DATE_BEFORE", "2026-01-01T00:00:00Z", true),
        ("appVersion", "SEMVER_LT", "1.10.0", true),
        ("remoteAddress", "IN_CIDR", "10.0.0.0/24", true),
        ("age", "REGEX", "^4.$", true),
    ] {
        let constraint = Constraint {
            context_name: name.to_owned(),
            operator: operator.to_owned(),
            value: Some(value.to_owned()),
            values: vec![value.to_owned()],
            inverted: false,
            case_insensitive: true,
        };
        let predicate = Predicate::constraint(&constraint, 0);
        let names = [name.into()];
        let holds_of = || predicate.holds_of(&Found::of(&names, view), 7);
        // A thread that matches for the first time takes what it keeps for that.
        let first = holds_of();
        let mut answer = None;
        let counted = allocations(|| answer = Some(holds_of()));
        assert_eq!((counted, answer), (0, Some(holds)), "{name} {operator}");
        assert_eq!(first, holds, "{name} {operator}");
    }
}

#[test]
fn no_flag_allocates() {
    let constraint = |field: &str, operator: &str, value: &str| json!({"contextName": field, "operator": operator, "value": value, "values": [value]});
    let rollout = |stickiness: &str, rollout: &str| {
        let parameters = json!({"stickiness": stickiness, "rollout": rollout, "groupId": "g"});
        json!({"name": "flexibleRollout", "parameters": parameters, "segments": [1]})
    };
    let variants = json!([{"name": "a", "weight": 500, "payload": {"type": "string", "value": "x"}},
        {"name": "b", "weight": 500, "overrides": [{"contextName": "userId", "values": ["bob"]}]}]);
    let features = (0..100).map(|at| {
        let strategies = match at % 5 {
            0 => json!([rollout("default", "50"), {"name": "default"}]),
            1 => json!([rollout("random", "50")]),
            2 => json!([rollout("age", "100")]),
            3 => json!([{"name": "userWithId", "parameters": {"userIds": "bob, ann"}}]),
            _ => json!([{"name": "default", "constraints": [constraint("plan", "REGEX", "^(pro|team)$")]}]),
        };
        let parent = json!([{"feature": "flag 0", "variants": ["a", "b"]}]);
        let dependencies = if at % 10 == 9 { parent } else { json!([]) };
        json!({"name": format!("flag {at}"), "enabled": true, "strategies": strategies,
            "variants": variants, "dependencies": dependencies})
    });
    let segment = json!({"id": 1, "constraints": [constraint("age", "NUM_GT", "4"), constraint("name", "STR_CONTAINS", "N")]});
    let document = json!({"features": features.collect::<Vec<_>>(), "segments": [segment]});
    let document = FlagsDocument::read(document.to_string().as_bytes()).unwrap();
    let flags = Flags::compile(&document);
    assert_eq!(flags.troubles(), []);
    let user = subject();
    let mut out = Vec::with_capacity(flags.toggles_bytes_max());
    let mut answer = |chance: u64| {
        out.clear();
        let ask = FlagAsk::of(&flags, view(&user), 7).drawing(chance);
        let mut on = 0;
        for flag in flags.list() {
            let judged = judge(&flags, flag, &ask);
            on += u32::from(judged.enabled);
            out.extend_from_slice(flag.toggle(&judged));
        }
        (ask.may_draw(&flags), on)
    };
    // A thread that matches for the first time takes what it keeps for that.
    let first = answer(7);
    assert!(first.0 && (50..100).contains(&first.1), "{first:?}");
    assert_eq!(
        allocations(|| {
            black_box(answer(7));
        }),
        0
    );
}

fn subject() -> Subject {
    let mut subject = Subject::unseen("ann");
    let properties = json!({"plan": "pro", "age": 42, "name": "ANNA", "tags": ["a", "b"], "ratio": 0.5, "zip": "0150",
        "since": "2025-12-31T00:00:00+01:00"});
    if let Value::Object(properties) = properties {
        std::sync::Arc::make_mut(&mut subject.profile).properties = properties;
    }
    subject
}

fn view(user: &Subject) -> SubjectView<'_> {
    SubjectView {
        user,
        group: None,
        attributes: None,
        conversation: None,
    }
}

fn snapshot() -> Snapshot {
    let blocks: Vec<Value> = (0..5)
        .map(
            |place| json!({"uid": format!("b{place}"), "sid": format!("b{place}"), "kind": "card"}),
        )
        .collect();
    let version = json!({"flow_uid": "f1", "flow_sid": "welcome", "number": 1,
        "entry": {"expression": "user.properties.plan = 'pro' AND user.properties.age >= 18"},
        "blocks": blocks, "paths": [{"uid": "p", "to": "b0"}]});
    let flow = json!({"uid": "f1", "sid": "welcome", "name": "Welcome", "project": "web",
        "enabled": true, "versions": [1]});
    let rules = json!([
        {"attribute": "plan", "operator": "equals", "value": "PRO", "ignore_case": true},
        {"attribute": "age", "operator": "greater_than", "value": 17},
        {"attribute": "tags", "operator": "contains", "value": "b"},
        {"attribute": "name", "operator": "starts_with", "value": "an", "ignore_case": true},
        {"attribute": "name", "operator": "ends_with", "value": "NA"},
        {"attribute": "since", "operator": "less_than", "value": "2026-01-01T00:00:00Z"},
        {"attribute": "age", "operator": "not_equals", "value": "41"},
        {"attribute": "missing", "operator": "is_empty"},
        {"attribute": "group.plan", "operator": "not_equals", "value": "free"},
        {"attribute": "user.identifier", "operator": "is_not_empty"}]);
    let web = json!({"uid": "d1", "name": "d1", "flow_uid": "f1", "channel": "web",
        "policy": "latest", "rollout": {"basis_points": 9_999, "salt": "salt",
        "schedule": [{"at_ms": 5, "basis_points": 9_998}],
        "alternatives": [{"rules": [{"attribute": "plan", "operator": "equals", "value": "no"}]},
            {"rules": rules}]}});
    let failing = json!([
        {"attribute": "user.identifier", "operator": "equals", "value": "ann"},
        {"attribute": "plan", "operator": "is_not_empty"},
        {"attribute": "group.identifier", "operator": "ends_with", "value": "ME", "ignore_case": true},
        {"attribute": "zip", "operator": "less_than", "value": 4711},
        {"attribute": "source", "operator": "equals", "value": "partner"}]);
    let holding = json!([
        {"attribute": "source", "operator": "equals", "value": "invite"},
        {"attribute": "name", "operator": "contains", "value": "nn", "ignore_case": true},
        {"attribute": "name", "operator": "contains", "value": "NN"},
        {"attribute": "tags", "operator": "is_not_empty"},
        {"attribute": "since", "operator": "greater_than", "value": 1_700_000_000}]);
    let all: Vec<Value> = [&holding, &rules]
        .into_iter()
        .flat_map(|rules| rules.as_array().unwrap().clone())
        .collect();
    let by_all = json!({"uid": "d3", "name": "d3", "flow_uid": "f1", "channel": "by-all",
        "policy": "latest", "rollout": {"basis_points": 9_999, "salt": "salt",
        "alternatives": [{"rules": failing}, {"rules": all}]}});
    let stays = json!({"uid": "d4", "name": "d4", "flow_uid": "f1", "channel": "stays",
        "policy": "latest", "on_version_change": "stay",
        "rollout": {"basis_points": 0, "salt": "salt"}});
    let by_number = json!({"uid": "d2", "name": "d2", "flow_uid": "f1", "channel": "by-number",
        "policy": "latest", "rollout": {"basis_points": 5_000, "salt": "salt",
        "id": {"attribute": "age"}}});
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: vec![serde_json::from_value(flow).unwrap()],
        versions: vec![(String::new(), serde_json::from_value(version).unwrap())],
        deployments: vec![
            serde_json::from_value(web).unwrap(),
            serde_json::from_value(by_number).unwrap(),
            serde_json::from_value(by_all).unwrap(),
            serde_json::from_value(stays).unwrap(),
        ],
        keys: Vec::new(),
        flags: FlagsDocument::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "e1", Revision::default(), &content, &control).unwrap()
}

/// What is asked everywhere here.
fn welcome() -> Ask<'static> {
    Ask {
        sid: "welcome",
        ..Ask::default()
    }
}
