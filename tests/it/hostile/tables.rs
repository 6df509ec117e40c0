//! Which raw requests are sent, and which one status does each get?
//!
//! `|` is CR LF, `{flow}` a path that answers 200, and the other names end a
//! head with one kind of key; 0 means that the connection ends without an
//! answer.

/// Heads and bodies that parsers read differently, or that are just too much.
pub(super) const FRAMING: &[(&str, u16)] = &[
    ("GET {flow} HTTP/1.0|{end}", 200),
    ("||GET {flow} HTTP/1.1|{end}", 200),
    ("GET {flow} HTTP/1.1|te: trailers|{end}", 200),
    (
        "GET {flow} HTTP/1.1|upgrade: h2c|http2-settings: AAA|{end}",
        200,
    ),
    ("GET {flow} HTTP/1.1|content-length: 5|{end}GET /", 200),
    ("GET http://x{flow} HTTP/1.1|{end}", 200),
    ("GET http://X{flow} HTTP/1.1|{end}", 200),
    ("GET http://other{flow} HTTP/1.1|{end}", 400),
    ("GET http://x:80{flow} HTTP/1.1|{end}", 400),
    ("GET http://u@x{flow} HTTP/1.1|{end}", 400),
    ("GET ftp://x{flow} HTTP/1.1|{end}", 400),
    ("GET x:80 HTTP/1.1|{end}", 400),
    ("GET {flow} HTTP/1.1|host: y|{end}", 400),
    ("GET {flow} HTTP/1.1|host: x|{end}", 400),
    ("GET {flow} HTTP/1.1|connection: close||", 400),
    ("GET {flow} HTTP/1.0||", 400),
    ("GET {flow} HTTP/1.1|host: a b||", 400),
    ("GET {flow} HTTP/1.1|host: a/b||", 400),
    ("GET {flow} HTTP/1.1|host: u@a||", 400),
    ("GET {flow} HTTP/1.1|host: a,b||", 400),
    ("GET {flow} HTTP/2.0|{end}", 400),
    ("GET {flow} HTTP/1.2|{end}", 400),
    ("GET {flow}|", 400),
    ("GET\t{flow} HTTP/1.1|{end}", 400),
    ("GET  {flow} HTTP/1.1|{end}", 400),
    ("GET {flow} HTTP/1.1\nhost: x\n\n", 400),
    ("GET {flow} HTTP/1.1|host: x\n|", 400),
    ("GET /v2/fl\now HTTP/1.1|{end}", 400),
    ("GET /v2/fl\row HTTP/1.1|{end}", 400),
    ("GET /v2/fl\0ow HTTP/1.1|{end}", 400),
    ("GET {flow} HTTP/1.1|a : b|{end}", 400),
    ("GET {flow} HTTP/1.1|a: b| c|{end}", 400),
    ("GET {flow} HTTP/1.1|a: \0|{end}", 400),
    ("GET {flow} HTTP/1.1|nothing|{end}", 400),
    ("GET {flow} HTTP/1.1|: x|{end}", 400),
    ("POST /v1/evaluate HTTP/1.1|content-length: -1|{end}", 400),
    ("POST /v1/evaluate HTTP/1.1|content-length: +2|{end}{}", 400),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 0x2|{end}{}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 2, 2|{end}{}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 2|content-length: 3|{end}{}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 99999999999999999999|{end}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 9223372036854775807|{end}",
        413,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 65537|{end}",
        413,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 2|transfer-encoding: chunked|{end}0||",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: chunked|content-length: 2|{end}0||",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: gzip|{end}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: chunked, identity|{end}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: xchunked|{end}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: \u{b}chunked|{end}",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.0|transfer-encoding: chunked|{end}2|{}|0||",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: chunked|{end}zz|{}|0||",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|transfer-encoding: chunked|{end}ffffffffffffffff1|{}|",
        400,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-encoding: gzip|content-length: 2|{end}{}",
        415,
    ),
    ("TRACE {flow} HTTP/1.1|{end}", 405),
    ("CONNECT x:1 HTTP/1.1|{end}", 405),
    ("PUT {flow} HTTP/1.1|{end}", 405),
    ("get {flow} HTTP/1.1|{end}", 405),
    ("POST {flow} HTTP/1.1|content-length: 0|{end}", 405),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}|||", 400),
    ("PRI * HTTP/2.0||SM||", 0),
];

/// Paths that another parser would lead elsewhere.
pub(super) const PATHS: &[(&str, u16)] = &[
    ("GET /v2/flow/../flow/onboarding-tour HTTP/1.1|{end}", 400),
    ("GET /v2/./flow/onboarding-tour HTTP/1.1|{end}", 400),
    ("GET /v2/flow/onboarding-tour;a=b HTTP/1.1|{end}", 400),
    ("GET /v2\\flow\\onboarding-tour HTTP/1.1|{end}", 400),
    ("GET //v2/flow/onboarding-tour HTTP/1.1|{end}", 404),
    ("GET /v2//flow/onboarding-tour HTTP/1.1|{end}", 404),
    ("GET /v2/flow/onboarding-tour/ HTTP/1.1|{end}", 404),
    ("GET /v%32/flow/onboarding-tour HTTP/1.1|{end}", 404),
    ("GET /V2/flow/onboarding-tour HTTP/1.1|{end}", 404),
    (
        "GET /v2/flow/%2e%2e?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        404,
    ),
    (
        "GET /v2/flow/a%2fb?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        404,
    ),
    (
        "GET /v2/flow/a%0d%0ab?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        404,
    ),
    (
        "GET /v2/flow/%ff?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        400,
    ),
    (
        "POST /v2/flow/a%2Fb/start?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        400,
    ),
    ("OPTIONS * HTTP/1.1|{end}", 404),
    ("GET {flow}&userIdentifier=eve HTTP/1.1|{end}", 400),
    ("GET {flow}&user%49dentifier=eve HTTP/1.1|{end}", 400),
    ("GET {flow}&version=1 HTTP/1.1|{end}", 400),
];

/// Ids of users that could not travel, beside those that can.
pub(super) const IDS: &[(&str, u16)] = &[
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=. HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%2E%2e HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=a%00b HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=a%0Ab HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%C2%85 HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%ff HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier= HTTP/1.1|{end}",
        400,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=..%2F..%2Fx HTTP/1.1|{end}",
        200,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%3F%23%25 HTTP/1.1|{end}",
        200,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%F0%9F%98%80 HTTP/1.1|{end}",
        200,
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest&userIdentifier=%E2%80%AEx HTTP/1.1|{end}",
        200,
    ),
];

/// Keys on doors they do not open.
pub(super) const KEYS: &[(&str, u16)] = &[
    ("GET {flow} HTTP/1.1|{none}", 401),
    ("GET {flow} HTTP/1.1|{edge}", 401),
    ("GET {flow} HTTP/1.1|{admin}", 401),
    ("GET {flow} HTTP/1.1|{users}", 403),
    ("GET {flow} HTTP/1.1|{server}", 403),
    ("POST /identify HTTP/1.1|content-length: 2|{end}{}", 403),
    ("POST /identify HTTP/1.1|content-length: 2|{server}{}", 403),
    ("POST /v1/identify HTTP/1.1|content-length: 2|{end}{}", 403),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 2|{users}{}",
        403,
    ),
    (
        "POST /v1/evaluate HTTP/1.1|content-length: 99999|{none}",
        401,
    ),
];

/// The same for the store.
pub(super) const STORE: &[(&str, u16)] = &[
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{edge}",
        200,
    ),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{other}",
        403,
    ),
    (
        "GET /edge/v1/environments/production/timestamp HTTP/1.1|{edge}",
        403,
    ),
    (
        "GET /edge/v1/environments/nowhere/timestamp HTTP/1.1|{edge}",
        403,
    ),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{admin}",
        403,
    ),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{server}",
        403,
    ),
    (
        "GET /edge/v1/environments/development/timestamp?wait=1s&wait=2s HTTP/1.1|{edge}",
        400,
    ),
    (
        "GET /edge/v1/environments/development/timestamp?wait=61s HTTP/1.1|{edge}",
        400,
    ),
    (
        "GET /edge/v1/environments/development/releases/18446744073709551616 HTTP/1.1|{edge}",
        400,
    ),
    (
        "GET /edge/v1/environments/development/releases/18446744073709551615 HTTP/1.1|{edge}",
        404,
    ),
    (
        "GET /edge/v1/environments/development/parts/.. HTTP/1.1|{edge}",
        404,
    ),
    (
        "GET /edge/v1/environments/development/users/a%00b HTTP/1.1|{edge}",
        400,
    ),
    (
        "GET /edge/v1/environments/development/../production/timestamp HTTP/1.1|{edge}",
        404,
    ),
    ("GET /admin/v1/keys HTTP/1.1|{admin}", 200),
    ("GET /admin/v1/keys HTTP/1.1|{edge}", 403),
    ("GET /admin/v1/keys HTTP/1.1|{none}", 401),
    ("GET //admin/v1/keys HTTP/1.1|{admin}", 404),
    ("GET /admin/v1/%6beys HTTP/1.1|{admin}", 404),
    (
        "POST /admin/v1/import HTTP/1.1|content-length: 33554432|{none}",
        401,
    ),
    (
        "POST /admin/v1/import HTTP/1.1|content-length: 33554432|{edge}",
        403,
    ),
    (
        "POST /admin/v1/import HTTP/1.1|content-length: 33554433|{admin}",
        413,
    ),
    (
        "POST /admin/v1/keys HTTP/1.1|content-length: 2|{admin}[]",
        400,
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-length: 2|{edge}{}",
        400,
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-length: 2|{other}{}",
        403,
    ),
];
