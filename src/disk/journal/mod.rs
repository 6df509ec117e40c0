//! How is a step made durable before it is acknowledged?

use std::{path::PathBuf, sync::Arc};

use super::Disk;
use crate::clock::{Ambient, UnixMs};

/// How much "durable" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Disk,
    Memory,
}

pub struct JournalOptions {
    pub folder: PathBuf,
    pub segment_bytes: u64,
    pub total_bytes_max: u64,
    pub durability: Durability,
}

/// One record as it stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub wall_ms: UnixMs,
    pub kind: u8,
    pub flags: u8,
    pub body: Vec<u8>,
}

/// The writing end; cheap to clone.
#[derive(Clone)]
pub struct Journal {}

/// A place in the journal, waiting for its sync.
pub struct Ticket {
    pub seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("the journal's queue is full")]
    Full,
    #[error("the journal cannot be written")]
    NotWritable,
    #[error("the record could not be synced")]
    Failed,
}

/// Journals of earlier runs found at boot.
pub struct Recovered {
    pub journal: String,
    pub records: Vec<Record>,
}

impl Journal {
    /// Recovers what is there, starts a new journal under a fresh id.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        ambient: &Ambient,
    ) -> std::io::Result<(Journal, Committer, Vec<Recovered>)> {
        todo!()
    }
    pub fn id(&self) -> &str {
        todo!()
    }
    /// Grows with every failed commit: what was decided on records of an older era is void.
    pub fn era(&self) -> u64 {
        todo!()
    }
    pub fn writable(&self) -> bool {
        todo!()
    }
    /// Takes the next seq and queues the record; the order of calls is the order in the file.
    pub fn append(
        &self,
        era: u64,
        kind: u8,
        wall_ms: UnixMs,
        body: Vec<u8>,
    ) -> Result<Ticket, AppendError> {
        todo!()
    }
    /// Resolves when everything queued so far is durable.
    pub fn barrier(&self, era: u64) -> Result<Ticket, AppendError> {
        todo!()
    }
}

impl Ticket {
    pub async fn durable(self) -> Result<(), AppendError> {
        todo!()
    }
}

pub struct Committer {}

/// Sequential reader stub.
pub struct JournalReader {}
impl JournalReader {
    pub fn read(
        &mut self,
        through: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> std::io::Result<Vec<Record>> {
        todo!()
    }
}
impl Journal {
    /// Highest seq of this era that readers may rely on.
    pub fn durable_through(&self, era: u64) -> u64 {
        todo!()
    }
}
