//! What do clients tell of themselves and of the flags they asked for?
//!
//! Reports in the shapes of Unleash's clients and proxies, read into sums. The
//! key settles the environment and the projects, whatever a body says; what a
//! key does not see it cannot count. Nothing is answered later for it: a report
//! is handed over or, when too much waits already, refused to be told again.

use std::collections::BTreeMap;

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::Deserialize;

use crate::{
    clock::UnixMs,
    http::{
        Answer, empty,
        json::{self, Limits, Object},
        json_bytes,
    },
    limits::{USAGE_COUNT_MAX, USAGE_LIST_MAX, USAGE_WORD_BYTES_MAX},
    server::{
        EdgeService,
        auth::Access,
        error::{Fault, Invalid},
    },
    snapshot::{Key, Snapshot},
    usage::{Dropped, HourCount, Report, Sighting, Tally, hour_of_report},
};

/// What Unleash's proxies call themselves by.
static EDGE_VERSION: HeaderName = HeaderName::from_static("x-edge-version");

/// How clients name their library where the body does not.
const SDK_HEADER: &str = "unleash-sdk";

/// For an application without a name.
pub(super) const UNNAMED: &str = "(unnamed)";

/// What is told, by the end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The use of flags, of one client.
    Metrics,
    /// A client that starts.
    Register,
    /// Both, of many clients, by a proxy between them and us.
    Bulk,
    /// How such a proxy does: looked at no further.
    Proxy,
}

impl Told {
    /// By the end of a path that is known to be of such a call.
    pub(super) fn of(path: &str) -> Self {
        let path = path.trim_end_matches('/');
        match path.rsplit('/').next() {
            Some("register") => Self::Register,
            Some("bulk") => Self::Bulk,
            Some("edge") => Self::Proxy,
            _ => Self::Metrics,
        }
    }
}

/// `POST …/client/metrics`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricsBody {
    #[serde(flatten)]
    client: Client,
    /// None when only other things were measured.
    #[serde(default)]
    bucket: Option<Object<Bucket>>,
}

/// Who tells.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    app_name: String,
    #[serde(default)]
    instance_id: Option<String>,
    #[serde(default)]
    sdk_version: Option<String>,
    #[serde(default)]
    platform_name: Option<String>,
    #[serde(default)]
    platform_version: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    #[serde(default)]
    start: Option<Moment>,
    #[serde(default)]
    toggles: BTreeMap<String, Object<Counts>>,
}

/// A time as text, or in milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Number(f64),
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    yes: u64,
    #[serde(default)]
    no: u64,
    #[serde(default)]
    variants: Option<BTreeMap<String, u64>>,
}

/// `POST …/client/register`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterBody {
    #[serde(flatten)]
    client: Client,
    #[serde(default)]
    strategies: Option<Vec<String>>,
    #[serde(default)]
    connect_via: Option<Vec<Object<Via>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Via {
    app_name: String,
}

/// `POST /api/client/metrics/bulk`.
#[derive(Deserialize)]
struct BulkBody {
    #[serde(default)]
    applications: Option<Vec<Object<RegisterBody>>>,
    #[serde(default)]
    metrics: Option<Vec<Object<Counted>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    feature_name: String,
    app_name: String,
    #[serde(default)]
    timestamp: Option<Moment>,
    #[serde(flatten)]
    counts: Counts,
}

/// Anything, as long as it is an object.
#[derive(Deserialize)]
struct Anything {}

/// Reads a report and hands it over.
pub(super) fn take(
    edge: &EdgeService,
    access: Access<'_>,
    headers: &HeaderMap,
    (told, bytes): (Told, &[u8]),
) -> Result<Answer, Fault> {
    let sdk = headers.get(SDK_HEADER).and_then(|own| own.to_str().ok());
    let seen_by = (&*access.environment.snapshot, access.key);
    let (report, other_project) = read(seen_by, edge.now(), sdk, (told, bytes))?;
    let counters = edge.usage.counters();
    counters.dropped(Dropped::OtherProject, other_project);
    if edge.usage.offer(report).is_err() {
        return Ok(busy());
    }
    let mut answer = empty(StatusCode::ACCEPTED);
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    answer.headers_mut().insert(EDGE_VERSION.clone(), version);
    Ok(answer)
}

/// What a body tells, and how many counts of it are of projects that the key
/// does not see.
pub(super) fn read(
    (snapshot, key): (&Snapshot, &Key),
    now: UnixMs,
    sdk: Option<&str>,
    (told, bytes): (Told, &[u8]),
) -> Result<(Report, u64), Fault> {
    let limits = Limits {
        array: USAGE_LIST_MAX,
        ..Limits::default()
    };
    let mut reading = Reading {
        snapshot,
        key,
        now,
        sdk,
        report: Report {
            environment: snapshot.environment.to_string(),
            bytes: bytes.len(),
            ..Report::default()
        },
        other_project: 0,
    };
    match told {
        Told::Metrics => reading.metrics(json::parse(bytes, limits)?)?,
        Told::Register => reading.register(json::parse(bytes, limits)?)?,
        Told::Bulk => reading.bulk(json::parse(bytes, limits)?)?,
        Told::Proxy => {
            let Anything {} = json::parse(bytes, limits)?;
        }
    }
    Ok((reading.report, reading.other_project))
}

/// Clients keep what they could not tell, and tell it with the next report.
fn busy() -> Answer {
    let mut answer = json_bytes(
        StatusCode::SERVICE_UNAVAILABLE,
        "text/plain; charset=utf-8",
        "too many reports wait to be kept; tell it again",
    );
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    answer
}

/// A body on its way to sums.
struct Reading<'r> {
    snapshot: &'r Snapshot,
    key: &'r Key,
    now: UnixMs,
    sdk: Option<&'r str>,
    report: Report,
    other_project: u64,
}

impl Reading<'_> {
    fn metrics(&mut self, body: MetricsBody) -> Result<(), Fault> {
        let app = named(&body.client.app_name)?;
        if let Some(Object(bucket)) = body.bucket {
            let flags = bucket.toggles.len();
            if flags > USAGE_LIST_MAX {
                return Err(too_many("flags", flags));
            }
            let begun = bucket.start.as_ref().and_then(Moment::ms);
            for (flag, Object(counts)) in bucket.toggles {
                self.count((&app, flag, begun), counts)?;
            }
        }
        self.sighting(body.client, app)
    }

    fn register(&mut self, body: RegisterBody) -> Result<(), Fault> {
        let app = named(&body.client.app_name)?;
        self.sighting(body.client, app)?;
        let strategies = body.strategies.unwrap_or_default();
        let via = body.connect_via.unwrap_or_default();
        let via = via.into_iter().map(|Object(own)| own.app_name);
        let (strategies, via) = (words("strategies", strategies)?, words("connectVia", via)?);
        if let Some(own) = self.report.seen.last_mut() {
            own.strategies.extend(strategies);
            own.via.extend(via);
        }
        Ok(())
    }

    fn bulk(&mut self, body: BulkBody) -> Result<(), Fault> {
        for Object(own) in body.metrics.unwrap_or_default() {
            let app = named(&own.app_name)?;
            let begun = own.timestamp.as_ref().and_then(Moment::ms);
            self.count((&app, own.feature_name, begun), own.counts)?;
        }
        // What the header says is of the proxy, not of these.
        self.sdk = None;
        for Object(own) in body.applications.unwrap_or_default() {
            self.register(own)?;
        }
        Ok(())
    }

    /// The use of one flag; whether there is such a flag the key decides.
    fn count(
        &mut self,
        (app, flag, begun): (&str, String, Option<UnixMs>),
        counts: Counts,
    ) -> Result<(), Fault> {
        word("a flag's name", &flag)?;
        let variants = counts.variants.unwrap_or_default();
        if variants.len() > USAGE_LIST_MAX {
            return Err(too_many("variants", variants.len()));
        }
        for name in variants.keys() {
            word("a variant's name", name)?;
        }
        let most = variants.values().chain([&counts.yes, &counts.no]).max();
        if let Some(most) = most.filter(|most| **most > USAGE_COUNT_MAX) {
            return Err(Invalid::Value {
                what: "a count",
                found: most.to_string(),
                expected: "at most 4294967295",
            }
            .into());
        }
        if most == Some(&0) {
            return Ok(());
        }
        let list = match self.snapshot.flags.named(&flag) {
            Some(known) if !self.key.sees(&known.project) => {
                self.other_project += 1;
                return Ok(());
            }
            Some(_) => &mut self.report.counts,
            None => &mut self.report.unknown,
        };
        list.push(HourCount {
            hour_ms: hour_of_report(begun, self.now),
            app: app.to_owned(),
            flag,
            seen_ms: self.now,
            counts: Tally {
                yes: counts.yes,
                no: counts.no,
                variants,
            },
        });
        Ok(())
    }

    /// Who told, with what it says of its library.
    fn sighting(&mut self, client: Client, app: String) -> Result<(), Fault> {
        let instance = client.instance_id.unwrap_or_default();
        let sdk = client.sdk_version.as_deref().or(self.sdk);
        let sdk = sdk.unwrap_or_default().to_owned();
        let name = client.platform_name.unwrap_or_default();
        let platform = match client.platform_version.filter(|own| !own.is_empty()) {
            Some(version) => format!("{name}:{version}"),
            None => name,
        };
        word("instanceId", &instance)?;
        word("sdkVersion", &sdk)?;
        word("the platform", &platform)?;
        self.report.seen.push(Sighting {
            app,
            instance,
            sdk,
            platform,
            seen_ms: self.now,
            ..Sighting::default()
        });
        Ok(())
    }
}

impl Moment {
    /// None when it is no time that could be meant.
    fn ms(&self) -> Option<UnixMs> {
        let ms = match self {
            Self::Text(text) => {
                let read: jiff::Timestamp = text.parse().ok()?;
                read.as_millisecond()
            }
            Self::Number(number) => *number as i64,
        };
        u64::try_from(ms).ok()
    }
}

/// An application's name. Names in brackets are ours, such as that of what an
/// edge counts itself: an application that has one gets others around it. It is
/// not refused, because a proxy tells of many at once.
fn named(app: &str) -> Result<String, Fault> {
    word("appName", app)?;
    let trimmed = app.trim();
    if trimmed.is_empty() {
        return Ok(UNNAMED.to_owned());
    }
    let inner = trimmed.strip_prefix('(');
    Ok(match inner.and_then(|own| own.strip_suffix(')')) {
        Some(inner) => format!("[{inner}]"),
        None => app.to_owned(),
    })
}

/// Names of a list, each of a bounded length.
fn words(what: &'static str, list: impl IntoIterator<Item = String>) -> Result<Vec<String>, Fault> {
    let checked = list.into_iter().map(|own| word(what, &own).map(|()| own));
    checked.collect()
}

fn word(what: &'static str, text: &str) -> Result<(), Fault> {
    if text.len() > USAGE_WORD_BYTES_MAX {
        return Err(Invalid::Length {
            what,
            found: text.len(),
            expected: "at most 255 bytes",
        }
        .into());
    }
    Ok(())
}

fn too_many(what: &'static str, found: usize) -> Fault {
    Invalid::Length {
        what,
        found,
        expected: "at most 10000",
    }
    .into()
}

// The texts above name the limits.
const _: () = {
    assert!(USAGE_WORD_BYTES_MAX == 255 && USAGE_LIST_MAX == 10_000);
    assert!(USAGE_COUNT_MAX == 4_294_967_295);
};

#[cfg(test)]
mod tests;
