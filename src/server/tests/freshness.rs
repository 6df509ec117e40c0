//! Who is served by what is old?
//!
//! Every policy at every age, for users who are known and for those who are
//! not, for everything that is evaluated or stepped.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    harness::{Harness, Reply},
    installation::{BLOCKS, SERVER, USERS, snapshot},
};
use crate::{
    clock::UnixMs,
    current::{Age, Freshness, Policies, Policy},
};

const HOUR: UnixMs = 60 * 60 * 1000;

/// Signed times that have this age now, with an hour to spare on each side.
fn times(age: Age, now: UnixMs) -> Freshness {
    let (issued_ms, fresh_until_ms, expires_ms) = match age {
        Age::Fresh => (now - HOUR, now + HOUR, now + 2 * HOUR),
        Age::Stale => (now - 2 * HOUR, now - HOUR, now + HOUR),
        Age::Expired => (now - 3 * HOUR, now - 2 * HOUR, now - HOUR),
        Age::Unjudged => (now + HOUR, now + 2 * HOUR, now + 3 * HOUR),
    };
    Freshness {
        issued_ms,
        fresh_until_ms,
        expires_ms,
    }
}

/// What can be asked for a user; the names are for failures.
const QUESTIONS: [&str; 7] = [
    "dopt flow",
    "dopt block",
    "dopt intent",
    "dopt transition",
    "evaluate",
    "intent",
    "explain",
];

async fn ask(edge: &Harness, question: &str, user: &str) -> Reply {
    let query = format!("version=1&userIdentifier={user}");
    let post = async |path: &str| {
        let target = format!("{path}?{query}&transitions=skip");
        edge.ask("POST", &target, &[("x-api-key", BLOCKS)], "")
            .await
    };
    let subject = json!({"user": user});
    match question {
        "dopt flow" => edge.get(BLOCKS, &format!("/v2/flow/welcome?{query}")).await,
        "dopt block" => {
            edge.get(BLOCKS, &format!("/v2/block/welcome_one?{query}"))
                .await
        }
        "dopt intent" => {
            let target = format!("/v2/flow/welcome/start?{query}");
            edge.ask("POST", &target, &[("x-api-key", BLOCKS)], "")
                .await
        }
        "dopt transition" => post("/v2/block/welcome_one/transition").await,
        "evaluate" => {
            let body = json!({"subject": subject, "flows": {"welcome": "latest"}});
            edge.post(SERVER, "/v1/evaluate", &body).await
        }
        "intent" => {
            let body = json!({"subject": subject, "version": 1});
            edge.post(SERVER, "/v1/flows/welcome/start", &body).await
        }
        _ => {
            let body = json!({"subject": subject, "flow": "welcome"});
            edge.post(SERVER, "/v1/explain", &body).await
        }
    }
}

#[track_caller]
fn check(reply: &Reply, case: &str, (age, policy): (Age, Policy), is_known: bool) {
    let is_served = match policy {
        Policy::Serve => true,
        Policy::RefuseNewUsers => is_known,
        Policy::Refuse => false,
    };
    if is_served {
        assert!((200..300).contains(&reply.status), "{case}: {reply:?}");
        let mark = reply.header("flowgate-stale");
        assert_eq!(mark == Some("true"), age != Age::Fresh, "{case}: {reply:?}");
        if case.contains("evaluate") {
            assert_eq!(reply.json()["stale"], age != Age::Fresh, "{case}");
        }
        return;
    }
    assert_eq!(reply.status, 503, "{case}: {reply:?}");
    let retry = reply.header("retry-after").expect("a time to come again");
    assert!(retry.parse::<u32>().is_ok(), "{case}: {retry}");
    assert!(reply.text.contains("environment development"), "{case}");
    if !case.contains("dopt") {
        let kind = match age {
            Age::Expired => "urn:flowgate:problem:snapshot-expired",
            _ => "urn:flowgate:problem:snapshot-stale",
        };
        assert_eq!(reply.json()["type"], kind, "{case}");
    }
}

/// The expectation, written apart from the code: what the operator chose.
fn policy_at(policies: Policies, age: Age) -> Policy {
    match age {
        Age::Fresh => Policy::Serve,
        // A clock that is behind is never believed about expiry.
        Age::Stale | Age::Unjudged => policies.on_stale,
        Age::Expired => policies.on_expired,
    }
}

#[tokio::test]
async fn every_policy_at_every_age_serves_whom_it_says() {
    use Policy::{Refuse, RefuseNewUsers, Serve};
    let pairs = [
        (Serve, Serve),
        (Serve, RefuseNewUsers),
        (Serve, Refuse),
        (RefuseNewUsers, Refuse),
        (Refuse, Refuse),
    ];
    for (on_stale, on_expired) in pairs {
        let policies = Policies {
            on_stale,
            on_expired,
        };
        let edge = Harness::governed(policies, Duration::ZERO);
        let now = edge.edge.ambient.now_ms();
        let publish = |age| {
            let old = edge
                .edge
                .current
                .publish(Arc::new(snapshot(true)), times(age, now));
            drop(old);
        };
        publish(Age::Fresh);
        for question in QUESTIONS {
            let known = format!("known-{question}").replace(' ', "-");
            let begun = ask(&edge, "intent", &known).await;
            assert_eq!(begun.json()["changed"], true, "{begun:?}");
        }
        for age in Age::ALL {
            publish(age);
            let policy = policy_at(policies, age);
            for question in QUESTIONS {
                for user in ["known", "new"] {
                    let case = format!("{question} {user} {policies:?} {age:?}");
                    let name = match user {
                        "known" => format!("known-{question}"),
                        // A user who was served is known from then on.
                        _ => format!("new-{}-{question}", age.name()),
                    };
                    let reply = ask(&edge, question, &name.replace(' ', "-")).await;
                    check(&reply, &case, (age, policy), user == "known");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_step_of_a_known_user_goes_on_while_new_ones_are_refused() {
    let policies = Policies {
        on_stale: Policy::RefuseNewUsers,
        on_expired: Policy::RefuseNewUsers,
    };
    let edge = Harness::governed(policies, Duration::ZERO);
    let now = edge.edge.ambient.now_ms();
    assert_eq!(
        ask(&edge, "dopt intent", "ann").await.stepped(),
        (204, Some("true"))
    );
    let old = times(Age::Expired, now);
    drop(edge.edge.current.publish(Arc::new(snapshot(true)), old));
    let step = "/v2/block/welcome_one/transition?version=1&userIdentifier=ann&transitions=next";
    let stepped = edge.ask("POST", step, &[("x-api-key", BLOCKS)], "").await;
    assert_eq!(stepped.stepped(), (204, Some("true")));
    assert_eq!(stepped.header("flowgate-stale"), Some("true"));
    // Telling who somebody is evaluates nothing, and makes them known.
    assert_eq!(ask(&edge, "evaluate", "bob").await.status, 503);
    let told = edge
        .post(USERS, "/identify", &json!({"identifier": "bob"}))
        .await;
    assert_eq!(told.status, 204, "{told:?}");
    assert_eq!(ask(&edge, "evaluate", "bob").await.status, 200);
}
