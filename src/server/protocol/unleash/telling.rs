//! What is a client told that follows flags?
//!
//! The events that lead from what it has to what is in force, as far as its
//! key and question reach; everything as one event where that way is not known.
//! Many clients come at once with the same question after a restart: each
//! worker keeps the last of those answers, and a stream that is slow to take
//! one holds no copy of its own, however large it is.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;

use super::wanted::Wanted;
use crate::{
    current::{Environment, EnvironmentSlot},
    limits::{FLAG_ANSWERS_BYTES_MAX, FLAG_ANSWERS_KNOWN},
    server::auth::Access,
    snapshot::{Key, flags::FlagMark},
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
        return Some(answers.everything(environment, key, wanted));
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

/// The answers of a worker that are everything, the last one first.
#[derive(Debug, Default)]
pub(in crate::server) struct Answers(RefCell<VecDeque<Known>>);

#[derive(Debug)]
struct Known {
    slot: EnvironmentSlot,
    mark: FlagMark,
    /// Of the flags: whatever they are called, others are not taken for them.
    fingerprint: [u8; 32],
    projects: Box<[Box<str>]>,
    wanted: Wanted,
    /// As long as it is kept or a stream takes it.
    json: Weak<Vec<u8>>,
    /// Of the last ones, as far as there is room.
    kept: Option<Arc<Vec<u8>>>,
}

/// An answer on its way to a client.
struct Sent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Answers {
    fn everything(&self, environment: &Environment, key: &Key, wanted: &Wanted) -> Told {
        let mark = environment.snapshot.flag_mark;
        let fingerprint = *environment.snapshot.flags.fingerprint();
        let mut list = self.0.borrow_mut();
        // What is not in force any more is of no use to whoever comes now.
        list.retain(|own| {
            let is_in_force = own.mark == mark && own.fingerprint == fingerprint;
            own.json.strong_count() > 0 && (own.slot != environment.slot || is_in_force)
        });
        let same = |own: &Known| {
            own.slot == environment.slot && own.projects == key.projects && own.wanted == *wanted
        };
        let at = list.iter().position(same);
        let known = at.and_then(|at| list.remove(at));
        let json = known.as_ref().and_then(|own| own.json.upgrade());
        let json = json.unwrap_or_else(|| Arc::new(hydration(environment, key, wanted)));
        list.push_front(Known {
            slot: environment.slot,
            mark,
            fingerprint,
            projects: key.projects.clone(),
            wanted: wanted.clone(),
            json: Arc::downgrade(&json),
            kept: None,
        });
        list.truncate(FLAG_ANSWERS_KNOWN);
        keep(&mut list);
        Told {
            mark,
            json: Bytes::from_owner(Sent(json)),
            is_whole: true,
        }
    }
}

/// Keeps the last answers for which there is room, and no others.
fn keep(list: &mut VecDeque<Known>) {
    let mut room = FLAG_ANSWERS_BYTES_MAX;
    for own in list {
        let json = own.json.upgrade();
        own.kept = json.filter(|json| json.len() <= room);
        room -= own.kept.as_ref().map_or(0, |json| json.len());
    }
}

/// Everything as one event.
fn hydration(environment: &Environment, key: &Key, wanted: &Wanted) -> Vec<u8> {
    let mut json = HEAD.to_vec();
    let event = environment.snapshot.flag_mark.event;
    let head = format!("{{\"type\":\"hydration\",\"eventId\":{event},");
    json.extend_from_slice(head.as_bytes());
    let flags = &environment.snapshot.flags;
    flags.write_features(&mut json, &wanted.scope(key));
    json.push(b'}');
    json.extend_from_slice(TAIL);
    json.shrink_to_fit();
    json
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        current::{Current, Freshness},
        snapshot::{
            Revision, Snapshot,
            flags::{FlagToken, Flags, FlagsDocument},
        },
    };

    /// An environment whose flags come to a bit more than this as an answer.
    fn environment(bytes: usize) -> Arc<Environment> {
        const FLAGS: usize = 1024;
        let note = "x".repeat(bytes / FLAGS);
        let flag = |at: usize| json!({"name": format!("flag-{at}"), "description": note});
        let flags: Vec<_> = (0..FLAGS).map(flag).collect();
        let document = json!({"features": flags}).to_string();
        let document = FlagsDocument::read(document.as_bytes()).expect("a document");
        let flags = Flags::compile(&document).into();
        let token = FlagToken::parse("*:dev.a1b2c3d4e5", "a token").expect("a token");
        let revision = Revision {
            epoch: 0,
            number: 1,
        };
        let snapshot = Snapshot::of_unsigned_flags("dev", revision, &flags, &[token]);
        let freshness = Freshness {
            issued_ms: 0,
            fresh_until_ms: u64::MAX,
            expires_ms: u64::MAX,
        };
        let current = Current::default();
        drop(current.publish(Arc::new(snapshot), freshness));
        current.load().named("dev").expect("it is live").clone()
    }

    /// The answer to a question of its own.
    fn answer(answers: &Answers, environment: &Environment, question: usize) -> Bytes {
        let wanted = Wanted {
            projects: vec!["default".into(), question.to_string().into()],
            ..Wanted::default()
        };
        let key = &environment.snapshot.keys[0];
        answers.everything(environment, key, &wanted).json
    }

    fn bytes_kept(answers: &Answers) -> usize {
        let list = answers.0.borrow();
        let kept = list.iter().filter_map(|own| own.kept.as_ref());
        kept.map(|json| json.len()).sum()
    }

    /// Found by review: each stream had a copy of its own of an answer that was
    /// too large to be kept.
    #[test]
    fn streams_share_an_answer_that_is_too_large_to_be_kept() {
        let environment = environment(FLAG_ANSWERS_BYTES_MAX);
        let answers = Answers::default();
        let first = answer(&answers, &environment, 0);
        assert!(first.len() > FLAG_ANSWERS_BYTES_MAX);
        // Nor does it matter what others ask meanwhile.
        let other = answer(&answers, &environment, 1);
        let again = answer(&answers, &environment, 0);
        assert_eq!(again.as_ptr(), first.as_ptr());
        assert_ne!(other.as_ptr(), first.as_ptr());
        assert_eq!(bytes_kept(&answers), 0);
        drop((first, other, again));
        let list = answers.0.borrow();
        assert!(list.iter().all(|own| own.json.upgrade().is_none()));
    }

    #[test]
    fn the_last_answers_are_kept_as_far_as_there_is_room() {
        let environment = environment(FLAG_ANSWERS_BYTES_MAX / 5);
        let answers = Answers::default();
        let taken: Vec<Bytes> = (0..6)
            .map(|at| answer(&answers, &environment, at))
            .collect();
        let kept = |question: usize| {
            let list = answers.0.borrow();
            let pointer = taken[question].as_ptr();
            let mut kept = list.iter().filter_map(|own| own.kept.as_ref());
            kept.any(|json| json.as_ptr() == pointer)
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(kept),
            [false, false, true, true, true, true]
        );
        assert!(bytes_kept(&answers) <= FLAG_ANSWERS_BYTES_MAX);
        // Whoever asks makes it one of the last.
        assert_eq!(
            answer(&answers, &environment, 0).as_ptr(),
            taken[0].as_ptr()
        );
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(kept),
            [true, false, false, true, true, true]
        );
    }

    #[test]
    fn only_so_many_questions_are_known() {
        let environment = environment(0);
        let answers = Answers::default();
        let taken: Vec<Bytes> = (0..FLAG_ANSWERS_KNOWN + 5)
            .map(|at| answer(&answers, &environment, at))
            .collect();
        assert_eq!(answers.0.borrow().len(), FLAG_ANSWERS_KNOWN);
        drop(taken);
    }
}
