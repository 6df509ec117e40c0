//! What is published, and what would somebody like to be taken for it?
//!
//! Honest documents follow each other as an author makes them: releases with
//! a new version and another percentage, control documents that switch a flow
//! off and on. Hostile ones are signed as well as whoever makes them can. All
//! files are made by the program's own signing code.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;

use crate::{
    clock::UnixMs,
    disk::memory::Random,
    snapshot::{
        Revision, Snapshot, Version,
        compile::compile,
        envelope::{Role, SigningKey},
        fixture::{self, ENVIRONMENT, ENVIRONMENT_UID, HOUR, NOW, Part, World, part},
        parts::build_index,
        sha256_hex,
        trust::{Origin, verify_pack},
        wire::{PartKind, TimestampDocument},
    },
    store::LedgerVersions,
};

/// The key all applications use.
pub(super) const KEY: &str = "server-production-1";
/// The flow whose newest version tells which release is in force.
pub(super) const MARKER: &str = "marker";
/// The flow that goes in a circle, and its blocks in order.
pub(super) const CHAIN: &str = "chain";
pub(super) const BLOCKS: [&str; 3] = ["a", "b", "c"];
/// The flow that a percentage decides about, and where it is deployed.
pub(super) const HALF: &str = "half";
pub(super) const CHANNEL: &str = "web";
pub(super) const DEPLOYMENT: &str = "d_half";

/// Revisions from here on were never published by anybody with the right keys.
const FORGED: u64 = 1_000_000;

/// How a document is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hostile {
    /// What was published and is not in force any more, as it was.
    Old,
    /// A lower revision under a new timestamp.
    Lower,
    /// A timestamp by the key for releases.
    TimestampByRelease,
    /// A control document by the key for timestamps.
    ControlByTimestamp,
    /// By a key nobody trusts.
    Stranger,
    /// All as it should be, for another environment.
    OtherEnvironment,
    /// One bit is another.
    Damaged,
}

pub(super) const HOSTILE: [Hostile; 7] = [
    Hostile::Old,
    Hostile::Lower,
    Hostile::TimestampByRelease,
    Hostile::ControlByTimestamp,
    Hostile::Stranger,
    Hostile::OtherEnvironment,
    Hostile::Damaged,
];

/// A timestamp and the documents it can refer to.
#[derive(Clone, Default)]
pub(super) struct Offer {
    pub(super) validator: String,
    pub(super) timestamp: Vec<u8>,
    pub(super) releases: BTreeMap<u64, Vec<u8>>,
    pub(super) controls: BTreeMap<u64, Vec<u8>>,
}

/// Who signs.
pub(super) struct Publisher {
    world: World,
    /// The newest version of the marker, and the percentage.
    pub(super) marker: u32,
    basis_points: u16,
    /// What is offered now.
    pub(super) offer: Offer,
    honest: Offer,
    /// Timestamps in the order in which they were published.
    before: Vec<Vec<u8>>,
    offers: u64,
    has_lowered: bool,
    /// Revisions that were published.
    pub(super) revisions: BTreeSet<u64>,
}

impl Publisher {
    pub(super) fn new() -> Self {
        let mut publisher = Self {
            world: World::new(),
            marker: 1,
            basis_points: 5_000,
            offer: Offer::default(),
            honest: Offer::default(),
            before: Vec::new(),
            offers: 0,
            has_lowered: false,
            revisions: BTreeSet::new(),
        };
        publisher.put_parts();
        publisher.publish(NOW);
        publisher
    }

    pub(super) fn root(&self) -> Vec<u8> {
        self.world.root_file()
    }

    pub(super) fn blob(&self, sha256: &str) -> Option<&Vec<u8>> {
        self.world.blobs.get(sha256)
    }

    /// The revision that is published.
    pub(super) fn revision(&self) -> u64 {
        self.world.timestamp.revision
    }

    /// Whether the circle is switched off.
    pub(super) fn is_off(&self) -> bool {
        !self.world.control.disabled_flows.is_empty()
    }

    /// A new release.
    pub(super) fn release(&mut self, now: UnixMs, random: &mut Random) {
        self.world.advance();
        self.world.release.created_ms = now;
        self.marker += 1;
        self.basis_points = [2_500, 5_000, 7_500, 10_000][random.below(4)];
        self.put_parts();
        self.publish(now);
    }

    /// A new control document: the switch goes to the other side.
    pub(super) fn control(&mut self, now: UnixMs) {
        self.world.advance_control();
        self.world.control.created_ms = now;
        let off = !self.is_off();
        let flows = &mut self.world.control.disabled_flows;
        flows.clear();
        if off {
            flows.push(CHAIN.to_owned());
        }
        self.publish(now);
    }

    /// The switch is on, whatever it was.
    pub(super) fn switch_on(&mut self, now: UnixMs) {
        if self.is_off() {
            self.control(now);
        }
    }

    /// Signs again what is in force.
    pub(super) fn sign_again(&mut self, now: UnixMs) {
        self.world.timestamp.serial += 1;
        self.publish(now);
    }

    /// Only what is honest is offered. An edge that was behind may have taken
    /// a lower revision for the next one: what follows must be newer than that.
    pub(super) fn be_honest(&mut self) {
        if std::mem::take(&mut self.has_lowered) {
            self.sign_again(self.world.timestamp.issued_ms);
        }
        self.offer = self.honest.clone();
    }

    /// Something hostile is offered instead; false when there is nothing of
    /// this kind yet.
    pub(super) fn be_hostile(&mut self, kind: Hostile, random: &mut Random) -> bool {
        self.offers += 1;
        let mut offer = self.honest.clone();
        offer.validator = format!("hostile {}", self.offers);
        let mut next = self.world.timestamp.clone();
        next.serial += 1;
        let forged = next.revision + FORGED;
        match kind {
            Hostile::Old => {
                let Some(last) = self.before.len().checked_sub(1).filter(|last| *last > 0) else {
                    return false;
                };
                offer.timestamp = self.before[random.below(last)].clone();
            }
            Hostile::Lower => {
                if next.revision < 2 {
                    return false;
                }
                next.revision -= 1;
                self.world.timestamp.serial += 1;
                self.has_lowered = true;
                offer.timestamp = signed(&next, &self.world.timestamp_keys);
            }
            Hostile::TimestampByRelease => {
                next.revision = forged;
                offer.timestamp = signed(&next, &self.world.release_keys);
            }
            Hostile::Stranger => {
                next.revision = forged;
                offer.timestamp = signed(&next, &[fixture::key(99)]);
            }
            Hostile::ControlByTimestamp => {
                let mut control = self.world.control.clone();
                control.version += 1;
                control.disabled_flows = vec![CHAIN.to_owned(), MARKER.to_owned()];
                let file = fixture::file(Role::Control, &control, &self.world.timestamp_keys);
                next.revision = forged;
                next.control = fixture::reference(control.version, &file);
                offer.timestamp = signed(&next, &self.world.timestamp_keys);
                offer.controls.insert(control.version, file);
            }
            Hostile::OtherEnvironment => self.other_environment(next, &mut offer),
            Hostile::Damaged => {
                let at = random.below(offer.timestamp.len());
                offer.timestamp[at] ^= 1 << random.below(7);
            }
        }
        self.offer = offer;
        true
    }

    /// Documents of an environment that the same people sign for. They follow
    /// on ours by their numbers.
    fn other_environment(&self, mut timestamp: TimestampDocument, offer: &mut Offer) {
        let (name, uid) = ("staging".to_owned(), "env_02".to_owned());
        let mut release = self.world.release.clone();
        release.previous_sha256 = Some(timestamp.release.sha256.clone());
        release.version += 1;
        let mut control = self.world.control.clone();
        control.version += 1;
        (release.environment, release.environment_uid) = (name.clone(), uid.clone());
        (control.environment, control.environment_uid) = (name.clone(), uid.clone());
        (timestamp.environment, timestamp.environment_uid) = (name, uid);
        let file = fixture::file(Role::Release, &release, &self.world.release_keys);
        timestamp.release = fixture::reference(release.version, &file);
        offer.releases.insert(release.version, file);
        let file = fixture::file(Role::Control, &control, &self.world.control_keys);
        timestamp.control = fixture::reference(control.version, &file);
        offer.controls.insert(control.version, file);
        timestamp.revision += FORGED;
        offer.timestamp = signed(&timestamp, &self.world.timestamp_keys);
    }

    fn publish(&mut self, now: UnixMs) {
        let times = &mut self.world.timestamp;
        times.issued_ms = now;
        times.fresh_until_ms = now + HOUR;
        times.expires_ms = now + 24 * HOUR;
        let pack = self.world.pack();
        self.offers += 1;
        self.honest.validator = format!("honest {}", self.offers);
        self.before.push(pack.timestamp.clone());
        self.honest.timestamp = pack.timestamp;
        let (release, control) = (self.world.release.version, self.world.control.version);
        self.honest.releases.insert(release, pack.release);
        self.honest.controls.insert(control, pack.control);
        self.revisions.insert(self.world.timestamp.revision);
        self.has_lowered = false;
        self.be_honest();
    }

    fn put_parts(&mut self) {
        let built = build_index(parts(self.marker, self.basis_points)).expect("it is built");
        self.world.release.index = built.index;
        self.world.blobs.extend(built.blobs);
    }

    /// What the ledger judges by: versions never change once they are there.
    pub(super) fn versions(&mut self) -> Versions {
        let pack = self.world.pack();
        let checked = verify_pack(&mut self.world.trust(), &pack, NOW, Origin::Fetched);
        let checked = checked.expect("it is sound");
        let control = checked.control.document();
        let revision = Revision::default();
        let snapshot = compile(
            ENVIRONMENT,
            ENVIRONMENT_UID,
            revision,
            &checked.content,
            control,
        );
        let snapshot = snapshot.expect("it compiles");
        assert_eq!(snapshot.set_aside, []);
        Versions(Arc::new(snapshot))
    }
}

/// The versions of all flows.
#[derive(Clone)]
pub(super) struct Versions(Arc<Snapshot>);

impl LedgerVersions for Versions {
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>> {
        let flow = self.0.flows.get(flow_uid)?;
        flow.version(number)?.version.clone()
    }
}

fn signed(timestamp: &TimestampDocument, keys: &[SigningKey]) -> Vec<u8> {
    fixture::file(Role::Timestamp, timestamp, keys)
}

fn parts(marker: u32, basis_points: u16) -> Vec<Part> {
    let sha256 = sha256_hex(KEY.as_bytes());
    let key = json!({"sha256": sha256, "kind": "server", "name": "application"});
    let deployment = json!({
        "uid": DEPLOYMENT, "name": "half on the web", "flow_uid": HALF, "channel": CHANNEL,
        "policy": "latest", "rollout": {"basis_points": basis_points, "salt": "s"},
    });
    let mut parts = vec![
        fixture::settings_part(),
        fixture::flow_part(CHAIN, &[1]),
        fixture::flow_part(HALF, &[1]),
        fixture::flow_part(MARKER, &(1..=marker).collect::<Vec<_>>()),
        version(CHAIN, 1, &BLOCKS),
        version(HALF, 1, &["half_a"]),
        part(PartKind::Key, &sha256, &key),
        part(PartKind::Deployment, DEPLOYMENT, &deployment),
    ];
    parts.extend((1..=marker).map(|number| version(MARKER, number, &["marker_a"])));
    parts
}

/// Blocks in a circle.
fn version(flow: &str, number: u32, circle: &[&str]) -> Part {
    let blocks = circle
        .iter()
        .map(|uid| json!({"uid": uid, "sid": uid, "kind": "custom", "transitions": ["next"]}));
    let paths = circle.iter().enumerate().map(|(at, uid)| {
        let to = circle[(at + 1) % circle.len()];
        json!({"uid": format!("from_{uid}"), "from": uid, "on": ["next"], "to": to})
    });
    let begin = json!({"uid": format!("begin_{flow}"), "to": circle[0]});
    let value = json!({
        "flow_uid": flow, "flow_sid": flow, "number": number, "entry": "everyone",
        "blocks": blocks.collect::<Vec<_>>(),
        "paths": std::iter::once(begin).chain(paths).collect::<Vec<_>>(),
    });
    part(PartKind::Version, &format!("{flow}:{number}"), &value)
}
