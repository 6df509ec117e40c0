//! Is a deployment refused that cannot be, or not beside another one?

use super::{ACME, WEB, hold};

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
            "percentage: 0.00000001",
            &[WEB, "percentage is 1e-8", FITS],
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
