//! Envelopes that must not verify, and the few that must.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::snapshot::fixture::key;

const PAYLOAD: &[u8] = br#"{"a":1}"#;

fn signers(keys: &[&SigningKey], threshold: u32) -> Result<Signers, KeyError> {
    let known: BTreeMap<_, _> = keys
        .iter()
        .map(|key| {
            let public = PublicKey::parse(&key.id(), &key.public_base64()).unwrap();
            (key.id(), public)
        })
        .collect();
    let ids: Vec<_> = keys.iter().map(|key| key.id()).collect();
    Signers::new(&known, &ids, threshold)
}

fn check(file: &[u8], keys: &[&SigningKey], threshold: u32) -> Result<Vec<u8>, EnvelopeError> {
    let verified =
        Unverified::parse(file)?.verify(Role::Release, &signers(keys, threshold).unwrap())?;
    Ok(verified.payload().to_vec())
}

/// The file as JSON, changed.
fn altered(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(file).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

fn name(result: Result<Vec<u8>, EnvelopeError>) -> &'static str {
    result.unwrap_err().name()
}

#[test]
fn what_is_sealed_verifies_as_the_exact_bytes() {
    let file = seal(Role::Release, PAYLOAD, &[&key(1)]);
    assert_eq!(check(&file, &[&key(1)], 1).unwrap(), PAYLOAD);
}

#[test]
fn the_signed_bytes_are_those_of_dsse() {
    // The example of the DSSE protocol document.
    assert_eq!(
        signed_bytes("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn an_unsigned_envelope_is_refused() {
    let file = seal(Role::Release, PAYLOAD, &[]);
    assert_eq!(name(check(&file, &[&key(1)], 1)), "signature_count");
}

#[test]
fn another_key_does_not_count() {
    let file = seal(Role::Release, PAYLOAD, &[&key(2)]);
    let expected = EnvelopeError::BelowThreshold {
        found: 0,
        invalid: 0,
        foreign: 1,
        expected: 1,
    };
    assert_eq!(check(&file, &[&key(1)], 1), Err(expected));
}

#[test]
fn another_key_beside_the_right_one_is_ignored() {
    let file = seal(Role::Release, PAYLOAD, &[&key(2), &key(1)]);
    assert!(check(&file, &[&key(1)], 1).is_ok());
}

#[test]
fn a_document_of_one_role_never_passes_for_another() {
    let file = seal(Role::Control, PAYLOAD, &[&key(1)]);
    assert_eq!(name(check(&file, &[&key(1)], 1)), "wrong_payload_type");
    // Changing the written type does not help: it is part of what is signed.
    let file = altered(&file, |file| {
        file["payloadType"] = Role::Release.payload_type().into();
    });
    assert_eq!(name(check(&file, &[&key(1)], 1)), "below_threshold");
}

#[test]
fn a_changed_payload_is_refused() {
    let file = seal(Role::Release, PAYLOAD, &[&key(1)]);
    let file = altered(&file, |file| {
        file["payload"] = STANDARD.encode(br#"{"a":2}"#).into();
    });
    assert_eq!(name(check(&file, &[&key(1)], 1)), "below_threshold");
}

#[test]
fn a_signature_under_another_keys_id_does_not_count() {
    let file = seal(Role::Release, PAYLOAD, &[&key(1)]);
    let file = altered(&file, |file| {
        file["signatures"][0]["keyid"] = key(2).id().into();
    });
    let both = [&key(1), &key(2)];
    assert_eq!(name(check(&file, &both, 1)), "below_threshold");
}

#[test]
fn stripped_signatures_fall_below_the_threshold() {
    let (a, b) = (key(1), key(2));
    let file = seal(Role::Release, PAYLOAD, &[&a, &b]);
    assert!(check(&file, &[&a, &b], 2).is_ok());
    let file = altered(&file, |file| {
        file["signatures"].as_array_mut().unwrap().pop();
    });
    assert_eq!(name(check(&file, &[&a, &b], 2)), "below_threshold");
}

#[test]
fn one_key_signing_twice_does_not_make_two() {
    let (a, b) = (key(1), key(2));
    let file = seal(Role::Release, PAYLOAD, &[&a, &a]);
    assert_eq!(name(check(&file, &[&a, &b], 2)), "signature_duplicate");
    // The same signature under an upper-case spelling of the id neither.
    let file = altered(&file, |file| {
        file["signatures"][1]["keyid"] = a.id().to_uppercase().into();
    });
    assert_eq!(name(check(&file, &[&a, &b], 2)), "signature_malformed");
}

#[test]
fn more_signatures_than_the_limit_are_refused() {
    let keys: Vec<_> = (1..=17).map(key).collect();
    let file = seal(Role::Release, PAYLOAD, &keys.iter().collect::<Vec<_>>());
    assert_eq!(name(check(&file, &[&key(1)], 1)), "signature_count");
}

#[test]
fn an_oversized_file_is_refused_before_it_is_read() {
    let file = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(name(check(&file, &[&key(1)], 1)), "envelope_too_long");
}

#[test]
fn every_truncation_is_refused() {
    let file = seal(Role::Release, PAYLOAD, &[&key(1)]);
    for length in 0..file.len() {
        assert!(check(&file[..length], &[&key(1)], 1).is_err(), "{length}");
    }
}

#[test]
fn duplicate_and_unknown_members_are_refused() {
    let file = seal(Role::Release, PAYLOAD, &[&key(1)]);
    let text = String::from_utf8(file.clone()).unwrap();
    let doubled = text.replacen('{', r#"{"payload":"e30=","#, 1);
    assert_eq!(
        name(check(doubled.as_bytes(), &[&key(1)], 1)),
        "envelope_malformed"
    );
    let doubled = text.replacen(r#"[{"#, r#"[{"keyid":"x","#, 1);
    assert_eq!(
        name(check(doubled.as_bytes(), &[&key(1)], 1)),
        "envelope_malformed"
    );
    let unknown = altered(&file, |file| file["note"] = json!("hello"));
    assert_eq!(name(check(&unknown, &[&key(1)], 1)), "envelope_malformed");
}

#[test]
fn a_deeply_nested_file_is_refused() {
    let file = "[".repeat(100_000);
    assert_eq!(
        name(check(file.as_bytes(), &[&key(1)], 1)),
        "envelope_malformed"
    );
}

#[test]
fn a_key_under_another_id_is_refused() {
    let refusal = PublicKey::parse(&key(2).id(), &key(1).public_base64()).unwrap_err();
    let expected = KeyError::WrongId {
        found: key(2).id(),
        expected: key(1).id(),
    };
    assert_eq!(refusal, expected);
}

#[test]
fn keys_of_small_order_are_refused() {
    // The neutral element, and the point of order two.
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for weak in [one, minus_one, [0; 32]] {
        let id = key::key_id(&weak);
        let refusal = PublicKey::parse(&id, &STANDARD.encode(weak)).unwrap_err();
        assert_eq!(refusal, KeyError::Weak { id });
    }
}

#[test]
fn a_second_spelling_of_a_point_is_refused() {
    // y = p + 3 encodes the same point as y = 3, under another id.
    let mut three = [0; 32];
    three[0] = 3;
    let mut again = [0xff; 32];
    (again[0], again[31]) = (0xf0, 0x7f);
    let parse = |bytes: [u8; 32]| PublicKey::parse(&key::key_id(&bytes), &STANDARD.encode(bytes));
    assert!(parse(three).is_ok());
    let id = key::key_id(&again);
    assert_eq!(parse(again).unwrap_err(), KeyError::NotAKey { id });
}

#[test]
fn a_threshold_must_be_reachable_and_above_zero() {
    let (a, b) = (key(1), key(2));
    for threshold in [0, 3] {
        let refusal = signers(&[&a, &b], threshold).unwrap_err();
        let expected = KeyError::Threshold {
            found: threshold,
            expected: 2,
        };
        assert_eq!(refusal, expected);
    }
    assert!(matches!(
        signers(&[&a, &a], 1),
        Err(KeyError::Duplicate { .. })
    ));
}

#[test]
fn a_seed_makes_the_same_key_again() {
    let again = SigningKey::from_seed(&key(7).seed());
    assert_eq!(again.id(), key(7).id());
    assert_eq!(again.id().len(), 16);
    // The secret is not in what a log would show.
    assert_eq!(
        format!("{again:?}"),
        format!("SigningKey({:?})", again.id())
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_file_with_one_byte_changed_never_verifies(at in any::<prop::sample::Index>(), to: u8) {
        let mut file = seal(Role::Release, PAYLOAD, &[&key(1)]);
        let at = at.index(file.len());
        prop_assume!(file[at] != to);
        file[at] = to;
        prop_assert!(check(&file, &[&key(1)], 1).is_err());
    }

    #[test]
    fn a_spliced_file_never_verifies_as_other_bytes(
        at in any::<prop::sample::Index>(),
        remove in 0..64usize,
        insert in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut file = seal(Role::Release, PAYLOAD, &[&key(1)]);
        let at = at.index(file.len());
        let end = (at + remove).min(file.len());
        file.splice(at..end, insert);
        // White space between members changes the file and not what it says.
        if let Ok(payload) = check(&file, &[&key(1)], 1) {
            prop_assert_eq!(payload, PAYLOAD);
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(file in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(check(&file, &[&key(1)], 1).is_err());
    }
}
