//! What does a snapshot say of its environment and of who may ask it?
//!
//! Settings with the channels somebody described, and keys by their hashes.

use serde::{Deserialize, Serialize};

/// Settings of one environment; exactly one part with the id `settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsPart {
    /// development, test, preproduction or production.
    pub environment_type: EnvironmentType,
    /// Whether drafts are in the snapshot; a 404 for version 0 names this switch.
    pub drafts: bool,
    /// Channels that somebody described; a deployment may name others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelPart>,
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
