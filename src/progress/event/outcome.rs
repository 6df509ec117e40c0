//! How is it written what came of logic blocks?
//!
//! One entry a block, in the order in which they were reached, over all flows a
//! step touched.

use serde::{Deserialize, Serialize};

use crate::evaluate::{Outcome as LogicOutcome, Side};

/// What came of a logic block. The kinds differ by their members; a target that
/// is missing makes a trigger, so that one comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OutcomeDocument {
    /// A boolean.
    Branch {
        /// Its uid.
        block: String,
        /// The side taken.
        side: bool,
    },
    /// A gate.
    Gate {
        /// Its uid.
        block: String,
        /// Whether it let the flow through.
        passed: bool,
    },
    /// A webhook that is to be called.
    Webhook {
        /// Its uid.
        block: String,
        /// Always true; tells it from the others.
        webhook: bool,
    },
    /// A flow trigger.
    Trigger {
        /// Its uid.
        block: String,
        /// What it acted on; null when there was nothing.
        target: Option<TargetDocument>,
    },
}

/// The version of a flow that a trigger acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDocument {
    /// Flow uid.
    pub flow: String,
    /// Version number.
    pub version: u32,
}

impl OutcomeDocument {
    /// As it is written.
    pub fn of(outcome: &LogicOutcome) -> Self {
        match outcome {
            LogicOutcome::Branch { block, side } => Self::Branch {
                block: str::to_owned(block),
                side: *side == Side::True,
            },
            LogicOutcome::Gate { block, passed } => Self::Gate {
                block: str::to_owned(block),
                passed: *passed,
            },
            LogicOutcome::Webhook { block } => Self::Webhook {
                block: str::to_owned(block),
                webhook: true,
            },
            LogicOutcome::Trigger { block, target } => Self::Trigger {
                block: str::to_owned(block),
                target: target.as_ref().map(|(flow, version)| TargetDocument {
                    flow: str::to_owned(flow),
                    version: *version,
                }),
            },
        }
    }

    /// As it is evaluated.
    pub fn to_outcome(&self) -> LogicOutcome {
        match self {
            Self::Branch { block, side } => LogicOutcome::Branch {
                block: block.as_str().into(),
                side: if *side { Side::True } else { Side::False },
            },
            Self::Gate { block, passed } => LogicOutcome::Gate {
                block: block.as_str().into(),
                passed: *passed,
            },
            Self::Webhook { block, .. } => LogicOutcome::Webhook {
                block: block.as_str().into(),
            },
            Self::Trigger { block, target } => LogicOutcome::Trigger {
                block: block.as_str().into(),
                target: target
                    .as_ref()
                    .map(|target| (target.flow.as_str().into(), target.version)),
            },
        }
    }
}
