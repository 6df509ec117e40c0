//! Where is a server, and how is it believed?
//!
//! What people write for it: `http://`, `https://`, or `unix:` and the path of
//! a socket file; and the certificates that go with https.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use reqwest::{Client, ClientBuilder, Url};

use super::failure::Failure;
use crate::{
    address::{Address, without_user},
    clock::Ambient,
    tls::{ClientFiles, IdentityFiles, client_config, client_tls},
};

/// Certificates of a command that asks a server.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Trust {
    /// PEM file of the authorities an https server is believed by [default:
    /// the system's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of a certificate, for a server that asks for one.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
}

/// A server that can be asked.
#[derive(Clone, Debug)]
pub(super) struct Place {
    url: Url,
    /// A socket file; the url then names no real host.
    socket: Option<PathBuf>,
}

impl Place {
    /// Reads an address; the example tells what is expected.
    pub(super) fn read(text: &str, example: &str) -> Result<Self, Failure> {
        if let Some(path) = Address::socket_file(text) {
            let at = |url: Url| Self {
                url,
                socket: Some(path.to_owned()),
            };
            return Url::parse("http://localhost/")
                .ok()
                .filter(|_| path.is_absolute())
                .map(at)
                .ok_or_else(|| {
                    let text = format!("{text:?} has no absolute path after unix:");
                    Failure::usage(text)
                });
        }
        let url = Url::parse(text).ok().filter(Url::has_host);
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            let scheme = example.replacen("http:", "https:", 1);
            Failure::usage(format!(
                "{:?} is not a url such as {example}, {scheme} or unix:/path",
                without_user(text)
            ))
        })?;
        Ok(Self { url, socket: None })
    }

    /// Whether two texts lead to one server.
    pub(super) fn is_one(text: &str, other: &str) -> bool {
        let read = |text| Self::read(text, "").ok();
        read(text).zip(read(other)).is_some_and(|(one, other)| {
            one.socket == other.socket && one.url.origin() == other.url.origin()
        })
    }

    /// Its url, to put a path to.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => f.write_str(&without_user(self.url.as_str())),
        }
    }
}

impl Trust {
    /// A client that reaches this place. No proxy: a store or an edge is asked
    /// where the operator says it is, and a proxy variable meant for the
    /// internet would catch loopback as well.
    pub(super) fn client(&self, place: &Place) -> Result<ClientBuilder, Failure> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let client = match &place.socket {
            Some(path) => client.unix_socket(path.as_path()),
            None => client,
        };
        let files = self.files();
        if place.is_secure() && !files.is_empty() {
            let config = client_config(&files, Ambient::system().now_ms());
            let config = config.map_err(|error| {
                let text = format!("{place} cannot be asked over https");
                Failure::undone(text).because(&error)
            })?;
            return Ok(client.tls_backend_preconfigured((*config).clone()));
        }
        Ok(match client_tls() {
            Some(tls) => client.tls_backend_preconfigured(tls),
            None => client,
        })
    }

    fn files(&self) -> ClientFiles {
        let both = self
            .certificate
            .as_deref()
            .zip(self.certificate_key.as_deref());
        let identity = |(certificate, key): (&Path, &Path)| IdentityFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        ClientFiles {
            identity: both.map(identity),
            ca: self.ca.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_scheme_host_and_port_or_a_socket_file() {
        for (text, other) in [
            ("http://127.0.0.1:7080", "http://127.0.0.1:7080/"),
            ("http://STORE", "http://store:80/x"),
            ("unix:/run/store.sock", "unix:/run/store.sock"),
        ] {
            assert!(Place::is_one(text, other), "{text} and {other}");
        }
        for (text, other) in [
            ("http://127.0.0.1:7080", "http://127.0.0.1:7081"),
            ("http://127.0.0.1:7080", "https://127.0.0.1:7080"),
            ("http://127.0.0.1:7080", "http://127.0.0.2:7080"),
            ("http://localhost/", "unix:/run/store.sock"),
            ("unix:/run/store.sock", "unix:/run/edge.sock"),
            ("", ""),
        ] {
            assert!(!Place::is_one(text, other), "{text} and {other}");
        }
    }
}
