//! On whose behalf does a proxy ask?
//!
//! Only a proxy that is trusted is believed, and of the addresses it gives
//! only the rightmost that is not a trusted proxy's itself: what stands left of
//! it was written by whoever asked, and can be anything. One header is read,
//! the one the proxies are known to set; the other could be the caller's.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// The header that most proxies add a hop to.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Loopback for a socket file.
    pub(super) address: SocketAddr,
    /// By a socket file of this machine.
    pub(super) local: bool,
}

/// Which header the proxies set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HopHeader {
    /// A list of addresses.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their addresses.
    pub networks: Vec<IpNet>,
    /// Whoever connects to a socket file is one.
    pub local: bool,
    /// What they set.
    pub header: HopHeader,
}

/// A hop that cannot be read: whose address it is cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnreadableHop;

impl Proxies {
    /// Whether nobody is believed.
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.local
    }

    /// The address of whom the request is from.
    pub(super) fn client(&self, peer: Peer, headers: &HeaderMap) -> Result<IpAddr, UnreadableHop> {
        let own = peer.address.ip().to_canonical();
        let trusted = if peer.local {
            self.local
        } else {
            self.trusts(own)
        };
        if !trusted {
            return Ok(own);
        }
        match self.header {
            HopHeader::XForwardedFor => {
                let hops = headers.get_all(X_FORWARDED_FOR).iter();
                let hops = hops.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
                self.rightmost(own, hops.map(|hop| address(hop.trim_ascii())))
            }
            HopHeader::Forwarded => {
                let hops = headers.get_all(FORWARDED).iter().flat_map(elements);
                self.rightmost(own, hops.map(|element| address(forwarded_for(element))))
            }
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The last hop that is no trusted proxy's. When all are, the first one
    /// asked by itself.
    fn rightmost(
        &self,
        peer: IpAddr,
        hops: impl Iterator<Item = Option<IpAddr>>,
    ) -> Result<IpAddr, UnreadableHop> {
        let mut first = None;
        let mut client = None;
        for hop in hops {
            first = first.or(hop);
            if hop.is_none_or(|hop| !self.trusts(hop)) {
                client = Some(hop);
            }
        }
        match client {
            Some(hop) => hop.ok_or(UnreadableHop),
            None => Ok(first.unwrap_or(peer)),
        }
    }
}

/// An address as hops are written: bare, with a port, in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let parsed = text.parse::<IpAddr>().ok().or_else(|| {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bare {
            Some(bare) => bare.parse().ok().map(IpAddr::V6),
            None => text.parse::<SocketAddr>().ok().map(|known| known.ip()),
        }
    });
    parsed.map(|address| address.to_canonical())
}

/// The elements of a `Forwarded` value. Commas inside quotes part nothing:
/// a proxy may quote what the caller sent, such as the host.
fn elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    parts(value.as_bytes(), b',')
}

/// What `for` says in an element; empty when it says nothing.
fn forwarded_for(element: &[u8]) -> &[u8] {
    let mut pairs = parts(element, b';').map(<[u8]>::trim_ascii);
    let found = pairs.find_map(|pair| {
        let (name, value) = pair.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then_some(value)
    });
    let value = found.unwrap_or_default();
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    quoted.unwrap_or(value)
}

fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: HopHeader, peer: &str, values: &[&str]) -> Result<String, UnreadableHop> {
        let proxies = Proxies {
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
            local: true,
            header,
        };
        let name = match header {
            HopHeader::XForwardedFor => X_FORWARDED_FOR,
            HopHeader::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).expect("a value"));
        }
        let peer = Peer {
            address: SocketAddr::new(peer.parse().expect("an address"), 4711),
            local: peer == "127.0.0.1",
        };
        proxies
            .client(peer, &headers)
            .map(|client| client.to_string())
    }

    #[test]
    fn the_rightmost_hop_that_is_not_trusted_is_the_client() {
        let cases: [(&str, &[&str], Option<&str>); 12] = [
            ("192.0.2.1", &["198.51.100.7"], Some("192.0.2.1")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            ("::ffff:10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            (
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.7, 10.0.0.2"],
                Some("198.51.100.7"),
            ),
            (
                "10.0.0.1",
                &["1.1.1.1", "198.51.100.7,10.0.0.2"],
                Some("198.51.100.7"),
            ),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], Some("10.0.0.9")),
            ("10.0.0.1", &["198.51.100.7:443"], Some("198.51.100.7")),
            ("10.0.0.1", &["[2001:db8::1]:443"], Some("2001:db8::1")),
            ("127.0.0.1", &["2001:db8::1"], Some("2001:db8::1")),
            ("10.0.0.1", &["198.51.100.7, unknown"], None),
            // What the caller made up does not matter once a hop is known.
            ("10.0.0.1", &["rubbish, 198.51.100.7"], Some("198.51.100.7")),
        ];
        for (peer, values, expected) in cases {
            let found = client(HopHeader::XForwardedFor, peer, values);
            assert_eq!(found.ok().as_deref(), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_with_its_quotes() {
        let cases: [(&[&str], Option<&str>); 8] = [
            (&["for=198.51.100.7"], Some("198.51.100.7")),
            (
                &["proto=https;For=\"[2001:db8::1]:4711\";by=10.0.0.1"],
                Some("2001:db8::1"),
            ),
            (
                &["for=1.1.1.1, for=198.51.100.7;host=a, for=10.0.0.3"],
                Some("198.51.100.7"),
            ),
            (
                &["for=198.51.100.7;host=\"a,for=1.1.1.1\""],
                Some("198.51.100.7"),
            ),
            (
                &["for=198.51.100.7;host=\"a\\\",for=1.1.1.1\""],
                Some("198.51.100.7"),
            ),
            (&["for=_hidden"], None),
            (&["for=unknown, for=198.51.100.7"], Some("198.51.100.7")),
            (&["proto=https"], None),
        ];
        for (values, expected) in cases {
            let found = client(HopHeader::Forwarded, "10.0.0.1", values);
            assert_eq!(found.ok().as_deref(), expected, "{values:?}");
        }
    }
}
