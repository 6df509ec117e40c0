//! Who may connect, and which worker serves them?
//!
//! One acceptor for each listener hands connections to the workers in turn:
//! with a shared or a reused port the kernel would give them out unevenly. It
//! never ends because of an error, closes what is above a cap at once, and
//! pauses when the process has no file descriptors left.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::select_all;
use rustc_hash::FxHashMap;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{mpsc, watch},
};

use super::{
    Service,
    connection::connection,
    listen::{Bound, Listener},
    proxies::Peer,
    pulse::Pulse,
    server::Stage,
    socket_file::SocketFile,
    worker::Shared,
};
use crate::{telemetry::metrics::HttpCounters, tls::ServerTls};

/// How long accept rests when the process is out of a resource: connections
/// end all the time, and trying without a pause would burn a core.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection on its way to a worker.
pub(super) struct Handover {
    pub(super) stream: Arrived,
    pub(super) peer: Peer,
    pub(super) place: Place,
    /// What its handshake uses; none speaks in the clear.
    pub(super) tls: Option<ServerTls>,
}

/// A connection on its way, of whatever kind: its worker serves it.
pub(super) trait Arrival: 'static {
    /// Serves it to its end.
    fn serve<S: Service>(
        self,
        shared: Rc<Shared<S>>,
        pulse: Rc<Pulse>,
    ) -> impl Future<Output = ()> + 'static;
}

impl Arrival for Handover {
    fn serve<S: Service>(
        self,
        shared: Rc<Shared<S>>,
        pulse: Rc<Pulse>,
    ) -> impl Future<Output = ()> + 'static {
        connection(shared, self, pulse)
    }
}

/// A connection that belongs to no runtime: the worker's own takes it.
pub(super) enum Arrived {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

pub(super) struct Acceptor {
    pub(super) listener: Listener,
    pub(super) handovers: Vec<mpsc::Sender<Handover>>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) caps: Caps,
    pub(super) counters: Arc<HttpCounters>,
}

/// A listener in this thread's runtime. The file goes last.
enum Door {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[allow(dead_code, reason = "removes the file when dropped")] SocketFile,
    ),
}

impl Door {
    fn of(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Bound::Unix(listener, file) => Self::Unix(UnixListener::from_std(listener)?, file),
        })
    }

    async fn accept(&self) -> io::Result<(Arrived, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, address) = listener.accept().await?;
                let peer = Peer {
                    address,
                    local: false,
                };
                // Small answers leave at once instead of waiting for an
                // acknowledgement. It fails when the peer is gone already.
                let moved = tcp.set_nodelay(true).and_then(|()| tcp.into_std());
                let gone = |error| io::Error::new(io::ErrorKind::ConnectionAborted, error);
                Ok((Arrived::Tcp(moved.map_err(gone)?), peer))
            }
            Self::Unix(listener, _) => {
                let (unix, _) = listener.accept().await?;
                let peer = Peer {
                    address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
                    local: true,
                };
                Ok((Arrived::Unix(unix.into_std()?), peer))
            }
        }
    }
}

impl Acceptor {
    /// Accepts until serving ends. Dropping `self` then closes the socket and
    /// the channels, by which the workers know that nobody else comes.
    pub(super) async fn run(self) {
        let Self {
            listener,
            handovers,
            mut stage,
            caps,
            counters,
        } = self;
        let Listener { bound, tls, .. } = listener;
        let door = match Door::of(bound) {
            Ok(door) => door,
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                return;
            }
        };
        let mut turn = 0;
        loop {
            let accepted = tokio::select! {
                accepted = door.accept() => accepted,
                // A closed channel means the server was dropped.
                _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
            };
            match accepted {
                Ok((stream, peer)) => match caps.enter(peer.address.ip()) {
                    Some(place) => {
                        let handover = Handover {
                            stream,
                            peer,
                            place,
                            tls: tls.as_ref().map(|tls| tls.borrow().clone()),
                        };
                        let handing = hand_over(handover, &handovers, &mut turn, &counters);
                        tokio::select! {
                            () = handing => {}
                            _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
                        }
                    }
                    None => counters.refused.add(1),
                },
                Err(error) => {
                    counters.accept_errors.add(1);
                    if !is_about_one_connection(&error) {
                        tracing::warn!(%error, "accepting connections pauses");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Gives the connection to the next worker that has room. When none has, the
/// rest waits in the kernel's queue: thousands that come at once are no reason
/// to reset one of them, and who is too much is turned away by the worker.
async fn hand_over(
    mut handover: Handover,
    handovers: &[mpsc::Sender<Handover>],
    turn: &mut usize,
    counters: &HttpCounters,
) {
    for _ in 0..handovers.len() {
        *turn = (*turn + 1) % handovers.len();
        match handovers[*turn].try_send(handover) {
            Ok(()) => {
                counters.accepted.add(1);
                return;
            }
            Err(refused) => handover = refused.into_inner(),
        }
    }
    // A worker that is gone never has room.
    let alive = handovers.iter().filter(|worker| !worker.is_closed());
    let rooms: Vec<_> = alive.map(|worker| Box::pin(worker.reserve())).collect();
    if !rooms.is_empty()
        && let (Ok(room), ..) = select_all(rooms).await
    {
        counters.accepted.add(1);
        room.send(handover);
    } else {
        counters.refused.add(1);
    }
}

/// Errors that belong to the connection that was to be taken; everything else
/// (no descriptors, no memory) concerns the next one as well.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How many connections are open, in all and by address.
#[derive(Clone, Debug)]
pub(super) struct Caps {
    total_max: usize,
    per_address_max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: FxHashMap<IpAddr, usize>,
}

impl Caps {
    pub(super) fn new(total_max: usize, per_address_max: usize) -> Self {
        Self {
            total_max,
            per_address_max,
            open: Arc::default(),
        }
    }

    /// A place for one more connection of this address, if there is one.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = counted_as(address);
        let mut open = lock(&self.open);
        if open.total >= self.total_max {
            return None;
        }
        let own = open.by_address.entry(address).or_default();
        if *own >= self.per_address_max {
            return None;
        }
        *own += 1;
        open.total += 1;
        Some(Place {
            address,
            open: Arc::clone(&self.open),
        })
    }
}

/// Held by a connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.total = open.total.saturating_sub(1);
        if let Some(own) = open.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// One subscriber holds a /64 of IPv6 addresses and could use them all.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

/// The counts are right at every point where a panic could leave them.
fn lock(open: &Mutex<Open>) -> std::sync::MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_count_in_all_and_by_network() {
        let caps = Caps::new(3, 2);
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let first = caps.enter(v6(1));
        let second = caps.enter(v6(2));
        assert!(first.is_some() && second.is_some());
        assert!(caps.enter(v6(3)).is_none(), "the /64 has its two");
        let other = caps.enter(IpAddr::from([10, 0, 0, 1]));
        assert!(other.is_some());
        assert!(
            caps.enter(IpAddr::from([10, 0, 0, 2])).is_none(),
            "three in all"
        );
        drop(first);
        assert!(caps.enter(v6(3)).is_some(), "its place was given back");
    }
}
