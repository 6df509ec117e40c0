//! Is everything that contradicts itself refused when it is imported?
//!
//! One sound project and a table of edits: each makes exactly one thing wrong.
//! Whatever is refused leaves the workspace as it was.

use super::Desk;

/// Sound; the edits below are made to it.
const SOUND: &str = r#"
flowgate: project/1
project: desk
channels:
  - { name: web, attributes: [tags, plan, seats] }
  - { name: "intercom:desk", exclusive: true }
flows:
  - sid: help
    uid: flow-help
    versions:
      - number: 1
        entry: { expression: "user.properties.plan = 'pro'" }
        blocks:
          - { sid: ask, type: custom, transitions: [yes-please, no-thanks] }
          - sid: list
            type: checklist
            items: [{ sid: one, uid: item-one }, { sid: two }]
          - { sid: paying, type: boolean, when: "user.properties.plan = 'pro'" }
          - { sid: both, type: gate }
          - { sid: tell, type: webhook, url: "https://crm.example.com/hook", headers: { authorization: Bearer hidden-word } }
          - { sid: go-on, type: flowTrigger, flow: other, action: start }
          - { sid: end, type: finish }
        paths:
          - { from: entry, to: ask }
          - { from: ask, on: yes-please, to: list }
          - { from: ask, on: no-thanks, to: paying }
          - { from: list, on: [complete, dismiss], to: both }
          - { from: paying, on: "true", to: both }
          - { from: paying, on: "false", to: end }
          - { from: both, on: done, to: tell }
          - { from: tell, on: done, to: go-on }
          - { from: go-on, on: done, to: end }
    deployments:
      - name: on-web
        uid: dep-web
        environment: development
        channel: web
        version: 1
        audience:
          - rules:
              - { attribute: tags, operator: contains, value: vip }
              - { attribute: seats, operator: is_not_empty }
        percentage: 12.5
        schedule:
          - { at: 2040-01-01T00:00:00Z, percentage: 25 }
          - { at: 2040-02-01T00:00:00Z, percentage: 50 }
        salt: pepper
        id: user
        remember: user
        onVersionChange: stay
      - { name: acme, environment: development, channel: "intercom:desk" }
  - sid: other
    uid: flow-other
    versions:
      - { number: 1, entry: everyone, blocks: [{ sid: card, type: card }], paths: [{ from: entry, to: card }] }
"#;

const WEB: &str = "flow \"help\", deployment \"on-web\"";
const V1: &str = "flow \"help\", version 1";

/// What is replaced, by what, and the words of the one line that names it.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// One more deployment, behind those of the flow.
const ACME: &str = "      - { name: acme, environment: development, channel: \"intercom:desk\" }\n";

/// A rule in the place of the second one.
const RULE: &str = "{ attribute: seats, operator: is_not_empty }";
const RULE_2: &str = "flow \"help\", deployment \"on-web\", alternative 1, rule 2";

/// A table of edits, each of which must be refused.
#[track_caller]
fn hold(cases: &[Case]) {
    let desk = Desk::open();
    let sound = desk.imports(&desk.file("sound.yaml", SOUND));
    assert_eq!(sound.code, 0, "{}", sound.error);
    let before = desk.export();
    for (old, new, words) in cases {
        assert_eq!(SOUND.matches(old).count(), 1, "{old:?} stands there once");
        desk.refuses(&SOUND.replacen(old, new, 1), words);
    }
    assert_eq!(desk.export(), before, "nothing of them was applied");
}

#[test]
fn deployments_that_contradict_each_other_are_refused() {
    let more = |line: &str| -> &'static str { format!("{ACME}{line}\n").leak() };
    let exclusive =
        more("      - { name: acme-2, environment: development, channel: \"intercom:desk\" }");
    let same_flow = more("      - { name: web-2, environment: development, channel: web }");
    let same_name = more("      - { name: acme, environment: development, channel: email }");
    let same_uid =
        more("      - { name: web-2, uid: dep-web, environment: development, channel: email }");
    hold(&[
        (
            ACME,
            exclusive,
            &[
                "\"acme-2\"",
                "\"acme\" is active on the exclusive channel \"intercom:desk\" already",
            ],
        ),
        (
            ACME,
            same_flow,
            &[
                "\"web-2\"",
                "\"on-web\" is active for the same flow on channel \"web\" already",
            ],
        ),
        (
            ACME,
            same_name,
            &["\"acme\"", "the deployment appears twice in this import"],
        ),
        (
            ACME,
            same_uid,
            &["\"web-2\"", "the deployment appears twice in this import"],
        ),
        // An environment of its own is an own world.
        (
            "environment: development\n        channel: web",
            "environment: production\n        channel: web",
            &[
                WEB,
                "uid \"dep-web\" belongs to deployment \"on-web\" of another flow or environment",
            ],
        ),
        (
            "uid: dep-web",
            "uid: dep-other",
            &[WEB, "uid is \"dep-other\" (expected \"dep-web\", or none)"],
        ),
        // Of two flows.
        (
            "    uid: flow-other\n",
            "    uid: flow-other\n    deployments: [{ name: third, environment: development, channel: \"intercom:desk\" }]\n",
            &["flow \"other\", deployment \"third\"", "exclusive channel"],
        ),
    ]);
}

#[test]
fn names_that_lead_nowhere_are_refused() {
    hold(&[
        (
            "environment: development\n        channel: web",
            "environment: staging\n        channel: web",
            &[
                WEB,
                "environment \"staging\" does not exist (expected one of development, production)",
            ],
        ),
        (
            "version: 1\n",
            "version: 2\n",
            &[
                WEB,
                "version 2 of flow \"help\" does not exist (expected latest or 1 to 1)",
            ],
        ),
        (
            "version: 1\n",
            "version: 0\n",
            &[
                WEB,
                "version is 0 (expected latest or a whole number from 1 on)",
            ],
        ),
        ("version: 1\n", "version: -1\n", &[WEB, "version is -1"]),
        ("version: 1\n", "version: 1.5\n", &[WEB, "version is 1.5"]),
        ("version: 1\n", "version: [1]\n", &[WEB, "version is [1]"]),
        (
            "channel: web\n",
            "channel: \"web:a:b\"\n",
            &[
                WEB,
                "found \"web:a:b\", expected platform or platform:workspace",
            ],
        ),
        (
            "channel: web\n",
            "channel: \":\"\n",
            &[WEB, "expected platform or platform:workspace"],
        ),
        (
            "channel: web\n",
            "channel: \"\"\n",
            &[WEB, "expected platform or platform:workspace"],
        ),
        (
            "channel: web\n",
            "channel: \"we b\"\n",
            &[WEB, "found \"we b\""],
        ),
        (
            "channel: web\n",
            "channel: \"w\\u0000b\"\n",
            &[WEB, "expected platform or platform:workspace"],
        ),
        (
            "channel: web\n",
            "channel: 7\n",
            &[WEB, "channel is a number (expected text)"],
        ),
        (
            "name: on-web\n",
            "name: \"\"\n",
            &["deployment \"\"", "the name \"\" does not fit"],
        ),
        (
            "name: on-web\n",
            "name: 3\n",
            &["deployment 1", "name is a number (expected text)"],
        ),
        (
            "name: on-web\n",
            "nam: on-web\n",
            &["deployment 1", "name is missing"],
        ),
        (
            "remember: user\n",
            "remember: device\n",
            &[
                WEB,
                "remember is \"device\" (expected conversation, user or nothing)",
            ],
        ),
        (
            "onVersionChange: stay",
            "onVersionChange: maybe",
            &[WEB, "expected stay or migrate"],
        ),
        (
            "id: user\n",
            "id: device\n",
            &[
                WEB,
                "id is \"device\" (expected user, group or {attribute: NAME})",
            ],
        ),
        (
            "id: user\n",
            "id: { attribute: \"\" }\n",
            &[WEB, "found an attribute of 0 bytes, expected 1 to 256"],
        ),
        (
            "id: user\n",
            "id: { attribute: 3 }\n",
            &[WEB, "expected user, group or {attribute: NAME}"],
        ),
        (
            "id: user\n",
            "id: { attribute: user.tags }\n",
            &[WEB, "found the attribute \"user.tags\""],
        ),
        ("salt: pepper", "salt: \"\"", &[WEB, "salt"]),
        (
            "salt: pepper",
            "salt: 3",
            &[WEB, "salt is a number (expected text)"],
        ),
        (
            "deployments:\n",
            "deployments: nothing\n    x:\n",
            &["flow \"help\"", "deployments is text (expected a list)"],
        ),
    ]);
}

#[test]
fn percentages_and_schedules_are_exact_or_refused() {
    const FITS: &str = "(expected 0 to 100 with at most two decimals)";
    const PAST: &str = "2040-02-01T00:00:00Z";
    hold(&[
        (
            "percentage: 12.5",
            "percentage: -1",
            &[WEB, "percentage is -1", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: -0.01",
            &[WEB, "percentage is -0.01", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: 101",
            &[WEB, "percentage is 101", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: 100.01",
            &[WEB, "percentage is 100.01", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: 10.005",
            &[WEB, "percentage is 10.005", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: 1e300",
            &[WEB, "percentage is 1e+300", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: ten",
            &[WEB, "percentage is \"ten\"", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: \"10\"",
            &[WEB, "percentage is \"10\"", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: 10%",
            &[WEB, "percentage is \"10%\"", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: [10]",
            &[WEB, "percentage is [10]", FITS],
        ),
        (
            "percentage: 12.5",
            "percentage: true",
            &[WEB, "percentage is true", FITS],
        ),
        ("percentage: 12.5", "percentage: .nan", &["is not finite"]),
        (
            "percentage: 12.5",
            "percentage: 10\n        basisPoints: 1000",
            &[
                WEB,
                "percentage and basisPoints say the same (expected one of the two)",
            ],
        ),
        (
            "percentage: 12.5",
            "basisPoints: 10001",
            &[
                WEB,
                "basisPoints is 10001 (expected a whole number from 0 to 10000)",
            ],
        ),
        (
            "percentage: 12.5",
            "basisPoints: 12.5",
            &[WEB, "basisPoints is 12.5"],
        ),
        (
            "percentage: 12.5",
            "basisPoints: -1",
            &[WEB, "basisPoints is -1"],
        ),
        (
            PAST,
            "2039-12-31T00:00:00Z",
            &[WEB, "schedule: expected ascending times"],
        ),
        (
            PAST,
            "2040-01-01T00:00:00Z",
            &[WEB, "schedule: expected ascending times"],
        ),
        (
            PAST,
            "next week",
            &[
                WEB,
                "schedule entry 2",
                "at is \"next week\" (expected a time",
            ],
        ),
        (
            PAST,
            "2040-02-30T00:00:00Z",
            &[WEB, "schedule entry 2", "at is \"2040-02-30"],
        ),
        (
            PAST,
            "1960-02-01T00:00:00Z",
            &[WEB, "schedule entry 2", "at is \"1960"],
        ),
        (
            "percentage: 50",
            "percentage: 150",
            &[WEB, "schedule entry 2", "percentage is 150"],
        ),
        (
            ", percentage: 50",
            "",
            &[WEB, "schedule entry 2", "percentage is missing"],
        ),
        (
            "at: 2040-02-01T00:00:00Z, ",
            "",
            &[WEB, "schedule entry 2", "at is missing"],
        ),
    ]);
}

#[test]
fn audiences_that_could_not_be_meant_are_refused() {
    const VALUE: &str = "value: vip }";
    const RULES: &str = "          - rules:\n              - { attribute: tags, operator: contains, value: vip }\n              - { attribute: seats, operator: is_not_empty }\n";
    let rule = |rule: &str| -> &'static str { rule.to_owned().leak() };
    let mut cases: Vec<Case> = vec![
        (
            RULES,
            "          - rules: []\n",
            &[WEB, "alternative 1: found no rules, expected at least one"],
        ),
        (
            RULES,
            "          - name: all of them\n",
            &[WEB, "alternative 1: found no rules"],
        ),
        (
            RULES,
            "          - vip\n",
            &[
                WEB,
                "alternative 1",
                "found text (expected a table of members)",
            ],
        ),
        (
            RULE,
            "seats",
            &[RULE_2, "found text (expected a table of members)"],
        ),
        (
            VALUE,
            "value: vip, ignoreCase: maybe }",
            &["rule 1", "ignoreCase is text (expected true or false)"],
        ),
        (
            RULE,
            "{ attribute: seats }",
            &[RULE_2, "operator is missing"],
        ),
        (
            RULE,
            "{ operator: is_empty }",
            &[RULE_2, "attribute is missing"],
        ),
        (
            RULE,
            "{ attribute: seats, operator: matches, value: a }",
            &[
                RULE_2,
                "operator is \"matches\" (expected equals, not_equals,",
            ],
        ),
        (
            RULE,
            "{ attribute: seats, operator: [equals], value: a }",
            &[RULE_2, "operator is a list (expected text)"],
        ),
        (
            RULE,
            "{ attribute: \"\", operator: is_empty }",
            &[WEB, "alternative 1, rule 2: found an attribute of 0 bytes"],
        ),
        (
            RULE,
            "{ attribute: group., operator: is_empty }",
            &[WEB, "expected a name behind the dot"],
        ),
        (
            RULE,
            "{ attribute: group.properties.seats, operator: is_empty }",
            &[WEB, "expected \"group.seats\""],
        ),
    ];
    // Operator × a value that it cannot mean.
    for (operator, value) in [
        ("equals", "[a]"),
        ("equals", "{ a: 1 }"),
        ("equals", "~"),
        ("not_equals", "[a]"),
        ("not_equals", "~"),
        ("contains", "{ a: 1 }"),
        ("contains", "[a]"),
        ("contains", "~"),
        ("starts_with", "3"),
        ("starts_with", "true"),
        ("ends_with", "[a]"),
        ("ends_with", "~"),
        ("greater_than", "true"),
        ("greater_than", "[1]"),
        ("greater_than", "~"),
        ("less_than", "{ a: 1 }"),
        ("less_than", "false"),
        ("is_empty", "a"),
        ("is_empty", "0"),
        ("is_not_empty", "true"),
        ("is_not_empty", "[]"),
    ] {
        let text = rule(&format!(
            "{{ attribute: seats, operator: {operator}, value: {value} }}"
        ));
        cases.push((
            RULE,
            text,
            &[
                "bad.yaml: flow \"help\", deployment \"on-web\": alternative 1, rule 2: ",
                "found ",
                "expected ",
            ],
        ));
    }
    let long = rule(&format!(
        "{{ attribute: seats, operator: equals, value: {} }}",
        "x".repeat(1025)
    ));
    cases.push((
        RULE,
        long,
        &[WEB, "found a value of 1025 bytes, expected at most 1024"],
    ));
    let many = rule(&format!(
        "{RULE}\n{}",
        "              - { attribute: seats, operator: is_empty }\n".repeat(63)
    ));
    cases.push((
        RULE,
        many,
        &[WEB, "alternative 1: found 65 rules, expected at most 64"],
    ));
    hold(&cases);
}

#[test]
fn flows_that_cannot_be_walked_are_refused() {
    let more = |line: &str| -> &'static str {
        format!("          - {{ sid: end, type: finish }}\n          - {line}\n").leak()
    };
    const END: &str = "          - { sid: end, type: finish }\n";
    hold(&[
        (
            END,
            more("{ sid: end, type: card }"),
            &[V1, "block \"end\"", "the sid appears twice"],
        ),
        (
            END,
            more("{ sid: entry, type: card }"),
            &[V1, "means the entry of the flow"],
        ),
        (
            END,
            more("{ sid: second, type: card, uid: item-one }"),
            &[V1, "block \"second\"", "found the uid \"item-one\" twice"],
        ),
        (
            END,
            more("{ sid: lonely, type: gate }"),
            &[
                V1,
                "block \"lonely\"",
                "found no path that leads here, expected at least one to a gate",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: checklist }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in a checklist",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: hints, items: [] }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in hints",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: tour, items: [] }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in a tour",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: checklistItem }"),
            &[
                V1,
                "block \"stray\"",
                "found a checklist item without a container",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: tourItem, container: list }"),
            &[V1, "block \"stray\"", "expected", "tour"],
        ),
        (
            END,
            more("{ sid: stray, type: hintsItem, container: nobody }"),
            &[
                V1,
                "block \"stray\"",
                "\"nobody\" is not a block of this version",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: card, container: list }"),
            &[
                V1,
                "block \"stray\"",
                "found a container, expected it on items only",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: checklistItem, container: stray }"),
            &[V1, "block \"stray\"", "expected the uid of a checklist"],
        ),
        (
            END,
            more("{ sid: maybe, type: boolean }"),
            &[V1, "block \"maybe\"", "found no expression"],
        ),
        (
            END,
            more("{ sid: maybe, type: card, when: \"true\" }"),
            &[V1, "block \"maybe\"", "expected it on boolean blocks only"],
        ),
        (
            END,
            more("{ sid: named, type: card, transitions: [a] }"),
            &[V1, "block \"named\"", "expected them on custom blocks only"],
        ),
        (
            END,
            more("{ sid: named, type: custom, transitions: [a, a] }"),
            &[V1, "block \"named\"", "\"a\" twice"],
        ),
        (
            END,
            more("{ sid: named, type: custom, transitions: [\"\"] }"),
            &[V1, "block \"named\"", "found the transition name \"\""],
        ),
        (
            END,
            more("{ sid: named, type: flags }"),
            &[V1, "block \"named\"", "unknown block type \"flags\""],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: ask, on: no-thanks, to: ask }",
            &[V1, "entry: found no path from the entry"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, to: one }",
            &[V1, "leads to the checklist item"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, on: complete, to: ask }",
            &[V1, "expected none from the entry"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, to: nobody }",
            &[V1, "path 1", "\"nobody\" is not a block of this version"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: end, on: done, to: ask }",
            &[V1, "comes from a finish block"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: one, on: skip, to: end }",
            &[V1, "comes from a checklist item"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, to: end }",
            &[V1, "found no transition name"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, on: skip, to: end }",
            &[V1, "found the transition \"skip\""],
        ),
        // Logic that would run for ever.
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, on: done, to: both }",
            &[V1, "closes a cycle of logic blocks alone"],
        ),
        (
            "{ from: paying, on: \"false\", to: end }",
            "{ from: paying, on: \"false\", to: paying }",
            &[
                V1,
                "block \"paying\"",
                "closes a cycle of logic blocks alone",
            ],
        ),
    ]);
}

#[test]
fn whom_to_call_and_what_to_trigger_is_refused_when_it_cannot_be() {
    const URL: &str = "url: \"https://crm.example.com/hook\", ";
    const TELL: &str = "flow \"help\", version 1, block \"tell\"";
    const TRIGGER: &str = "flow: other, action: start";
    const GO_ON: &str = "flow \"help\", version 1, block \"go-on\"";
    hold(&[
        (URL, "", &[TELL, "a webhook has no url"]),
        (
            URL,
            "url: \"ftp://crm.example.com/hook\", ",
            &[TELL, "url begins with", "expected http:// or https://"],
        ),
        (
            URL,
            "url: crm.example.com, ",
            &[TELL, "url begins with", "expected http:// or https://"],
        ),
        (
            URL,
            "url: \"https://\", ",
            &[TELL, "expected http:// or https:// with a host"],
        ),
        (URL, "url: \"https://a b/\", ", &[TELL, "visible ASCII"]),
        (
            URL,
            "url: \"https://crm.example.com/\\r\\nx: y\", ",
            &[TELL, "visible ASCII"],
        ),
        (URL, "url: 7, ", &[TELL, "url is a number (expected text)"]),
        (URL, "url: \"https://:8080/\", ", &[TELL, "with a host"]),
        (
            URL,
            "url: \"https://crm.example.com:port/\", ",
            &[TELL, "url"],
        ),
        (
            URL,
            "url: \"https://crm.example.com:99999/\", ",
            &[TELL, "url"],
        ),
        (
            URL,
            "url: \"https://me:secret-word@crm.example.com/\", ",
            &[TELL, "no user name"],
        ),
        (
            "Bearer hidden-word",
            "\"Bearer\\nhidden-word\"",
            &[TELL, "header \"authorization\" cannot be sent"],
        ),
        (
            TRIGGER,
            "flow: other",
            &[
                GO_ON,
                "action is missing (expected start, stop, reset or finish)",
            ],
        ),
        (
            TRIGGER,
            "flow: other, action: restart",
            &[GO_ON, "action is \"restart\""],
        ),
        (TRIGGER, "action: start", &[GO_ON, "flow is missing"]),
        (
            TRIGGER,
            "flow: \"o t\", action: start",
            &[GO_ON, "flow is \"o t\""],
        ),
        (
            TRIGGER,
            "flow: other, version: 0, action: start",
            &[GO_ON, "version is 0"],
        ),
    ]);
}

#[test]
fn secrets_of_what_is_refused_are_not_repeated() {
    let desk = Desk::open();
    for (old, new) in [
        ("Bearer hidden-word", "\"Bearer\\nhidden-word\""),
        (
            "https://crm.example.com/hook",
            "https://me:hidden-word@crm.example.com/",
        ),
        (
            "https://crm.example.com/hook",
            "https://crm.example.com:port/?token=hidden-word",
        ),
    ] {
        let ended = desk.imports(&desk.file("bad.yaml", &SOUND.replacen(old, new, 1)));
        assert_eq!(ended.code, 2, "{}", ended.out);
        assert!(!ended.error.contains("hidden-word"), "{}", ended.error);
    }
}

#[test]
fn triggers_in_a_ring_are_spelled_out() {
    let desk = Desk::open();
    let before = desk.export();
    let flow = |sid: &str, next: &str, action: &str| {
        format!(
            "  - sid: {sid}\n    versions:\n      - number: 1\n        blocks: [{{ sid: pull, type: flowTrigger, flow: {next}, action: {action} }}, {{ sid: card, type: card }}]\n        paths: [{{ from: entry, to: pull }}, {{ from: pull, on: done, to: card }}]\n"
        )
    };
    let head = "flowgate: project/1\nproject: ring\nflows:\n";
    let ring = [
        flow("a", "b", "start"),
        flow("b", "c", "reset"),
        flow("c", "a", "start"),
    ]
    .concat();
    desk.refuses(
        &format!("{head}{ring}"),
        &[
            "its flow triggers come back without a shown block between",
            "flow \"a\" version 1 starts flow \"b\" version 1 (block \"pull\"), which resets flow \
             \"c\" version 1 (block \"pull\"), which starts flow \"a\" version 1 (block \"pull\")",
        ],
    );
    let own = flow("a", "a", "reset");
    desk.refuses(
        &format!("{head}{own}"),
        &["flow \"a\", version 1", "resets flow \"a\" version 1"],
    );
    assert_eq!(desk.export(), before);
    // A ring that ends something is none.
    let stops = [flow("a", "b", "start"), flow("b", "a", "stop")].concat();
    let ended = desk.imports(&desk.file("stops.yaml", &format!("{head}{stops}")));
    assert_eq!(ended.code, 0, "{}", ended.error);
}

#[test]
fn what_is_no_project_at_all_is_refused_with_its_line() {
    let desk = Desk::open();
    let before = desk.export();
    for (text, words) in [
        ("", &["empty"][..]),
        (
            "flowgate: project/2\nproject: a\n",
            &["the format is \"project/2\" (expected \"project/1\")"],
        ),
        ("project: a\n", &["no format is named"]),
        ("flowgate: project/1\nproject: a\nflows: [\n", &["line"]),
        (
            "flowgate: project/1\nproject: a\nproject: b\n",
            &["only once", "line 3"],
        ),
        ("\u{1}\u{2}", &["control characters"]),
        (
            "{\"flowgate\": \"project/1\", \"project\": \"a\", }",
            &["line 1"],
        ),
        (
            "- flowgate\n",
            &["found text (expected a table of members)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: {}\n",
            &["flows is a table (expected a list)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{}]\n",
            &["flow 1", "sid is missing"],
        ),
        (
            "flowgate: project/1\nproject: ../a\n",
            &["project is \"../a\""],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 2}]}]\n",
            &["version 2 would be new (expected 1 as the next one)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 4294967296}]}]\n",
            &["number is missing or not a whole number"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 1}, {number: 1}]}]\n",
            &["the version appears twice"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a}, {sid: a}]\n",
            &["the flow appears twice"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: onboarding-tour}]\n",
            &["it belongs to project \"harbor\", not \"a\""],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, status: {mars: enabled}}]\n",
            &["status names environment \"mars\""],
        ),
    ] {
        desk.refuses(text, words);
    }
    assert_eq!(desk.export(), before);
}
