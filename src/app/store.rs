//! How does a store start and stop?
//!
//! Data folder → signing keys → database → first admin key → listener → the
//! task that publishes and signs again. Stopping: no new connections, running
//! requests finish, then the tasks end.

use std::{
    fs::Permissions,
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};

use super::{
    Addresses, StartError,
    control::Control,
    tls::{Secured, proxies},
};
use crate::{
    clock::Ambient,
    config::StoreConfig,
    http::{
        self, Answer, BodyError, Deadlines, Listener, Options, Service,
        version::{VERSION, VERSION_HEADER},
    },
    store::{
        self, Due, KeyName, Outbox, Retention, StoredKeyKind, Timing, WebhookKey, WebhookRules,
        api::{self, Api},
        signing::Signing,
    },
    telemetry::metrics::Metrics,
};

/// Edges and a few people; each edge holds a connection or two.
const CONNECTIONS_MAX: usize = 4_096;

/// Two threads answer: one of them may be busy with a large import.
const WORKERS: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

/// How often timestamps are looked at, unless they are fresh for so short a
/// time that this would be late.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// How often what is too old is looked for: a bounded amount each time, so this
/// also says how much of it a day may bring.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Running requests get this long when the store stops. A long poll is ended
/// by then, and its edge asks again.
const DRAIN: Duration = Duration::from_secs(2);

/// A running store.
pub struct Store {
    store: Arc<store::Store>,
    server: http::Server,
    secured: Secured,
    control: Control,
}

impl Store {
    /// Starts everything; returns when the listener is bound.
    pub fn start(config: StoreConfig, ambient: Ambient) -> Result<Self, StartError> {
        make_folder(config.data())?;
        let signing = Signing::load(config.signing())?;
        Self::start_with(&config, signing, ambient)
    }

    /// The same with signing keys that are loaded already.
    pub(super) fn start_with(
        config: &StoreConfig,
        signing: Signing,
        ambient: Ambient,
    ) -> Result<Self, StartError> {
        store::backup::tell_restored(config.data(), signing.root());
        let timing = timing(config.fresh_for(), config.timestamp_life());
        let pause = REFRESH_EVERY.min(Duration::from_millis(timing.refresh_ms / 4));
        let database = config.data().join("store.db");
        let store = store::Store::open(&database, signing, ambient.clone(), timing)?;
        let store = store.keeping(Retention {
            conversation_ms: millis(config.conversation_life()),
            dead_letter_ms: millis(config.dead_letter_life()),
            usage_ms: millis(config.usage_life()),
            audit_ms: millis(config.audit_life()),
            tombstone_ms: millis(config.tombstone_life()),
        });
        let webhook_key = WebhookKey::open(&config.data().join("webhooks.key"), &ambient)?;
        tracing::info!(
            key = webhook_key.public(),
            "webhooks are signed with this key"
        );
        first_admin_key(&store, config.data())?;
        let store = Arc::new(store);

        let mut secured = Secured::new(&ambient);
        let tls = secured.listener("store", config.tls())?;
        let listener = Listener::open(config.listen())?.secured(tls);
        let listener = listener.behind(proxies(config.proxies()));
        let metrics = Metrics::new();
        secured.measure(&metrics);
        let options = Options {
            name: "store",
            workers: WORKERS,
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_MAX,
            deadlines: Deadlines::default(),
        };
        let api = Api::new(store.clone());
        let counted = metrics.clone();
        let server = http::serve(listener, options, &metrics, move |_| StoreService {
            api: api.clone(),
            metrics: counted.clone(),
        })?;
        let mut control = Control::start("store-control").map_err(StartError::Thread)?;
        control.spawn("certificates", secured.follow());
        control.spawn("publish", publish(store.clone()));
        control.spawn(
            "refresh timestamps",
            refresh(store.clone(), ambient.clone(), pause),
        );
        control.spawn("sweep", sweep(store.clone(), ambient.clone()));
        let rules = WebhookRules {
            allow_http: config.webhooks_allow_http(),
            allow_private: config.webhooks_allow_private(),
        };
        let outbox = Outbox::new(store.clone(), rules, webhook_key, ambient);
        let counts = outbox.counts();
        metrics.register(|registry| registry.register_collector(Box::new(counts)));
        control.spawn("webhooks", outbox.run());
        Ok(Self {
            store,
            server,
            secured,
            control,
        })
    }

    /// The store itself, for `dev`.
    pub(super) fn inner(&self) -> &Arc<store::Store> {
        &self.store
    }

    /// Bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            store: Some(self.server.url().to_owned()),
            ..Addresses::default()
        }
    }

    /// Reads certificates again.
    pub fn renew(&self) {
        self.secured.renew();
    }

    /// Stops everything in order; returns when it is done.
    pub fn stop(self) {
        let server = self.server;
        // None only when the control thread has died, and then nothing runs.
        self.control.run(async move { server.drain(DRAIN).await });
        self.control.stop();
    }
}

/// Publishes what is due, and sleeps until something is.
async fn publish(store: Arc<store::Store>) {
    let mut changes = store.watch_changes();
    loop {
        let due = blocking(&store, store::Store::publish_due).await;
        let pause = match due {
            Some(Due::Now) => Duration::ZERO,
            Some(Due::In(ms)) => Duration::from_millis(ms),
            Some(Due::Nothing) => {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            // Logged already; the change stays due.
            None => Duration::from_secs(1),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Times that fit each other: a timestamp is signed again long before an edge
/// that has it calls it stale, also when the operator wants it fresh for
/// seconds only.
fn timing(fresh_for: Duration, life: Duration) -> Timing {
    let usual = Timing::default();
    let fresh_ms = millis(fresh_for);
    Timing {
        fresh_ms,
        life_ms: millis(life),
        refresh_ms: usual.refresh_ms.min(fresh_ms / 2),
    }
}

/// Keeps timestamps fresh.
async fn refresh(store: Arc<store::Store>, ambient: Ambient, pause: Duration) {
    loop {
        let now = ambient.now_ms();
        blocking(&store, move |store| store.refresh_timestamps(now)).await;
        tokio::time::sleep(pause).await;
    }
}

/// Forgets what is too old.
async fn sweep(store: Arc<store::Store>, ambient: Ambient) {
    loop {
        let now = ambient.now_ms();
        blocking(&store, move |store| store.sweep(now)).await;
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn blocking<T: Send + 'static>(
    store: &Arc<store::Store>,
    work: impl FnOnce(&store::Store) -> Result<T, store::StoreError> + Send + 'static,
) -> Option<T> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store failed at a task of its own");
            None
        }
        Err(error) => {
            tracing::error!(%error, "a task of the store panicked");
            None
        }
    }
}

/// A store nobody can administer is of no use: a start that finds no key for it
/// makes one and leaves it beside the database, readable by its owner alone.
fn first_admin_key(store: &store::Store, data: &Path) -> Result<(), StartError> {
    if store.has_administrator() {
        return Ok(());
    }
    let name = KeyName {
        kind: StoredKeyKind::Admin,
        environment: None,
        name: "first".to_owned(),
    };
    let key = store.create_key(&name, &[])?;
    let path = data.join("admin.key");
    write_secret(&path, &key.key).map_err(|cause| StartError::File {
        path: path.clone(),
        cause,
    })?;
    tracing::info!(path = %path.display(), "the first admin key was written");
    Ok(())
}

/// Writes a file only its owner may read.
pub(super) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // A file that was there keeps the mode it had.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes a folder for its owner alone.
pub(super) fn make_folder(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|cause| StartError::File {
            path: path.to_owned(),
            cause,
        })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The store's API on the shared plumbing; one for each worker.
struct StoreService {
    api: Api,
    metrics: Metrics,
}

impl Service for StoreService {
    type Memory = ();

    fn connected(&self, _: SocketAddr) {}

    async fn call(self: Rc<Self>, _: Rc<()>, request: http::Request) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if matches!(path.as_str(), "/health" | "/ready") {
            return http::json_bytes(StatusCode::OK, "application/json", r#"{"status":"ok"}"#);
        }
        if path == "/metrics" {
            return http::scrape(&self.metrics);
        }
        if let Some(document) = self.api.document(&path) {
            return http::json_bytes(StatusCode::OK, "application/json", document);
        }
        let mut request = api::Request {
            method: head.method.as_str().to_owned(),
            path,
            query: head.uri.query().unwrap_or_default().to_owned(),
            key: key_of(&head.headers),
            if_none_match: text_of(&head.headers, header::IF_NONE_MATCH.as_str()),
            if_match: text_of(&head.headers, header::IF_MATCH.as_str()),
            request_id: text_of(&head.headers, "x-request-id"),
            confirm: text_of(&head.headers, api::CONFIRM_HEADER),
            body: Bytes::new(),
            from: Some(body.client()),
        };
        let bytes_max = match self.api.admit(&request) {
            Ok(bytes_max) => bytes_max,
            Err(refusal) => return answer(refusal),
        };
        request.body = match body.read(bytes_max).await {
            Ok(body) => body,
            Err(error) => return unread(&error),
        };
        answer(self.api.handle(request).await)
    }
}

fn unread(error: &BodyError) -> Answer {
    let (status, code) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "invalid_request_error"),
    };
    http::problem(status, code, &error.to_string())
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn key_of(headers: &HeaderMap) -> Option<String> {
    if let Some(key) = text_of(headers, "x-api-key") {
        return Some(key);
    }
    let text = text_of(headers, header::AUTHORIZATION.as_str())?;
    Some(match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim().to_owned(),
        _ => text,
    })
}

fn answer(response: api::Response) -> Answer {
    let mut answer = Response::new(response.body.into());
    *answer.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, response.content_type.map(Into::into));
    set(header::ETAG, response.etag);
    set(header::ALLOW, response.allow.map(Into::into));
    set(
        header::RETRY_AFTER,
        response.retry_after.map(|seconds| seconds.to_string()),
    );
    let caching = if response.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    set(header::CACHE_CONTROL, Some(caching.to_owned()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_signed_again_before_it_is_stale() {
        for seconds in [2, 30, 120, 3_600] {
            let timing = timing(Duration::from_secs(seconds), Duration::from_secs(86_400));
            assert!(timing.refresh_ms <= timing.fresh_ms / 2, "{seconds} s");
        }
    }
}
