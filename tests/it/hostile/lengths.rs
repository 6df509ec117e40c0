//! Where does a body end, and what stands after it?
//!
//! Whoever reads another end than the proxy before it takes the rest for the
//! next request. Each case has the statuses of all its answers, in order, until
//! the connection is closed. `{smuggled}` is a request that must never be
//! carried out; `{next}` is one that honestly follows.

/// Lengths and encodings of bodies.
pub(super) const LENGTHS: &[(&str, &[u16])] = &[
    ("{post}content-length: {len}|{end}{json}", &[200]),
    ("{post}content-length:{len}|{end}{json}", &[200]),
    ("{post}content-length:\t {len} \t|{end}{json}", &[200]),
    ("{post}content-length: 0{len}|{end}{json}", &[200]),
    ("{post}CONTENT-LENGTH: {len}|{end}{json}", &[200]),
    (
        "{post}content-length: {len}|{open}{json}{next}",
        &[200, 200],
    ),
    (
        "{post}content-length: {len}|{open}{json}|{next}",
        &[200, 200],
    ),
    (
        "{post}content-length: {len};q=1|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: {len}.0|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: \"{len}\"|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: {len} 0|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: {len},0|{open}{json}{smuggled}",
        &[400],
    ),
    ("{post}content-length:|{open}{json}{smuggled}", &[400]),
    (
        "{post}content-length: \u{665}|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: 18446744073709551616|{open}{smuggled}",
        &[400],
    ),
    ("{post}content-length: 1e1|{open}{json}{smuggled}", &[400]),
    ("{post}content-length: 0b1|{open}{json}{smuggled}", &[400]),
    ("{post}content-length: 1_0|{open}{json}{smuggled}", &[400]),
    (
        "{post}content-length : {len}|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post} content-length: {len}|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}x: y| content-length: {len}|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: 0|content-length: {len}|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: {len}|content-length: 0|{open}{json}{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: {len}|transfer-encoding: chunked|{open}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked|content-length: {len}|{open}0||{smuggled}",
        &[400],
    ),
    (
        "{post}Transfer-encoding: chunked|Content-length: 4|{open}1|Z|Q|{smuggled}",
        &[400],
    ),
    (
        "{post}content-length: 6|transfer-encoding: chunked|{open}0||X{smuggled}",
        &[400],
    ),
    ("{post}transfer-encoding: chunked|{end}{chunk}0||", &[200]),
    ("{post}transfer-encoding: Chunked|{end}{chunk}0||", &[200]),
    (
        "{post}transfer-encoding: \tchunked \t|{end}{chunk}0||",
        &[200],
    ),
    (
        "{post}transfer-encoding: chunked|{open}{chunk}0||{next}",
        &[200, 200],
    ),
    (
        "{post}transfer-encoding: chunked, chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: identity, chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: gzip, chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: ,chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked,|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked;q=1|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: \"chunked\"|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: 'chunked'|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chun ked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked\u{a0}|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: cow|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: identity|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding:|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked|transfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: identity|transfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked|transfer-encoding: identity|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding: chunked|transfer-encoding: cow|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding : chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post} transfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}x: y|\ttransfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}transfer-encoding:| chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}x: y\rtransfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{post}x: y\ntransfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[400],
    ),
    (
        "{get}{open}{post}content-length: 6|transfer-encoding: chunked|{open}{chunk}0||{smuggled}",
        &[200, 200],
    ),
    (
        "GET {flow} HTTP/1.1|transfer-encoding: cow|{open}{smuggled}",
        &[400],
    ),
    (
        "GET {flow} HTTP/1.0|transfer-encoding: chunked|{open}0||{smuggled}",
        &[400],
    ),
];

/// Chunks, behind a head that announces them and closes.
pub(super) const CHUNKS: &[(&str, &[u16])] = &[
    ("{chunked}{chunk}0||", &[200]),
    ("{chunked}{hex};name=value|{json}|0||", &[200]),
    ("{chunked}{hex};name=\"a b\"|{json}|0||", &[200]),
    ("{chunked}{hex} |{json}|0||", &[200]),
    ("{chunked}00000{hex}|{json}|0||", &[200]),
    ("{chunked}{chunk}000||", &[200]),
    ("{chunked}{chunk}0|x: y||", &[200]),
    ("{chunked}{chunk}0|content-length: 9||", &[200]),
    ("{chunked}{chunk}0|transfer-encoding: chunked||", &[200]),
    ("{chunked}0||", &[400]),
    ("{chunked}{hex}\n{json}\n0\n\n", &[400]),
    ("{chunked}{hex}|{json}\n0||", &[400]),
    ("{chunked}{hex}|{json}0||", &[400]),
    ("{chunked}{hex}|{json}XX0||", &[400]),
    ("{chunked} {hex}|{json}|0||", &[400]),
    ("{chunked}0x{hex}|{json}|0||", &[400]),
    ("{chunked}+{hex}|{json}|0||", &[400]),
    ("{chunked}-{hex}|{json}|0||", &[400]),
    ("{chunked}|{json}|0||", &[400]),
    ("{chunked};name=value|{json}|0||", &[400]),
    ("{chunked}{hex};a\nb|{json}|0||", &[400]),
    ("{chunked}g|{json}|0||", &[400]),
    ("{chunked}1_0|{json}|0||", &[400]),
    ("{chunked}10000000000000000|{json}|0||", &[400]),
    ("{chunked}fffffffffffffffff|{json}|0||", &[400]),
    ("{chunked}{chunk}0|: x||", &[400]),
    ("{chunked}{chunk}0|bad name: x||", &[400]),
    ("{chunked}{chunk}0|no colon||", &[400]),
];
