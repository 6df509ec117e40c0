//! What does a snapshot say of its environment and of who may ask it?
//!
//! Settings with the channels somebody described, the rules for whoever holds a
//! public key, and keys by their hashes.

use serde::{Deserialize, Serialize};

/// Settings of one environment; exactly one part with the id `settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsPart {
    /// development, test, preproduction or production.
    pub environment_type: EnvironmentType,
    /// Whether drafts are in the snapshot; a 404 for version 0 names this switch.
    pub drafts: bool,
    /// Whether nothing new begins in it; told to whoever looks after an edge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Channels that somebody described; a deployment may name others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelPart>,
    /// What public keys may do; none in what a release wrote that did not know
    /// the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessPart>,
}

/// What whoever holds a public key may do in an environment. A reader that
/// ignored a member would let through what somebody refused, so a new one
/// raises `READER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPart {
    /// Whether users may come without a signed token; none when nobody chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned_users: Option<UnsignedUsers>,
    /// Whose signatures make a user's token good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_keys: Vec<UserKeyPart>,
    /// Whether no flow takes `force` from public keys.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refuse_force: bool,
    /// Properties that browsers may set; none for every property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser_properties: Option<Vec<String>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands members to such functions by reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Whether a public key alone is enough to act as any user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnsignedUsers {
    /// It is.
    Allow,
    /// Users come with a signed token.
    Refuse,
}

/// A key that signs users' tokens; its other half never comes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKeyPart {
    /// What a token may name as `kid`.
    pub id: String,
    /// Standard base64 of the 32 bytes of an Ed25519 public key.
    pub public: String,
}

/// What is known of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPart {
    /// `platform` or `platform:workspace`.
    pub name: String,
    /// Conversational: at most one deployment is active on it, and a request
    /// that names no flow means that one.
    #[serde(default)]
    pub exclusive: bool,
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
    /// Every request with it comes over this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Origins whose pages may use it, as browsers write them; empty means all
    /// that the edge welcomes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
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
    /// Every kind, in the order they are shown.
    pub const ALL: [Self; 5] = [
        Self::Blocks,
        Self::Users,
        Self::Client,
        Self::Frontend,
        Self::Server,
    ];

    /// Whether keys of this kind stand in pages and apps, where everybody can
    /// read them.
    pub fn is_public(self) -> bool {
        matches!(self, Self::Blocks | Self::Users | Self::Frontend)
    }

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
