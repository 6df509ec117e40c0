//! Does the edge speak Dopt's protocol as the published clients expect it?
//!
//! A project with every kind of block and entry, one `flowgate dev`, and
//! requests as the clients make them. Shapes are checked as strictly as
//! generated clients check them.

mod identify;
mod reading;
mod refusals;
mod stepping;

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Client, Dev, body_of, check_block, check_flow};

/// `STATUS` is the status of `switchable` in development.
const PROJECT: &str = r#"
flowgate: project/1
project: shop
flows:
  - sid: checkout
    versions:
      - number: 1
        entry: everyone
        blocks: &blocks
          - sid: pick
            type: custom
            transitions: [left, right, onward]
            fields:
              title: Pick a side
              price: 9.5
              hot: true
              unset: { type: string, value: null }
              body: { type: richText, value: [{ type: paragraph, children: [{ text: Hello, bold: true }] }] }
          - { sid: left-card, type: card, fields: { title: Left } }
          - { sid: right-modal, type: modal }
          - { sid: vip, type: boolean, when: "user.properties.vip = true" }
          - { sid: vip-card, type: card }
          - { sid: end, type: finish }
        paths: &paths
          - { from: entry, to: pick }
          - { from: pick, on: left, to: left-card }
          - { from: pick, on: right, to: right-modal }
          - { from: pick, on: onward, to: vip }
          - { from: vip, on: "true", to: vip-card }
          - { from: vip, on: "false", to: end }
          - { from: left-card, on: complete, to: pick }
          - { from: right-modal, on: [complete, dismiss], to: end }
      - { number: 2, entry: everyone, blocks: [{ sid: alone, type: card }], paths: [{ from: entry, to: alone }] }
    draft: { entry: everyone, blocks: *blocks, paths: *paths }
  - sid: paying
    versions:
      - { number: 1, entry: { expression: "user.properties.plan = 'pro'" }, blocks: [{ sid: hello, type: card }], paths: [{ from: entry, to: hello }] }
  - sid: golden
    versions:
      - { number: 1, entry: { expression: "group.properties.tier = 'gold'" }, blocks: [{ sid: hello, type: card }], paths: [{ from: entry, to: hello }] }
  - sid: manual
    versions:
      - { number: 1, entry: api-only, blocks: [{ sid: hello, type: card }], paths: [{ from: entry, to: hello }] }
  - sid: guarded
    refusePublicForce: true
    versions:
      - { number: 1, entry: api-only, blocks: [{ sid: hello, type: card }], paths: [{ from: entry, to: hello }] }
  - sid: switchable
    status: { development: STATUS }
    versions:
      - { number: 1, entry: everyone, blocks: [{ sid: hello, type: card }], paths: [{ from: entry, to: hello }] }
"#;

fn project(status: &str) -> String {
    PROJECT.replace("STATUS", status)
}

/// A running dev with the project, and a client with the public key.
struct Shop {
    dev: Dev,
    blocks: Client,
    // Last, so that the process is gone before it is removed.
    _folder: tempfile::TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        dev.import(&project("enabled"));
        Self {
            blocks: dev.edge("blocks"),
            dev,
            _folder: folder,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.blocks.get(path)
    }

    /// The flow with its blocks, checked.
    fn flow(&self, sid: &str, version: &str, user: &str) -> Value {
        let path = format!("/v2/flow/{sid}?{version}&include=block&userIdentifier={user}");
        let flow = body_of(&self.get(&path), 200);
        check_flow(&flow, true);
        assert_eq!(flow["sid"], sid);
        flow
    }

    /// A block of version 1, which starts nothing; checked.
    fn block(&self, uid: &str, user: &str) -> Value {
        let path = format!("/v2/block/{uid}?version=1&userIdentifier={user}");
        let block = body_of(&self.get(&path), 200);
        check_block(&block);
        block
    }

    fn post(&self, path: &str) -> Answer {
        self.blocks
            .send(Method::POST, path, &[], Some("{}".into()))
            .expect("an answer")
    }

    /// An intent that must be a 204; whether it had side effects.
    fn intent(&self, sid: &str, intent: &str, query: &str) -> bool {
        side_effects(&self.post(&format!("/v2/flow/{sid}/{intent}?{query}")))
    }

    /// A transition of version 1 that must be a 204.
    fn transition(&self, uid: &str, names: &str, user: &str) -> bool {
        let path = format!("/v2/block/{uid}/transition?version=1&userIdentifier={user}&{names}");
        side_effects(&self.post(&path))
    }
}

/// Exactly 204, truly empty, and what the header says.
#[track_caller]
fn side_effects(answer: &Answer) -> bool {
    assert_eq!(answer.status, 204, "{}", answer.text);
    assert!(answer.text.is_empty());
    assert!(!answer.headers.contains_key("content-type"));
    match answer.header("x-dopt-intent-side-effects") {
        "true" => true,
        "false" => false,
        other => panic!("side effects are {other:?}"),
    }
}

/// A block of a flow by its own sid.
#[track_caller]
fn block_of<'f>(flow: &'f Value, sid: &str) -> &'f Value {
    let qualified = format!("{}.{sid}", flow["sid"].as_str().unwrap_or_default());
    let blocks = flow["blocks"].as_array().into_iter().flatten();
    let mut found = blocks.filter(|block| block["sid"] == qualified.as_str());
    found
        .next()
        .unwrap_or_else(|| panic!("no {qualified} in {flow}"))
}

#[track_caller]
fn uid_of(flow: &Value, sid: &str) -> String {
    let uid = block_of(flow, sid)["uid"].as_str();
    uid.expect("a uid").to_owned()
}

/// `active entered exited` as a short text.
#[track_caller]
fn look(block: &Value) -> String {
    let state = &block["state"];
    let flags = [("active", 'a'), ("entered", 'e'), ("exited", 'x')];
    let set = flags.into_iter().filter(|(name, _)| state[*name] == true);
    set.map(|(_, letter)| letter).collect()
}
