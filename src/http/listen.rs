//! Which address do we hold, and on what terms?
//!
//! A plain bind: with `SO_REUSEPORT` a second process could share the port in
//! silence and take half of the traffic. `SO_REUSEADDR` only lets a restart
//! pass over connections in TIME_WAIT. What a listener knows of TLS and of the
//! proxies before it goes with it.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::sync::watch;

use super::{proxies::Proxies, socket_file::SocketFile};
use crate::{address::Address, tls::ServerTls};

/// Connections the kernel keeps ready for us; it lowers the number to
/// `net.core.somaxconn` by itself.
const BACKLOG: i32 = 4096;

/// The address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// As configured.
    pub address: Address,
    /// What the system said, such as "address already in use".
    #[source]
    pub cause: io::Error,
}

/// A bound socket that nobody accepts from yet: bind early, serve later.
#[derive(Debug)]
pub struct Listener {
    pub(super) bound: Bound,
    address: Address,
    pub(super) tls: Option<watch::Receiver<ServerTls>>,
    pub(super) proxies: Option<Arc<Proxies>>,
}

/// A socket in its kind.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

impl Listener {
    /// Binds an address of the network; port 0 picks a free one.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::open(&Address::Tcp(address))
    }

    /// Binds an address of either kind.
    pub fn open(address: &Address) -> Result<Self, BindError> {
        let bound = match address {
            Address::Tcp(address) => tcp(*address).map(|(bound, real)| (bound, real.into())),
            Address::Unix(path) => SocketFile::take(path)
                .and_then(unix)
                .map(|bound| (bound, address.clone())),
        };
        match bound {
            Ok((bound, address)) => Ok(Self {
                bound,
                address,
                tls: None,
                proxies: None,
            }),
            Err(cause) => Err(BindError {
                address: address.clone(),
                cause,
            }),
        }
    }

    /// Speaks TLS, each new connection with what is in force then.
    #[must_use]
    pub fn secured(mut self, tls: Option<watch::Receiver<ServerTls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Believes these proxies when they say on whose behalf they ask.
    #[must_use]
    pub fn behind(mut self, proxies: Proxies) -> Self {
        self.proxies = (!proxies.is_empty()).then(|| Arc::new(proxies));
        self
    }

    /// The real address of the network; unspecified for a socket file, which
    /// [`Listener::url`] names.
    pub fn address(&self) -> SocketAddr {
        let unspecified = SocketAddr::from(([0; 4], 0));
        self.address.tcp().unwrap_or(unspecified)
    }

    /// How a client writes where this is.
    pub fn url(&self) -> String {
        self.address.url(self.tls.is_some())
    }
}

fn tcp(address: SocketAddr) -> io::Result<(Bound, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok((Bound::Tcp(socket), address))
}

/// Nobody can connect between `bind` and `listen`, so the file has its mode
/// before the first connection.
fn unix(mut file: SocketFile) -> io::Result<Bound> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(file.path())?)?;
    file.bound()?;
    socket.listen(BACKLOG)?;
    Ok(Bound::Unix(socket.into(), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_cause() {
        let first = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let error = Listener::bind(first.address()).expect_err("it is taken");
        assert_eq!(
            error.to_string(),
            format!("cannot listen on {}", first.address())
        );
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_socket_file_is_taken_over_from_the_dead_and_not_from_the_living() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("edge.sock");
        let address = Address::Unix(path.clone());
        let first = Listener::open(&address).expect("a new file");
        let error = Listener::open(&address).expect_err("somebody listens");
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists(), "it is removed at the end");

        // What a process leaves that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a file"));
        assert!(path.exists());
        let second = Listener::open(&address).expect("nobody listens any more");
        // A file that took its place is somebody else's.
        std::fs::remove_file(&path).expect("it is removed by hand");
        std::fs::write(&path, "notes").expect("another file");
        drop(second);
        assert!(path.exists(), "not ours to remove");
        let error = Listener::open(&address).expect_err("not a socket");
        assert!(
            error.cause.to_string().contains("not a socket"),
            "{error:?}"
        );
    }
}
