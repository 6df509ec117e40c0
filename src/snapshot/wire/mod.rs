//! What stands in the signed documents and in the parts, byte for byte?
//!
//! The only serialisable types of this folder: [`document`] has what is signed
//! and the index, [`flow`], [`deployment`] and [`access`] what parts hold,
//! [`flag`] what documents of flags do.
//! Members may be added in later releases and are ignored by older readers;
//! what an older reader must not ignore raises `min_reader`. Times are
//! milliseconds since the Unix epoch, hashes are lower-case SHA-256 in
//! hexadecimal.

mod access;
mod deployment;
mod document;
mod flag;
mod flow;

pub use access::{
    AccessPart, ChannelPart, EnvironmentType, KeyKind, KeyPart, SettingsPart, UnsignedUsers,
    UserKeyPart,
};
pub use deployment::{
    AlternativePart, DeploymentPart, OnVersionChange, Remember, RolloutId, RolloutPart,
    RuleOperator, RulePart, ScheduledPart, VersionPolicy,
};
pub use document::{
    Blob, ControlDocument, DocumentReference, Encoding, EnvelopeFile, IndexDocument, PartEntry,
    PartKind, ReleaseDocument, RoleKeys, RoleRule, RootDocument, RootRoles, ShardDocument,
    SignatureEntry, TimestampDocument,
};
pub use flag::{
    ConstraintPart, DependencyPart, FlagEventPart, FlagPart, FlagsPart, OverridePart, SegmentPart,
    StrategyPart, VariantPart,
};
pub use flow::{
    BlockKind, BlockPart, EntryCondition, FieldKind, FieldPart, FlowPart, Migration, PathPart,
    TriggerAction, TriggerPart, VersionPart,
};

/// The reader version this build implements; a release that asks for more is
/// refused as a whole. 2: deployments, channels, migration, and all blocks. 3:
/// what narrows public keys (signed users, origins, listed properties). 4: flags.
pub const READER: u32 = 4;

/// Longest life a timestamp may be given unless the root says otherwise.
pub const TIMESTAMP_LIFE_DEFAULT_MS: u64 = 24 * 60 * 60 * 1000;
