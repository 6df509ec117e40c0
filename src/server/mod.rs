//! How do applications meet the edge?
//!
//! [`Edge`] makes one [`EdgeService`] for each worker of the public listener;
//! [`Admin`] makes the service of the admin listener. A request goes one way:
//! route → live snapshots, loaded once → key → body → subject → decision →
//! bytes. With the subject in memory all of it is one synchronous stretch, and
//! the guard of the live value is never held over an await.

mod admin;
mod asked;
mod auth;
mod cors;
mod deciding;
mod error;
mod following;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod kinds;
mod limits;
mod openapi;
mod path;
mod protocol;
mod query;
mod respond;
mod route;
mod sent;
mod signed;
mod target;
#[cfg(any(test, fuzzing))]
mod tests;

use std::{cell::Cell, future::Future, net::SocketAddr, rc::Rc, sync::Arc};

use hyper::{Method, http::request::Parts};
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

pub use admin::{
    Admin, AdminService, ChangeFacts, ChangesFacts, EnvironmentFacts, Facts, HeldFacts,
    JournalFacts, ProgressFacts, RefreshFacts, StatusSource, UpstreamFacts,
};

pub use cors::Origins;
pub use limits::{LimitSettings, Limits};
pub use protocol::distribution::Distribution;
pub use protocol::dopt::SegmentSecrets;
pub use protocol::dopt::{SocketOptions, Sockets};
pub use protocol::flows::{Changes, ChangesOptions};

use self::{
    asked::Asked,
    auth::{Access, Memory},
    error::{AuthError, Fault},
    limits::{Gate, LIMIT_NAMES, Visit},
    protocol::{distribution, dopt, flows, unleash},
    respond::Stamps,
    route::{Protocol, ROUTE_NAMES, Route, route},
    sent::Sent,
    signed::SignedUsers,
};
use crate::{
    clock::{Ambient, UnixMs},
    current::Current,
    guard::{Context, Sampler},
    http::{Answer, Body, Request, Service},
    progress::Progress,
    telemetry::{
        metrics::{Metrics, RequestCounters},
        traces::Chooser,
    },
    usage::{Evaluating, Intake},
};

/// What the public listener needs.
#[derive(Clone)]
pub struct Edge {
    /// The live snapshots.
    pub current: Arc<Current>,
    /// Where subjects stand.
    pub progress: Progress,
    /// Wall time.
    pub ambient: Ambient,
    /// Where sampled contexts go; none where nothing is guarded.
    pub samples: Option<mpsc::Sender<Context>>,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Whose pages may read answers.
    pub origins: Origins,
    /// How much may be asked.
    pub limits: Limits,
    /// What other edges may pull; none when nothing.
    pub distribution: Option<Arc<Distribution>>,
    /// How many of a million requests are traced; none when none is.
    pub traces_per_million: Option<u32>,
    /// Streams of changes.
    pub changes: Changes,
    /// Sockets of Dopt's clients.
    pub sockets: Sockets,
    /// How Segment's webhooks are believed.
    pub segment: SegmentSecrets,
    /// Where clients' use of flags is left.
    pub usage: Intake,
}

impl Edge {
    /// Registers what is measured of streams of changes at a scrape. Once.
    pub fn register(&self) {
        let heard = admin::Heard {
            changes: self.changes.clone(),
            sockets: self.sockets.clone(),
            progress: self.progress.clone(),
        };
        self.metrics
            .register(|registry| registry.register_collector(Box::new(heard)));
    }

    /// The service of one worker.
    pub fn service(&self) -> EdgeService {
        EdgeService {
            current: Arc::clone(&self.current),
            progress: self.progress.clone(),
            ambient: self.ambient.clone(),
            gate: Gate::new(&self.limits, self.metrics.limits(&LIMIT_NAMES)),
            users: SignedUsers::default(),
            counters: self.metrics.requests(ROUTE_NAMES),
            stamps: Stamps::default(),
            sampler: Sampler::new(self.samples.clone()),
            origins: self.origins.clone(),
            distribution: self.distribution.clone(),
            chooser: Chooser::new(self.traces_per_million),
            changes: self.changes.clone(),
            sockets: self.sockets.clone(),
            segment: self.segment.clone(),
            evaluating: self.usage.evaluating(),
            usage: self.usage.clone(),
            chance: Cell::new(u64::from_le_bytes(self.ambient.bytes())),
            flag_answers: unleash::Answers::default(),
        }
    }
}

/// Answers applications; one for each worker.
pub struct EdgeService {
    current: Arc<Current>,
    progress: Progress,
    ambient: Ambient,
    counters: Arc<RequestCounters>,
    gate: Rc<Gate>,
    users: SignedUsers,
    stamps: Stamps,
    sampler: Sampler,
    origins: Origins,
    distribution: Option<Arc<Distribution>>,
    chooser: Chooser,
    changes: Changes,
    sockets: Sockets,
    segment: SegmentSecrets,
    usage: Intake,
    /// What this worker counts of its own evaluations, if it does.
    evaluating: Option<Evaluating>,
    /// What chance is made of, moved on by every request that asks for some.
    chance: Cell<u64>,
    /// What clients that begin to follow flags are told.
    flag_answers: unleash::Answers,
}

/// A connection's memory: the hash of the key it used last.
#[derive(Debug)]
pub struct EdgeMemory(Memory);

impl Service for EdgeService {
    type Memory = EdgeMemory;

    fn takes_connections(&self) -> bool {
        self.gate.takes_connections()
    }

    fn connected(&self, _: SocketAddr) -> EdgeMemory {
        EdgeMemory(Memory::default())
    }

    /// No `async fn`, which would hold the request twice.
    fn call(
        self: Rc<Self>,
        memory: Rc<EdgeMemory>,
        request: Request,
    ) -> impl Future<Output = Answer> + 'static {
        let (head, body) = request.into_parts();
        async move { self.answer(&memory.0, &head, body).await }
    }
}

impl EdgeService {
    async fn answer(self: &Rc<Self>, memory: &Memory, head: &Parts, body: Body) -> Answer {
        self.gate.request();
        // Behind a trusted proxy many callers share a connection.
        let visit = Visit::new(&self.gate, body.client());
        let person = Cell::new(None);
        let path = head.uri.path();
        let sent = Sent::of(&head.headers);
        let span = self.chooser.request(&head.headers);
        let (number, outcome) = match route(&head.method, path) {
            Ok(matched) => {
                let asked = Asked {
                    route: matched.route,
                    head,
                    sent: &sent,
                    memory,
                    visit: &visit,
                    users: &self.users,
                    ambient: &self.ambient,
                    person: &person,
                };
                // Whoever reads for it goes on in its trace.
                let traced = span.clone().unwrap_or_else(Span::none);
                let dispatched = self.dispatch(asked, body, &matched.parameter);
                let outcome = dispatched.instrument(traced).await;
                (matched.route.number(), outcome)
            }
            Err(error) => (0, Err(error.into())),
        };
        let (mut answer, is_readable) = match outcome {
            Ok(answer) => (answer, true),
            Err(fault) => {
                self.count(&fault);
                // A page the key is not for learns nothing, not even why.
                let is_readable = !matches!(fault, Fault::Auth(AuthError::Origin));
                (fault.answer(Protocol::of(path)), is_readable)
            }
        };
        if is_readable {
            cors::cross_origin(&self.origins, sent.origin, &mut answer);
        }
        self.counters.answered(number, answer.status().as_u16());
        if let Some(span) = span {
            self.trace(&span, number, memory, &sent, &answer);
        }
        answer
    }

    /// The future of a request is as large as its largest part and is moved
    /// several times on its way to be polled. So what waits for others lies in
    /// a box of its own, and a read from memory in none.
    async fn dispatch(
        self: &Rc<Self>,
        asked: Asked<'_>,
        body: Body,
        parameter: &str,
    ) -> Result<Answer, Fault> {
        let current = &self.current;
        match asked.route {
            Route::Preflight => Ok(cors::preflight()),
            Route::OpenApi => Ok(openapi::document()),
            Route::Distribution(document) => {
                Box::pin(distribution::answer(self, asked, body, document)).await
            }
            Route::DoptSocket => dopt::socket(self, asked),
            Route::DoptFlow => dopt::flow(self, asked, parameter).await,
            Route::DoptBlock => dopt::block(self, asked, parameter).await,
            // The body of Dopt's steps means nothing, but it must be out of
            // the way of the next request on the connection.
            Route::DoptIntent(intent) => {
                let posted = asked.posted(current, body).await?;
                Box::pin(dopt::intent(self, &posted, parameter, intent)).await
            }
            Route::DoptTransition => {
                let posted = asked.posted(current, body).await?;
                Box::pin(dopt::transition(self, &posted, parameter)).await
            }
            Route::DoptIdentify => {
                let posted = asked.posted(current, body).await?;
                Box::pin(dopt::identify(self, &posted)).await
            }
            Route::DoptUsers(call) => {
                let posted = asked.posted(current, body).await?;
                Box::pin(dopt::users(self, &posted, parameter, call)).await
            }
            Route::Evaluate => {
                let posted = asked.posted(current, body).await?;
                Box::pin(flows::evaluate(self, &posted)).await
            }
            Route::Intent(intent) => {
                let posted = asked.posted(current, body).await?;
                Box::pin(flows::intent(self, &posted, parameter, intent)).await
            }
            Route::Transition => {
                let posted = asked.posted(current, body).await?;
                Box::pin(flows::transition(self, &posted, parameter)).await
            }
            Route::Identify => {
                let posted = asked.posted(current, body).await?;
                Box::pin(flows::identify(self, &posted)).await
            }
            Route::Explain => {
                let posted = asked.posted(current, body).await?;
                Box::pin(flows::explain(self, &posted)).await
            }
            Route::Changes => Box::pin(flows::hear(self, asked)).await,
            Route::Unleash(call) if asked.head.method == Method::GET => {
                unleash::get(self, asked, call, parameter).await
            }
            Route::Unleash(call) => {
                Box::pin(unleash::post(self, asked, body, call, parameter)).await
            }
            Route::Ticket => {
                let posted = asked.posted(current, body).await?;
                flows::sell(self, &posted)
            }
        }
    }

    /// What a trace says of a request. Its environment is found by its key once
    /// more, which only traced requests pay for.
    fn trace(&self, span: &Span, number: usize, memory: &Memory, sent: &Sent<'_>, answer: &Answer) {
        span.record(
            "http.route",
            ROUTE_NAMES.get(number).copied().unwrap_or_default(),
        );
        span.record("http.response.status_code", answer.status().as_u16());
        if let Some(revision) = answer.headers().get("flowgate-revision") {
            span.record("flowgate.revision", revision.to_str().unwrap_or_default());
        }
        let live = self.current.load();
        if let Some(environment) = auth::environment(&live, memory, sent) {
            span.record("flowgate.environment", environment);
        }
    }

    /// A number nobody can foresee who has not seen the ones before; for
    /// shares, and never for secrets. Flags mix it before they use it.
    fn chance(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let next = self.chance.get().wrapping_add(STEP);
        self.chance.set(next);
        next
    }

    fn now(&self) -> UnixMs {
        self.ambient.now_ms()
    }

    /// Refuses a user that memory does not have, where too many such come from
    /// one address with a public key. A bound on who is made, too: whoever is
    /// made was not there before.
    fn refuse_unseen(&self, access: Access<'_>, user: &str) -> Result<(), Fault> {
        let slot = access.environment.slot;
        if self.progress.cached(slot, user, None).is_none() {
            self.gate
                .unseen(access.slot, access.key.kind, access.from)?;
        }
        Ok(())
    }

    fn count(&self, fault: &Fault) {
        match fault {
            Fault::Item { fault, .. } => self.count(fault),
            Fault::Limit(limit) => self.gate.count(*limit),
            Fault::Auth(
                AuthError::Missing
                | AuthError::Unknown
                | AuthError::UserToken(_)
                | AuthError::Signature,
            )
            | Fault::Ticket(_) => {
                self.counters.unauthorized.add(1);
            }
            Fault::Auth(AuthError::NotYet) => {}
            Fault::Old(old) => self.counters.too_old(old.age.name()),
            Fault::Auth(_) => self.counters.forbidden.add(1),
            _ => {}
        }
    }
}
