//! What does the store answer to a request?
//!
//! Plumbing-neutral: a [`Request`] in, a [`Response`] out; sockets, header
//! rules and body caps are the caller's. `/edge/v1` wants an `edge` key of the
//! environment in the path, `/admin/v1` an `admin` key. Errors are problem
//! documents (RFC 9457) that say what was found and what was expected.

mod admin;
mod audit;
mod channels;
mod deployments;
mod drafts;
mod edge;
mod environments;
mod flags;
mod flows;
mod funnel;
mod openapi;
mod paging;
mod permits;
mod problem;
mod projects;
mod reads;
mod route;
mod subjects;
mod terms;
#[cfg(test)]
mod tests;
mod usage;
mod users;
mod webhooks;

pub use super::confirming::CONFIRM_HEADER;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use problem::Problem;
use route::{Admin, Route};

use super::{
    Actor, Due, Store, StoreError,
    condition::Condition,
    confirming::Meant,
    workspace::{StoredKey, StoredKeyKind},
};
use crate::limits;

/// A request without its plumbing.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// As on the wire, in capitals.
    pub method: String,
    /// Raw path, still percent-encoded, without the query.
    pub path: String,
    /// Raw query, without the question mark; empty when there was none.
    pub query: String,
    /// The key text, from `x-api-key` or `Authorization`.
    pub key: Option<String>,
    /// `If-None-Match`, as sent.
    pub if_none_match: Option<String>,
    /// `If-Match`, as sent.
    pub if_match: Option<String>,
    /// `Flowgate-Confirm`, as sent: environments whose change is meant.
    pub confirm: Option<String>,
    /// The whole body; capped by what [`Api::admit`] allowed.
    pub body: Bytes,
    /// `X-Request-Id`, as sent.
    pub request_id: Option<String>,
    /// Who asks, also where a trusted proxy asks for them.
    pub from: Option<IpAddr>,
}

/// An answer without its plumbing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// `Content-Type`; none without a body.
    pub content_type: Option<&'static str>,
    /// `ETag`, with its quotes.
    pub etag: Option<String>,
    /// `Allow`, with status 405.
    pub allow: Option<&'static str>,
    /// The bytes are addressed by their hash and may be cached for good.
    pub immutable: bool,
    /// The body.
    pub body: Bytes,
    /// `Retry-After` in whole seconds.
    pub retry_after: Option<u32>,
}

/// The most bytes the body of a request for this may have.
fn body_bytes_max(route: &Route) -> usize {
    match route {
        Route::Admin(
            Admin::Import
            | Admin::ImportUnleash
            | Admin::Draft(drafts::Asked::PutDraft(_) | drafts::Asked::Content(..)),
        ) => limits::IMPORT_BYTES_MAX,
        Route::Admin(Admin::Flag(_)) => limits::FLAG_BODY_BYTES_MAX,
        Route::Admin(Admin::ImportUsers(_)) => {
            limits::USER_LINES_BYTES_MAX + limits::ADMIN_BODY_BYTES_MAX
        }
        Route::Edge(_, route::Edge::Progress) => limits::SHIP_BYTES_MAX,
        Route::Edge(_, route::Edge::Metrics) => limits::USAGE_BATCH_BYTES_MAX,
        Route::Edge(_, route::Edge::Parts) => limits::PARTS_PER_REQUEST_MAX * 70,
        // Each byte of an id may be escaped.
        Route::Edge(_, route::Edge::Users) => {
            limits::USERS_PER_READ_MAX * (limits::SUBJECT_ID_BYTES_MAX * 6 + 8)
        }
        _ => limits::ADMIN_BODY_BYTES_MAX,
    }
}

/// The store's answers.
#[derive(Clone, Debug)]
pub struct Api {
    store: Arc<Store>,
    documents: openapi::Documents,
}

impl Api {
    /// Over this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            documents: openapi::Documents::new(),
        }
    }

    /// The OpenAPI document at a path; it takes no key.
    pub fn document(&self, path: &str) -> Option<Bytes> {
        self.documents.at(path)
    }

    /// The same answers, on another handle of the store.
    fn on(&self, store: Store) -> Self {
        Self {
            store: Arc::new(store),
            ..self.clone()
        }
    }

    /// Answers one request. Database work runs on blocking threads; a long
    /// poll waits without one.
    pub async fn handle(&self, request: Request) -> Response {
        match self.answer(request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }

    /// Looks at a request whose body was not read yet: how many bytes it may
    /// have, or the refusal. Nobody without a key makes the store read one.
    pub fn admit(&self, request: &Request) -> Result<usize, Response> {
        let (route, _) = self.permitted(request).map_err(Problem::into_response)?;
        Ok(body_bytes_max(&route))
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        // Again, also after `admit`: the key may have been revoked while the
        // body came in.
        let (route, key) = self.permitted(&request)?;
        let query = route::query(&request.query)?;
        match route {
            Route::Edge(environment, edge) => {
                edge::answer(self, environment, edge, &query, request).await
            }
            Route::Admin(route) => {
                let id = request.request_id.as_deref().and_then(request_id);
                let meant = Meant::read(request.confirm.as_deref());
                let actor = Actor::with_key(&key, id, meant);
                let actor = actor.ok_or_else(|| wrong_kind(&key, StoredKeyKind::Admin))?;
                let api = self.on(self.store.acting(actor));
                api.author(route, query, key.name, request).await
            }
        }
    }

    /// Answers an author, on the terms of the request.
    async fn author(
        self,
        route: Admin,
        mut query: route::Query,
        name: String,
        request: Request,
    ) -> Result<Response, Problem> {
        let mut api = self;
        let makes = terms::makes(&route);
        if terms::changes(&route) {
            if terms::dry_run(&mut query)? {
                api = api.on(api.store.trying());
            }
            let condition = request.if_match.as_deref();
            terms::refuse_untagged(&route, condition)?;
            let tag = condition.map(terms::tag).transpose()?.flatten();
            let about = terms::subject(&route, &query, &api.store.workspace());
            if let (Some(about), Some(tag)) = (about, tag) {
                api = api.on(api.store.expecting(Condition { about, tag }));
            }
        }
        let answered = match route {
            Admin::Draft(asked) => drafts::answer(&api, asked, &query, name, request).await,
            Admin::Flag(asked) => flags::answer(&api, asked, &query, request).await,
            other => admin::answer(&api, other, &query, request.body).await,
        };
        match answered {
            Ok(response) if api.store.is_trial() => {
                let unconfirmed = api.store.unconfirmed();
                Ok(terms::tried(response, unconfirmed, makes))
            }
            Ok(response) => Ok(response),
            Err(problem) => Err(api.with_other_change(problem).await),
        }
    }

    /// The route of a request and its key, if that opens it.
    fn permitted(&self, request: &Request) -> Result<(Route, StoredKey), Problem> {
        let route = Route::of(&request.method, &request.path)?;
        let key = self.authenticate(request)?;
        match &route {
            Route::Edge(environment, _) => self.permit_edge(&key, environment)?,
            Route::Admin(admin) => {
                permits::permit(admin, &request.query, &key, &self.store.workspace())?;
            }
        }
        Ok((route, key))
    }

    fn authenticate(&self, request: &Request) -> Result<StoredKey, Problem> {
        let Some(text) = request.key.as_deref() else {
            return Err(Problem::new(401, "unauthorized", "no key was sent")
                .found("no key")
                .expected("a key in x-api-key or Authorization"));
        };
        self.store.authenticate(text).ok_or_else(|| {
            // Whoever held a key of it may know.
            let gone = self.store.deleted_with(text).map(Problem::from);
            gone.unwrap_or_else(|| Problem::new(401, "unauthorized", "the key is not valid here"))
        })
    }

    /// An edge key opens its own environment and nothing else, not even to
    /// learn whether another exists.
    fn permit_edge(&self, key: &StoredKey, environment: &str) -> Result<(), Problem> {
        if key.kind != StoredKeyKind::Edge {
            return Err(wrong_kind(key, StoredKeyKind::Edge));
        }
        let workspace = self.store.workspace();
        let mut environments = workspace.environments.iter();
        let own = environments.find(|own| Some(&own.uid) == key.environment_uid.as_ref());
        match own {
            Some(own) if own.name == environment => Ok(()),
            own => Err(
                Problem::new(403, "forbidden", "the key belongs to another environment")
                    .found(environment)
                    .expected(own.map_or("none", |own| own.name.as_str())),
            ),
        }
    }

    /// Runs work where it may block: the database, and reading large bodies,
    /// for which other requests of the worker would have to wait.
    async fn blocking<T: Send + 'static, E: Into<Problem> + Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(&self.store);
        let finished = tokio::task::spawn_blocking(move || work(&store)).await;
        match finished {
            Ok(answer) => answer.map_err(Into::into),
            Err(error) => Err(Problem::internal(&error)),
        }
    }

    /// Sees to it that an accepted change is published: at once, or together
    /// with others when one was published a moment ago. Whoever wakes first
    /// publishes for all; a client that goes away leaves it to the next one or
    /// to the refresh.
    async fn settle(&self) -> Result<(), Problem> {
        if self.store.is_trial() {
            return Ok(());
        }
        loop {
            match self.store.due() {
                Due::Nothing => {
                    // Somebody may be publishing our change this moment; when
                    // that fails it is due again.
                    self.blocking(|store| {
                        store.await_publisher();
                        Ok::<_, StoreError>(())
                    })
                    .await?;
                    if self.store.due() == Due::Nothing {
                        return Ok(());
                    }
                }
                Due::Now => {
                    self.blocking(|store| store.publish_due()).await?;
                }
                Due::In(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            }
        }
    }
}

impl Response {
    fn json(status: u16, value: &impl serde::Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
        Ok(Self::of(status, "application/json", body.into()))
    }

    fn of(status: u16, content_type: &'static str, body: Bytes) -> Self {
        Self {
            content_type: Some(content_type),
            body,
            ..Self::empty(status)
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            etag: None,
            allow: None,
            immutable: false,
            body: Bytes::new(),
            retry_after: None,
        }
    }
}

/// What a caller calls a request, if it is fit to be kept.
fn request_id(text: &str) -> Option<String> {
    let fits = (1..=limits::REQUEST_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn wrong_kind(key: &StoredKey, expected: StoredKeyKind) -> Problem {
    Problem::new(403, "forbidden", "keys of this kind may not do this")
        .found(key.kind.name())
        .expected(expected.name())
}
