//! What does one socket follow, and what was it told?
//!
//! A watch names a flow and a version and remembers hashes of what was said
//! last: what is pushed is the difference, so a wake that comes once for a
//! hundred changes loses nothing. A push says what a GET with the same version
//! would say at this moment, and changes nothing.

use std::hash::{DefaultHasher, Hasher};

use crate::{
    evaluate::{Decision, Tag},
    limits::SOCKET_WATCHES_MAX,
    server::{
        deciding::{Door, Settled},
        protocol::write_text,
    },
    snapshot::{Version, write_block, write_empty_flow, write_flow},
};

/// A flow that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) sid: Box<str>,
    pub(super) tag: Tag,
    /// Whether the flow itself is told, or its blocks alone.
    pub(super) whole: bool,
}

/// One of them, and what was told of it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) watched: Watched,
    /// The version that was told.
    number: Option<u32>,
    flow: Option<u64>,
    /// In the order of the version's shown blocks.
    blocks: Vec<u64>,
}

/// All that a socket follows.
#[derive(Debug, Default)]
pub(super) struct Watches {
    list: Vec<Watch>,
    /// The client has named none of them: they stand in for what it would.
    guessed: bool,
}

/// What a client is to be told.
#[derive(Debug, Default)]
pub(super) struct Push {
    /// The inside of an object.
    blocks: Vec<u8>,
    pub(super) flows: Vec<Vec<u8>>,
}

impl Watches {
    /// Whether the client has named anything.
    pub(super) fn is_told(&self) -> bool {
        !self.list.is_empty() && !self.guessed
    }

    pub(super) fn list(&self) -> &[Watch] {
        &self.list
    }

    pub(super) fn list_mut(&mut self) -> &mut [Watch] {
        &mut self.list
    }

    /// Follows this, too; its place, or none when there are too many. Clients
    /// keep one version of a flow, so the one they named last is followed; a
    /// block alone does not change it.
    pub(super) fn add(&mut self, watched: Watched) -> Option<usize> {
        self.guessed = false;
        let same = |own: &Watch| own.watched.sid == watched.sid;
        let Some(at) = self.list.iter().position(same) else {
            if self.list.len() >= SOCKET_WATCHES_MAX {
                return None;
            }
            self.list.push(Watch::new(watched));
            return Some(self.list.len() - 1);
        };
        let own = &mut self.list[at];
        if own.watched.tag == watched.tag {
            own.watched.whole |= watched.whole;
        } else if watched.whole || !own.watched.whole {
            *own = Watch::new(watched);
        }
        Some(at)
    }

    /// Follows what the client is taken to follow.
    pub(super) fn guess(&mut self, all: impl Iterator<Item = Watched>) {
        self.list = all.take(SOCKET_WATCHES_MAX).map(Watch::new).collect();
        self.guessed = true;
    }

    /// What is followed, for the next socket of the same subject.
    pub(super) fn watched(&self) -> Box<[Watched]> {
        self.list.iter().map(|own| own.watched.clone()).collect()
    }
}

impl Watch {
    fn new(watched: Watched) -> Self {
        Self {
            watched,
            number: None,
            flow: None,
            blocks: Vec::new(),
        }
    }

    /// Says all of it the next time.
    pub(super) fn forget(&mut self) {
        self.number = None;
        self.flow = None;
        self.blocks.clear();
    }

    /// Adds what differs from what was told.
    pub(super) fn tell(&mut self, decision: Decision<'_, '_>, push: &mut Push) {
        let shut = Door::of(&decision) == Door::Shut;
        match (decision.version, decision.flow) {
            (Some(version), _) => {
                // A newer version does not come by itself: its migration
                // belongs to a request. So the newest of now stays the newest.
                if self.watched.tag == Tag::Latest {
                    self.watched.tag = Tag::Number(version.number);
                }
                if self.number != Some(version.number) {
                    self.forget();
                    self.number = Some(version.number);
                }
                let settled = Settled::unkept(decision);
                if !shut {
                    self.tell_blocks(version, &settled, push);
                }
                let mut flow = Vec::new();
                let running = settled.is_running();
                write_flow(&mut flow, version, settled.state(), running, false);
                self.tell_flow(flow, push);
            }
            (None, Some(flow)) => {
                let mut body = Vec::new();
                write_empty_flow(&mut body, flow, false);
                self.tell_flow(body, push);
            }
            (None, None) => {}
        }
    }

    fn tell_flow(&mut self, body: Vec<u8>, push: &mut Push) {
        let hash = Some(hash(&body));
        if self.watched.whole && self.flow != hash {
            self.flow = hash;
            push.flows.push(body);
        }
    }

    fn tell_blocks(&mut self, version: &Version, settled: &Settled<'_, '_>, push: &mut Push) {
        let is_first = self.blocks.len() != version.shown.len();
        if is_first {
            self.blocks.clear();
        }
        let mut body = Vec::new();
        for (at, index) in version.shown.iter().enumerate() {
            let block = version.block(*index);
            let state = settled.state().and_then(|state| state.block(block.key));
            body.clear();
            write_block(&mut body, block, state, settled.is_running());
            let hash = hash(&body);
            match self.blocks.get_mut(at) {
                Some(known) if *known == hash => continue,
                Some(known) => *known = hash,
                None => self.blocks.push(hash),
            }
            push.block(&block.uid, &body);
        }
    }
}

impl Push {
    fn block(&mut self, uid: &str, body: &[u8]) {
        if !self.blocks.is_empty() {
            self.blocks.push(b',');
        }
        write_text(&mut self.blocks, uid);
        self.blocks.push(b':');
        self.blocks.extend_from_slice(body);
    }

    /// The blocks by uid, if there are any.
    pub(super) fn blocks(&self) -> Option<Vec<u8>> {
        let inside = &self.blocks;
        (!inside.is_empty()).then(|| [b"{", &inside[..], b"}"].concat())
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(sid: &str, tag: Tag) -> Watched {
        Watched {
            sid: sid.into(),
            tag,
            whole: true,
        }
    }

    #[test]
    fn a_flow_is_followed_in_one_version_and_there_is_an_end_to_them() {
        let mut watches = Watches::default();
        assert_eq!(watches.add(flow("a", Tag::Number(1))), Some(0));
        assert_eq!(watches.add(flow("a", Tag::Number(2))), Some(0));
        assert_eq!(*watches.watched(), [flow("a", Tag::Number(2))]);
        for at in 1..SOCKET_WATCHES_MAX {
            assert_eq!(watches.add(flow(&at.to_string(), Tag::Latest)), Some(at));
        }
        assert_eq!(watches.add(flow("more", Tag::Latest)), None);
        assert_eq!(watches.add(flow("a", Tag::Latest)), Some(0));
    }

    #[test]
    fn what_was_guessed_gives_way_to_what_is_named() {
        let mut watches = Watches::default();
        let guessed = [flow("a", Tag::Number(1)), flow("b", Tag::Number(1))];
        watches.guess(guessed.into_iter());
        assert!(!watches.is_told());
        watches.add(flow("a", Tag::Number(2)));
        assert!(watches.is_told());
        let left = watches.watched();
        assert_eq!(
            *left,
            [flow("a", Tag::Number(2)), flow("b", Tag::Number(1))]
        );
    }

    #[test]
    fn blocks_alone_become_the_whole_flow() {
        let mut watches = Watches::default();
        let blocks = Watched {
            whole: false,
            ..flow("a", Tag::Number(1))
        };
        watches.add(blocks.clone());
        watches.add(flow("a", Tag::Number(1)));
        assert_eq!(*watches.watched(), [flow("a", Tag::Number(1))]);
        let other = Watched {
            tag: Tag::Number(2),
            ..blocks
        };
        watches.add(other);
        assert_eq!(*watches.watched(), [flow("a", Tag::Number(1))]);
    }
}
