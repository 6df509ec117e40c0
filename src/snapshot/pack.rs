//! How is one revision kept as one file?

use std::collections::BTreeMap;

/// The documents and blobs of one revision, as fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    pub root: Vec<u8>,
    pub timestamp: Vec<u8>,
    pub release: Vec<u8>,
    pub control: Vec<u8>,
    /// By SHA-256 of the encoded bytes.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {}

impl Pack {
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        todo!()
    }
}
