//! Are the ways in and out safe, and do they stay so without a restart?
//!
//! Real processes with certificates of an authority made for the test, asked by
//! reqwest, by curl where there is one, and by the program's own commands.

mod refusals;
mod renewing;
mod sockets;
mod streams;

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use flowgate::tls::{ClientFiles, IdentityFiles, client_config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::harness::{Client, Edge, Store, project};

/// From before any clock to after it.
const ALWAYS: (i32, i32) = (2000, 4000);

/// An authority, with its certificate as a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    ca: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        let names = &mut params.distinguished_name;
        names.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let ca = folder.join(format!("{name}-ca.crt"));
        std::fs::write(&ca, pem).expect("a file");
        Self {
            issuer: Issuer::new(params, key),
            folder: folder.to_owned(),
            ca,
        }
    }

    /// Writes a certificate for a host, and its key.
    fn sign(&self, file: &str, host: &str, (from, to): (i32, i32)) -> IdentityFiles {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let put = |end: &str, text: String| {
            let path = self.folder.join(format!("{file}.{end}"));
            let new = self.folder.join(format!("{file}.{end}.new"));
            std::fs::write(&new, text).expect("a file");
            std::fs::set_permissions(&new, Permissions::from_mode(0o600)).expect("a mode");
            std::fs::rename(new, &path).expect("it takes its place");
            path
        };
        IdentityFiles {
            certificate: put("crt", signed.pem()),
            key: put("key", key.serialize_pem()),
        }
    }

    fn ca(&self) -> &str {
        self.ca.to_str().expect("a path of text")
    }

    /// A client that believes this authority and shows this.
    fn client(&self, url: &str, key: &str, shown: Option<&IdentityFiles>) -> Client {
        let files = ClientFiles {
            identity: shown.cloned(),
            ca: Some(self.ca.clone()),
        };
        let now = flowgate::clock::Ambient::system().now_ms();
        let config = client_config(&files, now).expect("good files");
        let builder = reqwest::Client::builder();
        Client::with(
            builder.tls_backend_preconfigured((*config).clone()),
            url,
            key,
        )
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Store and edge that know each other by certificates.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) edge: Edge,
    authority: Authority,
    /// What clients of the store show.
    shown: IdentityFiles,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "ours");
        let own = authority.sign("store", "127.0.0.1", ALWAYS);
        let shown = authority.sign("client", "client", ALWAYS);
        let store = Store::start_with(
            folder.path(),
            &[
                "--tls-certificate",
                text(&own.certificate),
                "--tls-key",
                text(&own.key),
                "--tls-client-ca",
                authority.ca(),
            ],
        );
        let store = store.trusted_by(&[
            "--ca",
            authority.ca(),
            "--certificate",
            text(&shown.certificate),
            "--certificate-key",
            text(&shown.key),
        ]);
        store.import(&project(folder.path(), "Hello"));
        let public = authority.sign("edge", "127.0.0.1", ALWAYS);
        let url = store.url().to_owned();
        let edge = Edge::start_below(
            folder.path(),
            &store,
            &url,
            &[
                "--upstream-tls-ca",
                authority.ca(),
                "--upstream-tls-certificate",
                text(&shown.certificate),
                "--upstream-tls-key",
                text(&shown.key),
                "--tls-certificate",
                text(&public.certificate),
                "--tls-key",
                text(&public.key),
            ],
        );
        edge.ready();
        Self {
            store,
            edge,
            authority,
            shown,
            folder,
        }
    }

    /// A client of the edge's public listener.
    pub(crate) fn client(&self) -> Client {
        let url = self.edge.program.text("edge_url");
        self.authority.client(&url, &self.edge.key("blocks"), None)
    }

    /// How a client agrees on this protocol with the edge's public listener.
    fn speaking(&self, protocol: &[u8]) -> ClientConfig {
        let files = ClientFiles {
            identity: None,
            ca: Some(self.authority.ca.clone()),
        };
        let now = flowgate::clock::Ambient::system().now_ms();
        let mut config = (*client_config(&files, now).expect("good files")).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    /// A connection to the edge's public listener on which this protocol was
    /// agreed on.
    pub(crate) fn stream(
        &self,
        protocol: &[u8],
    ) -> StreamOwned<ClientConnection, std::net::TcpStream> {
        let host = "127.0.0.1".try_into().expect("a name");
        let config = self.speaking(protocol).into();
        let client = ClientConnection::new(config, host).expect("a client");
        let url = self.edge.program.text("edge_url");
        let address = url.trim_start_matches("https://");
        let tcp = std::net::TcpStream::connect(address).expect("it listens");
        let patience = Some(crate::harness::DEADLINE);
        tcp.set_read_timeout(patience).expect("a timeout");
        StreamOwned::new(client, tcp)
    }

    /// A client of the store without a key.
    pub(crate) fn at_store(&self) -> Client {
        let url = self.store.url();
        self.authority.client(url, "", Some(&self.shown))
    }

    /// A value of the edge's metrics.
    fn measured(&self, line: &str) -> Option<String> {
        let metrics = self.edge.admin().get("/metrics").text;
        let mut lines = metrics.lines();
        let found = lines.find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.map(ToOwned::to_owned)
    }
}
