//! What do we say when something is wrong?
//!
//! Small error enums name what was found and what was expected; [`Fault`]
//! gathers them, and [`Fault::row`] is the one table that gives each its
//! status, its problem type and its title. The caller reads about the request;
//! the log (5xx, at debug level: what is full or away is logged once by the
//! room it happens in, not by every request that meets it) never names a user.

mod missing;
mod unleash;

pub(crate) use missing::{Missing, Old};

use hyper::{
    StatusCode,
    header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{
    kinds::Kinds, limits::Limit, protocol::distribution::DistributionError,
    protocol::flows::TicketError, route::Protocol, signed::TokenError,
};
use crate::{
    current::{Age, NotHere},
    http::{self, Answer, BodyError, json::JsonError},
    progress::{ReadError, WriteError},
    snapshot::wire::KeyKind,
};

/// The path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("there is nothing at this path")]
    NoSuchPath,
    #[error("the path is served, the method is not")]
    Method { allow: &'static str },
    #[error(transparent)]
    Path(Invalid),
}

/// A value of the request is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("{what} is missing")]
    Missing {
        what: &'static str,
        expected: &'static str,
    },
    #[error("{what} is not understood")]
    Value {
        what: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("the length of {what} is out of bounds")]
    Length {
        what: &'static str,
        found: usize,
        expected: &'static str,
    },
    #[error("{what} is given more than once")]
    Repeated { what: &'static str },
    #[error("{one} and {other} are given together")]
    Both {
        one: &'static str,
        other: &'static str,
    },
    #[error("{what} is not supported by this version")]
    Unsupported {
        what: &'static str,
        expected: &'static str,
    },
}

impl Invalid {
    fn found(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("nothing".to_owned()),
            Self::Value { found, .. } => Some(shortened(found)),
            Self::Length { found, .. } => Some(found.to_string()),
            Self::Repeated { .. } => Some("several values".to_owned()),
            Self::Both { .. } => Some("both".to_owned()),
            Self::Unsupported { what, .. } => Some((*what).to_owned()),
        }
    }

    fn expected(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing { expected, .. }
            | Self::Value { expected, .. }
            | Self::Length { expected, .. }
            | Self::Unsupported { expected, .. } => expected,
            Self::Repeated { .. } => "one value",
            Self::Both { .. } => "exactly one of them",
        })
    }
}

/// Why a key does not open a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("no key is given")]
    Missing,
    #[error("the key is not known here")]
    Unknown,
    #[error("the key is not known here yet: no snapshot of its environment has come so far")]
    NotYet,
    #[error("a {found:?} key may not do this")]
    Kind { found: KeyKind, expected: Kinds },
    #[error("attributes are taken only from server keys")]
    Attributes,
    #[error("this flow takes no force from public keys")]
    Force,
    #[error("the key is not for pages of this origin")]
    Origin,
    #[error("x-signature is missing or is not that of the body under Segment's shared secret")]
    Signature,
    #[error("Flowgate-User-Token is not accepted: {0}")]
    UserToken(TokenError),
    #[error(
        "{} in environment {environment}: users come with a signed token (send Flowgate-User-Token, \
         or allow them without one by `flowgate env set {environment} --unsigned-users allow`)",
        if *.chosen { "unsigned users are refused" } else { "nobody has allowed unsigned users" }
    )]
    Unsigned { environment: Box<str>, chosen: bool },
    #[error("Flowgate-User-Token is for another user than the one asked for")]
    OtherUser,
    #[error("pages may not set this property of a user or group in this environment")]
    Property { found: Box<str>, expected: Box<str> },
    #[error("the key is bound to the channel \"{expected}\", and the request names another one")]
    Channel { found: Box<str>, expected: Box<str> },
}

/// Everything that can be wrong with a request, or with us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Limit(#[from] Limit),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the body is not the JSON that is expected: {0}")]
    Json(#[from] JsonError),
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("version {number} of flow \"{sid}\" could not be compiled and is set aside")]
    SetAside { sid: String, number: u32 },
    #[error("deployment {named} is not the one that decides on channel \"{channel}\"")]
    Deployment {
        named: String,
        decides: String,
        channel: String,
    },
    #[error(transparent)]
    Old(#[from] Box<Old>),
    #[error(transparent)]
    NotHere(#[from] NotHere),
    #[error(transparent)]
    Ticket(#[from] TicketError),
    #[error("as many streams and sockets are open as this edge, or this key, may have")]
    Streams,
    #[error("item {at} of the batch, counted from 0: {fault}")]
    Item { at: usize, fault: Box<Fault> },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}

/// A row of the table.
struct Row {
    status: StatusCode,
    /// The last part of the problem type; stable.
    kind: &'static str,
    title: &'static str,
}

const fn row(status: StatusCode, kind: &'static str, title: &'static str) -> Row {
    Row {
        status,
        kind,
        title,
    }
}

/// How long a client waits before it tries again, in seconds: what is full or
/// away is not so for long, and a set-aside version waits for the next publish.
const RETRY_SOON: &str = "1";
const RETRY_LATER: &str = "30";
/// Upstream is asked again within the longest pause between two attempts.
const RETRY_REFRESHED: &str = "10";

impl Fault {
    /// The table.
    fn row(&self) -> Row {
        use StatusCode as S;
        match self {
            Self::Route(RouteError::NoSuchPath) => {
                row(S::NOT_FOUND, "no-such-path", "No such path")
            }
            Self::Route(RouteError::Method { .. }) => {
                row(S::METHOD_NOT_ALLOWED, "method", "Method not allowed")
            }
            Self::Route(RouteError::Path(_)) => row(S::BAD_REQUEST, "path", "Malformed path"),
            Self::Invalid(Invalid::Unsupported { .. }) => {
                row(S::BAD_REQUEST, "not-supported", "Not supported")
            }
            Self::Invalid(_) => row(S::BAD_REQUEST, "invalid-value", "Invalid value"),
            Self::Auth(error) => auth_row(error),
            Self::Limit(limit) => limit_row(*limit),
            Self::Body(BodyError::TooLarge { .. }) => {
                row(S::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large")
            }
            Self::Body(BodyError::Broken(_)) => {
                row(S::BAD_REQUEST, "body-broken", "Body not readable")
            }
            Self::Json(_) => row(S::BAD_REQUEST, "json", "Malformed body"),
            Self::Missing(Missing::Flow { .. }) => {
                row(S::NOT_FOUND, "unknown-flow", "Unknown flow")
            }
            Self::Missing(Missing::Version { .. } | Missing::Draft { .. }) => {
                row(S::NOT_FOUND, "unknown-version", "Unknown version")
            }
            Self::Missing(Missing::Block { .. } | Missing::BlockInVersion { .. }) => {
                row(S::NOT_FOUND, "unknown-block", "Unknown block")
            }
            Self::Missing(Missing::Flag { .. }) => {
                row(S::NOT_FOUND, "unknown-flag", "Unknown flag")
            }
            Self::Missing(Missing::Deployment { .. }) => {
                row(S::NOT_FOUND, "unknown-deployment", "Unknown deployment")
            }
            Self::SetAside { .. } => row(S::SERVICE_UNAVAILABLE, "set-aside", "Version set aside"),
            Self::Deployment { .. } => row(
                S::CONFLICT,
                "deployment-not-in-force",
                "Another deployment decides",
            ),
            Self::Old(old) if old.age == Age::Expired => row(
                S::SERVICE_UNAVAILABLE,
                "snapshot-expired",
                "Snapshot expired",
            ),
            Self::Old(_) => row(S::SERVICE_UNAVAILABLE, "snapshot-stale", "Snapshot stale"),
            Self::NotHere(_) => row(
                S::SERVICE_UNAVAILABLE,
                "revision-not-here",
                "Revision not here",
            ),
            Self::Ticket(_) => row(S::UNAUTHORIZED, "ticket", "Ticket not good"),
            Self::Streams => row(S::SERVICE_UNAVAILABLE, "streams", "Too many streams"),
            Self::Item { fault, .. } => fault.row(),
            Self::Read(error) => read_row(*error),
            Self::Write(error) => write_row(error),
            Self::Distribution(error) => distribution_row(error),
        }
    }

    /// What was found, for the caller.
    fn found(&self) -> Option<String> {
        match self {
            Self::Invalid(invalid) | Self::Route(RouteError::Path(invalid)) => invalid.found(),
            Self::Auth(AuthError::Kind { found, .. }) => Some(found.name().to_owned()),
            Self::Auth(AuthError::Channel { found, .. } | AuthError::Property { found, .. }) => {
                Some(shortened(found))
            }
            Self::Deployment { named, .. } => Some(named.clone()),
            Self::Item { fault, .. } => fault.found(),
            Self::Body(BodyError::TooLarge { announced, .. }) => {
                announced.map(|bytes| format!("{bytes} bytes"))
            }
            _ => None,
        }
    }

    /// What was expected, for the caller.
    fn expected(&self) -> Option<String> {
        match self {
            Self::Invalid(invalid) | Self::Route(RouteError::Path(invalid)) => {
                invalid.expected().map(ToOwned::to_owned)
            }
            Self::Route(RouteError::Method { allow }) => Some((*allow).to_owned()),
            Self::Auth(AuthError::Kind { expected, .. }) => Some(expected.describe()),
            Self::Auth(
                AuthError::Channel { expected, .. } | AuthError::Property { expected, .. },
            ) => Some(expected.to_string()),
            Self::Deployment { decides, .. } => Some(decides.clone()),
            Self::Item { fault, .. } => fault.expected(),
            Self::Ticket(_) => Some("a ticket of POST /v1/changes/tickets, or a key".to_owned()),
            Self::Auth(AuthError::Missing | AuthError::Unknown) => {
                Some("a key as x-api-key or Authorization".to_owned())
            }
            Self::Body(BodyError::TooLarge { limit, .. }) => Some(format!("at most {limit} bytes")),
            _ => None,
        }
    }

    /// The answer in the form of the protocol, and a line in the log when it
    /// is about us.
    pub(crate) fn answer(&self, protocol: Protocol) -> Answer {
        let row = self.row();
        if row.status.is_server_error() {
            tracing::debug!(kind = row.kind, fault = %self, "a request could not be served");
        }
        let mut answer = match protocol {
            Protocol::Dopt => self.dopt(&row),
            Protocol::Flowgate => self.problem(&row),
            Protocol::Unleash => self.unleash(&row),
        };
        if let Some((name, value)) = self.extra_header() {
            answer.headers_mut().insert(name, value);
        }
        answer
    }

    fn extra_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let fixed = HeaderValue::from_static;
        match self {
            Self::Route(RouteError::Method { allow }) => Some((ALLOW, fixed(allow))),
            Self::Auth(AuthError::Missing | AuthError::Unknown | AuthError::UserToken(_))
            | Self::Ticket(_) => Some((WWW_AUTHENTICATE, fixed("Bearer"))),
            Self::Limit(limit) => Some((RETRY_AFTER, limit.retry_s().max(1).into())),
            Self::Item { fault, .. } => fault.extra_header(),
            Self::SetAside { .. } => Some((RETRY_AFTER, fixed(RETRY_LATER))),
            Self::Old(_) => Some((RETRY_AFTER, fixed(RETRY_REFRESHED))),
            other if other.row().status == StatusCode::SERVICE_UNAVAILABLE => {
                Some((RETRY_AFTER, fixed(RETRY_SOON)))
            }
            _ => None,
        }
    }

    /// What is wrong, found and expected, in one text.
    pub(crate) fn details(&self) -> String {
        let mut details = self.to_string();
        if let Some(found) = self.found() {
            details.push_str("; found ");
            details.push_str(&found);
        }
        if let Some(expected) = self.expected() {
            details.push_str("; expected ");
            details.push_str(&expected);
        }
        details
    }

    fn dopt(&self, row: &Row) -> Answer {
        let body = serde_json::json!({"code": dopt_code(row.status), "details": self.details()});
        http::json_bytes(row.status, "application/json", body.to_string())
    }

    fn problem(&self, row: &Row) -> Answer {
        let mut body = serde_json::json!({
            "type": format!("urn:flowgate:problem:{}", row.kind),
            "title": row.title,
            "status": row.status.as_u16(),
            "detail": self.to_string(),
        });
        for (name, value) in [("found", self.found()), ("expected", self.expected())] {
            if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
                members.insert(name.to_owned(), value.into());
            }
        }
        http::json_bytes(row.status, "application/problem+json", body.to_string())
    }
}

/// The rows of what a key does not open.
fn auth_row(error: &AuthError) -> Row {
    use StatusCode as S;
    let (status, kind, title) = match error {
        AuthError::Missing | AuthError::Unknown => {
            (S::UNAUTHORIZED, "key", "Key missing or unknown")
        }
        AuthError::UserToken(_) => (S::UNAUTHORIZED, "user-token", "User token not accepted"),
        AuthError::Signature => (S::UNAUTHORIZED, "signature", "Signature not accepted"),
        AuthError::NotYet => (S::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
        AuthError::Kind { .. } => (S::FORBIDDEN, "key-kind", "Wrong kind of key"),
        AuthError::Attributes => (S::FORBIDDEN, "attributes", "Attributes refused"),
        AuthError::Force => (S::FORBIDDEN, "force", "Force refused"),
        AuthError::Origin => (S::FORBIDDEN, "origin", "Another origin"),
        AuthError::Unsigned { .. } => (S::FORBIDDEN, "unsigned-user", "Unsigned user"),
        AuthError::OtherUser => (S::FORBIDDEN, "other-user", "Another user"),
        AuthError::Property { .. } => (S::FORBIDDEN, "property", "Property refused"),
        AuthError::Channel { .. } => (S::FORBIDDEN, "channel", "Another channel"),
    };
    row(status, kind, title)
}

/// The rows of what is too much: the caller's doing, or everybody's.
fn limit_row(limit: Limit) -> Row {
    let (own, all) = (
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    );
    match limit {
        Limit::KeyRate { .. } => row(own, "key-rate", "Too many requests"),
        Limit::UnseenUsers { .. } => row(own, "unseen-users", "Too many new users"),
        Limit::KeyPlaces { .. } => row(own, "key-places", "Too many requests at once"),
        Limit::Places { .. } => row(all, "places", "Too many requests under way"),
        Limit::Queue { .. } => row(all, "queue", "Overloaded"),
    }
}

/// The rows of what cannot be read.
fn read_row(error: ReadError) -> Row {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    match error {
        ReadError::Unknown => row(status, "subject-unknown", "Subject cannot be read"),
        ReadError::Refused => row(status, "subject-refused", "Subject cannot be read"),
        ReadError::Unreadable => row(status, "steps-unreadable", "Subject cannot be read"),
        ReadError::Busy => row(status, "busy", "Too busy"),
    }
}

/// The rows of what another edge cannot pull.
fn distribution_row(error: &DistributionError) -> Row {
    use StatusCode as S;
    let (status, kind, title) = match error {
        DistributionError::Environment => (S::FORBIDDEN, "environment", "Another environment"),
        DistributionError::ApplicationKey => (S::FORBIDDEN, "key-kind", "Wrong kind of key"),
        DistributionError::NotYet => (S::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
        DistributionError::NoDocument { .. } => {
            (S::NOT_FOUND, "unknown-document", "Unknown document")
        }
        DistributionError::NoLedger => (S::NOT_FOUND, "no-ledger", "No ledger here"),
    };
    row(status, kind, title)
}

/// The rows of what is not stored.
fn write_row(error: &WriteError) -> Row {
    use StatusCode as S;
    let (status, kind, title) = match error {
        WriteError::Read(error) => return read_row(*error),
        WriteError::Step(_) => (S::BAD_REQUEST, "step", "Step does not fit the block"),
        WriteError::KeyReused => (
            S::CONFLICT,
            "idempotency-key-reused",
            "Idempotency key reused",
        ),
        WriteError::TooLarge(_) => (
            S::BAD_REQUEST,
            "properties-too-large",
            "Too many or too large properties",
        ),
        WriteError::TooMuch(_) => (
            S::BAD_REQUEST,
            "too-much-progress",
            "Too much progress of one user",
        ),
        WriteError::Unavailable(_) => (
            S::SERVICE_UNAVAILABLE,
            "progress-unavailable",
            "Progress cannot be stored now",
        ),
        WriteError::Share => (
            S::SERVICE_UNAVAILABLE,
            "journal-share",
            "The environment's share of the journal is used up",
        ),
        WriteError::Unclear => (
            S::SERVICE_UNAVAILABLE,
            "outcome-unknown",
            "Repeat with the same idempotency key",
        ),
    };
    row(status, kind, title)
}

/// Dopt knows four codes; other statuses take the nearest.
fn dopt_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "unauthorized_error",
        StatusCode::NOT_FOUND => "not_found_error",
        other if other.is_server_error() => "internal_server_error",
        _ => "invalid_request_error",
    }
}

/// Enough of a value to recognise it.
fn shortened(text: &str) -> String {
    const KEPT: usize = 100;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
