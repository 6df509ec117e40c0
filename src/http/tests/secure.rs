//! TLS, socket files and proxies on the plumbing, with clients of our own.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig,
        pki_types::{CertificateDer, ServerName},
    },
};

use super::*;
use crate::{
    address::Address,
    clock::Ambient,
    tls::{
        ClientFiles, IdentityFiles, Renewal, Renewals, ServerFiles, client_config,
        tests::{ALWAYS, Authority, write},
    },
};

/// A listener with TLS, its authority and its files.
pub(super) struct Site {
    pub(super) harness: Harness,
    pub(super) authority: Authority,
    pub(super) folder: tempfile::TempDir,
    renewals: Renewals,
}

impl Site {
    pub(super) fn start(deadlines: Deadlines) -> Self {
        Self::letting_in(None, deadlines)
    }

    /// Clients have to show a certificate of this authority.
    fn letting_in(clients: Option<&Authority>, deadlines: Deadlines) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("servers");
        let client_ca = clients.map(|clients| {
            let path = folder.path().join("clients.crt");
            std::fs::write(&path, &clients.pem).expect("a file");
            path
        });
        let files = ServerFiles {
            identity: authority.files(folder.path(), "server"),
            client_ca,
        };
        let renewal = Renewal::start("test", files, now()).expect("good files");
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let listener = listener.secured(Some(renewal.watch()));
        assert!(listener.url().starts_with("https://"));
        let mut renewals = Renewals::default();
        renewals.add(renewal);
        Self {
            harness: Harness::on(listener, deadlines, 10),
            authority,
            folder,
            renewals,
        }
    }

    /// A client's settings that believe this site, with these protocols.
    pub(super) fn client(&self, alpn: &[&[u8]], identity: Option<IdentityFiles>) -> ClientConfig {
        believing(&self.authority, self.folder.path(), identity, alpn)
    }

    pub(super) async fn agree(
        &self,
        client: ClientConfig,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(client));
        let name = ServerName::try_from("localhost").expect("a name");
        connector.connect(name, self.harness.connect().await).await
    }

    async fn sees(&self) -> CertificateDer<'static> {
        let stream = self.agree(self.client(&[], None)).await.expect("it agrees");
        shown(&stream)
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone()
}

fn believing(
    authority: &Authority,
    folder: &Path,
    identity: Option<IdentityFiles>,
    alpn: &[&[u8]],
) -> ClientConfig {
    let ca = folder.join("believed.crt");
    std::fs::write(&ca, &authority.pem).expect("a file");
    let files = ClientFiles {
        identity,
        ca: Some(ca),
    };
    let config = client_config(&files, now()).expect("good files");
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

fn now() -> u64 {
    Ambient::system().now_ms()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Asks over TLS until the server closes; also what a refusal looks like that
/// comes after the client thinks the handshake done.
async fn exchange(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> String {
    if stream.write_all(bytes).await.is_err() {
        return String::new();
    }
    read_all(stream).await
}

async fn until_counted(harness: &Harness, line: &str) {
    let counted = async {
        while !harness.counts(line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted)
        .await
        .unwrap_or_else(|_| panic!("{line} is not counted: {:?}", harness.metrics.encode()));
}

#[tokio::test]
async fn requests_are_answered_over_tls() {
    let site = Site::start(Deadlines::default());
    for alpn in [&[][..], &[b"http/1.1".as_slice()]] {
        let client = site.client(alpn, None);
        let mut stream = site.agree(client).await.expect("it agrees");
        assert_eq!(status(&exchange(&mut stream, GET).await), "200");
    }
}

#[tokio::test]
async fn what_is_not_tls_is_told_or_closed() {
    let site = Site::start(Deadlines::default());
    let answer = site.harness.exchange(GET).await;
    assert_eq!(status(&answer), "400");
    assert!(answer.ends_with("expected https"), "{answer}");
    let answer = site.harness.exchange(&[0, 1, 2, 3, 4, 5, 6, 7]).await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let line = "flowgate_handshakes_failed_total{listener=\"test\",why=\"not_tls\"} 2";
    until_counted(&site.harness, line).await;
    drop(site.harness.connect().await);
    until_counted(&site.harness, "why=\"gone\"} 1").await;
}

#[tokio::test]
async fn a_client_that_does_not_believe_us_is_counted() {
    let site = Site::start(Deadlines::default());
    let stranger = Authority::new("another");
    let client = believing(&stranger, site.folder.path(), None, &[]);
    let error = site.agree(client).await.expect_err("an unknown authority");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    until_counted(&site.harness, "why=\"alert\"} 1").await;
    let client = site.client(&[b"smtp"], None);
    site.agree(client).await.expect_err("no protocol in common");
    until_counted(&site.harness, "why=\"incompatible\"} 1").await;
}

#[tokio::test]
async fn clients_show_a_certificate_of_the_right_authority() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let site = Site::letting_in(Some(&clients), Deadlines::default());
    let folder = site.folder.path();
    let good = clients.files(folder, "good");
    let bad = others.files(folder, "bad");
    let late = write(folder, "late", &clients.sign("localhost", ALWAYS));
    for (identity, expected) in [
        (Some(good), "200"),
        (None, "closed"),
        (Some(bad), "closed"),
        (Some(late), "200"),
    ] {
        let client = site.client(&[], identity);
        // With TLS 1.3 the client is done before the server has looked.
        let found = match site.agree(client).await {
            Ok(mut stream) => status(&exchange(&mut stream, GET).await).to_owned(),
            Err(_) => "closed".to_owned(),
        };
        assert_eq!(found, expected);
    }
    until_counted(&site.harness, "why=\"no_certificate\"} 1").await;
    until_counted(&site.harness, "why=\"certificate\"} 1").await;
}

#[tokio::test]
async fn a_slow_handshake_and_a_stalled_reader_are_cut() {
    let site = Site::start(short());
    let mut silent = site.harness.connect().await;
    assert_eq!(read_all(&mut silent).await, "");
    let mut begun = site.harness.connect().await;
    begun.write_all(&[22, 3, 1, 2]).await.expect("it is sent");
    assert_eq!(read_all(&mut begun).await, "");
    until_counted(&site.harness, "why=\"handshake\"} 2").await;

    let client = site.client(&[], None);
    let mut stalled = site.agree(client).await.expect("it agrees");
    let big = b"GET /big HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stalled.write_all(big).await.expect("it is sent");
    until_counted(&site.harness, "why=\"write\"} 1").await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let site = Site::start(Deadlines::default());
    let client = site.client(&[], None);
    let mut open = site.agree(client).await.expect("it agrees");
    let before = shown(&open);
    site.authority.files(site.folder.path(), "server");
    site.renewals.renew(now(), true);
    let after = site.sees().await;
    assert_ne!(after, before);

    std::fs::write(site.folder.path().join("server.crt"), "nonsense").expect("a file");
    site.renewals.renew(now(), true);
    assert_eq!(site.sees().await, after, "the broken one is not in force");
    assert_eq!(status(&exchange(&mut open, GET).await), "200");
}

#[tokio::test]
async fn a_socket_file_serves_local_peers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("edge.sock");
    let address = Address::Unix(path.clone());
    let proxies = Proxies {
        local: true,
        ..Proxies::default()
    };
    let listener = Listener::open(&address).expect("a file").behind(proxies);
    let harness = Harness::on(listener, Deadlines::default(), 10);
    let mode = std::fs::metadata(&path).expect("the file");
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o660);
    let ask = async |headers: &str| {
        let mut stream = tokio::net::UnixStream::connect(&path)
            .await
            .expect("it listens");
        let head = format!("GET /client HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        read_all(&mut stream).await
    };
    assert!(ask("").await.ends_with("\r\n\r\n127.0.0.1"));
    let answer = ask("x-forwarded-for: 198.51.100.7\r\n").await;
    assert!(answer.ends_with("\r\n\r\n198.51.100.7"), "{answer}");
    harness.server.drain(Duration::from_secs(20)).await;
    assert!(!path.exists(), "it is removed at the end");
}

#[tokio::test]
async fn only_trusted_proxies_say_whom_a_request_is_from() {
    let ask = async |networks: &[&str], headers: &str| {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let networks = networks.iter().map(|text| text.parse().expect("a network"));
        let harness = Harness::on(
            listener.behind(Proxies {
                networks: networks.collect(),
                ..Proxies::default()
            }),
            Deadlines::default(),
            10,
        );
        let head = format!("GET /client HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        let answer = harness.exchange(head.as_bytes()).await;
        let unreadable =
            harness.counts("flowgate_proxy_hops_unreadable_total{listener=\"test\"} 1");
        let client = answer
            .rsplit("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_owned();
        (client, unreadable)
    };
    let said = "x-forwarded-for: 198.51.100.7\r\n";
    let own = "127.0.0.1".to_owned();
    assert_eq!(ask(&[], said).await, (own.clone(), false));
    assert_eq!(ask(&["10.0.0.0/8"], said).await, (own.clone(), false));
    let client = ("198.51.100.7".to_owned(), false);
    assert_eq!(ask(&["127.0.0.0/8"], said).await, client);
    let broken = "x-forwarded-for: nobody\r\n";
    assert_eq!(ask(&["127.0.0.0/8"], broken).await, (own, true));
}
