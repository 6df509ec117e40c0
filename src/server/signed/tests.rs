//! Which tokens count, for whom, and for how long is a signature remembered?
//! The cases are `tests/vectors/user_tokens.json`, which other languages read.

use std::sync::Arc;

use hyper::header::HeaderValue;
use serde::Deserialize;

use super::*;
use crate::{
    current::{Freshness, Policies},
    server::tests::installation::snapshot,
    snapshot::{Snapshot, UserKey, flags::FlagHistory},
};

#[derive(Deserialize)]
struct Vectors {
    environment: String,
    keys: Vec<KeyVector>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct KeyVector {
    id: String,
    public: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    token: String,
    user: String,
    now_ms: UnixMs,
    expect: String,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../tests/vectors/user_tokens.json");
    serde_json::from_str(text).expect("the vectors")
}

/// The environment of the vectors, with these of its keys.
fn environment(vectors: &Vectors, keys: &[usize]) -> Environment {
    let mut snapshot: Snapshot = snapshot(false);
    snapshot.environment = vectors.environment.as_str().into();
    snapshot.access.unsigned = Unsigned::Refused;
    let keys = keys.iter().map(|at| &vectors.keys[*at]);
    let keys = keys.map(|key| UserKey::parse(&key.id, &key.public).expect("a key"));
    snapshot.access.user_keys = keys.collect();
    Environment {
        slot: EnvironmentSlot(1),
        flag_history: Arc::new(FlagHistory::begin(&snapshot)),
        snapshot: Arc::new(snapshot),
        freshness: Freshness::default(),
        held: None,
        policies: Policies::default(),
    }
}

fn header(token: &str) -> HeaderValue {
    HeaderValue::from_bytes(token.as_bytes()).expect("a header")
}

fn name_of(outcome: Result<Person, TokenError>, user: &str) -> &'static str {
    match outcome {
        Ok(Person::Only(own)) if own == sha256(user.as_bytes()) => "accepted",
        Ok(Person::Only(_)) => "other_user",
        Ok(_) => "no token was seen",
        Err(TokenError::Several) => "several",
        Err(TokenError::Length) => "length",
        Err(TokenError::Form) => "form",
        Err(TokenError::Header) => "header",
        Err(TokenError::Algorithm) => "algorithm",
        Err(TokenError::Critical) => "critical",
        Err(TokenError::NoKeys(_)) => "no_keys",
        Err(TokenError::UnknownKey) => "unknown_key",
        Err(TokenError::Signature) => "signature",
        Err(TokenError::Claims) => "claims",
        Err(TokenError::Audience(_)) => "audience",
        Err(TokenError::Expired) => "expired",
        Err(TokenError::NotYet) => "not_yet",
    }
}

#[test]
fn every_vector_is_judged_as_it_says_first_and_from_memory() {
    let vectors = vectors();
    assert!(vectors.cases.len() >= 80);
    let environment = environment(&vectors, &[0, 1]);
    let users = SignedUsers::default();
    let fresh = |case: &Case| {
        SignedUsers::default().person(
            &environment,
            KeyKind::Blocks,
            Single::Once(&header(&case.token)),
            || case.now_ms,
        )
    };
    for round in ["first", "again"] {
        for case in &vectors.cases {
            let sent = header(&case.token);
            let token = Single::Once(&sent);
            let person = users.person(&environment, KeyKind::Blocks, token, || case.now_ms);
            let outcome = name_of(person, &case.user);
            assert_eq!(outcome, case.expect, "{round}: {}", case.name);
            assert_eq!(name_of(fresh(case), &case.user), outcome, "{}", case.name);
        }
    }
}

#[test]
fn what_is_remembered_ends_with_the_time_and_with_the_key() {
    let vectors = vectors();
    let case = &vectors.cases[0];
    let both = environment(&vectors, &[0, 1]);
    let users = SignedUsers::default();
    let ask = |environment: &Environment, now| {
        let sent = header(&case.token);
        let token = Single::Once(&sent);
        name_of(
            users.person(environment, KeyKind::Users, token, || now),
            &case.user,
        )
    };
    assert_eq!(ask(&both, case.now_ms), "accepted");
    assert_eq!(ask(&both, case.now_ms + 3_600_000), "expired");
    assert_eq!(ask(&both, case.now_ms), "accepted");
    // The key that signed it is taken back.
    assert_eq!(ask(&environment(&vectors, &[1]), case.now_ms), "signature");
    assert_eq!(ask(&environment(&vectors, &[]), case.now_ms), "no_keys");
    // What is known of one environment says nothing about another.
    let mut other = environment(&vectors, &[0]);
    other.slot = EnvironmentSlot(2);
    Arc::get_mut(&mut other.snapshot)
        .expect("the only one")
        .environment = "other".into();
    assert_eq!(ask(&other, case.now_ms), "audience");
    assert_eq!(ask(&both, case.now_ms), "accepted");
}

#[test]
fn without_a_token_the_environment_and_the_kind_of_key_decide() {
    let vectors = vectors();
    let mut environment = environment(&vectors, &[0]);
    let users = SignedUsers::default();
    let rules = [
        (Unsigned::Allowed, Person::Anyone),
        (Unsigned::Refused, Person::Nobody { chosen: true }),
        (Unsigned::NotChosen, Person::Nobody { chosen: false }),
    ];
    for (unsigned, expected) in rules {
        let snapshot = Arc::get_mut(&mut environment.snapshot).expect("the only one");
        snapshot.access.unsigned = unsigned;
        for kind in KeyKind::ALL {
            let person = users.person(&environment, kind, Single::Absent, || 0);
            let expected = match kind.is_public() {
                true => expected,
                false => Person::Anyone,
            };
            assert_eq!(person, Ok(expected), "{kind:?} {unsigned:?}");
        }
    }
    // One that is sent counts for every kind, and two are none.
    let case = &vectors.cases[0];
    let sent = header(&case.token);
    let token = Single::Once(&sent);
    let person = users.person(&environment, KeyKind::Server, token, || case.now_ms);
    assert_eq!(name_of(person, "ada"), "accepted");
    let person = users.person(&environment, KeyKind::Server, Single::Repeated, || {
        case.now_ms
    });
    assert_eq!(name_of(person, "ada"), "several");
}
