//! What does a handler get to see of a request?
//!
//! [`Asked`] is the head, once its route is known; [`Posted`] adds the body
//! and the live value it will be judged against, which was loaded when the key
//! was checked and stays the same to the end.

use std::sync::Arc;

use arc_swap::Guard;
use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};

use super::{
    auth::{Access, Memory, authorize},
    error::{AuthError, Fault, Invalid},
    query::{Plus, Query},
    route::Route,
};
use crate::{
    current::{Current, Environments},
    http::Body,
    snapshot::Revision,
};

static X_PKG_NAME: HeaderName = HeaderName::from_static("x-pkg-name");
static FLOWGATE_MIN_REVISION: HeaderName = HeaderName::from_static("flowgate-min-revision");

/// A request's head on its way to a handler.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) route: Route,
    pub(crate) head: &'r Parts,
    pub(crate) memory: &'r Memory,
}

impl<'r> Asked<'r> {
    /// The environment and key of the request in this live value.
    pub(crate) fn access<'e>(&self, live: &'e Environments) -> Result<Access<'e>, AuthError> {
        authorize(live, self.memory, self.headers(), self.route)
    }

    /// The hash of the request's key, known or not.
    pub(crate) fn key_hash(&self) -> Option<[u8; 32]> {
        self.memory.presented(self.headers())
    }

    pub(crate) fn headers(&self) -> &'r HeaderMap {
        &self.head.headers
    }

    /// The query in Dopt's meaning.
    pub(crate) fn query(&self) -> Result<Query<'r>, Invalid> {
        // Only the JavaScript SDKs name their package, and only they put ids
        // into the query unencoded.
        let plus = if self.headers().contains_key(&X_PKG_NAME) {
            Plus::Literal
        } else {
            Plus::Space
        };
        Query::parse(self.head.uri.query().unwrap_or_default(), plus)
    }

    /// The live value that the request is judged against: the one that is
    /// here, or, where the request wants a newer one, the one it waited for.
    pub(crate) async fn live(&self, current: &Current) -> Result<Guard<Arc<Environments>>, Fault> {
        let live = current.load();
        let Some(sent) = self.headers().get(&FLOWGATE_MIN_REVISION) else {
            return Ok(live);
        };
        // Nobody without a key makes us wait.
        let access = self.access(&live)?;
        let wanted = self.min_revision(sent)?;
        let here = &access.environment.snapshot;
        if here.revision >= wanted {
            return Ok(live);
        }
        let (environment, key) = (here.environment.clone(), access.key.sha256);
        drop(live);
        current.at_least(&environment, wanted, &key).await?;
        Ok(current.load())
    }

    fn min_revision(&self, sent: &HeaderValue) -> Result<Revision, Invalid> {
        const WHAT: &str = "Flowgate-Min-Revision";
        if self
            .headers()
            .get_all(&FLOWGATE_MIN_REVISION)
            .iter()
            .count()
            > 1
        {
            return Err(Invalid::Repeated { what: WHAT });
        }
        let text = String::from_utf8_lossy(sent.as_bytes());
        text.parse().map_err(|_| Invalid::Value {
            what: WHAT,
            found: text.into_owned(),
            expected: "epoch.N, such as 0.17, as Flowgate-Revision says it",
        })
    }

    /// Checks the key, then reads the body: nobody without a key makes us
    /// read one.
    pub(crate) async fn posted(self, current: &Current, body: Body) -> Result<Posted<'r>, Fault> {
        let live = self.live(current).await?;
        self.access(&live)?;
        // Before the wait the guard becomes an owned value.
        let live = Guard::into_inner(live);
        let bytes = body.read(self.route.body_bytes_max()).await?;
        Ok(Posted {
            asked: self,
            live,
            bytes,
        })
    }
}

/// A request with its body.
pub(crate) struct Posted<'r> {
    pub(crate) asked: Asked<'r>,
    live: Arc<Environments>,
    pub(crate) bytes: Bytes,
}

impl Posted<'_> {
    /// The environment and key of the request.
    pub(crate) fn access(&self) -> Result<Access<'_>, AuthError> {
        self.asked.access(&self.live)
    }
}
