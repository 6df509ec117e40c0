//! Do paths lead where they should, and do keys open what they should?

use super::*;

fn found(method: Method, path: &str) -> String {
    match route(&method, path) {
        Ok(matched) => format!("{:?} {}", matched.route, matched.parameter),
        Err(RouteError::NoSuchPath) => "404".to_owned(),
        Err(RouteError::Method { allow }) => format!("405 {allow}"),
        Err(RouteError::Path(_)) => "400".to_owned(),
    }
}

#[test]
fn paths_lead_where_they_should_and_nowhere_else() {
    let get = Method::GET;
    let post = Method::POST;
    let cases = [
        (&get, "/v2/flow/welcome", "DoptFlow welcome"),
        (&get, "/v2/flow/a%2Fb", "DoptFlow a/b"),
        (&get, "/v2/flow/a%20b", "DoptFlow a b"),
        (&get, "/v2/flow/%2e%2e", "DoptFlow .."),
        (&get, "/v2/flow/%ff", "400"),
        (&get, "/v2/flow/../block", "400"),
        (&get, "/v2/./flow/a", "400"),
        (&get, "/v2/flow/a;b", "400"),
        (&get, "/v2/flow/a\\b", "400"),
        (&get, "//v2/flow/a", "404"),
        (&get, "/v2/flow/a/", "404"),
        (&get, "/v2/flow", "404"),
        (&get, "/v%32/flow/a", "404"),
        (&get, "/V2/flow/a", "404"),
        (&get, "*", "404"),
        (&get, "/", "404"),
        (&get, "/v2/flow/a/b/c/d/e", "404"),
        (&post, "/v2/flow/welcome", "405 GET, OPTIONS"),
        (&Method::HEAD, "/v2/flow/welcome", "405 GET, OPTIONS"),
        (&Method::OPTIONS, "/v2/flow/welcome", "Preflight "),
        (&Method::OPTIONS, "/v2/nothing", "404"),
        (&post, "/v2/flow/welcome/start", "DoptIntent(Start) welcome"),
        (&post, "/v2/flow/a%2fb/start", "400"),
        (&post, "/v2/flow/welcome/exit", "404"),
        (&get, "/v2/flow/welcome/start", "405 POST, OPTIONS"),
        (&get, "/v2/block/b1", "DoptBlock b1"),
        (&get, "/v2/socket/", "DoptSocket "),
        (&get, "/v2/socket", "DoptSocket "),
        (&get, "/v2/socket//", "404"),
        (&post, "/v2/socket/", "405 GET, OPTIONS"),
        (&post, "/v2/block/b1/transition", "DoptTransition b1"),
        (&post, "/identify", "DoptIdentify "),
        (&post, "/identify/", "404"),
        (&post, "/identify/batch", "DoptUsers(Batch) batch"),
        (&post, "/identify/bulk", "DoptUsers(Bulk) bulk"),
        (&post, "/identify/group", "DoptUsers(Group) group"),
        (&post, "/identify/segment", "DoptUsers(Segment) segment"),
        (&post, "/identify/a%2Fb", "DoptUsers(Named) a/b"),
        (&post, "/identify/Batch", "DoptUsers(Named) Batch"),
        (&post, "/identify/batch/", "404"),
        (&get, "/identify/batch", "405 POST, OPTIONS"),
        (&Method::OPTIONS, "/identify/group", "Preflight "),
        (&post, "/v1/evaluate", "Evaluate "),
        (&post, "/v1/flows/w/reset", "Intent(Reset) w"),
        (&post, "/v1/blocks/b/transition", "Transition b"),
        (&post, "/v1/identify", "Identify "),
        (&post, "/v1/explain", "Explain "),
        (&get, "/v1/changes", "Changes "),
        (&post, "/v1/changes", "405 GET, OPTIONS"),
        (&post, "/v1/changes/tickets", "Ticket "),
        (&get, "/v1/changes/x", "404"),
        (&get, "/api/frontend", "Unleash(Frontend) "),
        (&post, "/api//proxy///all/", "Unleash(FrontendAll) "),
        (
            &get,
            "/api/proxy/features/a%2Fb",
            "Unleash(FrontendOne) a/b",
        ),
        (&get, "/api/client/features/a%20b", "Unleash(Feature) a b"),
        (&post, "/api/client/metrics/bulk", "Unleash(Usage) "),
        (&get, "/api/client/metrics", "405 POST, OPTIONS"),
        (&post, "/api/client/features/a", "405 GET, OPTIONS"),
        (&Method::PUT, "/api/frontend", "405 GET, POST, OPTIONS"),
        (&Method::OPTIONS, "/api/frontend/all", "Preflight "),
        (&get, "/api/frontend/features", "404"),
        (&get, "/api", "404"),
        (&get, "//api/frontend", "404"),
        (&post, "/edge//validate", "404"),
        (
            &get,
            "/edge/v1/environments/e/timestamp",
            "Distribution(Timestamp) ",
        ),
        (
            &get,
            "/edge/v1/environments/e/parts/a",
            "Distribution(Part) ",
        ),
        (
            &post,
            "/edge/v1/environments/e/parts",
            "Distribution(Parts) ",
        ),
        (
            &post,
            "/edge/v1/environments/e/progress",
            "Distribution(Progress) ",
        ),
        (&post, "/edge/v1/environments/e/root/1", "405 GET, OPTIONS"),
        (&get, "/edge/v1/environments/e/keys", "404"),
        (&get, "/edge/v1/environments/e/releases/1/2", "404"),
        (&get, "/edge/v1/environments/e", "404"),
    ];
    for (method, path, expected) in cases {
        assert_eq!(found(method.clone(), path), expected, "{method} {path}");
    }
}

#[test]
fn public_keys_open_no_identify_route() {
    let all = ["batch", "bulk", "group", "ann", "segment"].map(UsersCall::of);
    let all = all.map(Route::DoptUsers).into_iter();
    for route in all.chain([Route::DoptIdentify, Route::Identify]) {
        assert!(!route.permission().contains(KeyKind::Blocks));
        let name = ROUTE_NAMES[route.number()];
        assert_eq!(route.takes_basic(), name == "dopt_segment");
    }
    assert!(!Route::Evaluate.permission().contains(KeyKind::Users));
    assert_eq!(Route::Explain.permission().describe(), "server");
    assert_eq!(Route::Evaluate.permission().describe(), "blocks or server");
    assert!(!Route::Changes.permission().contains(KeyKind::Users));
    assert_eq!(ROUTE_NAMES[Route::Identify.number()], "identify");
    assert_eq!(ROUTE_NAMES[Route::Ticket.number()], "ticket");
    let group = Route::DoptUsers(UsersCall::Group);
    assert_eq!(ROUTE_NAMES[group.number()], "dopt_identify_group");
}
