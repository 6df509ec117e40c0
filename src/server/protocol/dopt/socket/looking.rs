//! What holds now, and what of it is to be pushed?
//!
//! A look decides every watched flow as a read would at this moment, and keeps
//! nothing of it. A state that is only assumed is not pushed: it would
//! overwrite what the client knows.

use std::sync::Arc;

use arc_swap::Guard;

use super::{
    counts::Pushed,
    packet,
    session::{Follower, Session},
    watching::{Push, Watch, Watched},
    wire::End,
};
use crate::{
    evaluate::Tag,
    server::{
        EdgeService,
        auth::Access,
        deciding::{Inquiry, Known, Who, channel},
        following::Ended,
        target::refuse_unknown,
    },
    snapshot::Unsigned,
};

/// Which watches are looked at.
#[derive(Clone, Copy)]
pub(super) enum Which {
    All,
    /// All, and said also where they were said before.
    Again,
    /// This one, whatever was said of it.
    One(usize),
}

impl Session {
    /// Reads what holds now, and pushes what is to be told.
    pub(super) async fn look(&mut self, own: &mut Follower, which: Which) -> Result<(), End> {
        own.waking.looking();
        let mut push = Push::default();
        let mut complaint = None;
        {
            let live = Guard::into_inner(self.edge.current.load());
            let access = own.title.access(&live)?;
            if !own.signed && asks_signature(access) {
                return Err(Ended::Key.into());
            }
            let watches = match which {
                Which::All | Which::Again => own.watches.list_mut(),
                Which::One(at) => &mut own.watches.list_mut()[at..=at],
            };
            // Before anything can fail: what cannot be said now is said later.
            if !matches!(which, Which::All) {
                watches.iter_mut().for_each(Watch::forget);
            }
            let sids: Vec<Box<str>> = watches.iter().map(|own| own.watched.sid.clone()).collect();
            let known = match self.inquire(access) {
                Some(inquiry) => {
                    let known = known(&self.edge, &inquiry, &sids).await;
                    known.map(|known| (inquiry, known))
                }
                None => None,
            };
            let sure = known.as_ref().is_some_and(|(_, known)| is_sure(known));
            own.waking.looked(sure);
            let Some((inquiry, known)) = known.filter(|_| sure) else {
                return Ok(());
            };
            for (at, watch) in watches.iter_mut().enumerate() {
                let decision = inquiry.decision(&known, at, &sids[at], watch.watched.tag);
                match refuse_unknown(&decision, access.environment, &sids[at]) {
                    Ok(()) => watch.tell(decision, &mut push),
                    // It is followed all the same: it may be published later.
                    Err(fault) => complaint = Some(fault.details()),
                }
            }
        }
        self.push(push).await?;
        match complaint {
            Some(text) if matches!(which, Which::One(_)) => self.complain(&text).await,
            _ => Ok(()),
        }
    }

    fn inquire<'r>(&'r self, access: Access<'r>) -> Option<Inquiry<'r>> {
        let who = Who {
            user: &self.visitor.user,
            group: self.visitor.group.as_deref(),
            conversation: None,
            attributes: None,
        };
        let now = self.edge.now();
        // What is too old to be answered is too old to be pushed.
        Inquiry::open(access, who, channel(access.key, None).ok()?, (now, now)).ok()
    }

    async fn push(&mut self, push: Push) -> Result<(), End> {
        let counts = Arc::clone(&self.edge.sockets.counts);
        if let Some(blocks) = push.blocks() {
            counts.pushed(Pushed::Blocks);
            self.wire.say(packet::event_with("blocks", &blocks)).await?;
        }
        for flow in push.flows {
            counts.pushed(Pushed::Flow);
            self.wire.say(packet::event_with("flow", &flow)).await?;
        }
        Ok(())
    }

    /// Something for the client's log.
    pub(super) async fn complain(&mut self, text: &str) -> Result<(), End> {
        self.edge.sockets.counts.pushed(Pushed::Error);
        self.wire.say(packet::error(text)).await
    }

    /// A client that connects again may name nothing: it goes on with what its
    /// subject followed last, or else with all it ever began. Whether anybody
    /// could say what that is.
    pub(super) async fn go_on(&mut self, own: &mut Follower) -> Result<bool, End> {
        if let Some(before) = own.sockets.followed.get(&own.memory) {
            own.watches.guess(before.iter().cloned());
            self.look(own, Which::All).await?;
            return Ok(true);
        }
        let live = Guard::into_inner(self.edge.current.load());
        let access = own.title.access(&live)?;
        let known = match self.inquire(access) {
            Some(inquiry) => known(&self.edge, &inquiry, &[]).await,
            None => None,
        };
        let Some(known) = known.filter(is_sure) else {
            return Ok(false);
        };
        let begun: Vec<Watched> = begun(&access, &known);
        own.watches.guess(begun.into_iter());
        self.look(own, Which::All).await?;
        Ok(true)
    }
}

/// Whether the environment has come to serve signed users only.
fn asks_signature(access: Access<'_>) -> bool {
    access.environment.snapshot.access.unsigned != Unsigned::Allowed && access.key.kind.is_public()
}

fn is_sure(known: &Known) -> bool {
    !known.is_assumed() && !known.read.behind
}

/// What decisions about these flows rest on; none when it cannot be had now.
async fn known(edge: &EdgeService, inquiry: &Inquiry<'_>, sids: &[Box<str>]) -> Option<Known> {
    let sids = sids.iter().map(|sid| &**sid);
    if let Some(known) = inquiry.known_now(edge, sids.clone()) {
        return inquiry.admit(known).ok();
    }
    let _turn = edge.changes.turn().await;
    inquiry.known(edge, sids).await.ok()
}

/// The newest version of each flow that the subject has begun.
fn begun(access: &Access<'_>, known: &Known) -> Vec<Watched> {
    let snapshot = &access.environment.snapshot;
    let mut newest: Vec<Watched> = Vec::new();
    let flows = known.read.subject.flows.iter();
    for own in flows.filter(|own| own.conversation.is_none()) {
        let Some(flow) = snapshot.flows_by_key.get(&own.flow) else {
            continue;
        };
        let tag = Tag::Number(own.version);
        match newest.last_mut() {
            // Sorted by flow and version.
            Some(last) if last.sid == flow.sid => last.tag = tag,
            _ => newest.push(Watched {
                sid: flow.sid.clone(),
                tag,
                whole: true,
            }),
        }
    }
    newest
}
