//! Does docs/metrics.md say what there is to scrape, and nothing else?
//!
//! A real store and edge do a little of everything. Then every metric they
//! expose is looked for on the page, and every one of the page in a scrape.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::TcpStream,
    path::Path,
};

use serde_json::json;

use crate::{harness::eventually, tls::Site};

/// What this story cannot bring about at small cost: there is no sample whose
/// labels could be compared.
const NEVER_SEEN: [&str; 1] = ["flowgate_documents_refused_total"];

/// How a metric is described, here or there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// Metrics by name, as samples are named.
type Metrics = BTreeMap<String, Metric>;

/// What a scrape has. A metric without samples has no labels either.
fn scraped(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            let end = if kind == "counter" { "_total" } else { "" };
            let own = metrics.entry(format!("{name}{end}")).or_default();
            kind.clone_into(&mut own.kind);
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.split_once([' ', '{']).expect("a sample");
        let own = metrics.get_mut(name);
        let own = own.unwrap_or_else(|| panic!("a sample of no type: {line}"));
        let labels = line
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let pairs = labels.map_or("", |(labels, _)| labels).split(',');
        let names = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        own.labels.extend(names);
    }
    metrics
}

/// The rows of the page's tables whose first column has this heading.
fn documented(page: &str, of: &str) -> Metrics {
    let (_, rest) = page.split_once(&format!("\n## {of}\n")).expect("a heading");
    let section = rest.split("\n## ").next().expect("a section");
    let mut metrics = Metrics::new();
    for line in section
        .lines()
        .filter(|line| line.starts_with("| `flowgate_"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, unit, labels, meaning, alert] = cells.as_slice() else {
            panic!("not six cells: {line}");
        };
        let name = name.trim_matches('`');
        assert_eq!(*unit, unit_of(name), "{line}");
        assert!(!meaning.is_empty() && !alert.is_empty(), "{line}");
        let labels = labels.split(", ").map(|label| label.trim_matches('`'));
        let metric = Metric {
            kind: (*kind).to_owned(),
            labels: labels
                .filter(|label| *label != "–")
                .map(ToOwned::to_owned)
                .collect(),
        };
        let before = metrics.insert(name.to_owned(), metric);
        assert_eq!(before, None, "{name} stands there twice");
    }
    metrics
}

/// The unit that is part of a name.
fn unit_of(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total").trim_end_matches("_max");
    ["seconds", "bytes", "percent"]
        .into_iter()
        .find(|unit| name.ends_with(unit))
        .unwrap_or("–")
}

#[track_caller]
fn compare(of: &str, page: &str, scrape: &str) {
    let (documented, scraped) = (documented(page, of), scraped(scrape));
    let names = |metrics: &Metrics| metrics.keys().cloned().collect::<BTreeSet<_>>();
    let (there, here) = (names(&scraped), names(&documented));
    let missing: Vec<_> = there.difference(&here).collect();
    let gone: Vec<_> = here.difference(&there).collect();
    assert!(
        missing.is_empty(),
        "not on the page, under {of}: {missing:?}\n{scrape}"
    );
    assert!(
        gone.is_empty(),
        "on the page under {of}, and not there: {gone:?}"
    );
    for (name, metric) in &scraped {
        let told = &documented[name];
        assert_eq!(metric.kind, told.kind, "{name}");
        if !NEVER_SEEN.contains(&name.as_str()) {
            assert_eq!(metric.labels, told.labels, "{name}\n{scrape}");
        }
    }
}

/// Something that is no TLS.
fn knock(url: &str) {
    let (_, address) = url.split_once("://").expect("a url");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"\x00\x01\x02\x03\x04\x05")
        .expect("it is sent");
}

#[test]
fn the_page_about_metrics_lists_those_there_are() {
    let mut site = Site::start();
    let evaluate =
        json!({"subject": {"user": "ada"}, "flows": {"announcement": "latest"}, "start": true});
    assert_eq!(site.client().post("/v1/evaluate", &evaluate).status, 200);
    let urls = [
        site.edge.program.text("edge_url"),
        site.store.url().to_owned(),
    ];
    urls.iter().for_each(|url| knock(url));
    let store = eventually("the store has counted", || {
        let text = site.at_store().get("/metrics").text;
        text.contains("flowgate_handshakes_failed_total{")
            .then_some(text)
    });
    site.store.program.kill();
    let edge = eventually("the edge has counted", || {
        let text = site.edge.admin().get("/metrics").text;
        let all = [
            "flowgate_handshakes_failed_total{",
            "flowgate_refresh_failures_total{",
        ];
        all.iter().all(|name| text.contains(name)).then_some(text)
    });
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(page).expect("the page");
    compare("Of an edge", &page, &edge);
    compare("Of a store", &page, &store);
}
