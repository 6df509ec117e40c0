//! Who may ask about flags, and what does whoever may not learn?

use super::{
    access::{CLIENT, FRONTEND, with_more_keys},
    harness::Harness,
    installation::{BLOCKS, SERVER, USERS},
};
use crate::{server::ROUTE_NAMES, snapshot::wire::KeyKind};

/// Route by its name in metrics, how it is asked, what it answers, and the
/// kinds it is for; without any it takes no key.
const TABLE: [(&str, &str, u16, &[KeyKind]); 12] = {
    const FRONT: &[KeyKind] = &[KeyKind::Frontend];
    const BACK: &[KeyKind] = &[KeyKind::Client];
    [
        ("unleash_frontend", "GET /api/frontend", 200, FRONT),
        ("unleash_frontend_all", "POST /api/proxy/all", 200, FRONT),
        (
            "unleash_frontend_one",
            "GET /api/frontend/features/x",
            404,
            FRONT,
        ),
        (
            "unleash_frontend_usage",
            "POST /api/proxy/client/metrics",
            422,
            FRONT,
        ),
        ("unleash_features", "GET /api/client/features", 200, BACK),
        ("unleash_feature", "GET /api/client/features/x", 404, BACK),
        ("unleash_delta", "GET /api/client/delta", 200, BACK),
        (
            "unleash_streaming",
            "GET /api/client/streaming?namePrefix=a&namePrefix=b",
            400,
            BACK,
        ),
        ("unleash_usage", "POST /api/client/register", 422, BACK),
        ("unleash_validate", "POST /edge/validate", 422, &[]),
        ("unleash_health", "GET /internal-backstage/health", 200, &[]),
        ("unleash_ready", "GET /internal-backstage/ready", 200, &[]),
    ]
};

#[tokio::test]
async fn every_kind_of_key_opens_its_calls_about_flags_and_no_other() {
    let edge = Harness::serving(with_more_keys());
    let served = ROUTE_NAMES
        .iter()
        .filter(|name| name.starts_with("unleash_"));
    // Whoever adds a call says here who may make it.
    assert!(TABLE.iter().map(|row| &row.0).eq(served));
    let keys = [
        (BLOCKS, Some(KeyKind::Blocks)),
        (USERS, Some(KeyKind::Users)),
        (SERVER, Some(KeyKind::Server)),
        (CLIENT, Some(KeyKind::Client)),
        (FRONTEND, Some(KeyKind::Frontend)),
        ("unknown", None),
    ];
    for (name, line, status, kinds) in TABLE {
        let (method, path) = line.split_once(' ').expect("method and path");
        let body = if method == "POST" { "{}" } else { "" };
        for (key, kind) in keys {
            let reply = edge
                .ask(method, path, &[("authorization", key)], body)
                .await;
            let may = kinds.is_empty() || kind.is_some_and(|kind| kinds.contains(&kind));
            let expected = if may { status } else { 403 };
            assert_eq!(reply.status, expected, "{name} with {key}: {reply:?}");
            assert!(reply.status != 403 || reply.text.is_empty(), "{reply:?}");
        }
    }
}
