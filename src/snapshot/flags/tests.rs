//! Does whoever follows events know what whoever asks for everything knows?
//!
//! A client that applies what it is told, from any revision that is kept, holds
//! the flags of its scope and the segments they refer to, as if it had asked
//! anew; and flags with their segments written into them say the same as with
//! segments beside them.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{FlagHistory, FlagMark, FlagScope, FlagToken, Flags, FlagsDocument};
use crate::snapshot::model::{Revision, Snapshot};

const ALL: &str = "*:dev.a1b2c3d4e5";
const SHOP: &str = "shop:dev.b2c3d4e5f6";

fn compiled(document: &Value) -> Arc<Flags> {
    let document = FlagsDocument::read(document.to_string().as_bytes()).unwrap();
    Arc::new(Flags::compile(&document))
}

fn snapshot(number: u64, flags: &Arc<Flags>, tokens: &[&str]) -> Snapshot {
    let tokens: Vec<FlagToken> = tokens
        .iter()
        .map(|text| FlagToken::parse(text, "x").unwrap())
        .collect();
    let revision = Revision { epoch: 0, number };
    let mut snapshot = Snapshot::of_unsigned_flags("dev", revision, flags, &tokens);
    // As if it were signed.
    snapshot.flag_mark = FlagMark::of(revision);
    snapshot
}

/// A flag by project, and the segments of its two strategies.
fn flag(name: &str, project: &str, segments: &[i64], note: u32) -> Value {
    let strategies = segments.iter();
    let strategies = strategies.map(|id| json!({"name": "default", "segments": [id]}));
    json!({"name": name, "project": project, "enabled": true, "description": note,
        "strategies": strategies.collect::<Vec<_>>()})
}

/// The mark of a revision.
fn at(number: u64) -> FlagMark {
    FlagMark::of(Revision { epoch: 0, number })
}

/// What a client holds that follows events: flags by name, segments by id.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    flags: BTreeMap<String, Value>,
    segments: BTreeMap<i64, Value>,
}

impl Held {
    fn apply(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        match event["type"].as_str().unwrap() {
            "feature-updated" => {
                let flag = event["feature"].clone();
                let name = flag["name"].as_str().unwrap().to_owned();
                self.flags.insert(name, flag);
            }
            "feature-removed" => {
                assert!(event["project"].is_string());
                self.flags.remove(&text("featureName"));
            }
            "segment-updated" => {
                let segment = event["segment"].clone();
                self.segments
                    .insert(segment["id"].as_i64().unwrap(), segment);
            }
            "segment-removed" => {
                self.segments.remove(&event["segmentId"].as_i64().unwrap());
            }
            other => panic!("an event of the kind {other}"),
        }
    }

    /// What whoever asks for everything gets.
    fn whole(flags: &Flags, scope: &FlagScope<'_>) -> Self {
        let mut out = b"{".to_vec();
        flags.write_features(&mut out, scope);
        out.push(b'}');
        let body: Value = serde_json::from_slice(&out).unwrap();
        let list = |name: &str| body[name].as_array().unwrap().clone();
        let flags = list("features").into_iter();
        let segments = list("segments").into_iter();
        Self {
            flags: flags
                .map(|own| (own["name"].as_str().unwrap().to_owned(), own))
                .collect(),
            segments: segments
                .map(|own| (own["id"].as_i64().unwrap(), own))
                .collect(),
        }
    }

    /// Without segments that no flag refers to: clients may keep these.
    fn used(mut self) -> Self {
        let flags = self.flags.values();
        let strategies = flags.flat_map(|own| own["strategies"].as_array().unwrap());
        let ids = strategies.flat_map(|own| own["segments"].as_array().unwrap());
        let ids: Vec<i64> = ids.map(|id| id.as_i64().unwrap()).collect();
        self.segments.retain(|id, _| ids.contains(id));
        self
    }
}

/// The events of a scope since one; none where everything is to be told.
fn told(history: &FlagHistory, since: FlagMark, scope: &FlagScope<'_>) -> Option<Vec<Value>> {
    let mut out = Vec::new();
    for step in history.since(since, scope.key)? {
        let begun = out.len();
        step.write(&mut out, scope);
        let own = format!(
            "[{}]",
            String::from_utf8_lossy(out.get(begun + 1..).unwrap_or(b""))
        );
        for event in serde_json::from_str::<Vec<Value>>(&own).unwrap() {
            assert_eq!(event["eventId"], step.mark().event);
        }
    }
    let list = format!("[{}]", String::from_utf8_lossy(out.get(1..).unwrap_or(b"")));
    Some(serde_json::from_str(&list).unwrap())
}

/// Three flags and three segments, each of which may be missing.
fn documents() -> impl Strategy<Value = Value> {
    let project = prop_oneof![Just("shop"), Just("desk")];
    let segments = prop::collection::vec(1..4_i64, 0..3);
    let flags = prop::collection::vec(prop::option::of((project, segments, 0..2_u32)), 3);
    let segments = prop::collection::vec(prop::option::of(0..2_u32), 3);
    (flags, segments).prop_map(|(flags, segments)| {
        let names = ["a.one", "a.two", "b.three"].into_iter();
        let flags = names.zip(flags).filter_map(|(name, own)| {
            let (project, segments, note) = own?;
            Some(flag(name, project, &segments, note))
        });
        let segments = (1..4).zip(segments).filter_map(|(id, own)| {
            let constraint =
                json!({"contextName": "plan", "operator": "IN", "values": [own?.to_string()]});
            Some(json!({"id": id, "constraints": [constraint]}))
        });
        json!({"features": flags.collect::<Vec<_>>(), "segments": segments.collect::<Vec<_>>()})
    })
}

proptest! {
    #[test]
    fn following_leads_to_what_asking_anew_gives(documents in prop::collection::vec(documents(), 2..6)) {
        let snapshots: Vec<Snapshot> = (1..).zip(&documents)
            .map(|(number, document)| snapshot(number, &compiled(document), &[ALL, SHOP]))
            .collect();
        let mut history = FlagHistory::begin(&snapshots[0]);
        for pair in snapshots.windows(2) {
            history = history.after(&pair[0], &pair[1]);
        }
        let last = snapshots.last().unwrap();
        for (at, prefix) in [(0, ""), (1, ""), (0, "a."), (1, "a.")] {
            let scope = FlagScope { key: &last.keys[at], projects: &[], prefix };
            let expected = Held::whole(&last.flags, &scope);
            for from in &snapshots {
                let mut held = Held::whole(&from.flags, &scope);
                let events = told(&history, from.flag_mark, &scope);
                let events = events.expect("it is kept");
                for event in &events {
                    held.apply(event);
                    if let Some(project) = event["feature"]["project"].as_str() {
                        prop_assert!(scope.key.sees(project), "{event} is told");
                    }
                }
                prop_assert_eq!(&held.used(), &expected);
            }
        }
    }
}

/// A copy of it would be taken for the one that is missing.
#[test]
fn a_segment_nobody_refers_to_does_not_stay_with_clients() {
    let segments = json!([{"id": 2, "constraints": []}]);
    let documents = [
        json!({"features": [flag("a", "shop", &[2], 0)], "segments": segments}),
        json!({"features": [], "segments": segments}),
        json!({"features": [flag("b", "shop", &[2], 0)], "segments": []}),
    ];
    let all: Vec<Snapshot> = (1..)
        .zip(&documents)
        .map(|(number, document)| snapshot(number, &compiled(document), &[SHOP]))
        .collect();
    let history = FlagHistory::begin(&all[0]);
    let history = history.after(&all[0], &all[1]).after(&all[1], &all[2]);
    let scope = FlagScope {
        key: &all[2].keys[0],
        projects: &[],
        prefix: "",
    };
    let mut held = Held::whole(&all[0].flags, &scope);
    for event in &told(&history, at(1), &scope).expect("it is kept") {
        held.apply(event);
    }
    assert_eq!(held, Held::whole(&all[2].flags, &scope));
}

#[test]
fn a_flag_that_leaves_the_scope_is_removed_and_others_are_not_mentioned() {
    let step = |before: &[Value], now: &[Value], segments: &Value| {
        let document = |flags| json!({"features": flags, "segments": segments});
        let (before, now) = (compiled(&document(before)), compiled(&document(now)));
        let before = snapshot(1, &before, &[SHOP]);
        let now = snapshot(2, &now, &[SHOP]);
        let history = FlagHistory::begin(&before).after(&before, &now);
        let scope = FlagScope {
            key: &now.keys[0],
            projects: &[],
            prefix: "",
        };
        told(&history, at(1), &scope).expect("it is kept")
    };
    let segments = json!([{"id": 7, "constraints": []}]);
    let (shop, desk) = (flag("a", "shop", &[7], 0), flag("a", "desk", &[7], 0));
    let removed =
        json!({"type": "feature-removed", "eventId": 2, "featureName": "a", "project": "shop"});
    let moved = step(
        std::slice::from_ref(&shop),
        std::slice::from_ref(&desk),
        &segments,
    );
    let unused = json!({"type": "segment-removed", "eventId": 2, "segmentId": 7});
    assert_eq!(moved, [removed.clone(), unused.clone()]);
    let gone = step(std::slice::from_ref(&shop), &[], &segments);
    assert_eq!(gone, [removed, unused]);
    let none: [Value; 0] = [];
    assert_eq!(step(std::slice::from_ref(&desk), &[], &segments), none);
    // What comes in brings the segments it refers to, before it.
    let came = step(&[desk], &[shop], &segments);
    let kinds: Vec<&Value> = came.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["segment-updated", "feature-updated"]);
}

#[test]
fn who_comes_from_nowhere_or_sees_other_projects_is_told_everything() {
    let flags = |note| compiled(&json!({"features": [flag("a", "shop", &[], note)]}));
    let before = snapshot(7, &flags(0), &[SHOP]);
    let now = snapshot(9, &flags(1), &[SHOP]);
    let history = FlagHistory::begin(&before).after(&before, &now);
    let key = &now.keys[0];
    for (event, expected) in [(6, None), (7, Some(1)), (8, None), (9, Some(0)), (10, None)] {
        let steps = history.since(at(event), key).map(Iterator::count);
        assert_eq!(steps, expected, "{event}");
    }
    // The same flags under another key's eyes.
    let mut wider = snapshot(10, &now.flags, &[SHOP]);
    wider.keys[0].projects = Box::default();
    let history = history.after(&now, &wider);
    assert_eq!(history.mark(), at(10));
    assert!(history.since(at(9), &wider.keys[0]).is_none());
    let same = snapshot(11, &now.flags, &[SHOP]);
    let history = FlagHistory::begin(&now).after(&now, &same);
    assert_eq!(history.since(at(9), key).map(Iterator::count), Some(0));
    // A lower revision, or another environment of the name, begins anew.
    let history = history.after(&same, &now);
    assert_eq!(history.mark(), at(9));
    assert!(history.since(at(11), key).is_none());
}

/// Found by review: the same revision was taken for the same flags, so whoever
/// had one that was switched off while a release was held never heard of it.
#[test]
fn a_flag_switched_off_under_the_same_revision_is_told_and_stays_told() {
    let flags = |enabled: bool| {
        let features = json!([{"name": "a", "project": "shop", "enabled": enabled}]);
        compiled(&json!({"features": features}))
    };
    let serves = snapshot(1, &flags(true), &[SHOP]);
    let under = |number: u64, enabled: bool| {
        let mut narrowed = snapshot(1, &flags(enabled), &[SHOP]);
        let timestamp = Revision { epoch: 0, number };
        narrowed.flag_mark = FlagMark::of_held(serves.revision, timestamp);
        narrowed
    };
    let (held, off) = (under(2, true), under(3, false));
    let history = FlagHistory::begin(&serves);
    let history = history.after(&serves, &held).after(&held, &off);
    let confirmed = snapshot(4, &flags(false), &[SHOP]);
    let scope = FlagScope {
        key: &confirmed.keys[0],
        projects: &[],
        prefix: "",
    };
    for history in [&history, &history.after(&off, &confirmed)] {
        for had in [&serves, &held] {
            let events = told(history, had.flag_mark, &scope).expect("it is kept");
            assert_eq!(events.len(), 1, "{events:?}");
            assert_eq!(events[0]["feature"]["enabled"], false);
        }
        assert_eq!(told(history, off.flag_mark, &scope), Some(Vec::new()));
        // An edge that holds nothing back has other flags by this number.
        assert_eq!(told(history, at(3), &scope), None);
    }
}

#[test]
fn only_so_much_is_kept() {
    let body = "x".repeat(crate::limits::FLAG_CHANGES_BYTES_MAX / 3);
    let large = |number: u64| {
        let flags = compiled(&json!({"features": [
            {"name": "a", "enabled": true, "description": format!("{number}{body}")}]}));
        snapshot(number, &flags, &[ALL])
    };
    let small = compiled(&json!({"features": []}));
    let mut last = large(1);
    let mut history = FlagHistory::begin(&last);
    for number in 2..6 {
        let next = large(number);
        history = history.after(&last, &next);
        last = next;
    }
    let key = last.keys[0].clone();
    let kept = |history: &FlagHistory, event| history.since(at(event), &key).is_some();
    assert_eq!(
        [2, 3, 4].map(|event| kept(&history, event)),
        [false, true, true]
    );
    let kept_max = crate::limits::FLAG_REVISIONS_KEPT as u64;
    for number in 6..=kept_max + 6 {
        let next = snapshot(number, &small, &[ALL]);
        history = history.after(&last, &next);
        last = next;
    }
    let oldest = last.revision.number - kept_max + 1;
    assert_eq!(
        [oldest - 1, oldest].map(|event| kept(&history, event)),
        [false, true]
    );
}

#[test]
fn flags_without_segments_have_their_constraints() {
    let constraint = |name: &str| json!({"contextName": name, "operator": "IN", "values": ["x"]});
    let flags = compiled(&json!({
        "features": [
            {"name": "a", "enabled": true, "strategies": [
                {"name": "default", "segments": [1, 2], "constraints": [constraint("own")]},
                {"name": "default", "segments": [2, 3]},
                {"name": "default", "segments": [9], "constraints": null},
                {"name": "default", "segments": []},
                {"name": "default"}]},
            {"name": "b", "enabled": false, "description": "as it is"}],
        "segments": [
            {"id": 1, "constraints": [constraint("one"), constraint("more")]},
            {"id": 2, "constraints": []},
            {"id": 3, "constraints": [constraint("three")]}]
    }));
    let tokens = [FlagToken::parse(ALL, "x").unwrap()];
    let scope = FlagScope {
        key: tokens[0].key(),
        projects: &[],
        prefix: "",
    };
    let mut out = b"{".to_vec();
    flags.write_inlined(&mut out, &scope);
    out.push(b'}');
    assert!(out.len() <= flags.inlined_bytes(&scope) + b"{\"features\":[],\"segments\":[]}".len());
    let body: Value = serde_json::from_slice(&out).unwrap();
    let strategies = &body["features"][0]["strategies"];
    let never =
        json!({"contextName": "appName", "inverted": false, "operator": "IN", "values": []});
    assert_eq!(
        strategies,
        &json!([
            {"name": "default", "constraints": [constraint("own"), constraint("one"), constraint("more")]},
            {"name": "default", "constraints": [constraint("three")]},
            {"name": "default", "constraints": [never]},
            {"name": "default", "segments": []},
            {"name": "default"},
        ])
    );
    assert_eq!(body["features"][1]["description"], "as it is");
    assert_eq!(body["segments"], json!([]));
}
