//! How does a worker hand over what it decided on?
//!
//! One in [`EVERY`] decisions, over a bounded channel and without waiting: a
//! full channel loses the sample and nothing else. The subject and the group
//! are shared with memory; the rest is copied, which only sampled requests pay.

use std::{cell::Cell, sync::Arc};

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::{
    current::EnvironmentSlot,
    evaluate::{Ask, Membership, Profile, Subject, SubjectView, Tag},
};

/// Decisions between two samples of a worker. Prime, so that a page which
/// always asks for the same flows in turn is not sampled at one of them only.
const EVERY: u32 = 61;

/// What one decision was made of besides the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Of which environment.
    pub slot: EnvironmentSlot,
    /// The flow asked for.
    pub sid: Box<str>,
    /// The version asked for.
    pub tag: Tag,
    /// The channel of the request or of its key.
    pub channel: Option<Box<str>>,
    /// The percentage decision on record.
    pub membership: Option<Membership>,
    /// The user as they stood.
    pub user: Arc<Subject>,
    /// The group the request named.
    pub group: Option<Arc<Profile>>,
    /// Attributes of the request.
    pub attributes: Option<Map<String, Value>>,
    /// The conversation the request named.
    pub conversation: Option<Box<str>>,
}

impl Context {
    /// What was asked.
    pub(super) fn ask(&self) -> Ask<'_> {
        Ask {
            sid: &self.sid,
            tag: self.tag,
            channel: self.channel.as_deref(),
            membership: self.membership,
        }
    }

    /// For whom.
    pub(super) fn view(&self) -> SubjectView<'_> {
        SubjectView {
            user: &self.user,
            group: self.group.as_deref(),
            attributes: self.attributes.as_ref(),
            conversation: self.conversation.as_deref(),
        }
    }
}

/// A worker's end of the channel.
#[derive(Debug)]
pub struct Sampler {
    /// None when no environment is guarded.
    contexts: Option<mpsc::Sender<Context>>,
    until: Cell<u32>,
}

impl Sampler {
    /// Over this channel; none samples nothing.
    pub fn new(contexts: Option<mpsc::Sender<Context>>) -> Self {
        Self {
            contexts,
            // The first decision, so that quiet edges have samples soon.
            until: Cell::new(0),
        }
    }

    /// Hands over every so many-th decision.
    pub fn offer(&self, context: impl FnOnce() -> Context) {
        let Some(contexts) = &self.contexts else {
            return;
        };
        match self.until.get().checked_sub(1) {
            Some(until) => self.until.set(until),
            None => {
                self.until.set(EVERY - 1);
                // A full channel: others were sampled in its place.
                if let Ok(place) = contexts.try_reserve() {
                    place.send(context());
                }
            }
        }
    }
}
