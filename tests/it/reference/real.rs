//! What does the program's own core come to?
//!
//! Its pure parts, put together as an edge puts them together: the record is
//! looked up, the decision made, what is to be saved is saved.

use std::collections::BTreeMap;

use flowgate::{
    evaluate::{
        Ask, BlockState, Decision, FlowState, LiveJudge, Membership, Profile, Step, StepError,
        Subject, SubjectView, Tag, decide, deployment_of, enrolment, transition,
    },
    snapshot::{
        BlockKey, FlowKey, NameKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{EnvironmentType, SettingsPart},
    },
};

use super::slow::{Answer, Came, Deed, Enrolled, Memory, Person, Question, State, World};

type MembershipKey = (String, String, Option<String>);

/// An environment compiled, and what one person left in it.
pub(super) struct Edge {
    snapshot: Snapshot,
    subject: Subject,
    memberships: BTreeMap<MembershipKey, Membership>,
    now: u64,
}

impl Edge {
    /// None when something of the environment is refused.
    pub(super) fn new(world: &World) -> Option<Self> {
        let hash = |at: usize| format!("{at:064x}");
        let versions = world.versions.iter().cloned().enumerate();
        let content = Content {
            settings: SettingsPart {
                environment_type: EnvironmentType::Test,
                drafts: true,
                deprecated: false,
                channels: world.channels.clone(),
                access: Default::default(),
            },
            flows: world.flows.clone(),
            versions: versions.map(|(at, part)| (hash(at), part)).collect(),
            deployments: world.deployments.clone(),
            keys: Vec::new(),
            flags: Default::default(),
            broken: Vec::new(),
        };
        let revision = Revision::default();
        let snapshot = compile("test", "uid", revision, &content, &world.control).ok()?;
        if !snapshot.set_aside.is_empty() {
            return None;
        }
        Some(Self {
            snapshot,
            subject: Subject::default(),
            memberships: BTreeMap::new(),
            now: world.now,
        })
    }

    /// Somebody else comes.
    pub(super) fn forget(&mut self) {
        self.subject = Subject::default();
        self.memberships.clear();
    }

    pub(super) fn decide(&mut self, person: &Person, question: &Question) -> Answer {
        self.look(person);
        let group = group(person);
        let view = self.view(person, group.as_ref());
        answer(&self.decided(&view, question))
    }

    /// Keeps what the decision says is to be kept.
    pub(super) fn save(&mut self, person: &Person, question: &Question) {
        let group = group(person);
        let view = self.view(person, group.as_ref());
        let decision = self.decided(&view, question);
        let record = decision.enrolled.and_then(|own| own.to_record);
        let record = record.zip(self.key(&view, question));
        let made = decision.migrated.filter(|made| made.save);
        let made = made.and(decision.state.as_deref()).cloned();
        let at = decision.version.map(|own| (own.flow_key, own.number));
        if let Some((membership, key)) = record {
            self.memberships.insert(key, membership);
        }
        if let (Some(state), Some((flow, number))) = (made, at) {
            let conversation = person.conversation.as_deref();
            self.subject.set_state(flow, number, conversation, state);
        }
    }

    pub(super) fn step(&mut self, person: &Person, question: &Question, deed: &Deed) -> Came {
        let group = group(person);
        let view = self.view(person, group.as_ref());
        let decision = self.decided(&view, question);
        let version = decision.version.expect("a version to step in");
        let before = decision.state.map(|state| state.into_owned());
        let before = before.unwrap_or_default();
        let mut judge = LiveJudge {
            snapshot: &self.snapshot,
            view,
            now: self.now,
        };
        let keys: Vec<NameKey>;
        let step = match deed {
            Deed::Start { force } => Step::Start { force: *force },
            Deed::Reset { force } => Step::Reset { force: *force },
            Deed::Stop => Step::Stop,
            Deed::Finish => Step::Finish,
            Deed::Leave { block, names } => {
                keys = names.iter().map(|name| NameKey::of(name)).collect();
                Step::Transition {
                    block: version.find(BlockKey::of(block)).expect("a block"),
                    names: &keys,
                }
            }
        };
        let effect = match transition(version, &before, &step, &mut judge) {
            Ok(effect) => effect,
            Err(StepError::UnknownTransition) => return Came::Refused("unknown_transition"),
            Err(StepError::NextAndPrevious) => return Came::Refused("next_and_previous"),
            Err(StepError::NotRecorded) => return Came::Refused("not_recorded"),
        };
        if !effect.changed {
            return Came::Nothing;
        }
        let conversation = person.conversation.as_deref();
        let (flow, number) = (version.flow_key, version.number);
        let subject = &mut self.subject;
        subject.set_state(flow, number, conversation, effect.state);
        for other in effect.others {
            let (flow, number) = (other.version.flow_key, other.version.number);
            subject.set_state(flow, number, conversation, other.state);
        }
        Came::Changed
    }

    /// The first thing remembered here and not there, or the other way round.
    pub(super) fn differs(&self, world: &World, memory: &Memory) -> Option<String> {
        let own = self.subject.flows.len();
        if own != memory.states.len() {
            let states = memory.states.keys().collect::<Vec<_>>();
            return Some(format!("found {own} states, expected those of {states:?}"));
        }
        for ((flow, number, conversation), state) in &memory.states {
            let conversation = conversation.as_deref();
            let found = self.subject.state(FlowKey::of(flow), *number, conversation);
            let expected = compact(state);
            if found != Some(&expected) {
                let version = world.version(flow, *number);
                let uids = version.into_iter().flat_map(|version| &version.blocks);
                let blocks = uids.map(|block| {
                    let key = BlockKey::of(&block.uid);
                    let found = found.and_then(|state| state.block(key));
                    let expected = expected.block(key);
                    (&block.uid, found, expected)
                });
                let differing: Vec<_> = blocks.filter(|(_, one, two)| one != two).collect();
                let found = found.map(|state| FlowState {
                    blocks: Box::default(),
                    ..state.clone()
                });
                return Some(format!(
                    "{flow}/{number}/{conversation:?}: found {found:?}, expected {state:?}\n\
                     blocks that differ: {differing:?}"
                ));
            }
        }
        let members = |own: &Membership| (own.is_in, own.basis_points);
        let found: BTreeMap<MembershipKey, (bool, u16)> = self
            .memberships
            .iter()
            .map(|(key, own)| (key.clone(), members(own)))
            .collect();
        (found != memory.memberships)
            .then(|| format!("found {found:?}\nexpected {:?}", memory.memberships))
    }

    /// The person as they are now.
    fn look(&mut self, person: &Person) {
        self.subject.profile = Profile {
            identifier: person.id.as_str().into(),
            properties: person.properties.clone(),
            ..Profile::default()
        }
        .into();
    }

    fn view<'a>(&'a self, person: &'a Person, group: Option<&'a Profile>) -> SubjectView<'a> {
        SubjectView {
            user: &self.subject,
            group,
            attributes: person.attributes.as_ref(),
            conversation: person.conversation.as_deref(),
        }
    }

    fn key(&self, view: &SubjectView<'_>, question: &Question) -> Option<MembershipKey> {
        let channel = question.channel.as_deref();
        let deployment = deployment_of(&self.snapshot, &question.sid, channel)?;
        let key = enrolment(deployment, view)?;
        let conversation = key.conversation.map(str::to_owned);
        Some((key.deployment.to_owned(), key.id.into_owned(), conversation))
    }

    fn decided<'s>(&'s self, view: &SubjectView<'s>, question: &Question) -> Decision<'s, 's> {
        let key = self.key(view, question);
        let ask = Ask {
            sid: &question.sid,
            tag: question.tag.map_or(Tag::Latest, Tag::Number),
            channel: question.channel.as_deref(),
            membership: key.and_then(|key| self.memberships.get(&key).copied()),
        };
        decide(&self.snapshot, view, &ask, |_| true, self.now)
    }
}

fn group(person: &Person) -> Option<Profile> {
    let (id, properties) = person.group.clone()?;
    Some(Profile {
        identifier: id.into(),
        properties,
        ..Profile::default()
    })
}

/// A decision in the words of the slow evaluator.
fn answer(decision: &Decision<'_, '_>) -> Answer {
    let nothing = decision.reason.name() == "unknown_flow";
    Answer {
        flow: decision.flow.map(|own| own.uid.to_string()),
        reason: decision.reason.name(),
        served: decision.served,
        number: (!nothing).then_some(decision.number),
        source: decision.version_source.name(),
        deployment: decision.deployment.map(|own| own.uid.to_string()),
        enrolled: decision.enrolled.map(|own| Enrolled {
            is_in: own.is_in,
            bucket: own.bucket,
            basis_points: own.basis_points,
            recorded: own.recorded,
            to_record: own.to_record.map(|one| (one.is_in, one.basis_points)),
        }),
        may_start: decision.may_start,
        state: decision.state.as_deref().cloned().map(Into::into),
        made: decision.migrated.map(|made| (made.from, made.save)),
    }
}

/// A state of the slow evaluator in compact form.
pub(super) fn compact(state: &State) -> FlowState {
    let mut blocks: Vec<BlockState> = state
        .blocks
        .iter()
        .map(|(uid, block)| {
            let mut taken: Vec<NameKey> = block.taken.iter().map(|n| NameKey::of(n)).collect();
            taken.sort_unstable();
            BlockState {
                key: BlockKey::of(uid),
                active: block.active,
                entered: block.entered,
                exited: block.exited,
                taken: taken.into(),
            }
        })
        .collect();
    blocks.sort_unstable_by_key(|block| block.key);
    FlowState {
        started: state.started,
        stopped: state.stopped,
        finished: state.finished,
        retired: state.retired,
        generation: state.generation,
        blocks: blocks.into(),
    }
}
