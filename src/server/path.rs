//! How is a raw path taken apart?
//!
//! Into segments before anything is decoded, so that an encoded slash stays
//! inside its parameter; what different parsers read differently is refused.

use std::borrow::Cow;

use super::error::{Invalid, RouteError};

/// Longest path in segments, plus one that tells a longer one apart.
pub(super) const SEGMENTS: usize = 8;

/// Splits a raw path, refusing what different parsers read differently.
pub(super) fn split<'p>(
    path: &'p str,
    segments: &mut [&'p str; SEGMENTS],
) -> Result<usize, RouteError> {
    let refuse = |expected| {
        RouteError::Path(Invalid::Value {
            what: "path",
            found: path.to_owned(),
            expected,
        })
    };
    let odd = |byte: u8| byte < b' ' || matches!(byte, b';' | b'\\' | 0x7f);
    if path.bytes().any(odd) {
        return Err(refuse("no semicolon, backslash or control character"));
    }
    let rest = path.strip_prefix('/').ok_or(RouteError::NoSuchPath)?;
    let (mut used, mut begin) = (0, 0);
    // By the byte: a search for each slash costs more, so close as they stand.
    for segment in rest.as_bytes().split(|byte| *byte == b'/') {
        let segment = &rest[begin..begin + segment.len()];
        begin += segment.len() + 1;
        if matches!(segment, "." | "..") {
            return Err(refuse("no dot segments"));
        }
        // Clients of Unleash put paths together with slashes to spare.
        if segment.is_empty() && segments[0] == "api" {
            continue;
        }
        *segments.get_mut(used).ok_or(RouteError::NoSuchPath)? = segment;
        used += 1;
    }
    Ok(used)
}

/// A parameter of the path; only as its `last` segment may it hold a slash.
pub(super) fn decode(raw: &str, last: bool) -> Result<Cow<'_, str>, RouteError> {
    if !raw.bytes().any(|byte| byte == b'%') {
        return Ok(Cow::Borrowed(raw));
    }
    let refuse = |expected| {
        RouteError::Path(Invalid::Value {
            what: "path parameter",
            found: raw.to_owned(),
            expected,
        })
    };
    let has_slash = raw
        .as_bytes()
        .windows(3)
        .any(|three| three.eq_ignore_ascii_case(b"%2f"));
    if has_slash && !last {
        return Err(refuse("no encoded slash before the last segment"));
    }
    percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| refuse("percent-encoded UTF-8"))
}
