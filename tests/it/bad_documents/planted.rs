//! What if somebody wrote into the data folder while the edge was down?
//!
//! Packs that were exchanged, under the manifest's hash or without it, and a
//! manifest that is gone. The edge serves the older good one or is not ready,
//! says which rule was broken, and recovers from upstream.

use std::{path::PathBuf, sync::Arc};

use flowgate::{
    disk::{RealDisk, keep::Keep},
    snapshot::pack::Pack,
};

use super::{Scene, proxy::Mood};
use crate::harness::{eventually, run};

impl Scene {
    fn snapshots(&self) -> PathBuf {
        self.folder.path().join("edge/snapshots")
    }

    fn keep(&self) -> Keep {
        let disk = Arc::new(RealDisk);
        Keep::open(disk, &self.snapshots(), "development").expect("a folder")
    }

    /// The newest pack, as it is kept.
    fn pack(&self) -> Vec<u8> {
        let kept = self.keep().load().expect("a manifest");
        kept.and_then(|kept| kept.pack).expect("a pack")
    }

    /// Publishes and waits until it serves and is kept.
    fn takes(&self, title: &str) {
        self.publish(title);
        eventually(title, || (self.title() == title).then_some(()));
    }

    /// Stops the edge, puts this pack in the place of the newest, under the
    /// manifest's hash, and starts it again while upstream is away.
    fn plants(&mut self, pack: &[u8]) {
        self.edge.program.terminate();
        let keep = self.keep();
        let marks = keep.marks().expect("a manifest").expect("marks");
        keep.store(&marks, pack).expect("it is written");
        self.starts_alone();
    }

    fn starts_alone(&mut self) {
        self.proxy.set(Mood::Away);
        let folder = self.folder.path().to_owned();
        self.edge.restart(&folder);
        // It has another port now.
        self.blocks = self.edge.client("blocks");
    }

    /// Nothing serves, the log says why, and upstream ends it.
    #[track_caller]
    fn is_refused_at_boot(&mut self, name: &str, next: &str) {
        assert_eq!(self.edge.admin().get("/ready").status, 503, "{name}");
        let path = "/v2/flow/announcement?version=1&userIdentifier=reader";
        assert_ne!(self.blocks.get(path).status, 200, "{name}");
        let log = self.edge.program.log();
        let told = format!(
            "the kept snapshot was refused; waiting for upstream environment=\"development\" reason=\"{name}\""
        );
        assert!(log.contains(&told), "{name} in {log}");
        self.proxy.set(Mood::Serve);
        self.edge.ready();
        self.publish(next);
        let served = || {
            let flow = self
                .edge
                .client("blocks")
                .get(&format!("{path}&include=block"));
            let title = &flow.json()["blocks"][0]["fields"][0]["value"];
            (title == next).then_some(())
        };
        eventually("the next good update", served);
    }
}

#[test]
fn an_unsigned_pack_is_not_served() {
    let mut scene = Scene::set();
    scene.takes("Second");
    let mut pack = Pack::parse(&scene.pack()).expect("a pack");
    let mut file: flowgate::snapshot::wire::EnvelopeFile =
        serde_json::from_slice(&pack.release).expect("an envelope");
    file.signatures.clear();
    pack.release = serde_json::to_vec(&file).expect("it serialises");
    scene.plants(&pack.to_bytes());
    // Another file than the one the timestamp was signed for, first of all.
    scene.is_refused_at_boot("wrong_length", "Third");
}

#[test]
fn a_pack_of_other_keys_is_not_served() {
    let mut scene = Scene::set();
    let mut other = Scene::set();
    other.edge.program.terminate();
    scene.takes("Second");
    scene.plants(&other.pack());
    scene.is_refused_at_boot("below_threshold", "Third");
}

#[test]
fn an_older_pack_is_not_served_in_the_place_of_the_newest() {
    let mut scene = Scene::set();
    let first = scene.pack();
    scene.takes("Second");
    scene.takes("Third");
    scene.plants(&first);
    scene.is_refused_at_boot("serial_rollback", "Fourth");
}

#[test]
fn a_pack_written_over_is_replaced_by_the_one_before_it() {
    let mut scene = Scene::set();
    scene.takes("Second");
    scene.edge.program.terminate();
    let newest = scene.pack();
    let folder = scene.snapshots().join("development");
    let packs = std::fs::read_dir(folder).expect("a folder");
    let path = packs
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| std::fs::read(path).is_ok_and(|bytes| bytes == newest));
    let path = path.expect("the pack is there");
    std::fs::write(&path, b"FLOWPACK and nothing else").expect("it is written");
    scene.starts_alone();
    scene.edge.ready();
    assert_eq!(scene.title(), "First");
    let metrics = scene.edge.admin().get("/metrics").text;
    let fell_back = "flowgate_snapshot_fell_back{environment=\"development\"} 1";
    assert!(metrics.contains(fell_back), "{metrics}");
    scene.proxy.set(Mood::Serve);
    eventually("the newest again", || {
        (scene.title() == "Second").then_some(())
    });
}

#[test]
fn packs_without_their_manifest_stop_the_start() {
    let mut scene = Scene::set();
    scene.edge.program.terminate();
    let manifest = scene.snapshots().join("development/manifest.json");
    std::fs::remove_file(manifest).expect("it was there");
    let refused = run(&mut scene.edge.command(scene.folder.path()));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{text}");
    assert!(text.contains("is missing beside"), "{text}");
}

#[test]
fn a_document_that_only_drips_is_given_up() {
    let scene = Scene::set_flags(&[
        "--upstream-poll-wait-s",
        "1",
        "--upstream-timeout-ms",
        "500",
    ]);
    scene.proxy.set(Mood::Drips);
    scene.publish("Second");
    eventually("it is named", || {
        let error = scene.environment()["error"].clone();
        error.as_str()?.starts_with("upstream_away:").then_some(())
    });
    assert_eq!(scene.title(), "First");
    scene.proxy.set(Mood::Serve);
    eventually("the next good update", || {
        (scene.title() == "Second" && scene.environment()["error"].is_null()).then_some(())
    });
}
