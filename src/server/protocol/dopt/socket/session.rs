//! What happens on one socket, from its first packet to its last?
//!
//! Open, CONNECT with the key, `ready`; then watches come in and states go out
//! for as long as the client answers pings and its key is good. One task reads
//! and writes: a client that takes nothing is not read from either, and what
//! changes meanwhile gathers in its subject and not here.

use std::{rc::Rc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    Sockets, Visitor,
    counts::Ending,
    looking::Which,
    packet::{Event, Packet},
    watching::{Watched, Watches},
    wire::{End, Wire, flood, understood},
};
use crate::{
    http::Upgraded,
    limits::{SOCKET_EVENTS_PER_PING_MAX, SOCKET_UNWATCHED_MS},
    progress::Seat,
    server::{
        EdgeService,
        following::{Reason, Title, Waking, visible},
        target::flow_of_block,
    },
};

/// How often the pause doubles after which it is asked again what a subject has
/// begun: to half a minute.
const UNASKED_DOUBLINGS: u32 = 5;

/// A client that was let in.
pub(super) struct Follower {
    pub(super) title: Title,
    /// It came with a token that names its user.
    pub(super) signed: bool,
    pub(super) waking: Waking,
    pub(super) watches: Watches,
    /// Where what it follows is kept for the next time.
    pub(super) memory: [u8; 32],
    pub(super) sockets: Sockets,
    pub(super) _seat: Seat,
}

impl Drop for Follower {
    fn drop(&mut self) {
        if !self.watches.list().is_empty() {
            let watched = self.watches.watched().into();
            self.sockets.followed.insert(self.memory, watched);
        }
    }
}

/// One socket.
pub(super) struct Session {
    pub(super) edge: Rc<EdgeService>,
    pub(super) visitor: Visitor,
    pub(super) wire: Wire,
}

/// Notes the end of a socket, however it comes.
struct Open {
    sockets: Sockets,
    how: Ending,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sockets.counts.ended(self.how);
    }
}

/// Serves one websocket to its end.
pub(super) async fn serve(edge: Rc<EdgeService>, visitor: Visitor, upgraded: Upgraded) {
    let Upgraded {
        stream,
        read,
        closing,
    } = upgraded;
    let sockets = edge.sockets.clone();
    sockets.counts.opened();
    let mut open = Open {
        sockets,
        how: Ending::Left,
    };
    let wire = Wire::new(stream, &read).await;
    let mut session = Session {
        edge,
        visitor,
        wire,
    };
    let end = tokio::select! {
        end = session.run() => end,
        // Never a socket.io disconnect, after which clients stay away.
        () = closing.begun() => End::new(Ending::Stopping, CloseCode::Away, "serving ends"),
    };
    open.how = end.how;
    session.wire.close(end).await;
}

impl Session {
    async fn run(&mut self) -> End {
        // Boxed, as is every look: an idle socket holds what its waiting takes.
        match Box::pin(self.meet()).await {
            Ok(follower) => match self.follow(follower).await {
                Ok(()) => End::left(),
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Tells, until the client goes or is sent away.
    async fn follow(&mut self, mut own: Box<Follower>) -> Result<(), End> {
        let options = self.edge.sockets.options;
        let mut ping = Instant::now() + options.ping_interval;
        let mut pong_expected = false;
        let mut heard = 0;
        let mut unasked = 0;
        let mut unwatched = Some(Instant::now() + Duration::from_millis(SOCKET_UNWATCHED_MS));
        loop {
            tokio::select! {
                text = self.wire.hear() => {
                    heard += 1;
                    if heard > SOCKET_EVENTS_PER_PING_MAX {
                        return Err(flood());
                    }
                    match understood(&text?)? {
                        Packet::Pong if pong_expected => {
                            pong_expected = false;
                            ping = Instant::now() + options.ping_interval;
                            heard = 0;
                        }
                        Packet::Event(event) => Box::pin(self.event(&mut own, event)).await?,
                        Packet::Leave => return Ok(()),
                        // One socket has one subject and one namespace.
                        Packet::Connect { .. } | Packet::Pong | Packet::Nothing => {}
                    }
                }
                reason = own.waking.reason() => match reason {
                    Some(Reason::Subject(woken)) => {
                        visible(&self.edge.progress, woken).await;
                        let which = if woken.again { Which::Again } else { Which::All };
                        Box::pin(self.look(&mut own, which)).await?;
                    }
                    Some(Reason::Published | Reason::Unsure) => Box::pin(self.look(&mut own, Which::All)).await?,
                    None => return Ok(()),
                },
                () = sleep_until(ping) => {
                    if pong_expected {
                        let reason = "no answer to a ping";
                        return Err(End::new(Ending::Silent, CloseCode::Away, reason));
                    }
                    self.wire.say("2".to_owned()).await?;
                    pong_expected = true;
                    ping = Instant::now() + options.ping_timeout;
                }
                () = sleep_until(unwatched.unwrap_or(ping)), if unwatched.is_some() => {
                    unwatched = None;
                    if !own.watches.is_told() && !Box::pin(self.go_on(&mut own)).await? {
                        // Nobody could say what the subject has begun.
                        unasked += 1;
                        let pause = SOCKET_UNWATCHED_MS << unasked.min(UNASKED_DOUBLINGS);
                        unwatched = Some(Instant::now() + Duration::from_millis(pause));
                    }
                }
            }
        }
    }

    async fn event(&mut self, own: &mut Follower, event: Event) -> Result<(), End> {
        let (watched, at_once) = match event {
            Event::Failed => return Ok(()),
            Event::Strange(text) => return self.complain(&text).await,
            Event::Flow { sid, tag } => (Some((sid, tag)), true),
            Event::Block { uid, tag } => (self.flow_of(own, &uid)?.map(|sid| (sid, tag)), false),
        };
        let Some((sid, tag)) = watched else {
            return self
                .complain("no such block; expected the uid of a block of this environment")
                .await;
        };
        let watched = Watched {
            sid,
            tag,
            whole: at_once,
        };
        match own.watches.add(watched) {
            Some(at) if at_once => self.look(own, Which::One(at)).await,
            Some(_) => Ok(()),
            None => {
                self.complain("too many flows are watched on one socket")
                    .await
            }
        }
    }

    fn flow_of(&self, own: &Follower, uid: &str) -> Result<Option<Box<str>>, End> {
        let live = self.edge.current.load();
        let access = own.title.access(&live)?;
        Ok(flow_of_block(access, uid).ok().map(|flow| flow.sid.clone()))
    }
}
