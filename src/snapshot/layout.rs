//! Where does each file of a snapshot lie in a folder?
//!
//! The same tree as the paths of `/edge/v1`, so that a web server or a bucket
//! can hold it: `root/N.json` once, and for each environment, below
//! `environments/NAME/`, its timestamp, `releases/N.json`, `control/N.json`
//! and `parts/SHA256`. Only names are made here; nothing is read.

use std::path::{Path, PathBuf};

/// The folder that has a folder for each environment.
pub const ENVIRONMENTS: &str = "environments";

/// The folder of root documents.
pub const ROOTS: &str = "root";

/// A root document.
pub fn root(version: u64) -> PathBuf {
    Path::new(ROOTS).join(format!("{version}.json"))
}

/// Everything of one environment.
pub fn environment(name: &str) -> PathBuf {
    Path::new(ENVIRONMENTS).join(name)
}

/// What is current; the file to replace last.
pub fn timestamp(name: &str) -> PathBuf {
    environment(name).join("timestamp.json")
}

/// A release.
pub fn release(name: &str, version: u64) -> PathBuf {
    environment(name).join(format!("releases/{version}.json"))
}

/// A control document.
pub fn control(name: &str, version: u64) -> PathBuf {
    environment(name).join(format!("control/{version}.json"))
}

/// Encoded bytes by their hash.
pub fn part(name: &str, sha256: &str) -> PathBuf {
    environment(name).join("parts").join(sha256)
}

/// What was built and is to be signed. Edges do not read it.
pub fn content(name: &str) -> PathBuf {
    environment(name).join("content.json")
}
