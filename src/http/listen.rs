//! Which address do we hold?
//!
//! A plain bind: with `SO_REUSEPORT` a second process could share the port in
//! silence and take half of the traffic. `SO_REUSEADDR` only lets a restart
//! pass over connections in TIME_WAIT.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel keeps ready for us; it lowers the number to
/// `net.core.somaxconn` by itself.
const BACKLOG: i32 = 4096;

/// The address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// As configured.
    pub address: SocketAddr,
    /// What the system said, such as "address already in use".
    #[source]
    pub cause: io::Error,
}

/// A bound socket that nobody accepts from yet: bind early, serve later.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds; port 0 picks a free one.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::open(address).map_err(|cause| BindError { address, cause })
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
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
        Ok(Self { socket, address })
    }

    /// The real address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For the acceptor's runtime.
    pub(super) fn into_std(self) -> std::net::TcpListener {
        self.socket
    }
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
}
