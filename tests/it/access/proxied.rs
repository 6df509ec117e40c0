//! Whose bucket does a request behind a proxy take from?
//!
//! Loopback has many addresses: one of them is a proxy that the edge trusts,
//! another is anybody. What a bucket holds is taken until it is empty, however
//! fast it fills meanwhile; a full one gives its first token at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Site, Store, run};

const PROXY: [u8; 4] = [127, 0, 0, 2];
const ANYBODY: [u8; 4] = [127, 0, 0, 3];

/// More than a bucket that fills once a second gives to whoever asks without a
/// pause.
const MANY: u32 = 10_000;

/// The edge, and users that it has never seen.
struct Scene {
    site: Site,
    users: u32,
}

impl Scene {
    /// Proxies set this header.
    fn set(header: &str) -> Self {
        let site = Site::start_with(&[
            "--proxies-trusted",
            "127.0.0.2",
            "--proxies-header",
            header,
            "--unseen-users-per-s",
            "1",
            "--unseen-users-burst",
            "1",
        ]);
        Self { site, users: 0 }
    }

    /// A client that connects from this address.
    fn from(&self, address: [u8; 4]) -> Client {
        let url = self.site.edge.program.text("edge_url");
        Client::at(address.into(), &url, &self.site.edge.key("blocks"))
    }

    /// Asks about a user nobody has seen.
    fn ask(&mut self, client: &Client, headers: &[(&str, String)]) -> Answer {
        self.users += 1;
        let user = format!("user-{}", self.users);
        let body = json!({"subject": {"user": user}, "flows": {"announcement": null}});
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let body = Some(body.to_string());
        let answer = client.send(Method::POST, "/v1/evaluate", &headers, body);
        answer.expect("an answer")
    }

    /// Asks until the bucket is empty; `headers` are made anew each time.
    #[track_caller]
    fn empty(&mut self, client: &Client, headers: impl Fn(u32) -> Vec<(&'static str, String)>) {
        for at in 0..MANY {
            let answer = self.ask(client, &headers(at));
            if answer.status == 429 {
                assert!(answer.text.contains("limits.unseen_users_per_s"));
                assert_ne!(answer.header("retry-after"), "");
                return;
            }
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        panic!("{MANY} users at once, and none was too many");
    }
}

/// Hops as this header writes them.
fn hops(header: &str, hops: &[&str]) -> String {
    let hops = hops.iter().map(|hop| match header {
        "forwarded" => format!("for={hop}"),
        _ => (*hop).to_owned(),
    });
    hops.collect::<Vec<_>>().join(", ")
}

/// An address that only its number tells from others.
fn made_up(at: u32) -> String {
    format!("203.0.{}.{}", at / 256, at % 256)
}

fn clients_have_buckets_of_their_own(header: &'static str, passed_on: &'static str) {
    let mut scene = Scene::set(header);
    let (proxy, anybody) = (scene.from(PROXY), scene.from(ANYBODY));
    let (one, two, three) = ("198.51.100.1", "198.51.100.2", "198.51.100.3");

    // Whatever stands left of the hop that the proxy added is the caller's
    // own, and so is the other header.
    scene.empty(&proxy, |at| {
        vec![
            (header, hops(header, &[&made_up(at), one])),
            (passed_on, hops(passed_on, &[&made_up(at)])),
        ]
    });
    let behind = |hop: &str| [(header, hops(header, &[hop]))];
    let answer = scene.ask(&proxy, &behind(two));
    assert_eq!(answer.status, 200, "another client: {}", answer.text);

    // Who is not trusted is who connected, whatever they say.
    scene.empty(&anybody, |at| {
        vec![
            (header, hops(header, &[&made_up(at)])),
            (passed_on, hops(passed_on, &[&made_up(at)])),
        ]
    });
    for _ in 0..20 {
        scene.ask(&anybody, &behind(three));
    }
    let answer = scene.ask(&proxy, &behind(three));
    assert_eq!(answer.status, 200, "it was somebody else: {}", answer.text);
    let scrape = scene.site.edge.admin().get("/metrics").text;
    for line in [
        "flowgate_requests_limited_total{why=\"unseen_users\",status=\"429\"} ",
        "flowgate_proxy_hops_unreadable_total{listener=\"edge\"} 0",
    ] {
        assert!(scrape.contains(line), "{line} is missing in\n{scrape}");
    }
}

#[test]
fn a_store_knows_its_edges_behind_a_proxy_it_trusts() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::start_with(folder.path(), &["--proxies-trusted", "127.0.0.2"]);
    let key = store.key("edge");
    let report = |edge: &str, from: [u8; 4]| {
        let body = json!({"edge": edge, "journal_writable": true}).to_string();
        let client = Client::at(from.into(), store.url(), &key);
        let hops = [("x-forwarded-for", "203.0.113.7, 198.51.100.1")];
        let path = "/edge/v1/environments/development/status";
        let answer = client.send(Method::POST, path, &hops, Some(body));
        assert_eq!(answer.expect("an answer").status, 204);
    };
    report("proxied", PROXY);
    report("direct", ANYBODY);
    let listed = run(&mut store.command(&["edges", "--output", "json"]));
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let all = listed.as_array().expect("a list").iter();
    let places: Vec<_> = all.map(|own| (&own["edge"], &own["address"])).collect();
    let expected = [
        (&json!("direct"), &json!("127.0.0.3")),
        (&json!("proxied"), &json!("198.51.100.1")),
    ];
    assert_eq!(places, expected);
    let table = run(&mut store.command(&["edges"]));
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("198.51.100.1"), "{table}");
}

#[test]
fn clients_behind_one_proxy_have_buckets_of_their_own() {
    clients_have_buckets_of_their_own("x-forwarded-for", "forwarded");
}

#[test]
fn clients_that_forwarded_names_have_buckets_of_their_own() {
    clients_have_buckets_of_their_own("forwarded", "x-forwarded-for");
}
