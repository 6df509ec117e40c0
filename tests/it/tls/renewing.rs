//! Certificates that are replaced while everything runs.

use std::process::Command;

use super::{ALWAYS, Authority, Site, text};
use crate::harness::{body_of, eventually, flowgate, project, run};

const FLOW: &str = "/v2/flow/announcement?version=1&include=block&userIdentifier=ada";

#[test]
fn store_and_edge_know_each_other_by_certificates_that_are_replaced() {
    let site = Site::start();
    let client = site.client();
    assert!(site.store.url().starts_with("https://"));
    assert_eq!(body_of(&client.get(FLOW), 200)["version"], 1);

    let seconds = site.measured("flowgate_certificate_expires_seconds{of=\"edge\"}");
    let seconds: u64 = seconds.expect("it is measured").parse().expect("a number");
    assert!(seconds > 365 * 24 * 60 * 60, "{seconds}");

    // A broken file changes nothing, and is said.
    std::fs::write(site.folder.path().join("edge.crt"), "nonsense").expect("a file");
    site.edge.program.hang_up();
    eventually("the broken certificate is refused", || {
        let errors = site.measured("flowgate_certificate_reload_errors_total{of=\"edge\"}")?;
        (errors != "0").then_some(())
    });
    let log = site.edge.program.log();
    assert!(log.contains("the old ones stay in force"), "{log}");
    assert_eq!(
        site.client().get(FLOW).status,
        200,
        "the old one is in force"
    );

    // Everybody gets a new certificate of a new authority; the store goes
    // first and believes both for a while.
    let next = Authority::new(site.folder.path(), "next");
    let both = [&site.authority.ca, &next.ca].map(|ca| std::fs::read_to_string(ca).expect("a CA"));
    std::fs::write(&site.authority.ca, both.concat()).expect("both authorities");
    for file in ["store", "edge"] {
        next.sign(file, "127.0.0.1", ALWAYS);
    }
    next.sign("client", "client", ALWAYS);
    // Nobody is told: the files are looked at.
    eventually("all three are in force at the edge", || {
        ["edge", "upstream"]
            .iter()
            .all(|of| {
                let line = format!("flowgate_certificate_reloads_total{{of=\"{of}\"}}");
                site.measured(&line).is_some_and(|count| count != "0")
            })
            .then_some(())
    });
    let client = next.client(
        &site.edge.program.text("edge_url"),
        &site.edge.key("blocks"),
        None,
    );
    assert_eq!(client.get(FLOW).status, 200);
    eventually("the store shows the new one", || {
        let client = next.client(site.store.url(), "", Some(&site.shown));
        client.send(reqwest::Method::GET, "/health", &[], None).ok()
    });
    // And what is published now still arrives.
    site.store.import(&project(site.folder.path(), "Second"));
    eventually("the edge has the second title", || {
        let flow = body_of(&client.get(FLOW), 200);
        (flow["blocks"][0]["fields"][0]["value"] == "Second").then_some(())
    });
}

#[test]
fn curl_speaks_http_2_and_1_and_reads_the_reason_when_it_forgets_tls() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("NOT run: there is no curl on this machine");
        return;
    }
    let site = Site::start();
    let url = format!("{}{FLOW}", site.edge.program.text("edge_url"));
    let key = format!("x-api-key: {}", site.edge.key("blocks"));
    let ask = |flags: &[&str], url: &str| {
        let curl = [
            "-sS",
            "--noproxy",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
        ];
        let output = run(Command::new("curl")
            .args(curl)
            .args(flags)
            .args(["-H", &key, url]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ca = ["--cacert", site.authority.ca()];
    assert_eq!(ask(&[&ca[..], &["--http1.1"]].concat(), &url), "200 1.1");
    let features = run(Command::new("curl").arg("--version"));
    if String::from_utf8_lossy(&features.stdout).contains("HTTP2") {
        assert_eq!(ask(&[&ca[..], &["--http2"]].concat(), &url), "200 2");
    } else {
        println!("HTTP/2 was NOT asked for: this curl has none");
    }
    assert_eq!(ask(&[], &url), "000 0", "an unknown authority");
    assert_eq!(ask(&[], &url.replacen("https:", "http:", 1)), "400 1.1");
}

#[test]
fn commands_ask_over_https() {
    let site = Site::start();
    let url = format!("{}/health", site.store.url());
    let health = |flags: &[&str]| run(flowgate().args(["health", "--url", &url]).args(flags));
    let shown = [
        "--ca",
        site.authority.ca(),
        "--certificate",
        text(&site.shown.certificate),
        "--certificate-key",
        text(&site.shown.key),
    ];
    let output = health(&shown);
    assert!(output.status.success(), "{output:?}");
    let output = health(&shown[..2]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("CertificateRequired"), "{said}");
    let output = health(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("UnknownIssuer"), "{said}");
}
