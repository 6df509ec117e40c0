//! What is signed, and how are parts addressed?
//!
//! Envelope, root, timestamp, release and control; the two levels of the index
//! that a release points at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The file as it is fetched and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeFile {
    /// `application/vnd.flowgate.<role>+json;v=1`.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Standard base64 of the exact signed bytes.
    pub payload: String,
    /// At least one; at most `limits::SIGNATURES_MAX`.
    pub signatures: Vec<SignatureEntry>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureEntry {
    /// First 16 hexadecimal digits of SHA-256 of the public key.
    pub keyid: String,
    /// Standard base64 of the 64 signature bytes.
    pub sig: String,
}

/// Who may sign what; the anchor of trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootDocument {
    /// Counts up by exactly one.
    pub version: u64,
    /// After this nothing new is accepted under this root.
    pub expires_ms: u64,
    /// Key id to base64 of the 32 public key bytes.
    pub keys: BTreeMap<String, String>,
    /// Who may act in which role.
    pub roles: RootRoles,
    /// Environment uid to epoch, only for those above 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epochs: BTreeMap<String, u32>,
    /// Longest life of a timestamp.
    pub timestamp_life_ms_max: u64,
}

/// The four roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootRoles {
    /// Signs the next root.
    pub root: RoleKeys,
    /// Signs releases; one entry for each environment pattern.
    pub release: Vec<RoleRule>,
    /// Signs timestamps.
    pub timestamp: Vec<RoleRule>,
    /// Signs control documents.
    pub control: Vec<RoleRule>,
}

/// Key ids and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleKeys {
    /// No duplicates.
    pub keyids: Vec<String>,
    /// 1..=keyids.len().
    pub threshold: u32,
}

/// Keys of a role for some environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// An environment's name, or a pattern in which `*` stands for anything.
    /// An exact name beats a pattern; two rules of equal rank that both match
    /// are an error.
    pub environment: String,
    /// No duplicates.
    pub keyids: Vec<String>,
    /// 1..=keyids.len().
    pub threshold: u32,
}

/// What is current; short-lived, signed online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampDocument {
    /// Environment name.
    pub environment: String,
    /// Environment uid, never reused.
    pub environment_uid: String,
    /// Raised only by a root.
    pub epoch: u32,
    /// The `N` of the revision `epoch.N`: raised by every release or control.
    pub revision: u64,
    /// Counts every timestamp of the epoch, so that two for one revision have an order.
    pub serial: u64,
    /// The release in force.
    pub release: DocumentReference,
    /// The control document in force.
    pub control: DocumentReference,
    /// When it was signed.
    pub issued_ms: u64,
    /// After this the edge calls itself stale.
    pub fresh_until_ms: u64,
    /// After this it is not accepted any more.
    pub expires_ms: u64,
}

/// Points at one release or control file (the whole envelope file).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentReference {
    /// Its version.
    pub version: u64,
    /// Of the envelope file's bytes.
    pub sha256: String,
    /// Of the envelope file.
    pub length: u64,
}

/// What an environment contains, by reference to its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDocument {
    /// Environment name.
    pub environment: String,
    /// Environment uid.
    pub environment_uid: String,
    /// As in the timestamp.
    pub epoch: u32,
    /// Counts up within the epoch.
    pub version: u64,
    /// When it was built.
    pub created_ms: u64,
    /// SHA-256 of the previous release's envelope file; absent for the first of an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<String>,
    /// Where the content starts.
    pub index: Blob,
    /// Smallest `READER` that understands the content.
    pub min_reader: u32,
}

/// What is switched off at once. Its entries only ever take away from what the
/// release says, and can neither add to it nor change it. They do not add up
/// over versions: an entry that is not in the next one gives back what the
/// release says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlDocument {
    /// Environment name.
    pub environment: String,
    /// Environment uid.
    pub environment_uid: String,
    /// As in the timestamp.
    pub epoch: u32,
    /// Counts up within the epoch.
    pub version: u64,
    /// When it was built.
    pub created_ms: u64,
    /// Uids of flows that are disabled.
    #[serde(default)]
    pub disabled_flows: Vec<String>,
    /// Uids of deployments that are inactive.
    #[serde(default)]
    pub inactive_deployments: Vec<String>,
    /// SHA-256 of revoked keys.
    #[serde(default)]
    pub revoked_keys: Vec<String>,
    /// Names of flags that are off. Releases say so as well; this is for edges
    /// that hold one back, and one that does not know it waits for the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_flags: Vec<String>,
    /// Release versions whose hold an edge may end.
    #[serde(default)]
    pub confirmed_releases: Vec<u64>,
}

/// Some bytes addressed by what they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// Of the encoded bytes.
    pub sha256: String,
    /// Of the encoded bytes.
    pub length: u64,
    /// How to decode.
    pub encoding: Encoding,
    /// After decoding.
    pub decoded_length: u64,
}

/// How a blob's bytes are stored and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    Identity,
    /// One zstd frame.
    Zstd,
}

/// First level: at most 256 shards by the first byte of the part id's hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDocument {
    /// Shard number (first byte of SHA-256 of `kind:id`, two hexadecimal
    /// digits) to its blob; empty shards are left out.
    pub shards: BTreeMap<String, Blob>,
}

/// Second level: the parts of one shard, sorted by kind and id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardDocument {
    /// The parts.
    pub parts: Vec<PartEntry>,
}

/// One part in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ListedPart")]
pub struct PartEntry {
    /// What the blob holds.
    pub kind: PartKind,
    /// Unique within its kind: a flow's or a deployment's uid; `uid:number` for
    /// a version; a key's hash; `settings`; a flag's name, a segment's id.
    pub id: String,
    /// The bytes.
    #[serde(flatten)]
    pub blob: Blob,
}

/// A part as it stands in a shard. Reading flattened members would build every
/// entry twice, and there are as many entries as parts.
#[derive(Deserialize)]
struct ListedPart {
    kind: PartKind,
    id: String,
    sha256: String,
    length: u64,
    encoding: Encoding,
    decoded_length: u64,
}

impl From<ListedPart> for PartEntry {
    fn from(listed: ListedPart) -> Self {
        Self {
            kind: listed.kind,
            id: listed.id,
            blob: Blob {
                sha256: listed.sha256,
                length: listed.length,
                encoding: listed.encoding,
                decoded_length: listed.decoded_length,
            },
        }
    }
}

/// The kinds of parts this reader knows. An unknown kind fails the whole
/// release: a writer that adds one raises `min_reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// `FlowPart`.
    Flow,
    /// `VersionPart`.
    Version,
    /// `KeyPart`.
    Key,
    /// `SettingsPart`.
    Settings,
    /// `DeploymentPart`; since reader 2.
    Deployment,
    /// A flag in Unleash's words ([`super::FlagPart`]), with whatever else it
    /// says to clients that evaluate themselves; since reader 4.
    Flag,
    /// A segment that flags refer to ([`super::SegmentPart`]); since reader 4.
    Segment,
}

impl PartKind {
    /// Smallest reader that knows parts of this kind and all that may stand in
    /// them. Settings and keys narrow what public keys may do, and no release
    /// is without settings.
    pub fn min_reader(self) -> u32 {
        match self {
            Self::Flow | Self::Version | Self::Key | Self::Settings | Self::Deployment => 3,
            Self::Flag | Self::Segment => 4,
        }
    }

    /// As it stands in a shard.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Version => "version",
            Self::Key => "key",
            Self::Settings => "settings",
            Self::Deployment => "deployment",
            Self::Flag => "flag",
            Self::Segment => "segment",
        }
    }
}
