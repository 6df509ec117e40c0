//! What else do Dopt's users clients ask?
//!
//! Batches in two forms, groups alone, and the deprecated form with the user
//! in the path. A batch is checked as a whole before anything of it is
//! written: the first item that is wrong is named by its place.

use serde_json::{Map, Value};

use super::{
    identify::{GroupBody, IdentifyBody, take},
    segment::segment,
};
use crate::{
    http::{Answer, empty, json, json_bytes},
    progress::GroupRequest,
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{Fault, Invalid},
        protocol::batch::identify_all,
        route::UsersCall,
        target::place,
    },
};

/// Where the older form of a batch says whom it is about.
const OLD_IDENTIFIER: &str = "__dopt_identifier";

/// `POST /identify/…`; `parameter` is the last part of the path.
pub(crate) async fn users(
    edge: &EdgeService,
    posted: &Posted<'_>,
    parameter: &str,
    call: UsersCall,
) -> Result<Answer, Fault> {
    match call {
        UsersCall::Batch => batch(edge, posted, new_form).await,
        UsersCall::Bulk => batch(edge, posted, either_form).await,
        UsersCall::Group => group(edge, posted).await,
        UsersCall::Named => {
            let properties = json::parse(&posted.bytes, json::Limits::default())?;
            let body = IdentifyBody {
                identifier: parameter.to_owned(),
                properties,
                groups: Vec::new(),
            };
            take(edge, posted, body).await
        }
        UsersCall::Segment => segment(edge, posted).await,
    }
}

async fn batch(
    edge: &EdgeService,
    posted: &Posted<'_>,
    read: fn(&[u8]) -> Result<IdentifyBody, Fault>,
) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let checked = |_: usize, item: &[u8]| read(item)?.checked(edge, access);
    let taken = identify_all(edge, &posted.bytes, checked).await?;
    Ok(counted(taken.count))
}

/// The answer that says of how many something was taken.
pub(super) fn counted(count: usize) -> Answer {
    let body = format!("{{\"count\":{count}}}");
    json_bytes(hyper::StatusCode::OK, "application/json", body)
}

fn new_form(item: &[u8]) -> Result<IdentifyBody, Fault> {
    Ok(json::parse(item, json::Limits::default())?)
}

/// As `POST /identify` has it, or the identifier beside the properties.
fn either_form(item: &[u8]) -> Result<IdentifyBody, Fault> {
    let mut members: Map<String, Value> = json::parse(item, json::Limits::default())?;
    match members.remove(OLD_IDENTIFIER) {
        None => new_form(item),
        Some(Value::String(identifier)) => Ok(IdentifyBody {
            identifier,
            properties: members,
            groups: Vec::new(),
        }),
        Some(other) => Err(Invalid::Value {
            what: OLD_IDENTIFIER,
            found: other.to_string(),
            expected: "a string",
        }
        .into()),
    }
}

/// `POST /identify/group`.
async fn group(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: GroupBody = json::parse(&posted.bytes, json::Limits::default())?;
    access.check_somebody()?;
    take_group(edge, access, body).await?;
    Ok(empty(hyper::StatusCode::NO_CONTENT))
}

/// Upserts a group alone.
pub(super) async fn take_group(
    edge: &EdgeService,
    access: Access<'_>,
    body: GroupBody,
) -> Result<(), Fault> {
    let request = GroupRequest {
        place: place(access),
        group: body.checked("identifier", access)?,
        now: edge.now(),
    };
    edge.progress.identify_group(request).await?;
    Ok(())
}
