//! Which contexts are judged?
//!
//! The newest, one for each subject, conversation, channel and flow, so that
//! nobody who asks all the time counts for more than one. Filled by a task of
//! the control runtime; kept on disk in the form in which decisions are
//! explained, because what lies in memory is keyed by hashes.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::Context;
use crate::{
    current::{Current, EnvironmentSlot},
    limits::{GUARD_ATTRIBUTES_MAX, GUARD_FILE_BYTES_MAX},
    receipt::{Inputs, Question},
    snapshot::Snapshot,
};

/// Recent contexts of one environment.
#[derive(Debug, Default)]
pub struct Reservoir {
    count_max: usize,
    contexts: HashMap<Key, Context>,
    /// Oldest first.
    order: VecDeque<Key>,
}

/// Flow, user, conversation and channel.
type Key = (Box<str>, Box<str>, Option<Box<str>>, Option<Box<str>>);

impl Reservoir {
    /// For this many contexts.
    pub fn new(count_max: usize) -> Self {
        Self {
            count_max,
            ..Self::default()
        }
    }

    /// Takes a context in the place of the one of the same subject and flow, or
    /// of the oldest.
    pub fn add(&mut self, context: Context) {
        let large = |attributes: &serde_json::Map<_, _>| attributes.len() > GUARD_ATTRIBUTES_MAX;
        if self.count_max == 0 || context.attributes.as_ref().is_some_and(large) {
            return;
        }
        let key = (
            context.sid.clone(),
            context.user.profile.identifier.clone(),
            context.conversation.clone(),
            context.channel.clone(),
        );
        if self.contexts.insert(key.clone(), context).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.count_max {
            if let Some(oldest) = self.order.pop_front() {
                self.contexts.remove(&oldest);
            }
        }
    }

    /// Oldest first.
    pub fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.order.iter().filter_map(|key| self.contexts.get(key))
    }

    /// As lines of JSON, the newest that fit, oldest first.
    pub fn written(&self, snapshot: &Snapshot) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        for key in self.order.iter().rev() {
            let Some(context) = self.contexts.get(key) else {
                continue;
            };
            let question = Question {
                ask: context.ask(),
                projects: &[],
                now: 0,
                assumed: false,
            };
            let inputs = Inputs::of(snapshot, &context.view(), &question);
            let Ok(mut line) = serde_json::to_vec(&inputs) else {
                continue;
            };
            line.push(b'\n');
            bytes += line.len();
            if bytes > GUARD_FILE_BYTES_MAX {
                break;
            }
            lines.push(line);
        }
        lines.reverse();
        lines.concat()
    }

    /// Takes in what [`Self::written`] gave. What cannot be read is left out:
    /// samples come again.
    pub fn read(&mut self, bytes: &[u8], slot: EnvironmentSlot, snapshot: &Snapshot) {
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(inputs) = serde_json::from_slice::<Inputs>(line) else {
                continue;
            };
            let flow = snapshot.flows.get(inputs.flow.as_str());
            let (Ok(user), Ok(tag)) = (inputs.user(flow.map(|flow| &**flow)), inputs.tag()) else {
                continue;
            };
            self.add(Context {
                slot,
                sid: inputs.flow.as_str().into(),
                tag,
                channel: inputs.channel.as_deref().map(Into::into),
                membership: inputs.record(),
                user: Arc::new(user),
                group: inputs.group.as_ref().map(|own| Arc::new(own.to_profile())),
                attributes: inputs.attributes,
                conversation: inputs.conversation.as_deref().map(Into::into),
            });
        }
    }
}

/// The reservoirs of all guarded environments, by name.
#[derive(Clone, Debug, Default)]
pub struct Reservoirs(BTreeMap<String, Arc<Mutex<Reservoir>>>);

impl Reservoirs {
    /// For these environments, each with how many contexts it keeps; those
    /// that keep none are not guarded.
    pub fn new<'n>(environments: impl Iterator<Item = (&'n str, usize)>) -> Self {
        let guarded = environments.filter(|(_, count_max)| *count_max > 0);
        let made = guarded.map(|(name, count_max)| {
            let reservoir = Arc::new(Mutex::new(Reservoir::new(count_max)));
            (name.to_owned(), reservoir)
        });
        Self(made.collect())
    }

    /// Whether nothing is guarded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That of an environment, if it is guarded.
    pub fn of(&self, environment: &str) -> Option<Arc<Mutex<Reservoir>>> {
        self.0.get(environment).cloned()
    }
}

/// Moves contexts from the workers into the reservoirs.
#[derive(Debug)]
pub struct Collector {
    current: Arc<Current>,
    reservoirs: Reservoirs,
    contexts: mpsc::Receiver<Context>,
}

impl Collector {
    /// From this channel.
    pub fn new(
        current: Arc<Current>,
        reservoirs: Reservoirs,
        contexts: mpsc::Receiver<Context>,
    ) -> Self {
        Self {
            current,
            reservoirs,
            contexts,
        }
    }

    /// Collects until the workers are gone.
    pub async fn run(mut self) {
        while let Some(context) = self.contexts.recv().await {
            let live = self.current.load();
            let mut environments = live.all().iter();
            let Some(environment) = environments.find(|own| own.slot == context.slot) else {
                continue;
            };
            // Names that anybody can make up would push out the others.
            if !environment.snapshot.flows.contains_key(&context.sid) {
                continue;
            }
            if let Some(reservoir) = self.reservoirs.of(&environment.snapshot.environment) {
                locked(&reservoir).add(context);
            }
        }
    }
}

/// A panic while it was held leaves samples, which are all as good as others.
pub(crate) fn locked(reservoir: &Mutex<Reservoir>) -> MutexGuard<'_, Reservoir> {
    reservoir.lock().unwrap_or_else(PoisonError::into_inner)
}
