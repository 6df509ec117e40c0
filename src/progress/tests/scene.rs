//! Requests that own what they need, and a stage to make them on.

use serde_json::{Map, Value};

use super::{
    edge::{Setup, SimEdge, Task},
    ledger::SimLedger,
    world::World,
};
use crate::{
    disk::memory::MemoryDisk,
    evaluate::{Enrolment, FlowState, Membership},
    progress::{
        Action, BatchError, EnrolRequest, GroupRequest, IdentifyRequest, Progress, Read, ReadError,
        Remembered, Stepped, Token, WriteError,
        event::{EventId, GroupDocument, MembershipDocument},
    },
    snapshot::{BlockKey, NameKey},
};

/// A step as a client would take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Auto,
    Start,
    Reset,
    Stop,
    Finish,
    /// What migration makes is stored.
    Migrate,
    /// Block and name.
    Leave(&'static str, &'static str),
}

/// Flow and version.
pub(super) type At = (&'static str, u32);

/// The usual flow.
pub(super) const TOUR: At = ("tour", 1);

pub(super) fn step_task(
    progress: &Progress,
    world: &World,
    user: &str,
    what: (At, Act),
    id: Option<EventId>,
    group: Option<&str>,
) -> Task<Result<Stepped, WriteError>> {
    enrolled_task(progress, world, user, what, id, (group, None))
}

/// A step of somebody in a group, that rests on a percentage decision.
pub(super) fn enrolled_task(
    progress: &Progress,
    world: &World,
    user: &str,
    (at, act): (At, Act),
    id: Option<EventId>,
    (group, membership): (Option<&str>, Option<MembershipDocument>),
) -> Task<Result<Stepped, WriteError>> {
    let (progress, world) = (progress.clone(), world.clone());
    let (user, group) = (user.to_owned(), group.map(ToOwned::to_owned));
    Box::pin(async move {
        let names = match act {
            Act::Leave(_, name) => [NameKey::of(name)],
            _ => [NameKey(0)],
        };
        let action = match act {
            Act::Auto => Action::AutoStart,
            Act::Start => Action::Start { force: false },
            Act::Reset => Action::Reset { force: false },
            Act::Stop => Action::Stop,
            Act::Migrate => Action::Migrate,
            Act::Finish => Action::Finish,
            Act::Leave(block, _) => world.leave(at, block, &names),
        };
        let mut request = world.request(&user, at, action, id);
        request.group = group.as_deref();
        request.membership = membership;
        progress.step(request).await
    })
}

/// Properties of a user and of groups.
pub(super) type Told = (Value, Vec<(String, Value)>);

pub(super) fn enrol_task(
    progress: &Progress,
    world: &World,
    user: &str,
    membership: MembershipDocument,
) -> Task<Result<Membership, WriteError>> {
    let (progress, place, user) = (progress.clone(), world.place(), user.to_owned());
    Box::pin(async move {
        let request = EnrolRequest {
            place,
            user: &user,
            group: None,
            membership,
            now: 3_000,
        };
        progress.enrol(request).await
    })
}

pub(super) fn remembered_task(
    progress: &Progress,
    world: &World,
    user: &str,
) -> Task<Result<Remembered, ReadError>> {
    let (progress, place, user) = (progress.clone(), world.place(), user.to_owned());
    Box::pin(async move {
        let enrolment = enrolment_of(&user);
        progress.membership(&place, &enrolment).await
    })
}

/// A decision about a user under the one deployment there is.
pub(super) fn decision(user: &str, is_in: bool, basis_points: u16) -> MembershipDocument {
    MembershipDocument {
        deployment: DEPLOYMENT.to_owned(),
        id: user.to_owned(),
        conversation: None,
        is_in,
        basis_points,
        bucket: 4_000,
    }
}

/// Its key.
pub(super) fn enrolment_of(user: &str) -> Enrolment<'static, '_> {
    Enrolment {
        deployment: DEPLOYMENT,
        id: user.into(),
        conversation: None,
    }
}

/// Uid of the one deployment.
pub(super) const DEPLOYMENT: &str = "dep_1";

pub(super) fn identify_task(
    progress: &Progress,
    world: &World,
    user: &str,
    (properties, groups): Told,
    id: Option<EventId>,
) -> Task<Result<Option<Token>, WriteError>> {
    let progress = progress.clone();
    let groups = groups.into_iter().map(|(identifier, value)| GroupDocument {
        identifier,
        properties: object(value),
    });
    let request = IdentifyRequest {
        place: world.place(),
        user: user.to_owned(),
        properties: object(properties),
        groups: groups.collect(),
        id,
        now: 2_000,
    };
    Box::pin(async move { progress.identify(request).await })
}

pub(super) fn group_task(
    progress: &Progress,
    world: &World,
    group: &str,
    properties: Value,
) -> Task<Result<Option<Token>, WriteError>> {
    let progress = progress.clone();
    let request = GroupRequest {
        place: world.place(),
        group: GroupDocument {
            identifier: group.to_owned(),
            properties: object(properties),
        },
        now: 2_500,
    };
    Box::pin(async move { progress.identify_group(request).await })
}

/// Users with properties, in one call.
pub(super) fn batch_task(
    progress: &Progress,
    world: &World,
    told: Vec<(&str, Told)>,
) -> Task<Result<(), BatchError>> {
    let progress = progress.clone();
    let requests = told.into_iter().map(|(user, (properties, groups))| {
        let groups = groups.into_iter().map(|(identifier, value)| GroupDocument {
            identifier,
            properties: object(value),
        });
        IdentifyRequest {
            place: world.place(),
            user: user.to_owned(),
            properties: object(properties),
            groups: groups.collect(),
            id: None,
            now: 2_600,
        }
    });
    let requests: Vec<_> = requests.collect();
    Box::pin(async move { progress.identify_all(&requests).await.map(drop) })
}

pub(super) fn read_task(
    progress: &Progress,
    world: &World,
    user: &str,
    group: Option<&str>,
) -> Task<Result<Read, ReadError>> {
    let (progress, place) = (progress.clone(), world.place());
    let (user, group) = (user.to_owned(), group.map(ToOwned::to_owned));
    Box::pin(async move { progress.read(&place, &user, group.as_deref()).await })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// One edge, its disk, and a ledger that answers at once.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) disk: MemoryDisk,
    pub(super) ledger: SimLedger,
    pub(super) edge: SimEdge,
    pub(super) setup: Setup,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(super) fn with(setup: Setup) -> Self {
        let world = World::new();
        let ledger = SimLedger::prompt(&world);
        let disk = MemoryDisk::new(7);
        let edge = SimEdge::boot(&disk, &ledger, &world, setup);
        Self {
            world,
            disk,
            ledger,
            edge,
            setup,
        }
    }

    pub(super) fn away(&self, away: bool) {
        self.ledger.look().away = away;
    }

    /// The power fails and comes back.
    pub(super) fn crash(&mut self) {
        self.disk.crash(11);
        self.edge = SimEdge::boot(&self.disk, &self.ledger, &self.world, self.setup);
    }

    pub(super) fn task(
        &self,
        user: &str,
        act: Act,
        id: Option<EventId>,
    ) -> Task<Result<Stepped, WriteError>> {
        step_task(
            &self.edge.progress,
            &self.world,
            user,
            (TOUR, act),
            id,
            None,
        )
    }

    pub(super) fn step(&mut self, user: &str, act: Act) -> Result<Stepped, WriteError> {
        let task = self.task(user, act, None);
        self.edge.finish(task)
    }

    pub(super) fn keyed(
        &mut self,
        user: &str,
        act: Act,
        key: u64,
        body: u32,
    ) -> Result<Stepped, WriteError> {
        let task = self.task(user, act, Some(EventId { key, body }));
        self.edge.finish(task)
    }

    pub(super) fn identify(&mut self, user: &str, told: Told) -> Result<Option<Token>, WriteError> {
        let task = identify_task(&self.edge.progress, &self.world, user, told, None);
        self.edge.finish(task)
    }

    pub(super) fn read(&mut self, user: &str, group: Option<&str>) -> Result<Read, ReadError> {
        let task = read_task(&self.edge.progress, &self.world, user, group);
        self.edge.finish(task)
    }

    /// Where a user stands in `tour`: the active blocks.
    pub(super) fn stands(&mut self, user: &str) -> Vec<&'static str> {
        let read = self.read(user, None).expect("readable");
        active(
            read.subject
                .state(self.world.flow("tour", 1).0.key, 1, None),
        )
    }

    /// What the ledger says of that.
    pub(super) fn ledger_stands(&self, user: &str) -> Vec<&'static str> {
        let document = self.ledger.look().ledger.document(user);
        let state = document.flows.iter().find(|state| state.flow == "tour");
        active(state.map(|state| state.to_state()).as_ref())
    }
}

fn active(state: Option<&FlowState>) -> Vec<&'static str> {
    let is_active = |block: &&str| {
        let block = state.and_then(|state| state.block(BlockKey::of(block)));
        block.is_some_and(|block| block.active)
    };
    let blocks = ["first", "gold", "plain", "end"].into_iter();
    blocks.filter(is_active).collect()
}
