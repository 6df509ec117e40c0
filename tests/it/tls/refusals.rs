//! Certificates that are wrong, at the start and at upstream.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
};

use flowgate::tls::IdentityFiles;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{ALWAYS, Authority, text};
use crate::harness::{Edge, Program, Store, eventually, flowgate, project, run};

#[test]
fn a_store_does_not_start_with_certificates_that_do_not_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let made = run(flowgate()
        .args(["key", "signing", "create", "--folder"])
        .arg(path.join("signing")));
    assert!(made.status.success(), "{made:?}");
    let authority = Authority::new(path, "ours");
    let good = authority.sign("good", "127.0.0.1", ALWAYS);
    let expired = authority.sign("expired", "127.0.0.1", (2000, 2001));
    let open = authority.sign("open", "127.0.0.1", ALWAYS);
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&open.key, mode).expect("a mode");
    let cases = [
        (&expired.certificate, &expired.key, 2, "has expired at 2001"),
        (&open.certificate, &open.key, 2, "chmod o-rwx"),
        (&good.certificate, &open.key, 2, "chmod o-rwx"),
        (&good.certificate, &expired.key, 2, "does not belong to"),
        (&good.key, &good.key, 2, "holds no certificate"),
    ];
    for (certificate, key, code, expected) in cases {
        let output = run(flowgate()
            .args(["store", "--listen", "127.0.0.1:0", "--data"])
            .arg(path.join("store"))
            .arg("--signing")
            .arg(path.join("signing"))
            .args([
                "--tls-certificate",
                text(certificate),
                "--tls-key",
                text(key),
            ]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{expected:?} is missing in {said}");
    }
    let output = run(flowgate().args(["store", "--tls-certificate", text(&good.certificate)]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("needs tls.key beside it"), "{said}");
}

#[test]
fn an_upstream_that_is_not_who_it_should_be_is_named_in_the_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let authority = Authority::new(path, "ours");
    let stranger = Authority::new(path, "stranger");
    let own = authority.sign("store", "127.0.0.1", ALWAYS);
    let store = Store::start_with(
        path,
        &[
            "--tls-certificate",
            text(&own.certificate),
            "--tls-key",
            text(&own.key),
        ],
    );
    let store = store.trusted_by(&["--ca", authority.ca()]);
    store.import(&project(path, "Hello"));
    let (_, at) = store.url().split_once("://").expect("a url");
    let named = format!(
        "https://localhost:{}",
        at.rsplit(':').next().expect("a port")
    );
    let wrong_name = (
        authority.ca(),
        named.as_str(),
        "not valid for name \"localhost\"",
    );
    let unknown = (stranger.ca(), store.url(), "UnknownIssuer");
    for (ca, url, expected) in [wrong_name, unknown] {
        let flags = ["--upstream-tls-ca", ca];
        let edge = Edge::start_below(path, &store, url, &flags);
        let admin = edge.admin();
        eventually("the status names the reason", || {
            let status = admin.get("/status").json();
            let error = status["environments"][0]["error"].as_str()?.to_owned();
            assert!(error.contains(expected), "{error}");
            Some(())
        });
    }
}

/// Settings of a server that shows what our own would refuse to show.
fn showing(shown: &IdentityFiles) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&shown.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&shown.key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("settings of TLS"))
}

/// Speaks TLS at this address, to whoever believes it.
fn speak(address: &str, shown: Arc<Mutex<Arc<ServerConfig>>>) {
    // The process that listened there is gone; its connections may linger.
    let listener = eventually("the address is free", || TcpListener::bind(address).ok());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = shown.lock().expect("no panic under it").clone();
            let connection = ServerConnection::new(config).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            // Nobody comes as far as to read this.
            if stream.read(&mut [0; 1024]).is_ok() {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
            }
        }
    });
}

#[test]
fn an_upstream_whose_certificate_has_expired_is_refused_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let authority = Authority::new(path, "ours");
    let own = authority.sign("store", "127.0.0.1", ALWAYS);
    let expired = authority.sign("expired", "127.0.0.1", (2000, 2001));
    let early = authority.sign("early", "127.0.0.1", (3999, 4000));
    let mut store = Store::start_with(
        path,
        &[
            "--tls-certificate",
            text(&own.certificate),
            "--tls-key",
            text(&own.key),
        ],
    )
    .trusted_by(&["--ca", authority.ca()]);
    store.import(&project(path, "Hello"));
    let url = store.url().to_owned();
    let flags = ["--upstream-tls-ca", authority.ca()];
    let mut edge = Edge::start_below(path, &store, &url, &flags);
    edge.ready();
    store.program.kill();
    let (_, address) = url.split_once("://").expect("a url");
    let shown = Arc::new(Mutex::new(showing(&expired)));
    speak(address, shown.clone());
    let said = |edge: &Edge, expected: &str| {
        let admin = edge.admin();
        let environment = eventually(expected, || {
            let environment = admin.get("/status").json()["environments"][0].clone();
            let error = environment["error"].as_str()?;
            error.contains(expected).then_some(environment)
        });
        assert_eq!(environment["reason"], "upstream_untrusted", "{environment}");
        let log = edge.program.log();
        assert!(log.contains(expected), "{expected:?} is missing in {log}");
    };
    said(&edge, "certificate expired");
    // What it has goes on, through a restart as well.
    for _ in 0..2 {
        let read = edge.client("blocks");
        let path = "/v2/flow/announcement?version=1&userIdentifier=ada";
        assert_eq!(read.get(path).status, 200);
        edge.program.kill();
        edge.restart(folder.path());
    }
    said(&edge, "certificate expired");
    let listed = run(&mut store.command(&["flow", "list"]));
    let text_said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert_eq!(listed.status.code(), Some(2), "{text_said}");
    assert!(text_said.contains("certificate expired"), "{text_said}");

    // One that is not valid yet, for an edge that has nothing so far.
    *shown.lock().expect("no panic under it") = showing(&early);
    let mut command = edge.bare_command();
    command.arg("--data").arg(path.join("other"));
    edge.program = Program::start(command, &path.join("other.log"));
    said(&edge, "certificate not valid yet");
    let ready = edge.admin().get("/ready");
    assert_eq!(ready.status, 503);
    assert!(
        ready.text.contains("certificate not valid yet"),
        "{}",
        ready.text
    );
}
