//! What reports of clients are read into.

use serde_json::json;

use super::*;
use crate::{
    snapshot::{
        Revision,
        flags::{FlagToken, Flags, FlagsDocument},
    },
    usage::{COUNTED_HERE, HOUR_MS, OTHERS, hour_of},
};

const NOW: UnixMs = 1_800_000_000_000;

fn snapshot(token: &str) -> Snapshot {
    let flag =
        |name: &str, project: &str| json!({"name": name, "project": project, "enabled": true});
    let document = json!({"features": [flag("ours", "shop"), flag("theirs", "desk")]});
    let document = FlagsDocument::read(document.to_string().as_bytes()).expect("a document");
    let flags = Flags::compile(&document).into();
    let tokens = [FlagToken::parse(token, "a token").expect("a token")];
    let revision = Revision {
        epoch: 0,
        number: 1,
    };
    Snapshot::of_unsigned_flags("development", revision, &flags, &tokens)
}

fn told(token: &str, told: Told, body: &serde_json::Value) -> (Report, u64) {
    let snapshot = snapshot(token);
    let seen_by = (&snapshot, &snapshot.keys[0]);
    let text = body.to_string();
    let read = read(seen_by, NOW, Some("by-header:1"), (told, text.as_bytes()));
    read.expect("a report")
}

fn names(list: &[HourCount]) -> Vec<&str> {
    list.iter().map(|own| &*own.flag).collect()
}

#[test]
fn a_key_counts_what_its_projects_have_and_what_no_project_has() {
    let one = json!({"yes": 1, "no": 0});
    let body = json!({"appName": "shop", "environment": "production", "bucket":
        {"toggles": {"ours": one, "theirs": one, "gone": one, "idle": {"yes": 0, "no": 0}}}});
    let (report, other) = told("shop:development.secret", Told::Metrics, &body);
    assert_eq!(
        (names(&report.counts), names(&report.unknown), other),
        (vec!["ours"], vec!["gone"], 1)
    );
    assert_eq!(report.environment, "development");
    let (report, other) = told("*:development.secret", Told::Metrics, &body);
    assert_eq!((names(&report.counts), other), (vec!["ours", "theirs"], 0));
}

#[test]
fn times_are_read_in_every_form_and_believed_within_a_day() {
    let hour = |start: serde_json::Value| {
        let body =
            json!({"appName": "a", "bucket": {"start": start, "toggles": {"ours": {"yes": 1}}}});
        told("*:development.secret", Told::Metrics, &body).0.counts[0].hour_ms
    };
    let before = NOW - 3 * HOUR_MS;
    assert_eq!(hour(json!(before)), hour_of(before));
    assert_eq!(hour(json!("2027-01-15T05:00:00+00:00")), before);
    for other in [
        json!(null),
        json!("yesterday"),
        json!(0),
        json!(NOW + HOUR_MS),
        json!(-1),
    ] {
        assert_eq!(hour(other.clone()), hour_of(NOW), "{other}");
    }
}

#[test]
fn a_library_is_known_by_the_body_or_else_by_the_header() {
    let seen = |kind, body: &serde_json::Value| told("*:development.secret", kind, body).0.seen;
    let silent = json!({"appName": " ", "bucket": null});
    let own = &seen(Told::Metrics, &silent)[0];
    assert_eq!(
        (&*own.app, &*own.sdk, &*own.platform),
        (UNNAMED, "by-header:1", "")
    );
    let spoken = json!({"appName": "a", "sdkVersion": "x:1", "platformName": "java", "platformVersion": "21"});
    let own = &seen(Told::Register, &spoken)[0];
    assert_eq!((&*own.sdk, &*own.platform), ("x:1", "java:21"));
    // The header of a proxy says nothing about those behind it.
    let bulk = json!({"applications": [{"appName": "a", "connectVia": [{"appName": "p"}]}]});
    let own = &seen(Told::Bulk, &bulk)[0];
    assert_eq!(
        (&*own.sdk, own.via.first().map(String::as_str)),
        ("", Some("p"))
    );
}

/// Found by review: an application of this name was summed with what the edge
/// counts itself, or with those that are too many.
#[test]
fn no_application_has_a_name_of_ours() {
    let apps = |kind, body: &serde_json::Value| {
        let (report, _) = told("*:development.secret", kind, body);
        let counts = report.counts.into_iter().map(|own| own.app);
        let seen = report.seen.into_iter().map(|own| own.app);
        counts.chain(seen).collect::<Vec<String>>()
    };
    for (name, expected) in [
        (COUNTED_HERE, "[edge]"),
        (OTHERS, "[others]"),
        (UNNAMED, "[unnamed]"),
        (" (edge)\n", "[edge]"),
        ("((edge))", "[(edge)]"),
        ("()", "[]"),
        ("", UNNAMED),
        ("(", "("),
        ("shop (edge)", "shop (edge)"),
        (" shop", " shop"),
    ] {
        let bucket = json!({"toggles": {"ours": {"yes": 1}}});
        let metrics = json!({"appName": name, "bucket": bucket});
        assert_eq!(apps(Told::Metrics, &metrics), [expected; 2], "{name}");
        let register = json!({"appName": name});
        assert_eq!(apps(Told::Register, &register), [expected], "{name}");
        let counted = json!({"featureName": "ours", "appName": name, "yes": 1});
        let bulk = json!({"metrics": [counted], "applications": [register]});
        assert_eq!(apps(Told::Bulk, &bulk), [expected; 2], "{name}");
    }
}
