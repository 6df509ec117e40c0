//! What is asked for, and who may ask?
//!
//! A closed enum: what is not listed here does not exist. Every route carries
//! the kinds of keys that may use it and the cap of its body, so permissions
//! never hang on pieces of a path. Routing works on the raw path; only a
//! parameter is ever decoded, and only after the route is known.

use std::borrow::Cow;

use hyper::Method;

use super::{
    error::RouteError,
    kinds::Kinds,
    limits::Class,
    path::{SEGMENTS, decode, split},
    protocol::{distribution::Document, unleash},
};
use crate::{
    limits::{BATCH_BODY_BYTES_MAX, BODY_BYTES_MAX},
    progress::Action,
    snapshot::wire::KeyKind,
};

/// What can be done to a flow by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Start it.
    Start,
    /// Begin anew.
    Reset,
    /// Stop it.
    Stop,
    /// Finish it.
    Finish,
}

impl Intent {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "reset" => Self::Reset,
            "stop" => Self::Stop,
            "finish" => Self::Finish,
            _ => return None,
        })
    }

    /// As it stands in paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reset => "reset",
            Self::Stop => "stop",
            Self::Finish => "finish",
        }
    }

    /// Whether `force` means anything for it.
    pub(crate) fn takes_force(self) -> bool {
        matches!(self, Self::Start | Self::Reset)
    }

    /// What is done to the flow.
    pub(crate) fn action<'a>(self, force: bool) -> Action<'a> {
        match self {
            Self::Start => Action::Start { force },
            Self::Reset => Action::Reset { force },
            Self::Stop => Action::Stop,
            Self::Finish => Action::Finish,
        }
    }
}

/// What Dopt's users API has beside `POST /identify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsersCall {
    /// Many users.
    Batch,
    /// Many users, by its older name.
    Bulk,
    /// A group alone.
    Group,
    /// A user named in the path.
    Named,
    /// Segment's webhook.
    Segment,
}

impl UsersCall {
    /// What the last part of the path leads to. The words win over users of
    /// that name.
    fn of(word: &str) -> Self {
        match word {
            "batch" => Self::Batch,
            "bulk" => Self::Bulk,
            "group" => Self::Group,
            "segment" => Self::Segment,
            _ => Self::Named,
        }
    }
}

/// In which form errors are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `{code, details}`.
    Dopt,
    /// RFC 9457 problem documents.
    Flowgate,
    /// A status, and words only where clients may read them.
    Unleash,
}

impl Protocol {
    /// The protocol a path belongs to, also one that leads nowhere.
    pub(crate) fn of(path: &str) -> Self {
        if ["/v0/", "/v2/", "/identify"]
            .iter()
            .any(|own| path.starts_with(own))
        {
            Self::Dopt
        } else if unleash::speaks(path) {
            Self::Unleash
        } else {
            Self::Flowgate
        }
    }
}

/// Everything the public listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A browser asks whether it may ask.
    Preflight,
    /// `GET /v2/flow/:sid`.
    DoptFlow,
    /// `POST /v2/flow/:sid/:intent`.
    DoptIntent(Intent),
    /// `GET /v2/block/:uid`.
    DoptBlock,
    /// `POST /v2/block/:uid/transition`.
    DoptTransition,
    /// `POST /identify`.
    DoptIdentify,
    /// `GET /v2/socket/`, the upgrade.
    DoptSocket,
    /// `POST /identify/…`.
    DoptUsers(UsersCall),
    /// `POST /v1/evaluate`.
    Evaluate,
    /// `POST /v1/flows/:sid/:intent`.
    Intent(Intent),
    /// `POST /v1/blocks/:uid/transition`.
    Transition,
    /// `POST /v1/identify`.
    Identify,
    /// `POST /v1/explain`.
    Explain,
    /// `GET /v1/openapi.json`.
    OpenApi,
    /// `GET /v1/changes`.
    Changes,
    /// `POST /v1/changes/tickets`.
    Ticket,
    /// `/edge/v1/environments/:name/…`, for other edges.
    Distribution(Document),
    /// `/api/…`, and what stands beside it.
    Unleash(unleash::Call),
}

/// Names in metrics; [`Route::number`] is an index into them.
pub(crate) const ROUTE_NAMES: &[&str] = &[
    "none",
    "preflight",
    "dopt_flow",
    "dopt_intent",
    "dopt_block",
    "dopt_transition",
    "dopt_identify",
    "evaluate",
    "intent",
    "transition",
    "identify",
    "explain",
    "openapi",
    "changes",
    "ticket",
    "distribution",
    "dopt_socket",
    "dopt_identify_batch",
    "dopt_identify_bulk",
    "dopt_identify_group",
    "dopt_identify_user",
    "dopt_segment",
    "unleash_frontend",
    "unleash_frontend_all",
    "unleash_frontend_one",
    "unleash_frontend_usage",
    "unleash_features",
    "unleash_feature",
    "unleash_delta",
    "unleash_streaming",
    "unleash_usage",
    "unleash_validate",
    "unleash_health",
    "unleash_ready",
];

impl Route {
    /// Its place in [`ROUTE_NAMES`]; 0 is for requests without a route.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::Preflight => 1,
            Self::DoptFlow => 2,
            Self::DoptIntent(_) => 3,
            Self::DoptBlock => 4,
            Self::DoptTransition => 5,
            Self::DoptIdentify => 6,
            Self::Evaluate => 7,
            Self::Intent(_) => 8,
            Self::Transition => 9,
            Self::Identify => 10,
            Self::Explain => 11,
            Self::OpenApi => 12,
            Self::Changes => 13,
            Self::Ticket => 14,
            Self::Distribution(_) => 15,
            Self::DoptSocket => 16,
            Self::DoptUsers(call) => 17 + call as usize,
            Self::Unleash(call) => 22 + call as usize,
        }
    }

    /// Which keys open it.
    pub(crate) const fn permission(self) -> Kinds {
        match self {
            // They take no key, and give nothing away.
            Self::Preflight | Self::OpenApi => Kinds::of(&[]),
            // Keys of edges are in no snapshot.
            Self::Distribution(_) => Kinds::of(&[]),
            Self::Unleash(call) => call.permission(),
            Self::DoptFlow
            | Self::DoptIntent(_)
            | Self::DoptBlock
            | Self::DoptTransition
            | Self::DoptSocket => Kinds::of(&[KeyKind::Blocks]),
            Self::DoptIdentify | Self::DoptUsers(_) => Kinds::of(&[KeyKind::Users]),
            Self::Evaluate | Self::Intent(_) | Self::Transition | Self::Changes | Self::Ticket => {
                Kinds::of(&[KeyKind::Blocks, KeyKind::Server])
            }
            Self::Identify => Kinds::of(&[KeyKind::Users, KeyKind::Server]),
            Self::Explain => Kinds::of(&[KeyKind::Server]),
        }
    }

    /// When it is sacrificed under too much load.
    pub(crate) const fn class(self) -> Class {
        match self {
            // Nobody waits for an explanation while users wait for answers.
            Self::Explain | Self::OpenApi => Class::Lists,
            // Other edges have the last snapshot and come again.
            Self::Distribution(_) => Class::Lists,
            Self::Unleash(call) => call.class(),
            Self::Preflight
            | Self::DoptFlow
            | Self::DoptBlock
            | Self::DoptSocket
            | Self::Evaluate
            | Self::Changes
            | Self::Ticket => Class::Evaluations,
            Self::DoptIntent(_)
            | Self::DoptTransition
            | Self::DoptIdentify
            | Self::DoptUsers(_)
            | Self::Intent(_)
            | Self::Transition
            | Self::Identify => Class::Writes,
        }
    }

    /// The longest body it takes.
    pub(crate) const fn body_bytes_max(self) -> usize {
        match self {
            Self::Preflight
            | Self::OpenApi
            | Self::DoptFlow
            | Self::DoptBlock
            | Self::DoptSocket
            | Self::Changes => 0,
            Self::Distribution(document) => document.body_bytes_max(),
            Self::Unleash(call) => call.body_bytes_max(),
            Self::DoptUsers(UsersCall::Batch | UsersCall::Bulk) | Self::Identify => {
                BATCH_BODY_BYTES_MAX
            }
            Self::DoptIntent(_)
            | Self::DoptTransition
            | Self::DoptIdentify
            | Self::DoptUsers(_)
            | Self::Evaluate
            | Self::Intent(_)
            | Self::Transition
            | Self::Explain
            | Self::Ticket => BODY_BYTES_MAX,
        }
    }

    /// Whether the key may come as HTTP Basic: Segment sends no other header.
    pub(crate) const fn takes_basic(self) -> bool {
        matches!(self, Self::DoptUsers(UsersCall::Segment))
    }
}

/// A route and what its path said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matched<'p> {
    pub(crate) route: Route,
    /// The flow's sid or the block's uid, decoded; empty where there is none.
    pub(crate) parameter: Cow<'p, str>,
}

/// Finds the route of a raw path.
pub(crate) fn route<'p>(method: &Method, path: &'p str) -> Result<Matched<'p>, RouteError> {
    let mut segments = [""; SEGMENTS];
    let used = split(path, &mut segments)?;
    if let Some((call, name)) = unleash::Call::of(&segments[..used]) {
        return flags(method, call, name);
    }
    // The pattern first: a known path with a wrong method is a 405. The last
    // value says whether the parameter is the last segment, where alone an
    // encoded slash is meaningful.
    let (allowed, route, parameter, last) = match &segments[..used] {
        ["v2", "flow", sid] => (Method::GET, Route::DoptFlow, *sid, true),
        ["v2", "flow", sid, intent] => match Intent::named(intent) {
            Some(intent) => (Method::POST, Route::DoptIntent(intent), *sid, false),
            None => return Err(RouteError::NoSuchPath),
        },
        ["v2", "block", uid] => (Method::GET, Route::DoptBlock, *uid, true),
        ["v2", "block", uid, "transition"] => (Method::POST, Route::DoptTransition, *uid, false),
        // Clients ask with the slash, people without.
        ["v2", "socket"] | ["v2", "socket", ""] => (Method::GET, Route::DoptSocket, "", true),
        ["identify"] => (Method::POST, Route::DoptIdentify, "", true),
        ["identify", word] if !word.is_empty() => {
            let call = UsersCall::of(word);
            (Method::POST, Route::DoptUsers(call), *word, true)
        }
        ["v1", "evaluate"] => (Method::POST, Route::Evaluate, "", true),
        ["v1", "flows", sid, intent] => match Intent::named(intent) {
            Some(intent) => (Method::POST, Route::Intent(intent), *sid, false),
            None => return Err(RouteError::NoSuchPath),
        },
        ["v1", "blocks", uid, "transition"] => (Method::POST, Route::Transition, *uid, false),
        ["v1", "identify"] => (Method::POST, Route::Identify, "", true),
        ["v1", "openapi.json"] => (Method::GET, Route::OpenApi, "", true),
        ["v1", "explain"] => (Method::POST, Route::Explain, "", true),
        ["v1", "changes"] => (Method::GET, Route::Changes, "", true),
        ["v1", "changes", "tickets"] => (Method::POST, Route::Ticket, "", true),
        ["edge", "v1", "environments", _, document @ ..] => {
            match Document::of(method, document) {
                // The path has names without anything to decode.
                Some((allowed, document)) => (allowed, Route::Distribution(document), "", true),
                None => return Err(RouteError::NoSuchPath),
            }
        }
        _ => return Err(RouteError::NoSuchPath),
    };
    if method == Method::OPTIONS {
        return Ok(Matched {
            route: Route::Preflight,
            parameter: Cow::Borrowed(""),
        });
    }
    if *method != allowed {
        let allow = if allowed == Method::GET {
            "GET, OPTIONS"
        } else {
            "POST, OPTIONS"
        };
        return Err(RouteError::Method { allow });
    }
    let parameter = decode(parameter, last)?;
    Ok(Matched { route, parameter })
}

/// The route of a call about flags, of which some come by either method.
fn flags<'p>(
    method: &Method,
    call: unleash::Call,
    name: &'p str,
) -> Result<Matched<'p>, RouteError> {
    let (route, parameter) = match *method {
        Method::OPTIONS => (Route::Preflight, Cow::Borrowed("")),
        _ if call.takes(method) => (Route::Unleash(call), decode(name, true)?),
        _ => {
            return Err(RouteError::Method {
                allow: call.allow(),
            });
        }
    };
    Ok(Matched { route, parameter })
}

#[cfg(test)]
mod tests;
