//! What clients and proxies tell in the usual shapes, and how it is shown.

use serde_json::json;

use super::{Place, metrics, usage};
use crate::harness::run;

#[test]
fn what_clients_tell_is_summed_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::start(folder.path(), &[]);
    let (servers, pages) = (place.at_edge(&place.client), place.at_edge(&place.frontend));
    let told = metrics(&json!({"cart": {"yes": 3, "no": 1, "variants": {"blue": 2, "green": 1}}}));
    for path in [
        "/api/client/metrics",
        "/api/client/metrics/",
        "/api//client//metrics",
    ] {
        let answer = servers.post(path, &told);
        assert_eq!((answer.status, &*answer.text), (202, ""), "{path}");
        assert!(!answer.header("x-edge-version").is_empty());
    }
    for path in [
        "/api/frontend/client/metrics",
        "/api/proxy/client/metrics",
        "/api/frontend/all/client/metrics",
    ] {
        let told = json!({"appName": "page", "bucket": {"start": 1, "stop": 2,
            "toggles": {"cart": {"yes": 1, "no": 0, "variants": null}, "chat": {"no": 7}}}});
        assert_eq!(pages.post(path, &told).status, 202, "{path}");
    }
    let registration = json!({"appName": "shop", "instanceId": "i2", "strategies": ["default", "flexibleRollout"],
        "sdkVersion": "unleash-client-go:4.1.0", "started": "2026-01-01T00:00:00Z", "interval": 15_000,
        "connectVia": [{"appName": "a-proxy", "instanceId": "p1"}], "environment": "production"});
    assert_eq!(
        servers.post("/api/client/register", &registration).status,
        202
    );
    let bulk = json!({"applications": [registration], "metrics": [
        {"featureName": "cart", "appName": "desk", "environment": "production",
         "timestamp": "2026-01-01T00:00:00.000Z", "yes": 10, "no": 20, "variants": {"blue": 10}}],
        "impactMetrics": []});
    assert_eq!(servers.post("/api/client/metrics/bulk", &bulk).status, 202);
    let proxy = json!({"edgeVersion": "20.1.5", "processMetrics": null});
    assert_eq!(servers.post("/api/client/metrics/edge", &proxy).status, 202);

    place.comes_to("cart", 3 * 3 + 3 + 10);
    place.shipped();
    let flags = usage(&place.store, &["flags"]);
    let names: Vec<_> = flags
        .as_array()
        .expect("a list")
        .iter()
        .map(|own| &own["flag"])
        .collect();
    assert_eq!(names, ["cart", "chat"]);
    let cart = &flags[0];
    assert_eq!((&cart["yes"], &cart["no"]), (&json!(22), &json!(23)));
    assert_eq!(cart["variants"], json!({"blue": 16, "green": 3}));
    assert_eq!(cart["apps"], json!(["desk", "page", "shop"]));
    assert!(cart["last_seen_ms"].as_u64() > Some(1_700_000_000_000));
    let of_page = usage(&place.store, &["flags", "--app", "page"]);
    assert_eq!(
        (&of_page[0]["yes"], &of_page[1]["no"]),
        (&json!(3), &json!(21))
    );
    // The key has settled the environment, whatever a body says.
    let production = usage(&place.store, &["flags", "--environment", "production"]);
    assert_eq!(production, json!([]));

    let one = usage(&place.store, &["flag", "cart", "--hours", "1"]);
    let hours = one["hours"].as_array().expect("hours");
    assert!((1..=2).contains(&hours.len()), "{one}");
    assert_eq!(one["apps"].as_array().map(Vec::len), Some(3));

    let apps = usage(
        &place.store,
        &["applications", "--environment", "development"],
    );
    let shop = apps
        .as_array()
        .expect("a list")
        .iter()
        .find(|own| own["app"] == "shop");
    let shop = shop.expect("the shop");
    assert_eq!(shop["instances"], 2);
    assert_eq!(
        shop["sdks"],
        json!(["unleash-client-go:4.1.0", "unleash-client-node:6.1.0"])
    );
    assert_eq!(shop["platforms"], json!(["node:22.1.0"]));
    assert_eq!(shop["strategies"], json!(["default", "flexibleRollout"]));
    assert_eq!(shop["via"], json!(["a-proxy"]));

    // And for people.
    let shown = |words: &[&str]| {
        let output = run(&mut place.store.command(&[&["usage"], words].concat()));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let table = shown(&["flags"]);
    assert!(table.starts_with("FLAG  YES  NO  VARIANTS"), "{table}");
    assert!(
        table.contains("blue 16, green 3") && table.contains("desk, page, shop"),
        "{table}"
    );
    let detail = shown(&["flag", "cart"]);
    assert!(
        detail.starts_with("cart in development, last 24 h: 22 yes, 23 no"),
        "{detail}"
    );
    assert!(
        detail.contains("APPLICATION") && detail.contains("HOUR"),
        "{detail}"
    );
    assert!(shown(&["applications"]).contains("unleash-client-node:6.1.0"));
    assert!(shown(&["flag", "never"]).contains("last seen never"));
}

#[test]
fn lists_go_on_where_they_ended_and_refuse_what_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::start(folder.path(), &[]);
    for flag in ["a", "b/c", "d"] {
        assert_eq!(place.tell(flag, 1, 0), 202);
    }
    place.comes_to("d", 1);
    let first = run(&mut place.store.command(&["usage", "flags", "--limit", "2"]));
    let more = String::from_utf8(first.stderr).expect("text");
    let after = more.split("there are more: --after ").nth(1);
    let after = after.unwrap_or_else(|| panic!("no cursor in {more}"));
    let rest = usage(&place.store, &["flags", "--after", after.trim()]);
    assert_eq!(
        (rest.as_array().map(Vec::len), &rest[0]["flag"]),
        (Some(1), &json!("d"))
    );
    assert_eq!(usage(&place.store, &["flag", "b/c"])["yes"], 1);
    for wrong in [
        &["flags", "--hours", "0"][..],
        &["flags", "--limit", "100000"],
        &["flags", "--after", "b/c"],
        &["applications", "--after", "b/c"],
        &["flags", "--environment", "nowhere"],
        &["applications", "--environment", "nowhere"],
    ] {
        let refused = run(&mut place.store.command(&[&["usage"], wrong].concat()));
        let text = String::from_utf8(refused.stderr).expect("text");
        assert!(
            !refused.status.success() && text.contains("expected"),
            "{wrong:?}: {text}"
        );
    }
}
