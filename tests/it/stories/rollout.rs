//! Does a rollout go as the deployments page says?
//!
//! A support bot on Intercom for VIPs: 10 %, 25 %, 50 %, 100 %, while people
//! talk to it. In between a version is published, somebody stops being a VIP,
//! and the deployment is switched off and on again. Two edges serve all of it.

use serde_json::{Value, json};

use super::{Pair, identify};
use crate::harness::{Client, body_of, eventually};

const CHANNEL: &str = "intercom:acme";
const PEOPLE: usize = 60;

/// The bot; `PERCENT` of VIPs, at the newest of `VERSIONS`.
const PROJECT: &str = r#"
flowgate: project/1
project: support
name: Support
channels:
  - name: intercom:acme
    exclusive: true
    attributes: [tags, email, plan]
flows:
  - sid: support-bot
    name: Customer Support Bot
    deployments-only: true
    deployments:
      - name: support-on-intercom
        environment: development
        channel: intercom:acme
        version: latest
        salt: week-by-week
        audience:
          - name: VIPs
            rules:
              - { attribute: tags, operator: contains, value: vip }
        percentage: PERCENT
    versions:
      - number: 1
        message: A greeting and an answer
        author: mara
        created: 2026-03-02T08:00:00Z
        entry: everyone
        blocks:
          - { sid: greeting, type: custom, transitions: [reply] }
          - { sid: answer, type: custom, transitions: [thanks] }
          - { sid: bye, type: finish }
        paths:
          - { from: entry, to: greeting }
          - { from: greeting, on: reply, to: answer }
          - { from: answer, on: thanks, to: bye }
"#;

const SECOND_VERSION: &str = r#"
      - number: 2
        message: Ask for the order first
        author: mara
        created: 2026-03-16T08:00:00Z
        entry: everyone
        blocks:
          - { sid: greeting, type: custom, transitions: [reply] }
          - { sid: order, type: custom, transitions: [given] }
          - { sid: answer, type: custom, transitions: [thanks] }
          - { sid: bye, type: finish }
        paths:
          - { from: entry, to: greeting }
          - { from: greeting, on: reply, to: order }
          - { from: order, on: given, to: answer }
          - { from: answer, on: thanks, to: bye }
"#;

fn project(percent: u32, second: bool) -> String {
    let tail = if second { SECOND_VERSION } else { "" };
    let text = PROJECT.replace("PERCENT", &percent.to_string());
    format!("{}{tail}", text.trim_end()) + "\n"
}

/// A message arrives: the platform asks what to do with it.
#[track_caller]
fn message(edge: &Client, user: &str, conversation: &str) -> Value {
    let body = json!({
        "subject": {"user": user, "conversation": conversation},
        "channel": CHANNEL,
        "start": true,
        "include": ["blocks"],
    });
    body_of(&edge.post("/v1/evaluate", &body), 200)["decisions"]["support-bot"].clone()
}

/// Somebody replies: the conversation moves on.
#[track_caller]
fn reply(edge: &Client, user: &str, conversation: &str, block: &str, name: &str) -> Value {
    let body = json!({
        "subject": {"user": user, "conversation": conversation},
        "channel": CHANNEL,
        "version": "latest",
        "transitions": [name],
    });
    body_of(
        &edge.post(&format!("/v1/blocks/{block}/transition"), &body),
        200,
    )
}

/// The blocks the subject stands on, by sid.
fn stands_on(decision: &Value) -> Vec<String> {
    let blocks = decision["blocks"].as_array().cloned().unwrap_or_default();
    let active = blocks
        .iter()
        .filter(|block| block["state"]["active"] == true);
    active
        .filter_map(|block| block["sid"].as_str().map(str::to_owned))
        .collect()
}

fn uid(decision: &Value, sid: &str) -> String {
    let blocks = decision["blocks"].as_array().expect("blocks");
    let mut found = blocks.iter().filter(|block| block["sid"] == sid);
    let block = found.next().expect("the block");
    block["uid"].as_str().expect("a uid").to_owned()
}

fn vip(at: usize) -> String {
    format!("vip-{at}")
}

#[test]
fn a_support_bot_is_rolled_out_week_by_week() {
    let pair = Pair::start(&project(10, false));
    let [first, second] = pair.servers();
    let edge = |at: usize| {
        if at.is_multiple_of(2) {
            &first
        } else {
            &second
        }
    };
    for at in 0..PEOPLE {
        identify(edge(at), &vip(at), &json!({"tags": ["vip"]}));
    }

    // "Attribute filtering first": who is no VIP is not even counted.
    let stranger = message(&first, "stranger", "w1");
    assert_eq!(stranger["reason"], "audience_mismatch", "{stranger}");
    assert_eq!(stranger["served"], false);
    assert_eq!(stands_on(&stranger), [""; 0], "no content: {stranger}");

    // Week 1: 10 %. In and out are remembered, on whichever edge it was said.
    let mut buckets = Vec::new();
    for at in 0..PEOPLE {
        let decision = message(edge(at), &vip(at), "w1");
        let own = &decision["membership"];
        let bucket = own["bucket"].as_u64().expect("a bucket");
        assert_eq!(own["in"], bucket < 1_000, "{decision}");
        assert_eq!(decision["served"], bucket < 1_000, "{decision}");
        assert_eq!(own["recorded"], true, "{decision}");
        assert_eq!(stands_on(&decision).is_empty(), bucket >= 1_000);
        buckets.push(bucket);
    }
    let between = |low: u64, high: u64| {
        let found = buckets.iter().position(|b| (low..high).contains(b));
        found.expect("somebody among sixty")
    };
    let early = between(0, 1_000);
    let week_2 = between(1_000, 2_500);
    let week_3 = between(2_500, 5_000);
    let last = between(5_000, 10_000);
    let other = |at: usize| edge(at + 1);
    eventually("the other edge knows as well", || {
        let [inside, outside] = [early, last].map(|at| message(other(at), &vip(at), "w1"));
        // Who talks keeps to the version they began; who was told no is known.
        let talks = inside["served"] == true && inside["version_source"] == "pin";
        let told = outside["reason"] == "excluded" && outside["membership"]["recorded"] == true;
        (talks && told).then_some(())
    });

    // A conversation is under way, and both edges see each step.
    let begun = message(edge(early), &vip(early), "w1");
    assert_eq!(begun["version"], 1, "{begun}");
    assert_eq!(stands_on(&begun), ["support-bot.greeting"]);
    let greeting = uid(&begun, "support-bot.greeting");
    let answer = uid(&begun, "support-bot.answer");
    let stepped = reply(edge(early), &vip(early), "w1", &greeting, "reply");
    assert_eq!(stepped["changed"], true, "{stepped}");
    eventually("the other edge sees the step", || {
        let seen = message(other(early), &vip(early), "w1");
        (stands_on(&seen) == ["support-bot.answer"]).then_some(())
    });

    // Week 2: 25 %. Who was out stays out in the conversation it was said in;
    // a new conversation is judged anew.
    pair.publish(&project(25, false));
    let kept = message(edge(week_2), &vip(week_2), "w1");
    assert_eq!(kept["reason"], "excluded", "{kept}");
    assert_eq!(kept["membership"]["basis_points"], 1_000, "{kept}");
    let anew = message(edge(week_2), &vip(week_2), "w2");
    assert_eq!(anew["served"], true, "{anew}");
    assert_eq!(anew["membership"]["basis_points"], 2_500, "{anew}");

    // A version is published in between: what runs keeps the version it
    // began, what begins gets the new one.
    pair.publish(&project(25, true));
    for at in [early, week_2] {
        let conversation = if at == early { "w1" } else { "w2" };
        for asked in [edge(at), other(at)] {
            let running = eventually("the conversation is known there", || {
                let running = message(asked, &vip(at), conversation);
                (running["version_source"] == "pin").then_some(running)
            });
            assert_eq!(running["version"], 1, "{running}");
        }
    }
    let fresh = message(edge(early), &vip(early), "w2");
    assert_eq!(
        (&fresh["version"], &fresh["version_source"]),
        (&json!(2), &json!("policy"))
    );

    // Somebody is no VIP any more: the conversation goes on, a new one does
    // not begin.
    identify(edge(early), &vip(early), &json!({"tags": ["former"]}));
    let running = message(edge(early), &vip(early), "w1");
    assert_eq!(stands_on(&running), ["support-bot.answer"], "{running}");
    let refused = message(edge(early), &vip(early), "w3");
    assert_eq!(refused["reason"], "audience_mismatch", "{refused}");

    // The power button: off processes nothing, running conversations included;
    // on again, they go on where they were.
    let power = |verb: &str| {
        let name = "support-on-intercom";
        pair.author(&["deployment", verb, name, "--environment", "development"]);
    };
    power("deactivate");
    let off = message(edge(early), &vip(early), "w1");
    assert_eq!(off["reason"], "inactive", "{off}");
    assert_eq!(off["served"], false, "{off}");
    assert_eq!(stands_on(&off), [""; 0], "{off}");
    let stepped = reply(edge(early), &vip(early), "w1", &answer, "thanks");
    assert_eq!(stepped["changed"], false, "{stepped}");
    power("activate");
    let on = message(edge(early), &vip(early), "w1");
    assert_eq!(stands_on(&on), ["support-bot.answer"], "{on}");

    // Week 3: 50 %.
    pair.publish(&project(50, true));
    let third = message(edge(week_3), &vip(week_3), "w3");
    assert_eq!(third["served"], true, "{third}");
    let out = message(edge(last), &vip(last), "w3");
    assert_eq!(out["reason"], "percentage", "{out}");

    // Week 4: 100 %, full launch: also who was told no is in from now on.
    pair.publish(&project(100, true));
    for at in 0..PEOPLE {
        if at == early {
            continue;
        }
        let decision = message(edge(at), &vip(at), "w1");
        assert_eq!(decision["served"], true, "{}: {decision}", vip(at));
    }
    for asked in [edge(last), other(last)] {
        eventually("both edges know that the exclusion is over", || {
            let decision = message(asked, &vip(last), "w1");
            let own = &decision["membership"];
            let pinned = decision["version_source"] == "pin";
            (pinned || (own["in"] == true && own["basis_points"] == 10_000)).then_some(())
        });
    }

    // The first conversation ends as it began, on version 1.
    let ended = reply(other(early), &vip(early), "w1", &answer, "thanks");
    assert_eq!(ended["flow"]["version"], 1, "{ended}");
    assert_eq!(ended["flow"]["state"]["finished"], true, "{ended}");
}
