//! Is there any damage that goes unnoticed?
//!
//! Honest files, each damaged once or a few times by a seeded die: bytes, and
//! what the bytes mean (payloads, signatures, key ids, types, numbers,
//! members). What is accepted must say exactly what was signed, and nothing
//! may panic. Every role, a whole pack, and half of the releases and control
//! documents with a timestamp that refers to the damaged file, so that not
//! only their hash is checked.

use std::{collections::BTreeMap, panic, sync::Arc, thread};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::scene::Ground;
use crate::snapshot::{
    envelope::Role,
    fixture::{self, ENVIRONMENT, NOW, World},
    pack::Pack,
    trust::{Origin, Trust, verify_pack},
    wire::EnvelopeFile,
};

/// In one run, over all threads.
const MUTANTS: u64 = 100_000;

/// Of them what must at the least have come as far as the signatures.
const READ_MIN: u64 = MUTANTS / 10;

/// A die that follows from its seed (SplitMix64).
struct Die(u64);

impl Die {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    /// Damages bytes; what it means is left to chance.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            3 => {
                let other = self.below(bytes.len());
                if other < bytes.len() {
                    bytes.swap(at, other);
                }
            }
            4 => {
                const SIGNIFICANT: &[u8] = b"\"{}[],:0\\-+e \n\0\xff";
                let byte = SIGNIFICANT[self.below(SIGNIFICANT.len())];
                bytes.insert(at, byte);
            }
            5 => {
                // A digit for a digit: another number of the same length.
                let digit = bytes.iter().skip(at).position(u8::is_ascii_digit);
                if let Some(byte) = digit.and_then(|offset| bytes.get_mut(at + offset)) {
                    *byte = b'0' + (self.roll() % 10) as u8;
                }
            }
            _ => {
                let bit = self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    /// Damages what an envelope says, and keeps its form.
    fn distort(&mut self, file: &mut Vec<u8>, others: &[Vec<u8>]) {
        let Ok(mut envelope) = serde_json::from_slice::<EnvelopeFile>(file) else {
            return self.damage(file);
        };
        let other = &others[self.below(others.len())];
        let other: EnvelopeFile = serde_json::from_slice(other).expect("it is whole");
        let mut payload = STANDARD.decode(&envelope.payload).unwrap_or_default();
        match self.below(10) {
            0 => envelope.signatures.clear(),
            1 => envelope.signatures = other.signatures,
            2 => envelope.signatures.extend(other.signatures),
            3 => envelope.payload = other.payload,
            4 => envelope.payload_type = other.payload_type,
            5 => {
                let mut bytes = [0; 64];
                bytes.fill_with(|| self.roll() as u8);
                if let Some(first) = envelope.signatures.first_mut() {
                    first.sig = STANDARD.encode(bytes);
                }
            }
            6 => {
                let bit = self.below(512);
                let first = envelope.signatures.first_mut();
                let decoded =
                    first.and_then(|first| Some((STANDARD.decode(&first.sig).ok()?, first)));
                if let Some((mut bytes, first)) = decoded {
                    if let Some(byte) = bytes.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                    first.sig = STANDARD.encode(bytes);
                }
            }
            7 => {
                if let Some(first) = envelope.signatures.first_mut() {
                    let mut keyid = std::mem::take(&mut first.keyid).into_bytes();
                    self.damage(&mut keyid);
                    first.keyid = String::from_utf8_lossy(&keyid).into_owned();
                }
            }
            _ => {
                self.damage(&mut payload);
                envelope.payload = STANDARD.encode(&payload);
            }
        }
        *file = serde_json::to_vec(&envelope).expect("it serialises");
        // A second spelling of the same: white space, a member's order.
        if self.below(4) == 0 {
            let brace = file.iter().position(|byte| *byte == b'{').unwrap_or(0);
            file.insert(brace + 1, b' ');
        }
    }

    fn mutate(&mut self, file: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.below(3) {
            if self.below(2) == 0 {
                self.damage(file);
            } else {
                self.distort(file, others);
            }
        }
    }
}

/// What an envelope says, if it is one.
fn meaning(file: &[u8]) -> Option<(String, Vec<u8>)> {
    let envelope: EnvelopeFile = serde_json::from_slice(file).ok()?;
    Some((
        envelope.payload_type,
        STANDARD.decode(envelope.payload).ok()?,
    ))
}

/// The honest files, and trust that has accepted nothing.
struct Honest {
    pack: Pack,
    root: Vec<u8>,
    trust: Trust,
    world: World,
    all: Vec<Vec<u8>>,
}

impl Honest {
    fn new() -> Self {
        // Two signatures a release, so that there is one to take away.
        let (mut world, _) = Ground::Two.revision(2);
        let trust = world.trust();
        let pack = world.pack();
        world.root.version += 1;
        let root = world.root_file();
        let all = [&pack.timestamp, &pack.release, &pack.control, &root];
        Self {
            all: all.map(Clone::clone).into(),
            pack,
            root,
            trust,
            world,
        }
    }

    /// Mutates one file and offers it: why it is refused, or that it says what
    /// the honest one says.
    fn offer(&self, seed: u64) -> Result<(), &'static str> {
        let mut die = Die(seed);
        match seed % 5 {
            0 => {
                let mut file = self.root.clone();
                die.mutate(&mut file, &self.all);
                let mut trust = self.trust.clone();
                trust.step_root(&file).map_err(|error| error.name())?;
                same(seed, &file, &self.root)
            }
            1 => {
                let mut file = self.pack.timestamp.clone();
                die.mutate(&mut file, &self.all);
                let checked = self.trust.timestamp(&file, NOW, Origin::Fetched);
                checked.map_err(|error| error.name())?;
                same(seed, &file, &self.pack.timestamp)
            }
            2 => self.referred(Role::Release, seed, die),
            3 => self.referred(Role::Control, seed, die),
            _ => self.packed(seed, die),
        }
    }

    /// A release or control document; every other one under a timestamp by
    /// whoever stole the online key.
    fn referred(&self, role: Role, seed: u64, mut die: Die) -> Result<(), &'static str> {
        let mut pack = self.pack.clone();
        let (file, honest) = match role {
            Role::Release => (&mut pack.release, &self.pack.release),
            _ => (&mut pack.control, &self.pack.control),
        };
        die.mutate(file, &self.all);
        let mutant = file.clone();
        if die.below(2) == 0 {
            let mut document = self.world.timestamp.clone();
            document.release = fixture::reference(2, &pack.release);
            document.control = fixture::reference(2, &pack.control);
            let keys = &self.world.timestamp_keys;
            pack.timestamp = fixture::file(Role::Timestamp, &document, keys);
        }
        let timestamp = self.trust.timestamp(&pack.timestamp, NOW, Origin::Fetched);
        let timestamp = timestamp.map_err(|error| error.name())?;
        let timestamp = timestamp.expect("nothing was accepted");
        let checked = match role {
            Role::Release => self.trust.release(&timestamp, &mutant).map(drop),
            _ => self.trust.control(&timestamp, &mutant).map(drop),
        };
        checked.map_err(|error| error.name())?;
        same(seed, &mutant, honest)
    }

    /// A whole pack: its bytes, or one of its files or blobs, framed anew.
    fn packed(&self, seed: u64, mut die: Die) -> Result<(), &'static str> {
        let mut pack = self.pack.clone();
        let place = die.below(5);
        match place {
            0 => die.mutate(&mut pack.timestamp, &self.all),
            1 => die.mutate(&mut pack.release, &self.all),
            2 => die.mutate(&mut pack.control, &self.all),
            3 => {
                let at = die.below(pack.blobs.len());
                let blob = pack.blobs.values_mut().nth(at).expect("there is one");
                die.damage(blob);
            }
            _ => {}
        }
        let mut bytes = pack.to_bytes();
        if place == 4 {
            die.damage(&mut bytes);
        }
        let found = Pack::parse(&bytes).map_err(|error| error.name())?;
        let mut trust = self.trust.clone();
        let checked = verify_pack(&mut trust, &found, NOW, Origin::Disk);
        checked.map_err(|error| error.name())?;
        same(seed, &found.timestamp, &self.pack.timestamp)?;
        same(seed, &found.release, &self.pack.release)?;
        same(seed, &found.control, &self.pack.control)?;
        assert_eq!(found.blobs, self.pack.blobs, "seed {seed}");
        Ok(())
    }
}

#[track_caller]
fn same(seed: u64, found: &[u8], honest: &[u8]) -> Result<(), &'static str> {
    assert_eq!(meaning(found), meaning(honest), "seed {seed} is accepted");
    Ok(())
}

/// How many ended how, of the seeds that leave this rest.
fn run(honest: &Honest, first: u64, step: u64) -> BTreeMap<&'static str, u64> {
    let mut ends = BTreeMap::new();
    for seed in (first..MUTANTS).step_by(step as usize) {
        let end = honest.offer(seed).err().unwrap_or("unharmed");
        *ends.entry(end).or_default() += 1;
    }
    ends
}

#[test]
#[expect(clippy::print_stdout, reason = "a run says what it counted")]
fn of_a_hundred_thousand_mutants_none_is_believed_and_none_panics() {
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let honest = Arc::new(Honest::new());
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|first| {
                let honest = &honest;
                scope.spawn(move || run(honest, first, threads))
            })
            .collect();
        for thread in running {
            let own = thread
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
            for (end, count) in own {
                *ends.entry(end).or_default() += count;
            }
        }
    });
    println!("{MUTANTS} mutants for {ENVIRONMENT}: {ends:?}");
    assert_eq!(ends.values().sum::<u64>(), MUTANTS);
    let read = ends.get("below_threshold").copied().unwrap_or(0);
    assert!(read >= READ_MIN, "{read} came as far as the signatures");
}
