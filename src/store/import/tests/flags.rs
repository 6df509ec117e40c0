//! What imports take, refuse and leave alone of flags and segments.

use proptest::prelude::*;

use super::*;
use crate::store::{
    export,
    flags::{Completion, Flag, FlagSettings, FlagStrategy, Segment},
};

const FLAGS: &str = "
flowgate: project/1
project: shop
segments:
  - name: testers
    constraints:
      - { contextName: userId, operator: IN, values: [ada, 7] }
flags:
  - name: base
    environments: { production: { enabled: true } }
  - name: new-cart
    type: experiment
    description: The cart of next year
    impressionData: true
    variants:
      - { name: blue, weight: 500, stickiness: userId, payload: { type: json, value: '{\"a\":1}' } }
      - { name: green, weight: 500, weightType: fix, overrides: [ { contextName: userId, values: [bob] } ] }
    dependencies: [ base, { feature: other, enabled: false } ]
    environments:
      development:
        enabled: true
        strategies:
          - name: flexibleRollout
            title: A quarter
            parameters: { rollout: 25, stickiness: userId }
            constraints: [ { contextName: appVersion, operator: SEMVER_GT, value: 1.2.3 } ]
            segments: [testers]
            variants: [ { name: only, weight: 1000 } ]
          - { name: userWithId, disabled: true, parameters: { userIds: 'a,b' } }
  - name: other
";

fn rules(workspace: &Workspace, content: &str) -> Vec<String> {
    let error = take(workspace, content).unwrap_err();
    let faults = error.faults.iter();
    faults
        .map(|own| format!("{}: {}", own.position, own.rule))
        .collect()
}

fn one(flag: &str) -> String {
    format!("flowgate: project/1\nproject: shop\nflags:\n  - {{ name: f, {flag} }}\n")
}

#[test]
fn flags_come_in_with_everything_that_is_said_of_them() {
    let imported = take(&workspace(), FLAGS).unwrap();
    let after = &imported.workspace;
    let flag = &after.flags["new-cart"];
    assert!(flag.enabled_in("uid-development") && !flag.enabled_in("uid-production"));
    let strategies = &flag.environments["uid-development"].strategies;
    assert_eq!(strategies[0].segments, [1]);
    assert_eq!(strategies[0].parameters["rollout"], "25");
    assert_eq!(after.segments[&1].constraints[0].values, ["ada", "7"]);
    assert!(!flag.dependencies[1].enabled);
    // What is on for nobody in particular is on for everybody, in words.
    let base = &after.flags["base"].environments["uid-production"];
    assert_eq!(base.strategies, [FlagStrategy::everybody("base")]);
    let kinds = imported.report.changes.iter().map(|own| own.kind);
    let count = |wanted: ChangeKind| kinds.clone().filter(|own| *own == wanted).count();
    assert_eq!(count(ChangeKind::FlagCreated), 3);
    assert_eq!(count(ChangeKind::FlagEnabled), 2);
    assert_eq!(count(ChangeKind::SegmentCreated), 1);
    assert!(take(after, FLAGS).unwrap().writes.is_empty());
}

#[test]
fn what_a_file_leaves_out_of_a_flag_stays() {
    let before = take(&workspace(), FLAGS).unwrap().workspace;
    let text = one("environments: { development: { enabled: true } }")
        .replace("name: f", "name: new-cart");
    let again = take(&before, &text).unwrap();
    assert!(again.writes.is_empty(), "{:?}", again.report);
    let text = text.replace("enabled: true", "enabled: false");
    let off = take(&before, &text).unwrap();
    let kinds: Vec<ChangeKind> = off.report.changes.iter().map(|own| own.kind).collect();
    assert_eq!(kinds, [ChangeKind::FlagDisabled]);
    let flag = &off.workspace.flags["new-cart"];
    assert_eq!(flag.environments["uid-development"].strategies.len(), 2);
    assert_eq!(flag.variants.len(), 2);
}

/// What was said of a flag that was off went without a word.
#[test]
fn strategies_taken_from_a_flag_that_was_never_on_are_told() {
    let text = |list: &str| {
        one(&format!(
            "environments: {{ production: {{ strategies: [{list}] }} }}"
        ))
    };
    let before = take(&workspace(), &text("{ name: default }"))
        .unwrap()
        .workspace;
    let report = take(&before, &text("")).unwrap().report;
    assert_eq!(report.changes.len(), 1, "{report:?}");
    assert_eq!(report.changes[0].kind, ChangeKind::FlagStrategies);
}

/// On, and for nobody in particular: it may be said again of what it made, and
/// does not open what names somebody.
#[test]
fn a_file_that_says_on_without_strategies_widens_no_flag_that_is_on() {
    let text = |list: &str| {
        one(&format!(
            "environments: {{ production: {{ enabled: true, strategies: [{list}] }} }}"
        ))
    };
    let open = take(&workspace(), &text("")).unwrap().workspace;
    let strategies = &open.flags["f"].environments["uid-production"].strategies;
    assert_eq!(*strategies, [FlagStrategy::everybody("f")]);
    assert!(take(&open, &text("")).unwrap().writes.is_empty());
    let some = text("{ name: userWithId, parameters: { userIds: ada } }");
    let some = take(&open, &some).unwrap().workspace;
    let faults = rules(&some, &text(""));
    assert!(
        faults[0].contains("expected at least one, or enabled: false"),
        "{faults:?}"
    );
}

#[test]
fn every_fault_of_a_flag_is_named_with_its_place() {
    let strategies = |text: &str| {
        one(&format!(
            "environments: {{ production: {{ strategies: [{text}] }} }}"
        ))
    };
    let constraint =
        |text: &str| strategies(&format!("{{ name: default, constraints: [{{ {text} }}] }}"));
    let many = |count: usize, what: &str| vec![what; count].join(", ");
    let values: Vec<String> = (0..251).map(|n| format!("v{n}")).collect();
    let place = "flag \"f\", environment production, strategy 1";
    for (content, position, rule) in [
        (
            one("type: release").replace("name: f", "name: a/b"),
            "flag \"a/b\"",
            "expected 1 to 100",
        ),
        (
            one("type: toggle"),
            "flag \"f\"",
            "release, experiment, operational, kill-switch or permission",
        ),
        (
            one("colour: red"),
            "flag \"f\"",
            "unknown member \"colour\"",
        ),
        (
            one("completed: yes-please"),
            "flag \"f\"",
            "expected kept, discarded or false",
        ),
        (
            one("archived: 2026-01-01T00:00:00Z, environments: { production: { enabled: true } }"),
            "flag \"f\"",
            "archived and on somewhere",
        ),
        (
            one("environments: { staging: {} }"),
            "flag \"f\"",
            "expected one of development, production",
        ),
        (
            one("dependencies: [nowhere]"),
            "flag \"f\"",
            "which does not exist",
        ),
        (one("dependencies: [f]"), "flag \"f\"", "depends on itself"),
        (
            one("variants: [ { name: a, weight: 1001 } ]"),
            "flag \"f\"",
            "at most 1000",
        ),
        (
            one("variants: [ { name: a, weight: 1 }, { name: a, weight: 1 } ]"),
            "flag \"f\"",
            "appears twice",
        ),
        (
            one("variants: [ { name: a, weight: 1, payload: { type: json, value: '{' } } ]"),
            "flag \"f\"",
            "no JSON",
        ),
        (
            strategies("{ name: flexibleRollout, parameters: { rollout: 101 } }"),
            place,
            "whole number from 0 to 100",
        ),
        (
            strategies("{ name: userWithId }"),
            place,
            "found no userIds",
        ),
        (
            strategies("{ name: default, segments: [nobody] }"),
            place,
            "segment \"nobody\" does not exist",
        ),
        (
            strategies(&format!(
                "{{ name: default, segments: [{}] }}",
                many(6, "1")
            )),
            place,
            "6 segments (expected at most 5)",
        ),
        (
            strategies(&many(31, "{ name: default }")),
            "flag \"f\", environment production",
            "31 strategies (expected at most 30)",
        ),
        (
            strategies(&format!(
                "{{ name: default, constraints: [{}] }}",
                many(31, "{ contextName: a, operator: IN }")
            )),
            place,
            "31 constraints (expected at most 30)",
        ),
        (
            constraint(&format!(
                "contextName: a, operator: IN, values: [{}]",
                values.join(", ")
            )),
            "strategy 1, constraint 1",
            "251 values (expected at most 250)",
        ),
        (
            constraint("contextName: a, operator: ALMOST"),
            "strategy 1, constraint 1",
            "expected IN, NOT_IN",
        ),
        (
            constraint("contextName: a, operator: NUM_GT, value: many"),
            "strategy 1, constraint 1",
            "expected a number",
        ),
        (
            constraint("contextName: a, operator: REGEX, value: '('"),
            "strategy 1, constraint 1",
            "constraint 1",
        ),
        (
            constraint("contextName: a, operator: STR_CONTAINS"),
            "strategy 1, constraint 1",
            "expected at least one",
        ),
        (
            constraint("operator: IN"),
            "strategy 1, constraint 1",
            "contextName is missing",
        ),
    ] {
        let faults = rules(&workspace(), &content);
        let found = faults
            .iter()
            .any(|own| own.contains(position) && own.contains(rule));
        assert!(found, "{position}: {rule} not in {faults:#?}");
    }
    // All of them at once, and nothing is taken.
    let all = one(
        "type: toggle, stale: 3, environments: { production: { strategies: [ {}, { name: userWithId } ] } }",
    );
    assert_eq!(rules(&workspace(), &all).len(), 4);
}

#[test]
fn a_strategy_only_applications_can_judge_is_a_notice() {
    let own =
        one("environments: { production: { enabled: true, strategies: [ { name: perTenant } ] } }");
    let imported = take(&workspace(), &own).unwrap();
    assert!(
        imported.report.notices[0].rule.contains("cannot judge"),
        "{:?}",
        imported.report
    );
}

#[test]
fn dependencies_go_one_level_and_hold_their_parents() {
    let before = take(&workspace(), FLAGS).unwrap().workspace;
    let change =
        |flag: &str, members: &str| one(members).replace("name: f", &format!("name: {flag}"));
    for (content, rule) in [
        (one("dependencies: [new-cart]"), "depends on others itself"),
        (
            change("base", "dependencies: [other]"),
            "new-cart depends on it",
        ),
        (
            change(
                "base",
                "archived: 2026-01-01T00:00:00Z, environments: { production: { enabled: false } }",
            ),
            "new-cart depends on it",
        ),
        (change("new-cart", "dependencies: [base, base]"), "twice"),
    ] {
        let faults = rules(&before, &content);
        assert!(
            faults.iter().any(|own| own.contains(rule)),
            "{rule} not in {faults:?}"
        );
    }
}

#[test]
fn a_segment_keeps_its_number_and_a_new_one_takes_none() {
    let before = take(&workspace(), FLAGS).unwrap().workspace;
    let segments = |text: &str| format!("flowgate: project/1\nproject: shop\nsegments: [{text}]\n");
    let two = "{ name: fresh, constraints: [] }, { name: fixed, id: 2, constraints: [] }";
    let after = take(&before, &segments(two)).unwrap().workspace;
    assert_eq!(after.segment("fixed").unwrap().id, 2);
    assert_eq!(after.segment("fresh").unwrap().id, 3);
    for (text, rule) in [
        ("{ name: testers, id: 9 }", "expected 1, or none"),
        ("{ name: bare }", "constraints are missing"),
        (
            "{ name: a, id: 0, constraints: [] }",
            "expected a whole number from 1",
        ),
        (
            "{ name: a, id: 5, constraints: [] }, { name: b, id: 5, constraints: [] }",
            "its id appears twice",
        ),
    ] {
        let faults = rules(&before, &segments(text));
        assert!(
            faults.iter().any(|own| own.contains(rule)),
            "{rule} not in {faults:?}"
        );
    }
    let elsewhere = segments("{ name: testers }").replace("shop", "desk");
    assert!(rules(&before, &elsewhere)[0].contains("belongs to project"));
}

/// Every store counts from 1: the number of a file says nothing of another store.
#[test]
fn a_file_with_the_number_of_another_segment_replaces_nothing() {
    let before = take(&workspace(), FLAGS).unwrap().workspace;
    let text = "flowgate: project/1\nproject: shop\nsegments: [{ name: people, id: 1, constraints: [] }]\n";
    for text in [text.to_owned(), text.replace("shop", "desk")] {
        let faults = rules(&before, &text);
        let expected = "segment \"people\": id is 1, which segment \"testers\" of project \"shop\" \
                        has (expected another, or none)";
        assert_eq!(faults, [expected]);
    }
}

/// Before, a flag that was live came back as one that never was on, and one that
/// was emptied was not even written the same way again.
#[test]
fn when_a_flag_was_first_switched_on_goes_with_it() {
    let production = |text: &str| one(&format!("environments: {{ production: {{ {text} }} }}"));
    let was = "firstEnabled: 2026-01-01T00:00:00Z";
    let before = take(&workspace(), &production(&format!("enabled: false, {was}")));
    let before = before.unwrap().workspace;
    let settings = &before.flags["f"].environments["uid-production"];
    assert_eq!(settings.enabled_ms, Some(1_767_225_600_000));
    let text = export::export(&before, None).unwrap();
    let elsewhere = take(&workspace(), &text).unwrap().workspace;
    assert_eq!(elsewhere.flags, before.flags);
    let never_on = take(&workspace(), &production("strategies: [{ name: default }]"));
    let told = take(&never_on.unwrap().workspace, &production(was))
        .unwrap()
        .report;
    assert_eq!(told.changes.len(), 1, "{told:?}");
    assert_eq!(told.changes[0].kind, ChangeKind::FlagChanged);
    // It is no other time afterwards, and none is forgotten.
    let on = take(&before, &production("enabled: true"))
        .unwrap()
        .workspace;
    let settings = &on.flags["f"].environments["uid-production"];
    assert_eq!(settings.enabled_ms, Some(1_767_225_600_000));
    for (other, rule) in [
        (
            "2026-01-02T00:00:00Z",
            "firstEnabled differs from when it was (expected the same or none: history cannot change)",
        ),
        ("soon", "firstEnabled is \"soon\" (expected a time such as"),
    ] {
        let faults = rules(&on, &production(&format!("firstEnabled: {other}")));
        assert!(faults[0].contains(rule), "{faults:?}");
    }
}

/// Any flags that an import would take.
fn any_flags() -> impl proptest::strategy::Strategy<Value = Workspace> {
    let text = prop_oneof![
        "\\PC{0,12}",
        Just("true".to_owned()),
        Just("1_0".to_owned()),
        Just("~".to_owned())
    ];
    let constraint = (text.clone(), prop::collection::vec(text.clone(), 0..4), 0..4_u8).prop_map(|(field, values, kind)| {
        let (operator, value) = [("IN", None), ("NUM_GT", Some("1e3")), ("DATE_AFTER", Some("2026-01-01T00:00:00Z")), ("REGEX", Some("^a|b$"))][usize::from(kind)];
        serde_json::json!({"contextName": format!("f{field}"), "operator": operator, "value": value,
            "values": values, "inverted": kind > 1, "caseInsensitive": kind > 2})
    });
    let variant = (text.clone(), 0..=1_000_u32, any::<bool>()).prop_map(|(text, weight, fix)| {
        let payload = fix.then(|| serde_json::json!({"type": "string", "value": text}));
        let overrides = serde_json::json!([{"contextName": "userId", "values": [text]}]);
        serde_json::json!({"name": text, "weight": weight, "weightType": if fix { "fix" } else { "variable" },
            "stickiness": fix.then_some("default"), "payload": payload,
            "overrides": if fix { overrides } else { serde_json::json!([]) }})
    });
    let variants = prop::collection::vec(variant, 0..3).prop_map(|list| {
        let named = (0..).zip(list).map(|(at, mut own)| {
            own["name"] = format!("{at}{}", own["name"].as_str().unwrap_or_default()).into();
            own
        });
        named.collect::<Vec<_>>()
    });
    let strategy = (text.clone(), prop::collection::vec(constraint.clone(), 0..3), variants.clone(), 0..=100_u8, any::<(bool, bool)>())
        .prop_map(|(title, constraints, variants, rollout, (disabled, segment))| {
            serde_json::json!({"name": "flexibleRollout", "title": disabled.then_some(&title), "disabled": disabled,
                "parameters": {"rollout": rollout.to_string(), "groupId": title},
                "constraints": constraints, "segments": if segment { vec![4] } else { vec![] }, "variants": variants})
        });
    // Off with or without strategies; and whether it was ever on.
    let settings = (
        any::<(bool, bool)>(),
        prop::collection::vec(strategy, 0..4),
        variants.clone(),
    );
    let flag = (
        text.clone(),
        any::<(bool, bool, bool)>(),
        variants,
        prop::option::of(settings.clone()),
        prop::option::of(settings),
        0..4_u8,
    );
    (prop::collection::vec(flag, 1..4), prop::collection::vec(constraint, 0..3)).prop_map(|(flags, constraints)| {
        let mut workspace = workspace();
        workspace.projects.insert("shop".to_owned(), crate::store::workspace::Project { sid: "shop".to_owned(), name: "Shop".to_owned(), environments: None });
        let segment = serde_json::json!({"id": 4, "name": "some people", "description": "", "project": "shop", "constraints": constraints});
        let segment: Segment = serde_json::from_value(segment).unwrap();
        workspace.segments.insert(4, Arc::new(segment));
        for (at, (text, (stale, impressions, archived), variants, development, production, kind)) in flags.into_iter().enumerate() {
            let mut flag = Flag::new(&format!("f{at}"), "shop", 1_700_000_000_123);
            flag.description = text;
            (flag.stale, flag.impression_data) = (stale, impressions);
            flag.variants = serde_json::from_value(variants.into()).unwrap();
            flag.completed = [None, Some(Completion::Kept), Some(Completion::Discarded), None][usize::from(kind)];
            flag.archived_ms = archived.then_some(1_700_000_000_456);
            flag.kind = serde_json::from_value(["release", "experiment", "kill-switch", "permission"][usize::from(kind)].into()).unwrap();
            for (uid, given) in [("uid-development", development), ("uid-production", production)] {
                let Some(((enabled, was_on), strategies, variants)) = given else { continue };
                let enabled = enabled && !archived && !strategies.is_empty();
                let settings = serde_json::json!({"enabled": enabled, "enabledMs": (enabled || was_on).then_some(7),
                    "strategies": strategies, "variants": variants});
                let settings: FlagSettings = serde_json::from_value(settings).unwrap();
                // Of an environment without any word nothing is kept.
                if settings != FlagSettings::default() {
                    flag.environments.insert(uid.to_owned(), settings);
                }
            }
            if at > 0 && !archived {
                let parent = serde_json::json!({"feature": "f0", "enabled": stale, "variants": if stale { vec!["x"] } else { vec![] }});
                let first: &Flag = &workspace.flags["f0"];
                if first.archived_ms.is_none() {
                    flag.dependencies = vec![serde_json::from_value(parent).unwrap()];
                }
            }
            workspace.flags.insert(flag.name.clone(), Arc::new(flag));
        }
        workspace
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn importing_an_export_of_flags_is_the_identity(authored in any_flags()) {
        let text = export::export(&authored, None).unwrap();
        let into_itself = take(&authored, &text).map_err(|error| {
            TestCaseError::fail(format!("{:#?}\n{text}", error.faults))
        })?;
        prop_assert!(into_itself.writes.is_empty(), "{:?}\n{text}", into_itself.report);
        let elsewhere = take(&workspace(), &text).unwrap().workspace;
        prop_assert_eq!(&elsewhere.flags, &authored.flags);
        prop_assert_eq!(&elsewhere.segments, &authored.segments);
        prop_assert_eq!(export::export(&elsewhere, None).unwrap(), text);
    }
}
