//! What does a random flow look like?
//!
//! Sound by construction: logic leads to logic only further down, gates have
//! paths, and the first block is shown, since branches ask for it.

use proptest::{prelude::*, sample::Index};

use crate::snapshot::{
    Revision, Snapshot,
    compile::compile,
    parts::Content,
    wire::{
        BlockKind, BlockPart, ControlDocument, EntryCondition, EnvironmentType, FlowPart, PathPart,
        SettingsPart, TriggerAction, TriggerPart, VersionPart,
    },
};

/// Kind and detail of each block; source, target and name of each path.
pub(super) type Shape = (Vec<(u8, u8)>, Vec<(Index, Index, Index)>);

/// The flows of an environment: a draft, and two with one version.
pub(super) const FLOWS: usize = 3;

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    (
        prop::collection::vec((0..12_u8, any::<u8>()), 1..8),
        prop::collection::vec(any::<(Index, Index, Index)>(), 1..16),
    )
}

pub(super) fn snapshot(shapes: &[Shape]) -> Snapshot {
    let flows = (0..shapes.len()).map(|flow| FlowPart {
        uid: format!("f{flow}"),
        sid: format!("f{flow}"),
        name: String::new(),
        project: "web".into(),
        enabled: true,
        versions: vec![number(flow)],
        refuse_public_force: false,
        deployments_only: false,
    });
    let versions = shapes.iter().enumerate();
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: flows.collect(),
        versions: versions
            .map(|(flow, shape)| (String::new(), version(flow, shape)))
            .collect(),
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "uid", Revision::default(), &content, &control).unwrap()
}

fn number(flow: usize) -> u32 {
    u32::from(flow > 0)
}

fn is_logic(kind: BlockKind) -> bool {
    matches!(
        kind,
        BlockKind::Boolean
            | BlockKind::Finish
            | BlockKind::Gate
            | BlockKind::Webhook
            | BlockKind::FlowTrigger
    )
}

fn version(flow: usize, (kinds, paths): &Shape) -> VersionPart {
    let mut blocks: Vec<BlockPart> = Vec::new();
    let mut items = Vec::new();
    for (place, (kind, detail)) in kinds.iter().enumerate() {
        let kind = match kind {
            0 | 1 => BlockKind::Custom,
            2 => BlockKind::Boolean,
            3 => BlockKind::Finish,
            4 => BlockKind::Tour,
            5 => BlockKind::Checklist,
            6 => BlockKind::Hints,
            7 | 8 => BlockKind::Gate,
            9 => BlockKind::Webhook,
            10 => BlockKind::FlowTrigger,
            _ => BlockKind::Card,
        };
        let is_first = place == 0 && is_logic(kind);
        let kind = if is_first { BlockKind::Card } else { kind };
        let block = block(flow, &format!("b{place}"), kind, *detail);
        let item = match kind {
            BlockKind::Tour => Some(BlockKind::TourItem),
            BlockKind::Checklist => Some(BlockKind::ChecklistItem),
            BlockKind::Hints => Some(BlockKind::HintsItem),
            _ => None,
        };
        for (name, kind) in (0..=detail % 3).zip(item.into_iter().cycle()) {
            let mut item = self::block(flow, &format!("b{place}-{name}"), kind, 0);
            item.container = Some(block.uid.clone());
            items.push(item);
        }
        blocks.push(block);
    }
    let ways = ways(&blocks, paths);
    for (place, block) in blocks.iter_mut().enumerate() {
        if block.kind == BlockKind::Gate && ways.iter().all(|(_, to, _)| *to != place) {
            block.kind = BlockKind::Card;
        }
    }
    let paths = ways.iter().enumerate().map(|(place, (from, to, name))| {
        let from = from.map(|from| &blocks[from]);
        let on = from.map(|from| (*name.get(names(from.kind))).to_owned());
        PathPart {
            uid: format!("f{flow}-p{place}"),
            from: from.map(|from| from.uid.clone()),
            on: on.into_iter().collect(),
            to: blocks[*to].uid.clone(),
        }
    });
    VersionPart {
        flow_uid: format!("f{flow}"),
        flow_sid: format!("f{flow}"),
        number: number(flow),
        migration: None,
        entry: EntryCondition::Expression("user.identifier = 'ann'".into()),
        paths: paths.collect(),
        blocks: blocks.into_iter().chain(items).collect(),
    }
}

fn block(flow: usize, name: &str, kind: BlockKind, detail: u8) -> BlockPart {
    let other = usize::from(detail >> 2) % (FLOWS + 1);
    BlockPart {
        sid: name.to_owned(),
        uid: format!("f{flow}-{name}"),
        kind,
        container: None,
        transitions: match kind {
            BlockKind::Custom => vec!["go".into(), "complete".into()],
            _ => Vec::new(),
        },
        expression: (kind == BlockKind::Boolean).then(|| match detail % 3 {
            0 => "true".into(),
            1 => "blocks.b0.exited".into(),
            _ => "user.identifier = 'ann'".into(),
        }),
        trigger: (kind == BlockKind::FlowTrigger).then(|| TriggerPart {
            // The last of them does not exist.
            flow_sid: format!("f{other}"),
            version: (detail >= 128).then(|| number(other)),
            action: match detail % 4 {
                0 => TriggerAction::Start,
                1 => TriggerAction::Stop,
                2 => TriggerAction::Reset,
                _ => TriggerAction::Finish,
            },
        }),
        fields: Vec::new(),
    }
}

/// Where paths lead from (the entry, if from nowhere) and to.
fn ways<'p>(
    blocks: &[BlockPart],
    paths: &'p [(Index, Index, Index)],
) -> Vec<(Option<usize>, usize, &'p Index)> {
    let paths = paths.iter().enumerate();
    let way = |(place, (from, to, name)): (usize, &'p (Index, Index, Index))| {
        let (from, to) = (from.index(blocks.len()), to.index(blocks.len()));
        if place == 0 || blocks[from].kind == BlockKind::Finish {
            return (None, to, name);
        }
        let in_circles = is_logic(blocks[from].kind) && is_logic(blocks[to].kind) && to <= from;
        (Some(from), if in_circles { 0 } else { to }, name)
    };
    paths.map(way).collect()
}

fn names(kind: BlockKind) -> &'static [&'static str] {
    match kind {
        BlockKind::Custom => &["go", "complete"],
        BlockKind::Boolean => &["true", "false"],
        BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger => &["done"],
        _ => &["complete", "dismiss"],
    }
}
