//! Is a release that turns users away held back, and what ends that?

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::world::Edge;
use crate::{
    current::{EnvironmentSlot, NotHere},
    evaluate::{Ask, Subject, SubjectView, Tag, decide},
    guard::{Context, Reservoir},
    refresh::{Guard, Refreshed},
    snapshot::{
        Revision,
        fixture::{ENVIRONMENT, Part, flow_part, key_part, part, settings_part},
        flags::FlagMark,
        wire::PartKind,
    },
};

/// Two flows; nobody starts the tour by themselves unless it is open.
fn parts(version: u32, open: bool) -> Vec<Part> {
    let entry = if open { "everyone" } else { "api-only" };
    let value = |flow: &str, number: u32, entry: &str| {
        json!({"flow_uid": flow, "flow_sid": flow, "number": number, "entry": entry,
            "blocks": [{"uid": format!("{flow}-b"), "sid": "card", "kind": "card"}],
            "paths": [{"uid": "p", "to": format!("{flow}-b")}]})
    };
    let number = |flow: &str, number: u32| format!("{flow}:{number}");
    vec![
        settings_part(),
        flow_part("tour", &[version]),
        part(
            PartKind::Version,
            &number("tour", version),
            &value("tour", version, entry),
        ),
        flow_part("chat", &[1]),
        part(
            PartKind::Version,
            &number("chat", 1),
            &value("chat", 1, "everyone"),
        ),
    ]
}

fn guard(percent: u8) -> Guard {
    let mut reservoir = Reservoir::new(100);
    for user in 0..20 {
        reservoir.add(Context {
            slot: EnvironmentSlot(0),
            sid: "tour".into(),
            tag: Tag::Latest,
            channel: None,
            membership: None,
            user: Arc::new(Subject::unseen(&format!("user-{user}"))),
            group: None,
            attributes: None,
            conversation: None,
        });
    }
    Guard {
        reservoir: Arc::new(Mutex::new(reservoir)),
        percent,
    }
}

/// Which version of a flow a new user gets; none when nothing is served.
fn served(edge: &Edge, sid: &str) -> Option<u32> {
    let live = edge.live();
    let user = Subject::unseen("somebody");
    let view = SubjectView {
        user: &user,
        group: None,
        attributes: None,
        conversation: None,
    };
    let ask = Ask {
        sid,
        ..Ask::default()
    };
    let decision = decide(&live, &view, &ask, |_| true, 0);
    decision.served.then_some(decision.number)
}

fn is_held(edge: &Edge) -> Option<u64> {
    let status = edge.refresher.status();
    let status = status.lock().expect("status");
    status.held.as_ref().map(|held| held.release)
}

fn revision(number: u64) -> Revision {
    Revision { epoch: 0, number }
}

/// An edge that holds release 2 back.
async fn holding() -> Edge {
    let mut edge = Edge::guarded(parts(1, true), Some(guard(20)));
    assert!(matches!(edge.step().await, Refreshed::Published(_)));
    edge.publish(parts(2, false));
    assert_eq!(edge.step().await, Refreshed::Held(revision(2)));
    assert_eq!(served(&edge, "tour"), Some(1));
    assert_eq!(is_held(&edge), Some(2));
    edge
}

#[tokio::test]
async fn a_release_that_changes_too_much_does_not_serve() {
    let edge = holding().await;
    let live = edge.current.load();
    let own = live.named(ENVIRONMENT).expect("it is live");
    assert_eq!(own.snapshot.revision, revision(1));
    assert!(own.is_held(revision(2)) && !own.is_held(revision(3)));
    assert!(!own.is_held(revision(1)), "that one serves");
    // Who waits for it is told at once.
    let waited = edge.current.at_least(ENVIRONMENT, revision(2), &[0; 32]);
    let refused = waited.await.expect_err("it does not come");
    assert!(matches!(refused, NotHere::Held { .. }), "{refused}");
    let status = edge.refresher.status();
    let verdict = status.lock().expect("status").verdict.clone();
    assert_eq!((verdict[0].judged, verdict[0].changed), (20, 20));
}

#[tokio::test]
async fn the_same_change_below_the_limit_and_without_a_guard_serves() {
    for guard in [Some(guard(100)), None] {
        let mut edge = Edge::guarded(parts(1, true), guard);
        edge.step().await;
        edge.publish(parts(2, false));
        assert_eq!(edge.step().await, Refreshed::Published(revision(2)));
        assert_eq!(served(&edge, "tour"), None);
    }
}

#[tokio::test]
async fn a_kill_switch_acts_during_a_hold_and_over_a_restart() {
    let mut edge = holding().await;
    assert_eq!(served(&edge, "chat"), Some(1));
    edge.control(|control| control.disabled_flows = vec!["chat".into()]);
    assert_eq!(edge.step().await, Refreshed::Held(revision(3)));
    assert_eq!(
        (served(&edge, "tour"), served(&edge, "chat")),
        (Some(1), None)
    );
    let mut edge = edge.restarted();
    assert_eq!(
        (served(&edge, "tour"), served(&edge, "chat")),
        (Some(1), None)
    );
    assert_eq!(is_held(&edge), Some(2));
    edge.upstream.lock().world.timestamp.serial += 1;
    assert_eq!(edge.step().await, Refreshed::Fresher);
    assert_eq!(is_held(&edge), Some(2), "a fresher timestamp ends nothing");
    edge.control(|control| control.disabled_flows.clear());
    assert_eq!(edge.step().await, Refreshed::Held(revision(4)));
    assert_eq!(
        (served(&edge, "tour"), served(&edge, "chat")),
        (Some(1), Some(1))
    );
}

/// What a client that has this of the flags is told; none for everything.
fn told(edge: &Edge, had: FlagMark) -> Option<usize> {
    let live = edge.current.load();
    let own = live.named(ENVIRONMENT).expect("it is live");
    let key = &own.snapshot.keys[0];
    own.flag_history.since(had, key).map(Iterator::count)
}

/// Found by review: clients that follow flags were never told of one that was
/// switched off during a hold, and after a restart that nothing had changed.
#[tokio::test]
async fn a_flag_switched_off_during_a_hold_reaches_those_who_follow_flags() {
    let with_flag = |version: u32, open: bool, banner: bool| {
        let flag = json!({"name": "banner", "project": "demo", "enabled": banner});
        let more = [key_part("a key"), part(PartKind::Flag, "banner", &flag)];
        let mut parts = parts(version, open);
        parts.extend(more);
        parts
    };
    let mut edge = Edge::guarded(with_flag(1, true, true), Some(guard(20)));
    edge.step().await;
    let on = edge.live().flag_mark;
    edge.publish(with_flag(2, false, true));
    assert_eq!(edge.step().await, Refreshed::Held(revision(2)));
    assert_eq!(told(&edge, on), Some(0));
    // Those who hold nothing back have other flags by this number.
    assert_eq!(told(&edge, FlagMark::of(revision(2))), None);
    edge.control(|control| control.disabled_flags = vec!["banner".into()]);
    assert_eq!(edge.step().await, Refreshed::Held(revision(3)));
    let off = edge.live().flag_mark;
    assert!(off > on, "proxies compare numbers");
    assert_eq!((told(&edge, on), told(&edge, off)), (Some(1), Some(0)));
    edge.upstream.lock().world.timestamp.serial += 1;
    assert_eq!(edge.step().await, Refreshed::Fresher);
    assert_eq!((told(&edge, on), told(&edge, off)), (Some(1), Some(0)));
    edge.publish(with_flag(3, true, false));
    assert_eq!(edge.step().await, Refreshed::Published(revision(4)));
    assert_eq!((told(&edge, on), told(&edge, off)), (Some(1), Some(0)));

    edge.publish(with_flag(4, false, false));
    assert_eq!(edge.step().await, Refreshed::Held(revision(5)));
    let before = edge.live().flag_mark;
    let edge = edge.restarted();
    assert_eq!((told(&edge, on), told(&edge, before)), (None, Some(0)));
    // Without the guard what was held serves, by the same number.
    let edge = edge.restarted_with(None);
    assert_eq!(told(&edge, before), None);
    assert_eq!(edge.live().flag_mark.event, before.event);
}

#[tokio::test]
async fn a_confirmation_ends_the_hold_also_after_a_restart() {
    for restart in [false, true] {
        let mut edge = holding().await;
        if restart {
            edge = edge.restarted();
        }
        edge.asked();
        edge.control(|control| control.confirmed_releases = vec![2]);
        assert_eq!(edge.step().await, Refreshed::Published(revision(3)));
        assert!(edge.asked().is_empty(), "everything was there");
        assert_eq!((served(&edge, "tour"), is_held(&edge)), (None, None));
        let edge = edge.restarted();
        assert_eq!((served(&edge, "tour"), is_held(&edge)), (None, None));
    }
}

#[tokio::test]
async fn a_confirmation_of_another_release_ends_nothing() {
    let mut edge = holding().await;
    edge.control(|control| control.confirmed_releases = vec![1, 3]);
    assert_eq!(edge.step().await, Refreshed::Held(revision(3)));
    assert_eq!(served(&edge, "tour"), Some(1));
}

#[tokio::test]
async fn a_newer_release_is_judged_anew() {
    let mut edge = holding().await;
    edge.publish(parts(3, false));
    assert_eq!(edge.step().await, Refreshed::Held(revision(3)));
    assert_eq!(is_held(&edge), Some(3));
    assert_eq!(served(&edge, "tour"), Some(1), "still the first");
    edge.publish(parts(4, true));
    assert_eq!(edge.step().await, Refreshed::Published(revision(4)));
    assert_eq!((served(&edge, "tour"), is_held(&edge)), (Some(4), None));
    let edge = edge.restarted();
    assert_eq!(served(&edge, "tour"), Some(4));
}

#[tokio::test]
async fn an_older_release_does_not_come_back_during_a_hold() {
    let edge = holding().await;
    {
        let mut upstream = edge.upstream.lock();
        upstream.world.timestamp.serial -= 1;
        upstream.world.timestamp.revision -= 1;
        upstream.world.release.version -= 1;
        upstream.world.release.previous_sha256 = None;
    }
    let mut edge = edge.restarted();
    let refused = edge.refresher.step(std::time::Duration::ZERO).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(is_held(&edge), Some(2));
}

#[tokio::test]
async fn switching_the_guard_off_ends_the_hold() {
    let edge = holding().await;
    let edge = edge.restarted_with(None);
    assert_eq!((served(&edge, "tour"), is_held(&edge)), (None, None));
}

#[tokio::test]
async fn contexts_outlive_a_restart_and_are_forgotten_without_a_guard() {
    let mut edge = Edge::guarded(parts(1, true), Some(guard(20)));
    edge.step().await;
    let empty = Guard {
        reservoir: Arc::new(Mutex::new(Reservoir::new(100))),
        percent: 20,
    };
    let mut edge = edge.restarted_with(Some(empty));
    edge.publish(parts(2, false));
    assert_eq!(edge.step().await, Refreshed::Held(revision(2)));
    let edge = edge.restarted_with(None);
    let folder = std::path::Path::new("/data/snapshots").join(ENVIRONMENT);
    let disk: &dyn crate::disk::Disk = &edge.disk;
    let names = disk.list(&folder).expect("a folder");
    assert!(
        names.iter().all(|name| !name.contains("contexts")),
        "{names:?}"
    );
}
