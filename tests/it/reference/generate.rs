//! What do environments and people look like that nobody thought of?
//!
//! Small ones: few flows, few blocks, few values, so that things meet. Values
//! are drawn from short lists for the same reason.

use flowgate::snapshot::wire::{
    AlternativePart, BlockKind, BlockPart, ChannelPart, DeploymentPart, EntryCondition, FieldKind,
    FieldPart, FlowPart, Migration, OnVersionChange, PathPart, Remember, RolloutId, RolloutPart,
    RuleOperator, RulePart, ScheduledPart, TriggerAction, TriggerPart, VersionPart, VersionPolicy,
};
use serde_json::{Map, Value, json};

use super::{
    dice::Dice,
    slow::{Condition, Person, World},
};

const PROPERTIES: [&str; 4] = ["plan", "age", "tags", "city"];
const CHANNELS: [&str; 3] = ["web", "intercom:acme", "mail"];
const CUSTOM_NAMES: [&str; 3] = ["go", "skip", "more"];

/// A whole environment.
pub(super) fn world(dice: &mut Dice) -> World {
    let mut world = World {
        now: 1_000_000,
        ..World::default()
    };
    for at in 0..1 + dice.below(3) {
        flow(dice, &mut world, at);
    }
    world.channels.push(ChannelPart {
        name: CHANNELS[1].to_owned(),
        exclusive: dice.percent(50),
    });
    for at in 0..dice.below(4) {
        deployment(dice, &mut world, at);
    }
    for flow in &world.flows {
        if dice.percent(8) {
            world.control.disabled_flows.push(flow.uid.clone());
        }
    }
    world
}

fn flow(dice: &mut Dice, world: &mut World, at: usize) {
    let (uid, sid) = (format!("f{at}"), format!("flow-{at}"));
    let draft = dice.percent(30);
    let committed = if dice.percent(5) {
        0
    } else {
        1 + dice.below(4)
    };
    let numbers = (u32::from(!draft)..=committed as u32).filter(|n| *n > 0 || draft);
    let numbers: Vec<u32> = numbers.collect();
    let kinds: Vec<BlockKind> = (0..2 + dice.below(4)).map(|_| kind(dice)).collect();
    for number in &numbers {
        let version = version(dice, world, (&uid, &sid), *number, &kinds);
        world.versions.push(version);
    }
    world.flows.push(FlowPart {
        uid,
        sid: sid.clone(),
        name: sid,
        project: "web".to_owned(),
        enabled: true,
        versions: numbers,
        refuse_public_force: false,
        deployments_only: dice.percent(10),
    });
}

fn kind(dice: &mut Dice) -> BlockKind {
    use BlockKind::{
        Boolean, Card, Checklist, Custom, Finish, FlowTrigger, Gate, Hints, Modal, Tour, Webhook,
    };
    *dice.one(&[
        Custom,
        Custom,
        Custom,
        Card,
        Card,
        Modal,
        Tour,
        Checklist,
        Hints,
        Boolean,
        Finish,
        Gate,
        Gate,
        Webhook,
        FlowTrigger,
        FlowTrigger,
    ])
}

fn version(
    dice: &mut Dice,
    world: &mut World,
    (flow_uid, flow_sid): (&str, &str),
    number: u32,
    kinds: &[BlockKind],
) -> VersionPart {
    let mut blocks = Vec::new();
    let mut tops = Vec::new();
    for (at, usual) in kinds.iter().enumerate() {
        // A block may be missing in one version, or be something else there.
        if at > 0 && dice.percent(15) {
            continue;
        }
        let kind = if dice.percent(7) { kind(dice) } else { *usual };
        let uid = format!("{flow_uid}-b{at}");
        tops.push((uid.clone(), kind));
        blocks.push(block(&uid, kind));
        let item = match kind {
            BlockKind::Tour => BlockKind::TourItem,
            BlockKind::Checklist => BlockKind::ChecklistItem,
            BlockKind::Hints => BlockKind::HintsItem,
            _ => continue,
        };
        for place in 0..1 + dice.below(3) {
            let mut part = block(&format!("{uid}-i{place}"), item);
            part.container = Some(uid.clone());
            if dice.percent(60) {
                part.fields.push(FieldPart {
                    sid: "display-index".to_owned(),
                    kind: FieldKind::Number,
                    value: json!(dice.below(3)),
                });
            }
            blocks.push(part);
        }
    }
    let sids: Vec<String> = blocks.iter().map(|block| block.sid.clone()).collect();
    for part in &mut blocks {
        match part.kind {
            BlockKind::Custom => part.transitions = CUSTOM_NAMES.map(str::to_owned).to_vec(),
            BlockKind::Boolean if dice.percent(40) => {
                part.expression = Some(format!("blocks[\"{}\"].exited", dice.one(&sids)));
            }
            BlockKind::Boolean => part.expression = Some(expression(dice, world)),
            BlockKind::FlowTrigger => part.trigger = Some(trigger(dice)),
            _ => {}
        }
    }
    let paths = paths(dice, &tops, &format!("{flow_uid}-p"));
    VersionPart {
        flow_uid: flow_uid.to_owned(),
        flow_sid: flow_sid.to_owned(),
        number,
        migration: *dice.one(&[
            None,
            Some(Migration::RestartInProgress),
            Some(Migration::RestartAll),
            Some(Migration::StopInProgress),
            Some(Migration::CarryOver),
            Some(Migration::CarryOver),
        ]),
        entry: match dice.below(10) {
            0..=5 => EntryCondition::Everyone,
            6..=8 => EntryCondition::Expression(expression(dice, world)),
            _ => EntryCondition::ApiOnly,
        },
        blocks,
        paths,
    }
}

fn block(uid: &str, kind: BlockKind) -> BlockPart {
    BlockPart {
        uid: uid.to_owned(),
        sid: uid.to_owned(),
        kind,
        container: None,
        transitions: Vec::new(),
        expression: None,
        trigger: None,
        fields: Vec::new(),
    }
}

fn trigger(dice: &mut Dice) -> TriggerPart {
    TriggerPart {
        flow_sid: format!("flow-{}", dice.below(4)),
        version: dice.percent(30).then(|| dice.below(4) as u32),
        action: *dice.one(&[
            TriggerAction::Start,
            TriggerAction::Start,
            TriggerAction::Stop,
            TriggerAction::Reset,
            TriggerAction::Finish,
        ]),
    }
}

/// Logic leads forward only: a cycle of logic alone would be refused.
fn paths(dice: &mut Dice, tops: &[(String, BlockKind)], prefix: &str) -> Vec<PathPart> {
    let mut paths = Vec::new();
    let mut add = |from: Option<&str>, on: &[&str], to: &str| {
        // A path is what it joins: the same in every version.
        let from_name = from.unwrap_or("entry");
        paths.push(PathPart {
            uid: format!("{prefix}-{from_name}-{}-{to}", on.join("-")),
            from: from.map(str::to_owned),
            on: on.iter().map(|name| (*name).to_owned()).collect(),
            to: to.to_owned(),
        });
    };
    let first = dice.below(tops.len());
    add(None, &[], &tops[first].0);
    if dice.percent(40) && tops.len() > 1 {
        let second = (first + 1 + dice.below(tops.len() - 1)) % tops.len();
        add(None, &[], &tops[second].0);
    }
    for (at, (uid, kind)) in tops.iter().enumerate() {
        let names: &[&str] = match kind {
            BlockKind::Custom => &CUSTOM_NAMES,
            BlockKind::Boolean => &["true", "false"],
            BlockKind::Finish => &[],
            BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger => &["done"],
            _ => &["complete", "dismiss"],
        };
        let runs = is_logic(*kind);
        let from = if runs { at + 1 } else { 0 };
        if from >= tops.len() {
            continue;
        }
        for name in names {
            for _ in 0..dice.below(3) {
                let to = from + dice.below(tops.len() - from);
                let both = names.len() > 1 && !runs && dice.percent(15);
                if both {
                    add(Some(uid), names, &tops[to].0);
                } else {
                    add(Some(uid), &[name], &tops[to].0);
                }
            }
        }
    }
    for (uid, kind) in tops {
        if *kind == BlockKind::Gate && !paths_to(&paths, uid) {
            paths.push(PathPart {
                uid: format!("{prefix}-entry--{uid}"),
                from: None,
                on: Vec::new(),
                to: uid.clone(),
            });
        }
    }
    paths.sort_by(|a, b| a.uid.cmp(&b.uid));
    paths.dedup_by(|a, b| a.uid == b.uid);
    paths
}

fn paths_to(paths: &[PathPart], uid: &str) -> bool {
    paths.iter().any(|path| path.to == uid)
}

/// Whether a block runs by itself and is never named from outside.
pub(super) fn is_logic(kind: BlockKind) -> bool {
    matches!(
        kind,
        BlockKind::Boolean
            | BlockKind::Finish
            | BlockKind::Gate
            | BlockKind::Webhook
            | BlockKind::FlowTrigger
    )
}

fn expression(dice: &mut Dice, world: &mut World) -> String {
    let condition = condition(dice, 2);
    let text = text(&condition);
    world.conditions.insert(text.clone(), condition);
    text
}

fn condition(dice: &mut Dice, depth: usize) -> Condition {
    let name = (*dice.one(&PROPERTIES)).to_owned();
    let inner = |dice: &mut Dice| Box::new(condition(dice, depth - 1));
    match dice.below(if depth == 0 { 3 } else { 6 }) {
        0 => Condition::Equals(
            name,
            dice.one(&[json!("pro"), json!(3), json!(true)]).clone(),
        ),
        1 => Condition::Greater(name, dice.below(5) as i32),
        2 => Condition::IsNull(name),
        3 => Condition::Not(inner(dice)),
        4 => Condition::And(inner(dice), inner(dice)),
        _ => Condition::Or(inner(dice), inner(dice)),
    }
}

fn text(condition: &Condition) -> String {
    match condition {
        Condition::Equals(name, Value::String(own)) => format!("user.properties.{name} = '{own}'"),
        Condition::Equals(name, own) => format!("user.properties.{name} = {own}"),
        Condition::Greater(name, number) => format!("user.properties.{name} > {number}"),
        Condition::IsNull(name) => format!("user.properties.{name} IS NULL"),
        Condition::Not(inner) => format!("NOT ({})", text(inner)),
        Condition::And(a, b) => format!("({}) AND ({})", text(a), text(b)),
        Condition::Or(a, b) => format!("({}) OR ({})", text(a), text(b)),
    }
}

fn deployment(dice: &mut Dice, world: &mut World, at: usize) {
    let uid = format!("d{at}");
    let flow_uid = dice.one(&world.flows).uid.clone();
    let channel = (*dice.one(&CHANNELS)).to_owned();
    let exclusive = channel == CHANNELS[1] && world.channels[0].exclusive;
    let taken = world.deployments.iter().any(|own| {
        let same = own.channel == channel && (exclusive || own.flow_uid == flow_uid);
        same && !world.control.inactive_deployments.contains(&own.uid)
    });
    if taken || dice.percent(10) {
        world.control.inactive_deployments.push(uid.clone());
    }
    world.deployments.push(DeploymentPart {
        name: uid.clone(),
        uid,
        flow_uid,
        channel,
        policy: match dice.below(3) {
            0 => VersionPolicy::Pinned(1 + dice.below(4) as u32),
            _ => VersionPolicy::Latest,
        },
        rollout: rollout(dice, world.now),
        on_version_change: *dice.one(&[
            None,
            None,
            Some(OnVersionChange::Stay),
            Some(OnVersionChange::Migrate),
        ]),
    });
}

fn rollout(dice: &mut Dice, now: u64) -> RolloutPart {
    let points = [0, 1, 2_500, 5_000, 5_000, 7_500, 9_999, 10_000, 10_000];
    let mut schedule = Vec::new();
    if dice.percent(20) {
        for at_ms in [now - 500, now, now + 1] {
            schedule.push(ScheduledPart {
                at_ms,
                basis_points: *dice.one(&points),
            });
        }
        schedule.truncate(1 + dice.below(3));
    }
    let alternatives = (0..dice.below(3)).map(|_| AlternativePart {
        name: None,
        rules: (0..1 + dice.below(2)).map(|_| rule(dice)).collect(),
    });
    RolloutPart {
        alternatives: alternatives.collect(),
        basis_points: *dice.one(&points),
        schedule,
        salt: (*dice.one(&["a", "b", ""])).to_owned(),
        id: match dice.below(6) {
            0 => RolloutId::Group,
            1 => RolloutId::Attribute((*dice.one(&PROPERTIES)).to_owned()),
            _ => RolloutId::User,
        },
        remember: *dice.one(&[
            Remember::Conversation,
            Remember::Conversation,
            Remember::User,
            Remember::Nothing,
        ]),
    }
}

fn rule(dice: &mut Dice) -> RulePart {
    use RuleOperator::{
        Contains, EndsWith, Equals, GreaterThan, IsEmpty, IsNotEmpty, LessThan, NotEquals,
        StartsWith,
    };
    let attributes = [
        "plan",
        "age",
        "tags",
        "city",
        "user.identifier",
        "group.plan",
    ];
    let attribute = (*dice.one(&attributes)).to_owned();
    let operator = *dice.one(&[
        Equals,
        NotEquals,
        Contains,
        StartsWith,
        EndsWith,
        GreaterThan,
        LessThan,
        IsEmpty,
        IsNotEmpty,
    ]);
    let value = match operator {
        IsEmpty | IsNotEmpty => Value::Null,
        GreaterThan | LessThan => dice.one(&[json!(3), json!(0)]).clone(),
        StartsWith | EndsWith => dice.one(&[json!("p"), json!("o"), json!("PRO")]).clone(),
        Contains => dice.one(&[json!("pro"), json!("vip"), json!("r")]).clone(),
        _ => dice
            .one(&[
                json!("pro"),
                json!("PRO"),
                json!(3),
                json!("3"),
                json!(true),
            ])
            .clone(),
    };
    let text = value.is_string();
    RulePart {
        attribute,
        operator,
        value,
        ignore_case: text && dice.percent(25),
    }
}

/// Somebody, with whatever they bring.
pub(super) fn person(dice: &mut Dice) -> Person {
    let group = dice.percent(60).then(|| {
        let id = (*dice.one(&["acme", "globex"])).to_owned();
        (id, properties(dice))
    });
    Person {
        id: format!("u{}", dice.below(50)),
        properties: properties(dice),
        group,
        attributes: dice.percent(40).then(|| properties(dice)),
        conversation: None,
    }
}

fn properties(dice: &mut Dice) -> Map<String, Value> {
    let values = [
        json!("pro"),
        json!("free"),
        json!("PROfessional"),
        json!(3),
        json!(4),
        json!(2.5),
        json!("3"),
        json!(true),
        json!(false),
        json!(null),
        json!(""),
        json!([]),
        json!(["vip", "pro"]),
        json!([3, "x"]),
        json!({}),
        json!({"a": 1}),
    ];
    let mut own = Map::new();
    for name in PROPERTIES {
        if dice.percent(70) {
            own.insert(name.to_owned(), dice.one(&values).clone());
        }
    }
    own
}

/// Which channel is asked over, if any.
pub(super) fn channel(dice: &mut Dice) -> Option<String> {
    dice.percent(60).then(|| (*dice.one(&CHANNELS)).to_owned())
}

/// Names of transitions as somebody might send them.
pub(super) fn names(dice: &mut Dice) -> Vec<String> {
    let all = [
        "go", "skip", "more", "complete", "dismiss", "next", "previous", "done", "nonsense",
    ];
    let many = if dice.percent(80) { 1 } else { 2 };
    (0..many).map(|_| (*dice.one(&all)).to_owned()).collect()
}
