//! What does a flow say, and what one of its versions?
//!
//! The structure of a version (its blocks, paths, entry and migration) never
//! changes once it is committed; the values of fields may.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Without a deployment the flow answers as empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deployments_only: bool,
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
    /// Only for `flowTrigger`: what it does to which flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerPart>,
    /// In document order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldPart>,
}

/// What a flow trigger does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerPart {
    /// The other flow's sid: it may not exist, or not yet.
    pub flow_sid: String,
    /// Which version; absent means the newest committed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What happens to it.
    pub action: TriggerAction,
}

/// What a flow trigger does to the other flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerAction {
    /// Start, whatever its entry condition says.
    Start,
    /// Stop.
    Stop,
    /// Clear everything, then start.
    Reset,
    /// Finish.
    Finish,
}

/// Kinds of blocks this release runs. A new one raises `min_reader`.
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
    /// Container: all items at once; complete when every item was left.
    #[serde(rename = "checklist")]
    Checklist,
    /// complete, skip; belongs to a checklist.
    #[serde(rename = "checklistItem")]
    ChecklistItem,
    /// Container: all items at once; complete when every item was left.
    #[serde(rename = "hints")]
    Hints,
    /// complete, dismiss; belongs to hints.
    #[serde(rename = "hintsItem")]
    HintsItem,
    /// Logic: takes the `true` or the `false` paths; never shown.
    #[serde(rename = "boolean")]
    Boolean,
    /// Logic: the flow is finished; never shown.
    #[serde(rename = "finish")]
    Finish,
    /// Logic: passed when every incoming path was taken; leaves by `done`.
    #[serde(rename = "gate")]
    Gate,
    /// Logic: the store calls somebody; leaves by `done` at once.
    #[serde(rename = "webhook")]
    Webhook,
    /// Logic: acts on another flow; leaves by `done` at once.
    #[serde(rename = "flowTrigger")]
    FlowTrigger,
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
