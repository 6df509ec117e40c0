//! What is said of snapshots without any server?

use std::path::{Path, PathBuf};

use super::{Ended, said};
use crate::harness::{Site, Store};

#[track_caller]
fn snapshot(verb: &str, path: &Path, root: &Path, more: &[&str]) -> Ended {
    let (path, root) = (path.display().to_string(), root.display().to_string());
    said(&[&["snapshot", verb, &path, "--trust-root", &root], more].concat())
}

fn pack(site: &Site) -> PathBuf {
    let folder = site.path().join("edge/snapshots/development");
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut packs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .collect();
    packs.sort();
    packs.pop().expect("a pack")
}

#[test]
fn what_an_edge_keeps_is_verified_and_shown() {
    let site = Site::start();
    let (data, root) = (site.path().join("edge"), site.store.trust_root());
    // While the edge runs: nothing is locked or changed.
    for path in [data.clone(), pack(&site)] {
        let json = ["--output", "json"];
        let reports = snapshot("verify", &path, &root, &json).with(0).json();
        let report = &reports[0];
        assert_eq!(report["verdict"], "good", "{report}");
        assert_eq!(report["environment"], "development", "{report}");
        let status = site.status();
        assert_eq!(report["revision"], status["environments"][0]["revision"]);
        let reports = snapshot("inspect", &path, &root, &json).with(0).json();
        let content = &reports[0]["content"][0];
        assert_eq!(content["flow"], "announcement", "{content}");
        assert_eq!(content["version"], 1, "{content}");
        assert_eq!(content["enabled"], true, "{content}");
    }
    let told = snapshot("inspect", &data, &root, &[]).with(0).out;
    assert!(
        told.contains("good") && told.contains("announcement"),
        "{told}"
    );
    let more = ["--environment", "production"];
    snapshot("verify", &data, &root, &more).with(1);
    snapshot("verify", &pack(&site), &root, &more).with(1);
}

#[test]
fn a_damaged_or_foreign_pack_is_refused_by_rule() {
    let site = Site::start();
    let root = site.store.trust_root();
    let whole = std::fs::read(pack(&site)).expect("a pack");
    let file = site.path().join("damaged.pack");
    let refused = |bytes: &[u8], root: &Path| {
        std::fs::write(&file, bytes).expect("the damage");
        let ended = snapshot("verify", &file, root, &["--output", "json"]).with(1);
        let report = ended.json()[0].clone();
        assert_eq!(report["verdict"], "refused", "{report}");
        assert!(report["why"].as_str().is_some_and(|why| why.len() > 10));
        report["rule"].as_str().expect("a rule").to_owned()
    };
    for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 5] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        println!("a flipped bit at {at}: {}", refused(&bytes, &root));
    }
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        println!("{length} bytes: {}", refused(&whole[..length], &root));
    }
    let longer = [&whole[..], b"x"].concat();
    println!("a byte more: {}", refused(&longer, &root));
    // Another installation's root trusts none of it.
    let other = tempfile::tempdir().expect("a folder");
    let store = Store::start(other.path());
    println!("another root: {}", refused(&whole, &store.trust_root()));
    // In a data folder, judged against its own marks.
    let data = site.path().join("edge");
    let kept = pack(&site);
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x01;
    std::fs::write(&kept, bytes).expect("the damage");
    let ended = snapshot("verify", &data, &root, &[]);
    // The one before may stand in, and then it is said.
    let said = [ended.out.as_str(), ended.error.as_str()].concat();
    assert!(
        said.contains("refused") || said.contains("the one before"),
        "{said}"
    );
    // What is not a pack at all.
    let text = site.path().join("notes.txt");
    std::fs::write(&text, "not a pack").expect("a file");
    snapshot("verify", &text, &root, &[]).with(1);
    snapshot("verify", &data, &text, &[]).with(1);
}
