//! Who publishes, and who keeps progress?
//!
//! A small store behind the simulated network: the publisher's documents and
//! the ledger's own rules over maps. What it has committed survives its
//! crashes. Every outcome of every record is noted, for whoever judges.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    judge::Judge,
    publisher::{Publisher, Versions},
};
use crate::{
    progress::event::{
        Assumption, Batch, BatchAnswer, Event, Outcome, UserAfter, UsersAnswer, UsersQuestion,
    },
    snapshot::{
        fixture::{ENVIRONMENT, ENVIRONMENT_UID},
        frame::FrameWriter,
    },
    store::{
        ShipError,
        memory::{MemoryLedger, environment},
    },
};

/// Where it listens.
pub(super) const PORT: u16 = 80;
/// Its name in the network.
pub(super) const NAME: &str = "store";
/// How soon who waits for something learns of it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of a record.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) outcome: Outcome,
    pub(super) event: Event,
}

/// What the store has on its disk.
pub(super) struct Kept {
    pub(super) publisher: Publisher,
    pub(super) ledger: MemoryLedger,
    versions: Versions,
    /// First outcome of every record.
    pub(super) taken: BTreeMap<(String, u64), Taken>,
}

impl Kept {
    /// Whether an edge ever had to assume something of this user, because the
    /// store could not be asked: what rests on that may turn out to be nothing.
    pub(super) fn is_assumed(&self, user: &str) -> bool {
        let mut events = self.taken.values().map(|taken| &taken.event);
        events.any(|event| event.user == user && event.assumed != Assumption::Nothing)
    }
}

/// The store; clones are the same one.
#[derive(Clone)]
pub(super) struct Store {
    kept: Arc<Mutex<Kept>>,
    judge: Judge,
}

type Answer = Result<Vec<u8>, (StatusCode, String)>;

impl Store {
    pub(super) fn new(judge: &Judge) -> Self {
        let mut publisher = Publisher::new();
        let kept = Kept {
            versions: publisher.versions(),
            publisher,
            ledger: MemoryLedger::default(),
            taken: BTreeMap::new(),
        };
        Self {
            kept: Arc::new(Mutex::new(kept)),
            judge: judge.clone(),
        }
    }

    pub(super) fn look(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until the host crashes.
    pub(super) async fn run(self) -> turmoil::Result {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let own = self.clone();
            let service = service_fn(move |request| {
                let own = own.clone();
                async move { Ok::<_, Infallible>(own.answer(request).await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It ends with its peer, or with the host.
            drop(tokio::task::spawn_local(serving));
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let answer = match body.collect().await {
            Ok(body) => self.routed(&head.method, &head.uri, &body.to_bytes()).await,
            Err(error) => Err((StatusCode::BAD_REQUEST, error.to_string())),
        };
        let (status, bytes) = match answer {
            Ok(bytes) => (StatusCode::OK, bytes),
            Err((status, text)) => (status, text.into_bytes()),
        };
        let mut response = Response::new(Full::new(bytes.into()));
        *response.status_mut() = status;
        response
    }

    async fn routed(&self, method: &Method, uri: &hyper::Uri, body: &[u8]) -> Answer {
        let query = |name: &str| {
            let mut pairs = uri.query().unwrap_or_default().split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let wait = Duration::from_millis(query("wait").and_then(|ms| ms.parse().ok()).unwrap_or(0));
        let path: Vec<&str> = uri.path().split('/').skip(1).collect();
        match (method.as_str(), &*path) {
            // The one root there is was configured.
            ("GET", ["root", _]) => Err((StatusCode::NOT_FOUND, String::new())),
            ("GET", ["timestamp"]) => self.timestamp(query("unless"), wait).await,
            ("GET", ["releases", version]) => self.document(version, |kept, version| {
                kept.publisher.offer.releases.get(&version)
            }),
            ("GET", ["control", version]) => self.document(version, |kept, version| {
                kept.publisher.offer.controls.get(&version)
            }),
            ("POST", ["parts"]) => self.parts(body),
            ("GET", ["users", user]) => self.user(user, query("after"), wait).await,
            ("POST", ["users:batch"]) => self.users(body),
            ("GET", ["groups", group]) => json(&self.look().ledger.record(group)),
            ("GET", ["memberships", deployment, id]) => {
                let conversation = query("conversation");
                json(&self.look().ledger.membership(deployment, id, conversation))
            }
            ("GET", ["changes"]) => self.changes(query("cursor"), wait).await,
            ("POST", ["progress"]) => self.ship(body),
            ("POST", ["journals", journal, "close"]) => {
                let hash = query("hash").unwrap_or_default();
                let closed = self.look().ledger.close(journal, hash);
                closed.map(|()| Vec::new()).map_err(refused)
            }
            _ => Err((
                StatusCode::BAD_REQUEST,
                format!("no such call: {method} {uri}"),
            )),
        }
    }

    /// The validator, a line break, and the file.
    async fn timestamp(&self, unless: Option<&str>, wait: Duration) -> Answer {
        let until = Instant::now() + wait;
        loop {
            {
                let kept = self.look();
                let offer = &kept.publisher.offer;
                let validator = offer.validator.replace(' ', "-");
                if unless != Some(&*validator) {
                    return Ok([validator.as_bytes(), b"\n", &*offer.timestamp].concat());
                }
            }
            if Instant::now() >= until {
                return Err((StatusCode::NOT_MODIFIED, String::new()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn document(&self, version: &str, find: impl Fn(&Kept, u64) -> Option<&Vec<u8>>) -> Answer {
        let kept = self.look();
        let found = version
            .parse()
            .ok()
            .and_then(|version| find(&kept, version));
        found.cloned().ok_or((StatusCode::NOT_FOUND, String::new()))
    }

    fn parts(&self, body: &[u8]) -> Answer {
        let wanted: Vec<String> = parsed(body)?;
        let kept = self.look();
        let mut frames = FrameWriter::default();
        for sha256 in wanted {
            let Some(bytes) = kept.publisher.blob(&sha256) else {
                continue;
            };
            let mut hash = [0; 32];
            for (at, byte) in hash.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&sha256[2 * at..2 * at + 2], 16).unwrap_or_default();
            }
            if !frames.push(&hash, bytes) {
                break;
            }
        }
        Ok(frames.finish())
    }

    async fn user(&self, user: &str, after: Option<&str>, wait: Duration) -> Answer {
        let Some(after) = after else {
            return json(&self.look().ledger.document(user));
        };
        let (journal, seq) = after.split_once(':').unwrap_or_default();
        let seq: u64 = seq.parse().unwrap_or(u64::MAX);
        let until = Instant::now() + wait;
        loop {
            {
                let kept = self.look();
                let mark = kept.ledger.marks.get(journal);
                let reached = mark
                    .and_then(|mark| mark.watermark)
                    .is_some_and(|at| at >= seq);
                if reached || Instant::now() >= until {
                    let user = kept.ledger.document(user);
                    return json(&UserAfter { reached, user });
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn users(&self, body: &[u8]) -> Answer {
        let question: UsersQuestion = parsed(body)?;
        let kept = self.look();
        // No answer has room for more than two.
        let (first, missing) = question.users.split_at(question.users.len().min(2));
        json(&UsersAnswer {
            users: first
                .iter()
                .map(|user| kept.ledger.document(user))
                .collect(),
            missing: missing.to_vec(),
        })
    }

    async fn changes(&self, cursor: Option<&str>, wait: Duration) -> Answer {
        let until = Instant::now() + wait;
        loop {
            let changes = self.look().ledger.changes(cursor);
            let changes =
                changes.map_err(|_| (StatusCode::BAD_REQUEST, "a wrong cursor".to_owned()))?;
            let is_news = cursor.is_none() || changes.gap || !changes.changes.is_empty();
            if is_news || Instant::now() >= until {
                return json(&changes);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn ship(&self, body: &[u8]) -> Answer {
        let batch: Batch = parsed(body)?;
        let mut kept = self.look();
        let kept = &mut *kept;
        let place = environment(ENVIRONMENT_UID, ENVIRONMENT);
        let answer = kept.ledger.ship(&place, &batch, &kept.versions);
        let answer = answer.map_err(refused)?;
        self.note(kept, &batch, &answer);
        json(&answer)
    }

    /// Every record has its one outcome when it comes first, and is there
    /// already whenever it comes again.
    fn note(&self, kept: &mut Kept, batch: &Batch, answer: &BatchAnswer) {
        for (record, outcome) in batch.records.iter().zip(&answer.outcomes) {
            let place = (batch.journal.clone(), record.seq);
            if kept.taken.contains_key(&place) {
                self.judge.count("records sent again");
                if outcome.outcome != Outcome::Already {
                    let found = outcome.outcome;
                    self.judge
                        .wrong(format!("outcome: {place:?} is {found:?} the second time"));
                }
                continue;
            }
            self.judge.tell(&format!(
                "{place:?} of {} {:?} on {:?} is {:?} {:?}",
                record.event.user,
                record.event.operation,
                record.event.base,
                outcome.outcome,
                outcome.why
            ));
            self.judge.count(match outcome.outcome {
                Outcome::Applied => "records applied",
                Outcome::Already => "records there already",
                Outcome::Superseded => "records superseded",
                Outcome::Dead => "records dead",
            });
            let event = record.event.clone();
            let outcome = outcome.outcome;
            kept.taken.insert(place, Taken { outcome, event });
        }
    }
}

fn json(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn refused(error: ShipError) -> (StatusCode, String) {
    match error {
        ShipError::Fork(why) => (StatusCode::CONFLICT, why),
        error => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}
