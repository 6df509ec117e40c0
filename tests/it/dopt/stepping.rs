//! What do intents and transitions do, and what do they answer?

use reqwest::Method;
use serde_json::json;

use super::{Shop, block_of, look, side_effects, uid_of};
use crate::harness::{check_dopt_error, raw};

#[test]
fn intents_do_what_they_say_and_nothing_twice() {
    let shop = Shop::open();
    let query = "version=1&userIdentifier=ada";
    // A step on a version without state is a success without effect.
    assert!(!shop.intent("checkout", "stop", query));
    assert!(!shop.intent("checkout", "finish", query));
    assert!(shop.intent("checkout", "start", query));
    assert!(!shop.intent("checkout", "start", query));
    let flow = shop.flow("checkout", "version=1", "ada");
    let pick = uid_of(&flow, "pick");
    assert!(shop.transition(&pick, "transitions=left", "ada"));

    assert!(shop.intent("checkout", "stop", query));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(
        flow["state"],
        json!({"started": true, "stopped": true, "finished": false})
    );
    assert_eq!(look(block_of(&flow, "left-card")), "e");
    assert_eq!(look(block_of(&flow, "pick")), "ex");
    assert!(!shop.transition(&uid_of(&flow, "left-card"), "transitions=complete", "ada"));

    assert!(shop.intent("checkout", "finish", query));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(
        flow["state"],
        json!({"started": true, "stopped": false, "finished": true})
    );

    assert!(shop.intent("checkout", "reset", query));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(
        flow["state"],
        json!({"started": true, "stopped": false, "finished": false})
    );
    let pick = block_of(&flow, "pick");
    assert_eq!(look(pick), "ae");
    assert_eq!(pick["transitioned"]["left"], false);
}

#[test]
fn transitions_follow_the_union_of_their_paths() {
    let shop = Shop::open();
    let flow = shop.flow("checkout", "version=1", "ada");
    let pick = uid_of(&flow, "pick");
    // One unknown name beside known ones is ignored.
    let names = "transitions=left&transitions=right&transitions=nowhere";
    assert!(shop.transition(&pick, names, "ada"));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(look(block_of(&flow, "left-card")), "ae");
    assert_eq!(look(block_of(&flow, "right-modal")), "ae");
    let block = block_of(&flow, "pick");
    assert_eq!(look(block), "ex");
    assert_eq!(
        block["transitioned"],
        json!({"left": true, "right": true, "onward": false})
    );
    // Inactive now: a repeat does nothing.
    assert!(!shop.transition(&pick, "transitions=left", "ada"));
    // A way back enters anew.
    let card = uid_of(&flow, "left-card");
    assert!(shop.transition(&card, "transitions=complete", "ada"));
    let block = shop.block(&pick, "ada");
    assert_eq!(look(&block), "ae");
    assert_eq!(block["transitioned"]["left"], false);
    // A branch runs at once, here straight into the end.
    assert!(shop.transition(&pick, "transitions=onward", "ada"));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(flow["state"]["finished"], true);
    assert_eq!(look(block_of(&flow, "right-modal")), "e");
}

#[test]
fn a_branch_sees_what_identify_said() {
    let shop = Shop::open();
    let body = json!({"identifier": "ada", "properties": {"vip": true}});
    let answer = shop.dev.edge("users").post("/identify", &body);
    assert_eq!(answer.status, 204);
    let flow = shop.flow("checkout", "version=1", "ada");
    assert!(shop.transition(&uid_of(&flow, "pick"), "transitions=onward", "ada"));
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(look(block_of(&flow, "vip-card")), "ae");
    assert_eq!(flow["state"]["finished"], false);
}

#[test]
fn transition_names_are_checked() {
    let shop = Shop::open();
    let flow = shop.flow("checkout", "version=1", "ada");
    let pick = uid_of(&flow, "pick");
    let many: Vec<String> = (0..33).map(|n| format!("transitions=n{n}")).collect();
    for names in [
        "",
        "transitions=",
        "transitions=left&transitions=left",
        "transitions=nowhere",
        "transitions=Left",
        &many.join("&"),
    ] {
        let path = format!("/v2/block/{pick}/transition?version=1&userIdentifier=ada&{names}");
        check_dopt_error(&shop.post(&path), 400, "invalid_request_error");
    }
    assert_eq!(
        look(&shop.block(&pick, "ada")),
        "ae",
        "a 4xx stores nothing"
    );
    for path in [
        "/v2/block/nothing/transition?version=1&userIdentifier=ada&transitions=left".to_owned(),
        format!("/v2/block/{pick}/transition?version=2&userIdentifier=ada&transitions=left"),
        format!("/v2/block/{pick}/transition?version=9&userIdentifier=ada&transitions=left"),
    ] {
        check_dopt_error(&shop.post(&path), 404, "not_found_error");
    }
    let path = format!("/v2/block/{pick}/transition?userIdentifier=ada&transitions=left");
    check_dopt_error(&shop.post(&path), 400, "invalid_request_error");
}

#[test]
fn force_skips_the_entry_condition_only() {
    let shop = Shop::open();
    let query = "version=1&userIdentifier=ada";
    assert!(!shop.intent("manual", "start", query));
    assert!(!shop.intent("manual", "start", &format!("{query}&force=false")));
    assert!(shop.intent("manual", "start", &format!("{query}&force=true")));
    assert!(shop.intent("manual", "reset", &format!("{query}&force=true")));
    let flow = shop.flow("manual", "version=1", "ada");
    assert_eq!(flow["state"]["started"], true);
    // Without force a reset falls back to what the entry condition says.
    assert!(shop.intent("manual", "reset", query));
    let flow = shop.flow("manual", "version=1", "ada");
    assert_eq!(flow["state"]["started"], false);
    for (intent, force) in [("stop", "true"), ("finish", "false"), ("start", "yes")] {
        let path = format!("/v2/flow/manual/{intent}?{query}&force={force}");
        let details = check_dopt_error(&shop.post(&path), 400, "invalid_request_error");
        assert!(details.contains("force"), "{details}");
    }
    // A flow may take no force from public keys; a 4xx would crash old SDKs.
    assert!(!shop.intent("guarded", "start", &format!("{query}&force=true")));
    let flow = shop.flow("guarded", "version=1", "ada");
    assert_eq!(flow["state"]["started"], false);
}

#[test]
fn intents_on_an_empty_flow_succeed_without_effect() {
    let shop = Shop::open();
    for intent in ["start", "reset", "stop", "finish"] {
        let query = "tag=latest&userIdentifier=ada";
        assert!(!shop.intent("welcome-modal", intent, query), "{intent}");
    }
}

#[test]
fn a_step_is_exactly_204_and_truly_empty() {
    let shop = Shop::open();
    let url = shop.dev.program.text("edge_url");
    let key = shop.dev.key("development", "blocks");
    let line = "POST /v2/flow/checkout/start?version=1&userIdentifier=raw";
    for (headers, body) in [
        // Without any body, with an empty object, and with what nobody reads.
        (vec![("content-length", "0")], ""),
        (
            vec![
                ("content-length", "2"),
                ("content-type", "application/json"),
            ],
            "{}",
        ),
        (vec![("content-length", "3")], "???"),
    ] {
        let mut headers = headers;
        headers.push(("x-api-key", &key));
        let answer = raw(&url, line, &headers, body.as_bytes());
        assert_eq!(answer.status, 204);
        assert!(answer.body.is_empty(), "{answer:?}");
        let length = answer.header("content-length");
        assert!(matches!(length, None | Some("0")), "{answer:?}");
        assert!(answer.header("transfer-encoding").is_none(), "{answer:?}");
    }
}

#[test]
fn a_plus_sign_is_what_the_client_means() {
    let shop = Shop::open();
    let started = |user: &str, headers: &[(&str, &str)]| {
        let path = format!("/v2/flow/manual?version=1&userIdentifier={user}");
        let answer = shop.blocks.send(Method::GET, &path, headers, None);
        answer.expect("an answer").json()["state"]["started"] == true
    };
    let sdk = [("x-pkg-name", "@dopt/javascript")];
    let force = |user: &str, headers: &[(&str, &str)]| {
        let path = format!("/v2/flow/manual/start?version=1&force=true&userIdentifier={user}");
        let sent = shop
            .blocks
            .send(Method::POST, &path, headers, Some("{}".into()));
        assert!(side_effects(&sent.expect("an answer")), "{user}");
    };
    // A literal plus, encoded by a generated client and raw by an SDK.
    force("joe%2Btest@x.com", &[]);
    assert!(started("joe+test@x.com", &sdk));
    assert!(!started("joe+test@x.com", &[]), "that is joe test");
    // A space, as a plus by a generated client and encoded by an SDK.
    force("ann+lee", &[]);
    assert!(started("ann%20lee", &sdk));
    assert!(started("ann%20lee", &[]));
    assert!(!started("ann+lee", &sdk), "that has a plus");
}

#[test]
fn any_text_is_an_id_up_to_its_limit() {
    let shop = Shop::open();
    for user in ["j%C3%BCrgen%20%F0%9F%98%80", "a%2Fb", "...", "100%25", "%"] {
        let query = format!("version=1&userIdentifier={user}&force=true&unknown=1&include=");
        assert!(shop.intent("manual", "start", &query), "{user}");
        let flow = shop.flow("manual", "version=1", user);
        assert_eq!(flow["state"]["started"], true, "{user}");
    }
    let longest = "x".repeat(512);
    let query = format!("version=1&userIdentifier={longest}");
    assert!(shop.intent("checkout", "start", &query));
    for query in [
        format!("version=1&userIdentifier={longest}x"),
        format!("version=1&userIdentifier=a&groupIdentifier={longest}x"),
        "version=1&userIdentifier=".to_owned(),
        // A path segment that says "here" or "above" would not reach the store.
        "version=1&userIdentifier=..".to_owned(),
        "version=1&userIdentifier=%00".to_owned(),
        "version=1".to_owned(),
        "version=1&userIdentifier=%ff".to_owned(),
        "version=1&userIdentifier=a&userIdentifier=b".to_owned(),
    ] {
        let path = format!("/v2/flow/checkout?{query}");
        check_dopt_error(&shop.get(&path), 400, "invalid_request_error");
    }
}
