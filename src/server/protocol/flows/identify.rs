//! Who is this user, in our own words?
//!
//! The shape is Dopt's; unlike there, unknown members are refused and the
//! answer carries a token by which a later read can be asked to be as new.

use super::{event_id, wire::IdentifyBody, write_text, write_token};
use crate::{
    http::{
        Answer,
        json::{self, Object},
    },
    progress::{IdentifyRequest, event::GroupDocument},
    server::{
        EdgeService,
        asked::Posted,
        error::{Fault, Invalid},
        query::subject_id,
        target::place,
    },
};

/// `POST /v1/identify`.
pub(crate) async fn identify(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    if posted.bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Invalid::Unsupported {
            what: "a batch",
            expected: "one user a request",
        }
        .into());
    }
    let body: IdentifyBody = json::parse(&posted.bytes, json::Limits::default())?;
    subject_id("identifier", &body.identifier)?;
    for Object(group) in &body.groups {
        subject_id("groups[].identifier", &group.identifier)?;
    }
    let id = event_id(posted.asked.headers(), "identify", "", &posted.bytes)?;
    let now = edge.now();
    let groups = body.groups.into_iter().map(|Object(group)| GroupDocument {
        identifier: group.identifier,
        properties: group.properties,
    });
    let request = IdentifyRequest {
        place: place(access),
        user: body.identifier,
        properties: body.properties,
        groups: groups.collect(),
        id,
        now,
    };
    let token = edge.progress.identify(request).await?;
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"revision\":");
    write_text(&mut out, &access.environment.snapshot.revision.to_string());
    write_token(&mut out, token.as_ref());
    out.push(b'}');
    Ok(edge.stamps.evaluated(access.environment, now, out))
}
