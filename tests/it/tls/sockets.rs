//! Listeners on socket files of this machine.

use crate::harness::{Client, Edge, Store, flowgate, project, run};

#[test]
fn an_edge_serves_socket_files_and_leaves_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let store = Store::start(path);
    store.import(&project(path, "Hello"));
    let files = ["edge.sock", "admin.sock"].map(|name| path.join(name));
    let [public, admin] = files
        .each_ref()
        .map(|file| format!("unix:{}", file.display()));
    let flags = ["--listen", &public, "--admin", &admin];
    let mut edge = Edge::start_below(path, &store, store.url(), &flags);
    assert_eq!(edge.program.text("edge_url"), public);
    let client = |file: &std::path::Path, key: &str| {
        let tls = flowgate::http::client_tls().expect("settings of TLS");
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .unix_socket(file);
        Client::with(builder, "http://localhost", key)
    };
    let operators = client(&files[1], "");
    crate::harness::eventually("the edge is ready", || {
        (operators.get("/ready").status == 200).then_some(())
    });
    let answer = client(&files[0], &edge.key("blocks"))
        .get("/v2/flow/announcement?version=1&userIdentifier=ada");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let output = run(flowgate().args(["health", "--ready", "--url", &admin]));
    assert!(output.status.success(), "{output:?}");

    // A second process with other data does not take the file over.
    let mut second = edge.bare_command();
    let output = run(second.arg("--data").arg(path.join("second")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another process listens there"), "{said}");

    // What a killed process left is taken over, and removed at the end.
    edge.program.kill();
    assert!(files[0].exists());
    edge.restart(path);
    assert_eq!(edge.program.terminate(), Some(0));
    assert!(!files[0].exists() && !files[1].exists());
}
