//! Where can somebody listen?
//!
//! An address of the network, or a socket file of this machine. Written
//! `127.0.0.1:7070` and `unix:/run/flowgate/edge.sock`, in settings as in what
//! a program prints when it is ready. And how an address is repeated to people.

use std::{
    borrow::Cow,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// What stands before the path of a socket file.
const UNIX: &str = "unix:";

/// The longest path of a socket file that every system takes: the kernel's
/// structure has 104 bytes on some and 108 on others, one of them a zero.
const UNIX_PATH_BYTES_MAX: usize = 103;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Of the network; port 0 picks a free one.
    Tcp(SocketAddr),
    /// A socket file of this machine.
    Unix(PathBuf),
}

/// Neither of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address such as 127.0.0.1:7070, or unix: and an absolute path of at most \
     {UNIX_PATH_BYTES_MAX} bytes"
)]
pub struct AddressError;

impl Address {
    /// The address of the network, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether two listeners cannot both have this. Port 0 is always free.
    pub fn is_same(&self, other: &Self) -> bool {
        self == other && self.tcp().is_none_or(|address| address.port() != 0)
    }

    /// How a client writes it.
    pub fn url(&self, secure: bool) -> String {
        match self {
            Self::Tcp(address) if secure => format!("https://{address}"),
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// The path that follows `unix:`, if that is what the text is.
    pub fn socket_file(text: &str) -> Option<&Path> {
        text.strip_prefix(UNIX).map(Path::new)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match Self::socket_file(text) {
            Some(path) if path.is_absolute() && path.as_os_str().len() <= UNIX_PATH_BYTES_MAX => {
                Ok(Self::Unix(path.to_owned()))
            }
            Some(_) => Err(AddressError),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// An address as it may be repeated: who asks, and with which password, is cut
/// off. Wherever it stands: a text that is no url may be one with a slip in it.
pub fn without_user(url: &str) -> Cow<'_, str> {
    let Some((before, place)) = url.rsplit_once('@') else {
        return url.into();
    };
    let scheme = before.split_once("://").map(|(scheme, _)| scheme);
    let scheme = scheme.map(|scheme| format!("{scheme}://"));
    format!("{}…@{place}", scheme.unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written_the_same() {
        for text in ["127.0.0.1:7070", "[::1]:0", "unix:/run/flowgate/edge.sock"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        for text in ["", "localhost:1", "unix:", "unix:edge.sock", &long] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn who_asks_is_not_repeated() {
        for (url, shown) in [
            ("http://127.0.0.1:7080/", "http://127.0.0.1:7080/"),
            ("https://ops:pass@store", "https://…@store"),
            ("https://ops:p@ss://@store/a", "https://…@store/a"),
            ("ops:pass@store", "…@store"),
            ("", ""),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}
