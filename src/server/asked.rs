//! What does a handler get to see of a request?
//!
//! [`Asked`] is the head, once its route is known; [`Posted`] adds the body
//! and the live value it will be judged against, which was loaded when the key
//! was checked and stays the same to the end.

use std::{cell::Cell, sync::Arc};

use arc_swap::Guard;
use bytes::Bytes;
use hyper::{HeaderMap, http::request::Parts};

use super::{
    auth::{Access, Memory, authorize},
    error::{AuthError, Fault, Invalid},
    limits::Visit,
    query::{Plus, Query},
    route::Route,
    sent::{Sent, Single},
    signed::{Person, SignedUsers},
};
use crate::{
    clock::Ambient,
    current::{Current, Environments},
    http::Body,
    snapshot::Revision,
};

/// A request's head on its way to a handler.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) route: Route,
    pub(crate) head: &'r Parts,
    pub(crate) sent: &'r Sent<'r>,
    pub(crate) memory: &'r Memory,
    pub(crate) visit: &'r Visit<'r>,
    pub(crate) users: &'r SignedUsers,
    pub(crate) ambient: &'r Ambient,
    /// Found out with the first look at the key.
    pub(crate) person: &'r Cell<Option<Person>>,
}

impl<'r> Asked<'r> {
    /// The environment and key of the request in this live value. The first
    /// look lets the request in, or says why not.
    pub(crate) fn access<'e>(&self, live: &'e Environments) -> Result<Access<'e>, Fault> {
        let from = self.visit.from();
        let access = authorize(live, self.memory, self.sent, self.route, from)?;
        let person = match self.person.get() {
            Some(known) => known,
            None => {
                self.visit.admit(access.slot, self.route.class())?;
                let (environment, kind) = (access.environment, access.key.kind);
                // Only a token is a reason to look at the clock.
                let now = || self.ambient.now_ms();
                let person = self
                    .users
                    .person(environment, kind, self.sent.user_token, now);
                let person = person.map_err(AuthError::UserToken)?;
                self.person.set(Some(person));
                person
            }
        };
        Ok(Access { person, ..access })
    }

    /// The hash of the request's key, known or not.
    pub(crate) fn key_hash(&self) -> Option<[u8; 32]> {
        self.memory.presented(self.sent)
    }

    pub(crate) fn headers(&self) -> &'r HeaderMap {
        &self.head.headers
    }

    /// The query in Dopt's meaning.
    pub(crate) fn query(&self) -> Result<Query<'r>, Invalid> {
        // Only the JavaScript SDKs name their package, and only they put ids
        // into the query unencoded.
        let plus = if self.sent.names_package {
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
        if let Single::Absent = self.sent.min_revision {
            return Ok(live);
        }
        // Nobody without a key makes us wait.
        let access = self.access(&live)?;
        let Some(wanted) = self.min_revision()? else {
            return Ok(live);
        };
        let here = &access.environment.snapshot;
        if here.revision >= wanted {
            return Ok(live);
        }
        let (environment, key) = (here.environment.clone(), access.key.sha256);
        drop(live);
        Box::pin(current.at_least(&environment, wanted, &key)).await?;
        Ok(current.load())
    }

    fn min_revision(&self) -> Result<Option<Revision>, Invalid> {
        const WHAT: &str = "Flowgate-Min-Revision";
        let Some(sent) = self.sent.min_revision.value(WHAT)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(sent.as_bytes());
        text.parse().map(Some).map_err(|_| Invalid::Value {
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
    pub(crate) fn access(&self) -> Result<Access<'_>, Fault> {
        self.asked.access(&self.live)
    }
}
