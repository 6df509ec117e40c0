//! Who is this user, in Dopt's words?
//!
//! One user with properties, and the groups they belong to. Members nobody
//! knows are ignored: clients of several generations send their own.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    http::{
        Answer, empty,
        json::{self, Object},
    },
    progress::{IdentifyRequest, event::GroupDocument},
    server::{
        EdgeService, asked::Posted, auth::Access, error::Fault, query::subject_id, target::place,
    },
};

/// The body of `POST /identify`.
#[derive(Debug, Deserialize)]
pub(super) struct IdentifyBody {
    pub(super) identifier: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) properties: Map<String, Value>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) groups: Vec<Object<GroupBody>>,
}

/// A group, in such a body or alone.
#[derive(Debug, Deserialize)]
pub(super) struct GroupBody {
    pub(super) identifier: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) properties: Map<String, Value>,
}

/// Some clients write what is not given as null.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl IdentifyBody {
    /// The call, if it may be made with this key.
    pub(super) fn checked(
        self,
        edge: &EdgeService,
        access: Access<'_>,
    ) -> Result<IdentifyRequest, Fault> {
        subject_id("identifier", &self.identifier)?;
        access.check_user(&self.identifier)?;
        access.check_properties(&self.properties)?;
        let groups = self.groups.into_iter();
        let groups = groups.map(|Object(group)| group.checked("groups[].identifier", access));
        let groups: Vec<GroupDocument> = groups.collect::<Result<_, _>>()?;
        edge.refuse_unseen(access, &self.identifier)?;
        Ok(IdentifyRequest {
            place: place(access),
            user: self.identifier,
            properties: self.properties,
            groups,
            id: None,
            now: edge.now(),
        })
    }
}

impl GroupBody {
    /// The group, if its properties may be set with this key.
    pub(super) fn checked(
        self,
        what: &'static str,
        access: Access<'_>,
    ) -> Result<GroupDocument, Fault> {
        subject_id(what, &self.identifier)?;
        access.check_properties(&self.properties)?;
        Ok(GroupDocument {
            identifier: self.identifier,
            properties: self.properties,
        })
    }
}

/// `POST /identify`.
pub(crate) async fn identify(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let body: IdentifyBody = json::parse(&posted.bytes, json::Limits::default())?;
    take(edge, posted, body).await
}

/// Identifies one user and answers nothing, which is what clients expect.
pub(super) async fn take(
    edge: &EdgeService,
    posted: &Posted<'_>,
    body: IdentifyBody,
) -> Result<Answer, Fault> {
    let request = body.checked(edge, posted.access()?)?;
    edge.progress.identify(request).await?;
    Ok(empty(hyper::StatusCode::NO_CONTENT))
}
