//! Which paths lead where, at which door?
//!
//! The public listener of the edge, its admin listener and the store, asked for
//! what another of them has, in spellings that a proxy in front would let pass.

/// At the public listener: nothing of the operators' or of other edges'.
pub(super) const PUBLIC: &[(&str, &[u16])] = &[
    ("GET / HTTP/1.1|{end}", &[404]),
    ("GET /metrics HTTP/1.1|{end}", &[404]),
    ("GET /status HTTP/1.1|{end}", &[404]),
    ("GET /config HTTP/1.1|{end}", &[404]),
    ("GET /admin/v1/keys HTTP/1.1|{admin}", &[404]),
    (
        "POST /admin/v1/import HTTP/1.1|content-length: 0|{admin}",
        &[404],
    ),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{edge}",
        &[404],
    ),
    (
        "GET /edge/v1/environments/development/root/1 HTTP/1.1|{edge}",
        &[404],
    ),
    ("GET /v2/flow/../../metrics HTTP/1.1|{end}", &[400]),
    (
        "GET /v2/flow/..%2f..%2fmetrics?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%2e%2e%2fmetrics?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    ("GET /v2/flow/..;/metrics HTTP/1.1|{end}", &[400]),
    ("GET /v2/flow/.%2e/metrics HTTP/1.1|{end}", &[404]),
    ("GET /%2e%2e/metrics HTTP/1.1|{end}", &[404]),
    ("GET /.. HTTP/1.1|{end}", &[400]),
    ("GET /. HTTP/1.1|{end}", &[400]),
    ("GET /.well-known/x HTTP/1.1|{end}", &[404]),
    (
        "GET /v2/flow/%c0%ae%c0%ae?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[400],
    ),
    (
        "GET /v2/flow/%u002e?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%2?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%zz?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/a%00?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%252e%252e?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/onboarding-tour%20?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/Onboarding-Tour?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/onboarding-tour%3Ftag=latest HTTP/1.1|{end}",
        &[400],
    ),
    ("GET /v2/flow/onboarding-tour#x HTTP/1.1|{end}", &[400]),
    (
        "GET /v2/flow/a'b?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/a\"b?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/{{a}}?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/$(id)?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/%3Cscript%3E?tag=latest&userIdentifier=u HTTP/1.1|{end}",
        &[404],
    ),
    (
        "GET /v2/flow/onboarding-tour?userIdentifier=u HTTP/1.1|{end}",
        &[400],
    ),
    (
        "GET /v2/flow/onboarding-tour?tag=latest HTTP/1.1|{end}",
        &[400],
    ),
    ("GET /v2/flow/onboarding-tour? HTTP/1.1|{end}", &[400]),
    ("GET /v2/flow/onboarding-tour?? HTTP/1.1|{end}", &[400]),
    ("GET /v2/flow/onboarding-tour?%00 HTTP/1.1|{end}", &[400]),
    ("GET {flow}&tag=draft HTTP/1.1|{end}", &[400]),
    ("GET {flow}&tag HTTP/1.1|{end}", &[400]),
    ("GET {flow}&userIdentifier[]=eve HTTP/1.1|{end}", &[200]),
    ("GET {flow}&&&&&&& HTTP/1.1|{end}", &[200]),
    ("GET {flow};userIdentifier=eve HTTP/1.1|{end}", &[200]),
    ("GET {flow}&nothing=%ff HTTP/1.1|{end}", &[200]),
    ("GET {flow}&x-api-key=nothing HTTP/1.1|{end}", &[200]),
    ("GET {flow}&include=everything HTTP/1.1|{end}", &[400]),
    ("GET /v1/flows/onboarding-tour HTTP/1.1|{end}", &[404]),
    (
        "POST /v1/flows/onboarding-tour/explode HTTP/1.1|content-length: 0|{end}",
        &[404],
    ),
    (
        "POST /v1/flows//start HTTP/1.1|content-length: 0|{end}",
        &[400],
    ),
    (
        "POST /v1/flows/../start HTTP/1.1|content-length: 0|{end}",
        &[400],
    ),
    (
        "POST /v1/evaluate/ HTTP/1.1|content-length: 0|{end}",
        &[404],
    ),
    (
        "POST /v1/evaluate?force=true HTTP/1.1|content-length: 0|{end}",
        &[400],
    ),
    ("POST /v1/EVALUATE HTTP/1.1|content-length: 0|{end}", &[404]),
    ("GET /v1/evaluate HTTP/1.1|{end}", &[405]),
    ("GET /v1/openapi.json HTTP/1.1|{none}", &[200]),
    ("GET /v1/openapi.json/ HTTP/1.1|{none}", &[404]),
];

/// Keys that are no keys, at the public listener.
pub(super) const NO_KEYS: &[(&str, &[u16])] = &[
    ("{get}x-api-key:|{none}", &[401]),
    ("{get}x-api-key: null|{none}", &[401]),
    ("{get}x-api-key: *|{none}", &[401]),
    ("{get}x-api-key: blocks|{none}", &[401]),
    ("{get}x-api-key: ' or 1=1 --|{none}", &[401]),
    ("{get}x-api-key: \u{ff}\u{fe}|{none}", &[401]),
    ("{get}x-api-key: {text} x|{none}", &[401]),
    ("{get}x-api-key: {text}x|{none}", &[401]),
    ("{get}x-api-key: {text},{text}|{none}", &[401]),
    ("{get}x_api_key: {text}|{none}", &[401]),
    ("{get}api-key: {text}|{none}", &[401]),
    ("{get}cookie: x-api-key={text}|{none}", &[401]),
    ("{get}authorization: Basic {text}|{none}", &[401]),
    ("{get}authorization: Digest {text}|{none}", &[401]),
    ("{get}authorization: Bearer|{none}", &[401]),
    ("{get}authorization: Bearer {text}|{none}", &[200]),
    ("{get}authorization: {text}|{none}", &[200]),
    ("{get}x-api-key: \t{text} \t|{none}", &[200]),
    ("GET {flow}&x-api-key={text} HTTP/1.1|{none}", &[401]),
    ("GET {flow}&api_key={text} HTTP/1.1|{none}", &[401]),
];

/// At the edge's admin listener.
pub(super) const ADMIN: &[(&str, &[u16])] = &[
    ("GET /health HTTP/1.1|{none}", &[200]),
    ("GET /metrics HTTP/1.1|{none}", &[200]),
    ("GET /status HTTP/1.1|{none}", &[200]),
    ("GET /ready HTTP/1.1|{none}", &[200]),
    ("GET / HTTP/1.1|{none}", &[404]),
    ("GET /metrics/ HTTP/1.1|{none}", &[404]),
    ("GET //metrics HTTP/1.1|{none}", &[404]),
    ("GET /./metrics HTTP/1.1|{none}", &[404]),
    ("GET /x/../metrics HTTP/1.1|{none}", &[404]),
    ("GET /metrics%00 HTTP/1.1|{none}", &[404]),
    ("GET /METRICS HTTP/1.1|{none}", &[404]),
    ("GET /%6detrics HTTP/1.1|{none}", &[404]),
    ("GET /metrics;x HTTP/1.1|{none}", &[404]),
    ("POST /metrics HTTP/1.1|content-length: 0|{none}", &[405]),
    ("DELETE /status HTTP/1.1|{none}", &[405]),
    ("TRACE /health HTTP/1.1|{none}", &[405]),
    ("GET {flow} HTTP/1.1|{end}", &[404]),
    ("POST /v1/evaluate HTTP/1.1|content-length: 0|{end}", &[404]),
    ("GET /ready?environment=nowhere HTTP/1.1|{none}", &[404]),
    ("GET /ready?for=everything HTTP/1.1|{none}", &[400]),
    ("GET /health HTTP/1.1|host: a|{none}", &[400]),
    (
        "GET /health HTTP/1.1|transfer-encoding: chunked|content-length: 0|{none}",
        &[400],
    ),
    (
        "POST /health HTTP/1.1|content-length: 99999999999|{none}",
        &[405],
    ),
];

/// At the store: what an edge's key opens, and what it does not.
pub(super) const STORE: &[(&str, &[u16])] = &[
    ("GET /health HTTP/1.1|{none}", &[200]),
    ("GET /edge/v1/openapi.json HTTP/1.1|{none}", &[200]),
    ("GET / HTTP/1.1|{none}", &[404]),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{none}",
        &[401],
    ),
    (
        "GET /edge/v1/environments/development/timestamp HTTP/1.1|{end}",
        &[403],
    ),
    (
        "GET /edge/v1/environments/DEVELOPMENT/timestamp HTTP/1.1|{edge}",
        &[403],
    ),
    (
        "GET /edge/v1/environments/development%00/timestamp HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/%70roduction/timestamp HTTP/1.1|{edge}",
        &[403],
    ),
    (
        "GET /edge/v1/environments/%64evelopment/timestamp HTTP/1.1|{edge}",
        &[200],
    ),
    (
        "GET /edge/v1/environments//timestamp HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/*/timestamp HTTP/1.1|{edge}",
        &[403],
    ),
    (
        "GET /edge/v1/environments/development/timestamp/ HTTP/1.1|{edge}",
        &[404],
    ),
    (
        "POST /edge/v1/environments/development/timestamp HTTP/1.1|content-length: 0|{edge}",
        &[405],
    ),
    (
        "GET /edge/v1/environments/development/timestamp?wait=-1s HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/development/timestamp?wait=1e9s HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/development/timestamp?wait= HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/development/root/0 HTTP/1.1|{edge}",
        &[404],
    ),
    (
        "GET /edge/v1/environments/development/root/-1 HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/development/root/1.json HTTP/1.1|{edge}",
        &[400],
    ),
    (
        "GET /edge/v1/environments/development/controls/0 HTTP/1.1|{edge}",
        &[404],
    ),
    (
        "GET /edge/v1/environments/development/parts/0 HTTP/1.1|{edge}",
        &[404],
    ),
    (
        "POST /edge/v1/environments/development/parts HTTP/1.1|content-length: 2|{edge}{}",
        &[400],
    ),
    (
        "POST /edge/v1/environments/development/parts HTTP/1.1|content-length: 2|{other}{}",
        &[403],
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-length: 2|{none}{}",
        &[401],
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-length: 2|{server}{}",
        &[403],
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-encoding: gzip|content-length: 2|{edge}{}",
        &[415],
    ),
    (
        "POST /edge/v1/environments/development/progress HTTP/1.1|content-length: 99999999999|{edge}",
        &[413],
    ),
    ("GET /admin/v1/keys HTTP/1.1|{server}", &[403]),
    ("GET /admin/v1/keys HTTP/1.1|{users}", &[403]),
    (
        "GET /admin/v1/keys HTTP/1.1|x-original-url: /health|{none}",
        &[401],
    ),
    ("GET /health/../admin/v1/keys HTTP/1.1|{none}", &[404]),
    ("GET /admin/v1/keys/ HTTP/1.1|{admin}", &[404]),
    ("GET /admin/v1/keys%20 HTTP/1.1|{admin}", &[404]),
    ("GET /ADMIN/v1/keys HTTP/1.1|{admin}", &[404]),
    ("DELETE /admin/v1/keys HTTP/1.1|{admin}", &[405]),
    (
        "PUT /admin/v1/import HTTP/1.1|content-length: 0|{admin}",
        &[405],
    ),
    (
        "POST /admin/v1/keys HTTP/1.1|content-length: 4|{admin}null",
        &[400],
    ),
    (
        "POST /admin/v1/keys HTTP/1.1|content-length: 1|{admin}{",
        &[400],
    ),
    (
        "POST /admin/v1/import HTTP/1.1|content-length: 2|content-length: 3|{admin}{}",
        &[400],
    ),
    (
        "POST /admin/v1/import HTTP/1.1|transfer-encoding: chunked|content-length: 3|{admin}0||",
        &[400],
    ),
    (
        "GET http://elsewhere/admin/v1/keys HTTP/1.1|{admin}",
        &[400],
    ),
    ("CONNECT x:1 HTTP/1.1|{admin}", &[405]),
];
