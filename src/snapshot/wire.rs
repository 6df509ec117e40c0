//! What stands in the signed documents and in the parts, byte for byte?
//!
//! The only serialisable types of this folder. Members may be added in later
//! releases and are ignored by older readers; what an older reader must not
//! ignore raises `min_reader`. Times are milliseconds since the Unix epoch,
//! hashes are lower-case SHA-256 in hexadecimal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The reader version this build implements; a release that asks for more is
/// refused as a whole.
pub const READER: u32 = 1;

/// Longest life a timestamp may be given unless the root says otherwise.
pub const TIMESTAMP_LIFE_DEFAULT_MS: u64 = 24 * 60 * 60 * 1000;

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

/// What is switched off at once; can only narrow.
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
pub struct PartEntry {
    /// What the blob holds.
    pub kind: PartKind,
    /// Unique within its kind: a flow's uid; `uid:number` for a version; a key's hash; `settings`.
    pub id: String,
    /// The bytes.
    #[serde(flatten)]
    pub blob: Blob,
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
}

impl PartKind {
    /// As it stands in a shard.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Version => "version",
            Self::Key => "key",
            Self::Settings => "settings",
        }
    }
}

/// Settings of one environment; exactly one part with the id `settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsPart {
    /// development, test, preproduction or production.
    pub environment_type: EnvironmentType,
    /// Whether drafts are in the snapshot; a 404 for version 0 names this switch.
    pub drafts: bool,
}

/// Kinds of environments, as Unleash names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentType {
    /// Local and shared development.
    Development,
    /// Automated and manual tests.
    Test,
    /// The last stop before users.
    Preproduction,
    /// Real users.
    Production,
}

/// A flow without its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowPart {
    /// Never changes, never reused.
    pub uid: String,
    /// What client code says; `[A-Za-z0-9_-]`.
    pub sid: String,
    /// For people.
    pub name: String,
    /// The project's sid.
    pub project: String,
    /// Status in this environment.
    pub enabled: bool,
    /// Numbers of the versions in this snapshot, ascending; 0 is the draft.
    pub versions: Vec<u32>,
    /// Whether public keys may not `force` a start.
    #[serde(default)]
    pub refuse_public_force: bool,
}

/// One version of a flow. Its structure never changes once committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionPart {
    /// The flow's uid.
    pub flow_uid: String,
    /// The flow's sid, because block names on the wire start with it.
    pub flow_sid: String,
    /// 0 for the draft.
    pub number: u32,
    /// What happens to users of earlier versions; absent means restart-in-progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// Who starts by themselves.
    pub entry: EntryCondition,
    /// In document order.
    pub blocks: Vec<BlockPart>,
    /// In document order.
    pub paths: Vec<PathPart>,
}

/// Migration strategies; kept and shown, applied from the next release on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Migration {
    /// Started and neither finished nor stopped: begin anew.
    RestartInProgress,
    /// Everybody begins anew.
    RestartAll,
    /// Started and not finished: never see the new version.
    StopInProgress,
    /// Copied where compatible.
    CarryOver,
}

/// The one condition of a version's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryCondition {
    /// Every user.
    Everyone,
    /// Users for whom it is true.
    Expression(String),
    /// Only a start with `force`.
    ApiOnly,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockPart {
    /// Unique among all blocks of the environment, stable across versions.
    pub uid: String,
    /// Unique within the version; on the wire `flowSid.blockSid`.
    pub sid: String,
    /// What it is.
    pub kind: BlockKind,
    /// Uid of the container it belongs to; set exactly for items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Only for `custom`: its transition names. All other kinds have fixed ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<String>,
    /// Only for `boolean`: what decides the side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// In document order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldPart>,
}

/// Kinds of blocks this release runs. More follow; each raises `min_reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// Own transition names and fields.
    #[serde(rename = "custom")]
    Custom,
    /// complete, dismiss.
    #[serde(rename = "card")]
    Card,
    /// complete, dismiss.
    #[serde(rename = "modal")]
    Modal,
    /// Container: one item active at a time.
    #[serde(rename = "tour")]
    Tour,
    /// next, previous; belongs to a tour.
    #[serde(rename = "tourItem")]
    TourItem,
    /// Logic: takes the `true` or the `false` paths; never shown.
    #[serde(rename = "boolean")]
    Boolean,
    /// Logic: the flow is finished; never shown.
    #[serde(rename = "finish")]
    Finish,
}

/// A field and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldPart {
    /// Unique within the block.
    pub sid: String,
    /// string, number, boolean or richText.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Of that type, or null.
    pub value: Value,
}

/// Types of field values, as on Dopt's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Text.
    #[serde(rename = "string")]
    String,
    /// A JSON number.
    #[serde(rename = "number")]
    Number,
    /// true or false.
    #[serde(rename = "boolean")]
    Boolean,
    /// An array of nodes.
    #[serde(rename = "richText")]
    RichText,
}

/// A path from a block (or the entry) to a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPart {
    /// Stable across versions.
    pub uid: String,
    /// Source block's uid; absent for the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Transition names that take this path; empty only from the entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Target block's uid.
    pub to: String,
}

/// A key as an edge needs to know it; never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// SHA-256 of the whole key text.
    pub sha256: String,
    /// What it may do.
    pub kind: KeyKind,
    /// For people.
    pub name: String,
    /// Project sids it may see; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
}

/// Kinds of keys that travel inside a snapshot; `edge` and `admin` never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Public, front ends: Dopt blocks and evaluated results.
    Blocks,
    /// Identify only.
    Users,
    /// Back-end SDKs: the full flag configuration.
    Client,
    /// Evaluated flags.
    Frontend,
    /// Trusted: everything of `/v1`.
    Server,
}

impl KeyKind {
    /// As it stands in key texts and parts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Users => "users",
            Self::Client => "client",
            Self::Frontend => "frontend",
            Self::Server => "server",
        }
    }
}
