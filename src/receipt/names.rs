//! How is a state written so that it can be read back exactly?
//!
//! In memory blocks and transitions are 64-bit keys. Their names come from the
//! versions of the snapshot; a name that none of them has any more (a draft
//! was edited since) still decides something, so its key is written instead.

use std::collections::HashMap;

use crate::{
    evaluate::{BlockState, FlowState, Subject},
    progress::event::{BlockStateDocument, FlowStateDocument},
    snapshot::{BlockKey, Flow, NameKey},
};

/// Goes before the hexadecimal digits of a key whose name nobody knows.
const KEY_PREFIX: &str = "key:";

/// The states of one flow, with all names in full.
pub(super) fn documents(flow: &Flow, user: &Subject) -> Vec<FlowStateDocument> {
    let names = Names::of(flow);
    let own = user.flows.iter().filter(|own| own.flow == flow.key);
    own.map(|own| {
        let blocks = own.state.blocks.iter().map(|block| names.document(block));
        FlowStateDocument {
            flow: flow.uid.to_string(),
            version: own.version,
            conversation: own.conversation.as_deref().map(ToOwned::to_owned),
            started: own.state.started,
            stopped: own.state.stopped,
            finished: own.state.finished,
            retired: own.state.retired,
            generation: own.state.generation,
            touched_ms: None,
            enrolled: None,
            blocks: blocks.collect(),
            recent: Vec::new(),
        }
    })
    .collect()
}

/// The state that [`documents`] wrote.
pub(super) fn state(document: &FlowStateDocument) -> FlowState {
    let blocks = document.blocks.iter().map(|block| {
        let taken = block.taken.iter();
        let mut taken: Vec<NameKey> = taken
            .map(|name| key_written(name).map_or_else(|| NameKey::of(name), NameKey))
            .collect();
        taken.sort_unstable();
        BlockState {
            key: key_written(&block.block).map_or_else(|| BlockKey::of(&block.block), BlockKey),
            active: block.active,
            entered: true,
            exited: block.exited,
            taken: taken.into(),
        }
    });
    let mut blocks: Vec<BlockState> = blocks.collect();
    blocks.sort_unstable_by_key(|block| block.key);
    FlowState {
        blocks: blocks.into(),
        ..FlowStateDocument {
            blocks: Vec::new(),
            ..document.clone()
        }
        .to_state()
    }
}

/// Every name of a flow, in whatever version.
struct Names<'f> {
    blocks: HashMap<BlockKey, &'f str>,
    /// Transitions and paths.
    taken: HashMap<NameKey, &'f str>,
}

impl<'f> Names<'f> {
    fn of(flow: &'f Flow) -> Self {
        let mut names = Self {
            blocks: HashMap::new(),
            taken: HashMap::new(),
        };
        let versions = flow.versions.iter();
        for version in versions.filter_map(|slot| slot.version.as_deref()) {
            for block in &version.blocks {
                names.blocks.insert(block.key, &block.uid);
                let transitions = block.transitions.iter().map(|own| (own.key, own.name()));
                let paths = block.incoming().iter().map(|path| (path.key, &*path.uid));
                names.taken.extend(transitions.chain(paths));
            }
        }
        names
    }

    fn document(&self, state: &BlockState) -> BlockStateDocument {
        let block = self.blocks.get(&state.key);
        let taken = state.taken.iter().map(|key| {
            let name = self.taken.get(key);
            name.map_or_else(|| written(key.0), ToString::to_string)
        });
        BlockStateDocument {
            block: block.map_or_else(|| written(state.key.0), ToString::to_string),
            active: state.active,
            exited: state.exited,
            taken: taken.collect(),
        }
    }
}

fn written(key: u64) -> String {
    format!("{KEY_PREFIX}{key:016x}")
}

fn key_written(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(KEY_PREFIX)?;
    let whole = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_gone_is_written_as_its_key_and_read_back() {
        let names = Names {
            blocks: [(BlockKey::of("card"), "card")].into(),
            taken: [(NameKey::of("next"), "next")].into(),
        };
        let block = |block: &str, taken: &str| BlockState {
            key: BlockKey::of(block),
            active: true,
            entered: true,
            exited: false,
            taken: [NameKey::of(taken)].into(),
        };
        let mut blocks = vec![block("card", "gone"), block("lost", "next")];
        blocks.sort_unstable_by_key(|block| block.key);
        let document = FlowStateDocument {
            started: true,
            generation: 3,
            blocks: blocks.iter().map(|block| names.document(block)).collect(),
            ..FlowStateDocument::default()
        };
        let known: Vec<&str> = document.blocks.iter().map(|own| &*own.block).collect();
        assert!(known.contains(&"card"), "{known:?}");
        assert!(known.iter().any(|name| name.starts_with(KEY_PREFIX)));
        let text = serde_json::to_string(&document).expect("it is written");
        let read: FlowStateDocument = serde_json::from_str(&text).expect("it is read");
        let expected = FlowState {
            started: true,
            generation: 3,
            blocks: blocks.into(),
            ..FlowState::default()
        };
        assert_eq!(state(&read), expected);
    }
}
