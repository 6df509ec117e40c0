//! Is this address in that network?
//!
//! Networks are written as an address, or as an address and the length of its
//! prefix. Only the address type of the language is used here: it is a number
//! with a notation, and opens nothing.

use core::net::IpAddr;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The address a text spells.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

impl Network {
    /// Reads one; none where the text is neither an address nor a network.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, prefix) = match text.split_once('/') {
            Some((host, prefix)) => (host, Some(prefix)),
            None => (text, None),
        };
        let address = address(host)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            // A sign would be read as part of a number.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether the address is one of them. Never across the two kinds of
    /// addresses.
    pub(super) fn has(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, address};

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        let has = |network: &str, text: &str| {
            Network::parse(network).unwrap().has(address(text).unwrap())
        };
        assert!(has("10.1.2.3", "10.1.2.3"));
        assert!(!has("10.1.2.3", "10.1.2.2"));
        assert!(has("10.1.2.3/8", "10.255.0.1"));
        assert!(!has("10.1.2.3/8", "11.1.2.3"));
        assert!(has("0.0.0.0/0", "203.0.113.9"));
        assert!(has("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!has("2001:db8::/33", "2001:db8:8000::1"));
        assert!(has("::/0", "::1"));
        assert!(!has("::/0", "127.0.0.1"));
        assert!(!has("0.0.0.0/0", "::ffff:127.0.0.1"));
    }

    #[test]
    fn texts_that_are_no_networks_are_none() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1/8/8",
            "localhost",
            " 10.0.0.1",
        ] {
            assert_eq!(Network::parse(text), None, "{text:?}");
        }
    }
}
