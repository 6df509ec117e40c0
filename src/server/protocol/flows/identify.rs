//! Who is this user, in our own words?
//!
//! One user or a list. The shape is Dopt's; unlike there, unknown members are
//! refused and the answer carries a token by which a later read can be asked to
//! be as new.

use super::{event_id, wire::IdentifyBody, write_text, write_token};
use crate::{
    clock::UnixMs,
    http::{
        Answer,
        json::{self, Object},
    },
    progress::{
        IdentifyRequest,
        event::{EventId, GroupDocument},
    },
    server::{
        EdgeService, asked::Posted, auth::Access, error::Fault, protocol::batch::identify_all,
        query::subject_id, target::place,
    },
};

/// `POST /v1/identify`.
pub(crate) async fn identify(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let headers = posted.asked.headers();
    let now = edge.now();
    let is_list = posted.bytes.trim_ascii_start().first() == Some(&b'[');
    let (token, count) = if is_list {
        let checked = |at: usize, item: &[u8]| {
            // A user may be named twice under the one key of the request.
            let id = event_id(headers, "identify", "", item)?.map(|id| id.of_item(at));
            checked(edge, access, (id, now), item)
        };
        let taken = identify_all(edge, &posted.bytes, checked).await?;
        (taken.token, Some(taken.count))
    } else {
        let id = event_id(headers, "identify", "", &posted.bytes)?;
        let request = checked(edge, access, (id, now), &posted.bytes)?;
        (edge.progress.identify(request).await?, None)
    };
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"revision\":");
    write_text(&mut out, &access.environment.snapshot.revision.to_string());
    if let Some(count) = count {
        out.extend_from_slice(b",\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    write_token(&mut out, token.as_ref());
    out.push(b'}');
    Ok(edge.stamps.evaluated(access.environment, now, out))
}

/// One call, if it may be made with this key.
fn checked(
    edge: &EdgeService,
    access: Access<'_>,
    (id, now): (Option<EventId>, UnixMs),
    bytes: &[u8],
) -> Result<IdentifyRequest, Fault> {
    let body: IdentifyBody = json::parse(bytes, json::Limits::default())?;
    subject_id("identifier", &body.identifier)?;
    access.check_user(&body.identifier)?;
    access.check_properties(&body.properties)?;
    for Object(group) in &body.groups {
        subject_id("groups[].identifier", &group.identifier)?;
        access.check_properties(&group.properties)?;
    }
    edge.refuse_unseen(access, &body.identifier)?;
    let groups = body.groups.into_iter().map(|Object(group)| GroupDocument {
        identifier: group.identifier,
        properties: group.properties,
    });
    Ok(IdentifyRequest {
        place: place(access),
        user: body.identifier,
        properties: body.properties,
        groups: groups.collect(),
        id,
        now,
    })
}
