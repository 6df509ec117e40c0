//! How does a client hear of flags without asking again?
//!
//! `GET /api/client/streaming` answers with server-sent events: first what the
//! client lacks, which is everything unless it names the last event it had;
//! then what changes, as it is published. One task for each stream, on the
//! worker of its connection. One piece waits for the client at the most: while
//! a slow one takes it, revisions gather in the history and not here.

use std::{convert::Infallible, panic::AssertUnwindSafe, rc::Rc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::{HeaderMap, header::HeaderName};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    counts::{Ending, Event},
    reply::Reply,
    telling::{NOTHING, Told, news},
    wanted::Wanted,
};
use crate::{
    http::Answer,
    limits::{FLAG_STREAM_STALL_MS, STREAM_BEAT_MS},
    progress::Seat,
    server::{
        EdgeService,
        deciding::refuse_old,
        error::{AuthError, Fault},
        following::Title,
        protocol::flows::event_stream,
    },
    snapshot::flags::FlagMark,
};

/// What keeps a connection, and balancers on the way, from taking the silence
/// for an end.
const BEAT: Bytes = Bytes::from_static(b":\n\n");

const BEAT_EVERY: Duration = Duration::from_millis(STREAM_BEAT_MS);

/// Pieces on their way to a client beside the one that is being sent.
const PIECES: usize = 1;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What is sent one after the other.
type Pieces = Vec<Bytes>;

/// Opens a stream.
pub(super) fn open(
    edge: &Rc<EdgeService>,
    reply: &Reply<'_>,
    query: &str,
) -> Result<Answer, Fault> {
    let wanted = Wanted::of_query(query)?;
    let access = reply.access;
    let Some(seat) = edge.changes.seat(&access.key.sha256) else {
        edge.changes.counts().stream_refused();
        return Err(Fault::Streams);
    };
    let mut follower = Follower {
        // Before the first look, which finds what was before it.
        published: edge.current.watch(),
        edge: Rc::clone(edge),
        title: Title::of(access),
        wanted,
        had: had(reply.headers),
        _seat: seat,
    };
    let first = follower.begin().map_err(|ending| match ending {
        Ending::Old => Fault::Auth(AuthError::NotYet),
        Ending::Gone | Ending::Slow | Ending::Refused => Fault::Auth(AuthError::Unknown),
    })?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let following = AssertUnwindSafe(follower.run(sender, first)).catch_unwind();
    // Nobody waits for the task: it ends with the connection, whose body it
    // feeds.
    drop(tokio::task::spawn_local(async move {
        if following.await.is_err() {
            tracing::error!("a stream of flags panicked and has ended");
        }
    }));
    let (environment, now) = (access.environment, reply.now);
    Ok(edge.stamps.stamped(environment, now, event_stream(pieces)))
}

/// What a client had last, if it is one of ours.
fn had(headers: &HeaderMap) -> Option<FlagMark> {
    let sent = headers.get(&LAST_EVENT_ID)?;
    sent.to_str().ok()?.trim().parse().ok()
}

/// One stream.
struct Follower {
    edge: Rc<EdgeService>,
    published: watch::Receiver<u64>,
    title: Title,
    wanted: Wanted,
    /// What was in force when the client was told last.
    had: Option<FlagMark>,
    /// Given back when the stream ends.
    _seat: Seat,
}

impl Follower {
    /// The first piece. A client that lacks nothing hears that, too.
    fn begin(&mut self) -> Result<Pieces, Ending> {
        let told = self.look()?;
        let nothing = Told {
            mark: self.had.unwrap_or_default(),
            json: NOTHING,
            is_whole: false,
        };
        let told = told.unwrap_or(nothing);
        let event = if told.is_whole {
            Event::Hydration
        } else {
            Event::Resumed
        };
        self.edge.changes.flag_counts().tells(event);
        Ok(pieces("unleash-connected", told))
    }

    /// Tells until the client goes, serving ends or the key does.
    async fn run(mut self, sender: mpsc::Sender<Bytes>, first: Pieces) {
        let ending = match self.tell(&sender, first).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        self.edge.changes.flag_counts().ended(ending);
    }

    async fn tell(
        &mut self,
        sender: &mpsc::Sender<Bytes>,
        first: Pieces,
    ) -> Result<Infallible, Ending> {
        let mut next = Some(first);
        let mut beat = Instant::now() + BEAT_EVERY;
        loop {
            if let Some(pieces) = next.take() {
                for piece in pieces {
                    self.room(sender).await?.send(piece);
                }
                // Until the last one is on its way, whatever is new is not even
                // looked at.
                drop(self.room(sender).await?);
                beat = Instant::now() + BEAT_EVERY;
            }
            tokio::select! {
                // Dropping the sender would be noticed only by sending.
                () = sender.closed() => return Err(Ending::Gone),
                changed = self.published.changed() => {
                    changed.map_err(|_| Ending::Gone)?;
                    next = self.update()?;
                }
                () = sleep_until(beat) => {
                    beat = Instant::now() + BEAT_EVERY;
                    // What is in force gets older also when nothing is said.
                    next = Some(self.update()?.unwrap_or_else(|| vec![BEAT]));
                }
            }
        }
    }

    /// What is new, if anything is.
    fn update(&mut self) -> Result<Option<Pieces>, Ending> {
        let told = self.look()?;
        let counts = self.edge.changes.flag_counts();
        Ok(told.map(|told| {
            let event = if told.is_whole {
                Event::Hydration
            } else {
                Event::Updated
            };
            counts.tells(event);
            pieces("unleash-updated", told)
        }))
    }

    /// Against the live value of this moment, which is no older than any that
    /// was told of before.
    fn look(&mut self) -> Result<Option<Told>, Ending> {
        let live = self.edge.current.load();
        let access = self.title.access(&live).map_err(|_| Ending::Refused)?;
        refuse_old(access.environment, self.edge.now()).map_err(|_| Ending::Old)?;
        let told = news(access, &self.wanted, self.had, &self.edge.flag_answers);
        self.had = Some(access.environment.flag_history.mark());
        Ok(told)
    }

    /// Waits until the client has taken what was sent. A key that is revoked
    /// ends the stream also of one that takes nothing.
    async fn room<'s>(
        &self,
        sender: &'s mpsc::Sender<Bytes>,
    ) -> Result<mpsc::Permit<'s, Bytes>, Ending> {
        let late = Instant::now() + Duration::from_millis(FLAG_STREAM_STALL_MS);
        // Not marked as seen: whatever was published meanwhile is looked at
        // when there is room.
        let mut published = self.published.clone();
        loop {
            tokio::select! {
                room = timeout_at(late, sender.reserve()) => {
                    // Its connection was cut, or its time is over.
                    let room = room.map_err(|_| Ending::Slow)?;
                    return room.map_err(|_| Ending::Slow);
                }
                changed = published.changed() => {
                    changed.map_err(|_| Ending::Gone)?;
                    if self.title.has_ended(&self.edge.current) {
                        return Err(Ending::Refused);
                    }
                }
            }
        }
    }
}

/// One event. Its data may be shared with other streams, and is not copied.
fn pieces(name: &str, told: Told) -> Pieces {
    let head = format!("id: {}\nevent: {name}\ndata: ", told.mark);
    // JSON as it is written here has no line breaks.
    vec![head.into(), told.json, Bytes::from_static(b"\n\n")]
}
