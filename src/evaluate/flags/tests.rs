//! What holds of flags beyond Unleash's own cases?
//!
//! Chance, dependencies, and documents that make no sense. Unleash's client
//! specification is run by `tests/it/unleash`.

use proptest::{prelude::*, strategy::Strategy as Generator};
use serde_json::{Map, Value, json};

use super::*;
use crate::{evaluate::Subject, snapshot::flags::FlagsDocument};

fn flags(features: &Value) -> Flags {
    let document = json!({"features": features, "segments": [
        {"id": 1, "constraints": [of("plan", "IN", "pro")]},
        {"id": 2, "constraints": "none"},
    ]});
    Flags::compile(&FlagsDocument::read(document.to_string().as_bytes()).unwrap())
}

/// A constraint with one value in both places.
fn of(field: &str, operator: &str, value: &str) -> Value {
    json!({"contextName": field, "operator": operator, "value": value, "values": [value]})
}

fn rollout(rollout: u32, stickiness: &str) -> Value {
    let parameters = json!({"rollout": rollout.to_string(), "stickiness": stickiness});
    json!({"name": "flexibleRollout", "parameters": parameters})
}

fn variants(names: &[&str]) -> Value {
    let variants = names.iter();
    let variants = variants.map(|name| json!({"name": name, "weight": 1, "stickiness": "random"}));
    variants.collect()
}

/// Whether a flag is on, and its variant.
fn ask(flags: &Flags, name: &str, context: &Value, chance: u64) -> (bool, Option<String>) {
    let (user, attributes) = subject(context);
    let ask = FlagAsk::of(flags, view(&user, &attributes), 0).drawing(chance);
    let judged = judge(flags, flags.named(name).unwrap(), &ask);
    let variant = judged.variant.map(|own| own.name.to_string());
    (judged.enabled, variant)
}

fn subject(context: &Value) -> (Subject, Map<String, Value>) {
    let attributes = context.as_object().cloned().unwrap_or_default();
    let user = context["userId"].as_str().unwrap_or_default();
    (Subject::unseen(user), attributes)
}

fn view<'a>(user: &'a Subject, attributes: &'a Map<String, Value>) -> SubjectView<'a> {
    SubjectView {
        user,
        group: None,
        attributes: Some(attributes),
        conversation: None,
    }
}

fn is_on(flags: &Flags, name: &str) -> bool {
    ask(flags, name, &json!({}), 7).0
}

/// The trouble of a flag, which has one.
fn why<'f>(flags: &'f Flags, name: &str) -> (&'f str, bool) {
    let mut troubles = flags.troubles().iter();
    let trouble = troubles.find(|own| &*own.what == name).unwrap();
    assert!(trouble.why.contains("expected "), "{trouble:?}");
    (&trouble.why, trouble.set_aside)
}

#[test]
fn a_flag_draws_once_for_being_on_and_for_its_variant() {
    let flags = flags(&json!([{
        "name": "f", "enabled": true, "strategies": [rollout(50, "random")],
        "variants": variants(&["a", "b"]),
    }, {
        "name": "child", "enabled": true, "strategies": [],
        "dependencies": [{"feature": "f", "variants": ["a"]}],
    }]));
    let mut counts = [0_u32; 3];
    for chance in 0..10_000 {
        let (on, variant) = ask(&flags, "f", &json!({}), chance);
        assert_eq!(on, variant.is_some(), "chance {chance}");
        let is_a = variant.as_deref() == Some("a");
        // Whoever depends on it sees the same draw.
        assert_eq!(ask(&flags, "child", &json!({}), chance).0, is_a);
        counts[if is_a { 0 } else { 1 + usize::from(!on) }] += 1;
    }
    // Fixed chances, so these counts never differ: a and b by halves of a half.
    assert!(counts[0].abs_diff(2_500) < 150, "{counts:?}");
    assert!(counts[1].abs_diff(2_500) < 150, "{counts:?}");
    assert!(counts[2].abs_diff(5_000) < 150, "{counts:?}");
}

#[test]
fn flags_draw_independently_of_each_other() {
    let flag =
        |name: &str| json!({"name": name, "enabled": true, "strategies": [rollout(50, "random")]});
    let flags = flags(&json!([flag("one"), flag("two")]));
    let both =
        |chance| ask(&flags, "one", &json!({}), chance) == ask(&flags, "two", &json!({}), chance);
    let agreeing = (0..10_000).filter(|chance| both(*chance)).count();
    assert!(agreeing.abs_diff(5_000) < 200, "{agreeing}");
}

#[test]
fn all_and_none_need_no_draw() {
    for (percent, expected) in [(0, false), (100, true)] {
        for stickiness in ["default", "random"] {
            let flags = flags(&json!([{
                "name": "f", "enabled": true, "strategies": [rollout(percent, stickiness)],
                "variants": variants(&["only"]),
            }]));
            assert_eq!(is_on(&flags, "f"), expected);
            let (user, attributes) = subject(&json!({}));
            assert!(!FlagAsk::of(&flags, view(&user, &attributes), 0).may_draw(&flags));
        }
    }
}

#[test]
fn a_flag_depends_one_level_deep() {
    let flag = |name: &str, enabled: bool, dependencies: Value| json!({"name": name, "enabled": enabled, "strategies": [], "dependencies": dependencies});
    let flags = flags(&json!([
        flag("on", true, json!([])),
        flag("off", false, json!([])),
        {"name": "blue", "enabled": true, "variants": [{"name": "blue", "weight": 1}]},
        flag("wants on", true, json!([{"feature": "on"}])),
        flag("wants off", true, json!([{"feature": "off", "enabled": false}])),
        flag("wants off, is on", true, json!([{"feature": "on", "enabled": false}])),
        flag("wants off and blue", true, json!([{"feature": "off", "enabled": false, "variants": ["blue"]}])),
        flag("wants blue", true, json!([{"feature": "blue", "variants": ["red", "blue"]}])),
        flag("wants red", true, json!([{"feature": "blue", "variants": ["red"]}])),
        flag("wants none", true, json!([{"feature": "on", "variants": ["disabled"]}])),
        flag("wants both", true, json!([{"feature": "on"}, {"feature": "off"}])),
        flag("wants a child", true, json!([{"feature": "wants on"}])),
        flag("wants itself", true, json!([{"feature": "wants itself"}])),
        flag("wants nobody", true, json!([{"feature": "nobody", "enabled": false}])),
    ]));
    assert!(flags.troubles().iter().all(|own| &*own.what == "segment 2"));
    let on = flags.list().iter().filter(|flag| is_on(&flags, &flag.name));
    let on: Vec<&str> = on.map(|flag| &*flag.name).collect();
    let expected = [
        "blue",
        "on",
        "wants blue",
        "wants none",
        "wants off",
        "wants off and blue",
        "wants on",
    ];
    assert_eq!(on, expected);
}

#[test]
fn a_broken_flag_is_set_aside_and_named_and_the_rest_serve() {
    let many = |count: usize| Value::from(vec![json!({"name": "default"}); count]);
    let heavy = json!([{"name": "a", "weight": 4_000_000_000_u32}, {"name": "b", "weight": 4_000_000_000_u32}]);
    let flags = flags(&json!([
        {"name": "good", "enabled": true},
        {"name": "wrong type", "enabled": "yes"},
        {"name": "strategy", "enabled": true, "strategies": [{"parameters": {}}]},
        {"name": "many", "enabled": true, "strategies": many(129)},
        {"name": "heavy", "enabled": true, "variants": heavy},
        {"name": "good", "enabled": false},
        {"name": "n".repeat(256), "enabled": true},
        {"name": "", "enabled": true},
        {"enabled": true},
        7,
    ]));
    assert!(is_on(&flags, "good"));
    assert_eq!(flags.list().len(), 1);
    for (name, expected) in [
        ("wrong type", "string \"yes\""),
        ("strategy", "name"),
        ("many", "129 strategies"),
        ("heavy", "32 bits"),
        ("good", "second flag"),
        ("", "0 bytes"),
        ("segment 2", "a sequence"),
    ] {
        let mut troubles = flags.troubles().iter();
        let trouble = troubles.find(|own| &*own.what == name).unwrap();
        assert!(
            trouble.set_aside && trouble.why.contains(expected),
            "{trouble:?}"
        );
    }
    let nameless = flags
        .troubles()
        .iter()
        .filter(|own| &*own.what == "flag without name");
    assert_eq!(nameless.count(), 2);
}

#[test]
fn what_nobody_understands_never_holds_and_the_other_strategies_may() {
    let strategies = [
        json!({"name": "default", "constraints": [of("plan", "ABOUT", "pro")]}),
        json!({"name": "default", "constraints": [of("plan", "NUM_GT", "much")]}),
        json!({"name": "default", "constraints": [of("plan", "REGEX", "(a{1000}){1000}")]}),
        json!({"name": "default", "segments": [404]}),
        json!({"name": "default", "segments": [2]}),
        json!({"name": "astrology"}),
        json!({"name": "applicationHostname", "parameters": {"hostNames": "here"}}),
        json!({"name": "flexibleRollout", "parameters": {"rollout": "101"}}),
        json!({"name": "flexibleRollout", "parameters": {"rollout": "half"}}),
        json!({"name": "flexibleRollout"}),
        json!({"name": "gradualRolloutUserId", "parameters": {"percentage": "100"}}),
        json!({"name": "userWithId"}),
    ];
    for (at, never) in strategies.iter().enumerate() {
        let (alone, beside) = (format!("alone {at}"), format!("beside {at}"));
        let flags = flags(&json!([
            {"name": alone, "enabled": true, "strategies": [never]},
            {"name": beside, "enabled": true, "strategies": [never, {"name": "default"}]},
        ]));
        assert!(!is_on(&flags, &alone), "{never}");
        assert!(is_on(&flags, &beside), "{never}");
        let (why, set_aside) = why(&flags, &alone);
        assert!(why.contains("never holds") && !set_aside, "{why}");
    }
}

fn any_strategy() -> impl Generator<Value = Value> {
    let percent = prop::sample::select(vec![0, 1, 50, 99, 100]);
    let stickiness = prop::sample::select(vec!["default", "random", "userId", "sessionId", "plan"]);
    (percent, stickiness, prop::option::of(0_usize..3)).prop_map(|(percent, stickiness, more)| {
        let mut strategy = rollout(percent, stickiness);
        match more {
            Some(0) => strategy["segments"] = json!([1]),
            Some(1) => strategy["constraints"] = json!([of("userId", "IN", "ann")]),
            Some(_) => {
                strategy["variants"] =
                    json!([{"name": "s1", "weight": 1}, {"name": "s2", "weight": 1}])
            }
            None => {}
        }
        strategy
    })
}

proptest! {
    #[test]
    fn where_nothing_may_be_drawn_chance_changes_nothing(
        strategies in prop::collection::vec(any_strategy(), 0..3),
        by in prop::sample::select(vec!["default", "random", "plan"]),
        fields in prop::collection::vec(prop::sample::select(vec!["userId", "sessionId", "plan"]), 0..3),
        chances in prop::array::uniform4(any::<u64>()),
    ) {
        let flags = flags(&json!([{
            "name": "f", "enabled": true, "strategies": strategies,
            "variants": [{"name": "a", "weight": 1, "stickiness": by}, {"name": "b", "weight": 2}],
        }]));
        let context: Map<String, Value> = fields.into_iter().map(|field| (field.to_owned(), "pro".into())).collect();
        let context = Value::from(context);
        let (user, attributes) = subject(&context);
        if !FlagAsk::of(&flags, view(&user, &attributes), 0).may_draw(&flags) {
            let answers = chances.map(|chance| ask(&flags, "f", &context, chance));
            prop_assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        }
    }

    #[test]
    fn no_document_panics(text in "\\{\"features\":\\[\\{[\"a-z:,\\[\\]{}0-9]{0,40}\\}\\]\\}|.{0,40}") {
        if let Ok(document) = FlagsDocument::read(text.as_bytes()) {
            let flags = Flags::compile(&document);
            for flag in flags.list() {
                is_on(&flags, &flag.name);
            }
        }
    }
}
