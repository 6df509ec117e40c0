//! What is a client told that follows flags?
//!
//! The events that lead from what it has to what is in force, as far as its
//! key and question reach; everything as one event where that way is not known.
//! Many clients come at once with the same question after a restart: each
//! worker keeps the last of those answers, and a stream that is slow to take
//! one holds no copy of its own.

use std::{cell::RefCell, collections::VecDeque};

use bytes::Bytes;

use super::wanted::Wanted;
use crate::{
    current::{Environment, EnvironmentSlot},
    limits::{FLAG_ANSWERS_KEPT, FLAG_CHANGES_BYTES_MAX},
    server::auth::Access,
    snapshot::flags::FlagMark,
};

/// `{"events":[…]}`, and by what the client knows the flags it leads to.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) mark: FlagMark,
    pub(super) json: Bytes,
    /// Whether it is everything.
    pub(super) is_whole: bool,
}

/// What begins and ends a list of events.
const HEAD: &[u8] = b"{\"events\":[";
const TAIL: &[u8] = b"]}";

/// No event.
pub(super) const NOTHING: Bytes = Bytes::from_static(b"{\"events\":[]}");

/// What is new for a client since what it has; none when nothing is.
pub(super) fn news(
    access: Access<'_>,
    wanted: &Wanted,
    since: Option<FlagMark>,
    answers: &Answers,
) -> Option<Told> {
    let (environment, key) = (access.environment, access.key);
    let steps = since.and_then(|since| environment.flag_history.since(since, key));
    let Some(steps) = steps else {
        return Some(answers.everything(access, wanted));
    };
    let scope = wanted.scope(key);
    let mut json = HEAD.to_vec();
    let mut last = None;
    for step in steps {
        if step.write(&mut json, &scope) {
            last = Some(step.mark());
        }
    }
    let mark = last?;
    json.extend_from_slice(TAIL);
    // Each event comes behind a comma, and before the first there is none.
    json.remove(HEAD.len());
    Some(Told {
        mark,
        json: json.into(),
        is_whole: false,
    })
}

/// The answers of a worker that are everything.
#[derive(Debug, Default)]
pub(in crate::server) struct Answers(RefCell<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    slot: EnvironmentSlot,
    mark: FlagMark,
    /// Of the flags: whatever they are called, others are not taken for them.
    fingerprint: [u8; 32],
    projects: Box<[Box<str>]>,
    wanted: Wanted,
    json: Bytes,
}

impl Answers {
    fn everything(&self, access: Access<'_>, wanted: &Wanted) -> Told {
        let environment = access.environment;
        let mark = environment.snapshot.flag_mark;
        let fingerprint = *environment.snapshot.flags.fingerprint();
        let mut kept = self.0.borrow_mut();
        // What is not in force any more is of no use to anybody.
        kept.retain(|own| {
            let is_in_force = own.mark == mark && own.fingerprint == fingerprint;
            own.slot != environment.slot || is_in_force
        });
        let same = |own: &&Kept| {
            own.slot == environment.slot
                && own.projects == access.key.projects
                && own.wanted == *wanted
        };
        let known = kept.iter().find(same).map(|own| own.json.clone());
        let json = known.unwrap_or_else(|| {
            let json = hydration(environment, access, wanted);
            if json.len() <= FLAG_CHANGES_BYTES_MAX {
                kept.truncate(FLAG_ANSWERS_KEPT - 1);
                kept.push_front(Kept {
                    slot: environment.slot,
                    mark,
                    fingerprint,
                    projects: access.key.projects.clone(),
                    wanted: wanted.clone(),
                    json: json.clone(),
                });
            }
            json
        });
        Told {
            mark,
            json,
            is_whole: true,
        }
    }
}

/// Everything as one event.
fn hydration(environment: &Environment, access: Access<'_>, wanted: &Wanted) -> Bytes {
    let mut json = HEAD.to_vec();
    let event = environment.snapshot.flag_mark.event;
    let head = format!("{{\"type\":\"hydration\",\"eventId\":{event},");
    json.extend_from_slice(head.as_bytes());
    let flags = &environment.snapshot.flags;
    flags.write_features(&mut json, &wanted.scope(access.key));
    json.push(b'}');
    json.extend_from_slice(TAIL);
    json.into()
}
