//! Does working beside what is known come to the same as from nothing?
//!
//! Random edits of a small environment, published after each round: what the
//! publisher builds beside the last build, and what the edge resolves and
//! compiles beside the last release, against the same from nothing. Names are
//! few, so that flows collide in sids and blocks, and come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::*, part};
use crate::snapshot::{
    Revision, Snapshot, Version,
    compile::{Name, Work, compile, compile_inventory, read_index_beside},
    fixture::{ENVIRONMENT, ENVIRONMENT_UID, Part, key_part},
    wire::ControlDocument,
};

const FLOWS: u8 = 5;

/// How a version is.
#[derive(Clone, Debug, PartialEq)]
enum Made {
    Sound {
        block: u8,
        entry: u8,
    },
    /// Names another flow.
    Stray,
    /// Does not pass the checks.
    Faulty(u8),
    /// Is not even a version.
    Broken(u8),
}

/// What is authored.
#[derive(Clone, Debug, Default)]
struct World {
    /// Uid to sid, whether it parses, and its versions.
    flows: BTreeMap<u8, (u8, bool, BTreeMap<u8, Made>)>,
    /// Uid to flow, channel and percentage.
    deployments: BTreeMap<u8, (u8, u8, u16)>,
    keys: BTreeSet<u8>,
    /// Name to how it is, and whether it parses.
    flags: BTreeMap<u8, (u8, bool)>,
    /// Id to what it asks.
    segments: BTreeMap<u8, u8>,
    exclusive: bool,
    disabled: BTreeSet<u8>,
    inactive: BTreeSet<u8>,
}

impl World {
    fn edit(&mut self, (what, one, two, three): (u8, u8, u8, u8)) {
        let uid = one % FLOWS;
        let toggle = |set: &mut BTreeSet<u8>, of: u8| {
            if !set.remove(&of) {
                set.insert(of);
            }
        };
        match what % 13 {
            0..=2 => {
                let made = match three % 6 {
                    0 => Made::Stray,
                    1 => Made::Faulty(two % 2),
                    2 => Made::Broken(two % 2),
                    _ => Made::Sound {
                        block: three / 6 % 4,
                        entry: two / 4 % 3,
                    },
                };
                let flow = self
                    .flows
                    .entry(uid)
                    .or_insert((uid, true, BTreeMap::new()));
                flow.2.insert(two % 4, made);
            }
            3 => drop(self.flows.remove(&uid)),
            4 => {
                if let Some(flow) = self.flows.get_mut(&uid) {
                    flow.0 = two % FLOWS;
                }
            }
            5 => {
                if let Some(flow) = self.flows.get_mut(&uid) {
                    flow.1 = !flow.1;
                }
            }
            6 => {
                let own = (two % FLOWS, three % 3, u16::from(two) * 60);
                self.deployments.insert(uid, own);
            }
            7 => drop(self.deployments.remove(&uid)),
            8 => match two % 3 {
                0 => toggle(&mut self.disabled, uid),
                1 => toggle(&mut self.inactive, uid),
                _ => self.exclusive = !self.exclusive,
            },
            9 => drop(self.flags.insert(uid, (two, three % 4 > 0))),
            10 => drop(self.flags.remove(&uid)),
            11 => match two % 3 {
                0 => drop(self.segments.remove(&uid)),
                _ => drop(self.segments.insert(uid, two)),
            },
            _ => toggle(&mut self.keys, uid),
        }
    }

    fn parts(&self) -> Vec<Part> {
        let channels = json!([{"name": "c0", "exclusive": self.exclusive}]);
        let settings = json!({"environment_type": "test", "drafts": true, "channels": channels});
        let mut parts = vec![part(PartKind::Settings, "settings", &settings)];
        for (uid, (sid, sound, versions)) in &self.flows {
            let mut numbers: Vec<u8> = versions.keys().copied().collect();
            if !sound {
                // Not ascending: the part says nothing sensible.
                numbers = vec![200, 200];
            }
            let uid = format!("f{uid}");
            let value = json!({"uid": uid, "sid": format!("s{sid}"), "name": uid, "project": "p",
                "enabled": true, "versions": numbers});
            parts.push(part(PartKind::Flow, &uid, &value));
            for (number, made) in versions {
                let id = format!("{uid}:{number}");
                let value = version(&uid, *sid, *number, made);
                parts.push(part(PartKind::Version, &id, &value));
            }
        }
        for (uid, (flow, channel, points)) in &self.deployments {
            let uid = format!("d{uid}");
            let rollout = json!({"basis_points": points, "salt": "x"});
            let value = json!({"uid": uid, "name": uid, "flow_uid": format!("f{flow}"),
                "channel": format!("c{channel}"), "policy": "latest", "rollout": rollout});
            parts.push(part(PartKind::Deployment, &uid, &value));
        }
        parts.extend(self.flags.iter().map(flag));
        parts.extend(self.segments.iter().map(|(id, value)| {
            let asks =
                json!([{"contextName": "plan", "operator": "IN", "values": [value.to_string()]}]);
            part(
                PartKind::Segment,
                &id.to_string(),
                &json!({"id": id, "constraints": asks}),
            )
        }));
        parts.extend(self.keys.iter().map(|key| key_part(&format!("key {key}"))));
        parts
    }

    fn control(&self) -> ControlDocument {
        let named =
            |set: &BTreeSet<u8>, kind: &str| set.iter().map(|own| format!("{kind}{own}")).collect();
        ControlDocument {
            disabled_flows: named(&self.disabled, "f"),
            inactive_deployments: named(&self.inactive, "d"),
            ..ControlDocument::default()
        }
    }
}

/// One that refers to a segment and depends on another, as it happens.
fn flag((name, (how, sound)): (&u8, &(u8, bool))) -> Part {
    let own = if *sound {
        format!("flag {name}")
    } else {
        "another".to_owned()
    };
    let enabled = if how % 5 > 0 {
        json!(how % 2 == 0)
    } else {
        json!("perhaps")
    };
    let value = json!({"name": own, "enabled": enabled, "note": how,
        "strategies": [{"name": "default", "segments": [how % FLOWS]}],
        "dependencies": [{"feature": format!("flag {}", how / 8 % FLOWS)}]});
    part(PartKind::Flag, &format!("flag {name}"), &value)
}

fn version(uid: &str, sid: u8, number: u8, made: &Made) -> Value {
    let sid = format!("s{sid}");
    let (sid, entry, block) = match made {
        Made::Broken(how) => return json!([uid, number, how]),
        Made::Sound { block, entry } => (sid, *entry, block.to_string()),
        Made::Stray => ("elsewhere".to_owned(), 0, uid.to_owned()),
        Made::Faulty(how) => (sid, 9 + how, uid.to_owned()),
    };
    let entry = match entry {
        0 => json!("everyone"),
        1 => json!("api-only"),
        2 => json!({"expression": "user.properties.plan = 'pro'"}),
        other => json!({"expression": format!("user. {other}")}),
    };
    json!({"flow_uid": uid, "flow_sid": sid, "number": number, "entry": entry,
        "blocks": [{"uid": format!("b{block}"), "sid": "card", "kind": "card"}],
        "paths": [{"uid": "p", "to": format!("b{block}")}]})
}

/// Everything a snapshot says, in one order.
fn picture(snapshot: &Snapshot) -> String {
    let mut lines = vec![format!(
        "{} {} {:?} {} {} {:?} {:?} {:?}",
        snapshot.environment,
        snapshot.environment_uid,
        snapshot.environment_type,
        snapshot.revision,
        snapshot.drafts,
        snapshot.keys,
        snapshot.set_aside,
        snapshot.deployments,
    )];
    lines.push(format!("{:?}", snapshot.flags));
    let flows = snapshot.flows.iter();
    lines.extend(flows.map(|(sid, flow)| format!("flow {sid} {flow:?}")));
    let keys = snapshot.flows_by_key.iter();
    lines.extend(keys.map(|(key, flow)| format!("key {key:?} {}", flow.uid)));
    let blocks = snapshot.block_flows.iter();
    lines.extend(blocks.map(|(key, flow)| format!("block {key:?} {}", flow.uid)));
    for (name, channel) in &snapshot.channels {
        lines.push(format!(
            "channel {name} {} {:?}",
            channel.exclusive, channel.sole
        ));
        let by_flow = channel.by_flow.iter();
        lines.extend(by_flow.map(|(flow, own)| format!("on {name} {flow:?} {own:?}")));
    }
    lines.sort();
    lines.join("\n")
}

/// A store and an edge that go on from what they had.
#[derive(Default)]
struct Pair {
    shelf: Inventory,
    offered: BTreeMap<(PartKind, String), Vec<u8>>,
    live: Inventory,
    /// Every blob the edge was sent.
    have: BTreeMap<String, Vec<u8>>,
    versions: BTreeMap<(String, u32), (String, Arc<Version>)>,
}

impl Pair {
    fn publish(&mut self, world: &World, revision: u64) -> Work {
        let parts = world.parts();
        let nothing = build_index(parts.clone()).expect("it can be built");
        let offers = parts.iter().map(|(kind, id, json)| {
            let name = (*kind, id.clone());
            let same = self.offered.get(&name) == Some(json);
            (*kind, id.clone(), (!same).then(|| json.clone()))
        });
        let beside = build_beside(offers.collect(), &self.shelf);
        let (beside, shelf) = beside.expect("it can be built beside");
        assert_eq!(beside.index, nothing.index);
        let known = self.shelf.blobs().map(|blob| blob.sha256.clone());
        let mut blobs: BTreeSet<String> = known.collect();
        blobs.extend(beside.blobs.keys().cloned());
        for blob in shelf.blobs() {
            assert!(blobs.contains(&blob.sha256), "a blob nobody has");
            assert!(nothing.blobs.contains_key(&blob.sha256));
        }
        for (sha256, bytes) in &beside.blobs {
            assert_eq!(nothing.blobs.get(sha256), Some(bytes));
        }
        self.shelf = shelf;
        let named = parts.into_iter().map(|(kind, id, json)| ((kind, id), json));
        self.offered = named.collect();
        self.have.extend(beside.blobs);
        self.take_in(world, &nothing, revision)
    }

    fn take_in(&mut self, world: &World, built: &Built, revision: u64) -> Work {
        let control = world.control();
        let revision = Revision {
            epoch: 0,
            number: revision,
        };
        let find = |sha256: &str| built.blobs.get(sha256).map(Vec::as_slice);
        let content = resolve_index(&built.index, find, SNAPSHOT_BYTES_MAX);
        let content = content.expect("it resolves");
        let nothing = compile(ENVIRONMENT, ENVIRONMENT_UID, revision, &content, &control);
        let nothing = nothing.expect("it compiles");
        let find = |sha256: &str| self.have.get(sha256).map(Vec::as_slice);
        let beside = read_index_beside(&built.index, find, &self.live, &InTurn);
        let (mut inventory, read) = beside.expect("it resolves beside");
        let name = Name {
            environment: ENVIRONMENT,
            environment_uid: ENVIRONMENT_UID,
            revision,
        };
        let compiled = compile_inventory(&name, &mut inventory, &control);
        let (beside, mut work) = compiled.expect("it compiles beside");
        assert_eq!(work.versions, 0, "they are compiled as they are read");
        work.versions += read.versions;
        assert_eq!(picture(&beside), picture(&nothing));
        self.same_versions(&beside, &inventory);
        self.live = inventory;
        work
    }

    /// A version under the address it had is the one it was.
    fn same_versions(&mut self, snapshot: &Snapshot, inventory: &Inventory) {
        let addresses: BTreeMap<&str, &str> = inventory
            .parts()
            .map(|(_, part)| (part.entry.id.as_str(), part.entry.blob.sha256.as_str()))
            .collect();
        let mut now = BTreeMap::new();
        for flow in snapshot.flows.values() {
            for slot in &flow.versions {
                let Some(version) = &slot.version else {
                    continue;
                };
                let address = addresses[format!("{}:{}", flow.uid, slot.number).as_str()];
                let name = (flow.uid.to_string(), slot.number);
                if let Some((last, before)) = self.versions.get(&name)
                    && last == address
                {
                    assert!(Arc::ptr_eq(before, version), "{name:?} was made twice");
                }
                now.insert(name, (address.to_owned(), version.clone()));
            }
        }
        self.versions = now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_round_is_the_same_as_from_nothing(
        rounds in prop::collection::vec(
            prop::collection::vec((0_u8..13, any::<u8>(), any::<u8>(), any::<u8>()), 1..8),
            1..12,
        )
    ) {
        let mut world = World::default();
        let mut pair = Pair::default();
        for (round, edits) in rounds.into_iter().enumerate() {
            for edit in edits {
                world.edit(edit);
            }
            pair.publish(&world, round as u64);
            // The same again costs nothing.
            let again = pair.publish(&world, round as u64);
            prop_assert_eq!(again.versions, 0);
            prop_assert_eq!(again.flows, 0);
            prop_assert_eq!(again.flags, 0);
        }
    }
}

#[test]
fn one_commit_among_many_costs_one_version() {
    let mut world = World::default();
    let sound = |block| Made::Sound { block, entry: 0 };
    for uid in 0..100 {
        let versions = BTreeMap::from([(1, sound(uid))]);
        world.flows.insert(uid, (uid, true, versions));
    }
    world.flags.extend((0..50).map(|name| (name, (1, true))));
    let mut pair = Pair::default();
    let all = pair.publish(&world, 1);
    assert_eq!((all.versions, all.flows, all.flags), (100, 100, 50));
    let before = pair.have.len();
    let flow = world.flows.get_mut(&7).expect("a flow");
    flow.2.insert(2, sound(7));
    let one = pair.publish(&world, 2);
    assert_eq!((one.versions, one.flows, one.flags), (1, 1, 0));
    // The version, its flow, at most two shards, the index.
    let sent = pair.have.len() - before;
    assert!((4..=5).contains(&sent), "{sent} blobs were sent");
    world.disabled.insert(9);
    let switched = pair.publish(&world, 3);
    assert_eq!((switched.versions, switched.flows), (0, 1));
    world.segments.insert(1, 1);
    let asked = pair.publish(&world, 4);
    assert_eq!((asked.versions, asked.flows, asked.flags), (0, 0, 50));
}
