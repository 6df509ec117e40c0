//! Is an audience refused that nobody could mean?

use super::{Case, WEB, hold};

/// A rule in the place of the second one.
const RULE: &str = "{ attribute: seats, operator: is_not_empty }";
const RULE_2: &str = "flow \"help\", deployment \"on-web\", alternative 1, rule 2";

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
