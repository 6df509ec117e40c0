//! Who is this user, in Dopt's words?
//!
//! One user with properties, and the groups they belong to. Members nobody
//! knows are ignored: clients of several generations send their own.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    http::{
        Answer, empty,
        json::{self, Object},
    },
    progress::{IdentifyRequest, event::GroupDocument},
    server::{EdgeService, asked::Posted, error::Fault, query::subject_id, target::place},
};

/// The body of `POST /identify`.
#[derive(Debug, Deserialize)]
struct IdentifyBody {
    identifier: String,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    groups: Vec<Object<GroupBody>>,
}

#[derive(Debug, Deserialize)]
struct GroupBody {
    identifier: String,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// `POST /identify`.
pub(crate) async fn identify(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: IdentifyBody = json::parse(&posted.bytes, json::Limits::default())?;
    subject_id("identifier", &body.identifier)?;
    for Object(group) in &body.groups {
        subject_id("groups[].identifier", &group.identifier)?;
    }
    let groups = body.groups.into_iter().map(|Object(group)| GroupDocument {
        identifier: group.identifier,
        properties: group.properties,
    });
    let request = IdentifyRequest {
        place: place(access),
        user: body.identifier,
        properties: body.properties,
        groups: groups.collect(),
        id: None,
        now: edge.now(),
    };
    edge.progress.identify(request).await?;
    Ok(empty(hyper::StatusCode::NO_CONTENT))
}
