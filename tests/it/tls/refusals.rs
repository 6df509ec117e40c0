//! Certificates that are wrong, at the start and at upstream.

use std::os::unix::fs::PermissionsExt;

use super::{ALWAYS, Authority, text};
use crate::harness::{Edge, Store, eventually, flowgate, project, run};

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
