//! How do Unleash's clients ask about flags?
//!
//! With the paths, statuses and shapes of its own proxies, so that clients
//! change nothing but an address. A token alone says which environment is
//! meant.

mod call;
mod context;
mod counts;
mod delta;
mod features;
mod frontend;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod reply;
mod streaming;
mod telling;
mod tokens;
mod usage;
mod wanted;

pub(crate) use call::{Call, speaks};
pub(crate) use counts::{ENDING_NAMES, FlagStreamCounts, TOLD_NAMES};
pub(in crate::server) use telling::Answers;

use std::rc::Rc;

use hyper::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use self::{context::Context, frontend::Scope, reply::Reply};
use crate::{
    http::{Answer, Body, json_bytes},
    server::{
        EdgeService,
        asked::Asked,
        auth::Access,
        deciding::refuse_old,
        error::{Fault, RouteError},
    },
};

/// A call by GET; `name` is the flag it names.
pub(crate) async fn get(
    edge: &Rc<EdgeService>,
    asked: Asked<'_>,
    call: Call,
    name: &str,
) -> Result<Answer, Fault> {
    match call {
        Call::Health => return Ok(tokens::health()),
        Call::Ready => return Ok(tokens::ready(&edge.current.load())),
        _ => {}
    }
    let live = asked.live(&edge.current).await?;
    let reply = opened(edge, asked.access(&live)?, asked.headers())?;
    let query = asked.head.uri.query().unwrap_or_default();
    match scope(call, name) {
        Some(scope) => {
            let context = Context::of_query(query)?;
            evaluated(&reply, context, scope)
        }
        None if call == Call::Streaming => streaming::open(edge, &reply, query),
        None => described(&reply, call, name, query),
    }
}

/// A call by POST.
pub(crate) async fn post(
    edge: &EdgeService,
    asked: Asked<'_>,
    body: Body,
    call: Call,
    name: &str,
) -> Result<Answer, Fault> {
    if call == Call::Validate {
        let bytes = body.read(call.body_bytes_max()).await?;
        return tokens::validate(&edge.current.load(), &bytes);
    }
    let posted = asked.posted(&edge.current, body).await?;
    let reply = opened(edge, posted.access()?, asked.headers())?;
    if matches!(call, Call::Usage | Call::FrontendUsage) {
        if !is_json(asked.headers()) {
            return Ok(no_json());
        }
        let told = usage::Told::of(asked.head.uri.path());
        let access = posted.access()?;
        return usage::take(edge, access, asked.headers(), (told, &posted.bytes));
    }
    match scope(call, name) {
        Some(scope) => {
            if !is_json(asked.headers()) {
                return Ok(no_json());
            }
            let context = Context::of_body(&posted.bytes)?;
            evaluated(&reply, context, scope)
        }
        // Some clients ask for the flags by POST, with nothing to say in it.
        None => {
            let query = asked.head.uri.query().unwrap_or_default();
            described(&reply, call, name, query)
        }
    }
}

/// How to answer, unless the environment is too old to answer anybody.
fn opened<'r>(
    edge: &'r EdgeService,
    access: Access<'r>,
    headers: &'r HeaderMap,
) -> Result<Reply<'r>, Fault> {
    let now = edge.now();
    refuse_old(access.environment, now)?;
    Ok(Reply {
        edge,
        access,
        headers,
        now,
    })
}

/// Which flags a call wants evaluated, if it wants that.
fn scope(call: Call, name: &str) -> Option<Scope<'_>> {
    match call {
        Call::Frontend => Some(Scope::On),
        Call::FrontendAll => Some(Scope::All),
        Call::FrontendOne => Some(Scope::Named(name)),
        _ => None,
    }
}

fn evaluated(reply: &Reply<'_>, context: Context, scope: Scope<'_>) -> Result<Answer, Fault> {
    let access = reply.access;
    let context = context.complete(&access.environment.snapshot, access.from);
    frontend::answer(reply, &context, scope)
}

fn described(reply: &Reply<'_>, call: Call, name: &str, query: &str) -> Result<Answer, Fault> {
    match call {
        Call::Features => features::all(reply, query),
        Call::Feature => features::one(reply, name),
        Call::Delta => delta::answer(reply, query),
        _ => Err(RouteError::NoSuchPath.into()),
    }
}

/// Whether a body calls itself JSON, or nothing at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let text = value.to_str().unwrap_or_default();
    let media = text.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

fn no_json() -> Answer {
    json_bytes(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "text/plain; charset=utf-8",
        "the body calls itself something else; expected application/json",
    )
}
