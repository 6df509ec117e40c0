//! What did one request or one task of ours go through?
//!
//! Spans for a collector that speaks OTLP over HTTP, switched off unless its
//! url is configured. Requests are chosen by count or by a caller's
//! `traceparent`, before anything is made for them; the others pay one branch.
//! A span says which route, environment and revision and what came of it,
//! never who asked. Spans wait in a bounded queue on a thread of the exporter;
//! what finds it full is dropped.

use std::{cell::Cell, time::Duration};

use hyper::{HeaderMap, header::HeaderName};
use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{config::TracesConfig, http::client_tls};

/// Spans that wait for the exporter: some seconds of the busiest edge at the
/// usual share, and about a megabyte.
const QUEUE_MAX: usize = 4_096;

/// A collector that takes longer has failed; its spans are lost, nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

/// What spans are made under, so that they stay out of the log and the log
/// stays out of them.
pub(super) const TARGET: &str = "flowgate::traces";

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The exporter; what waits is sent when it is dropped.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// No client.
    #[error("the client for the trace collector cannot be set up")]
    Client(#[from] reqwest::Error),
    /// No exporter.
    #[error("the exporter of traces cannot be set up")]
    Build(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Exporter {
    /// For a collector. `role` is edge, store or dev.
    pub fn start(config: &TracesConfig, role: &'static str) -> Result<Self, ExporterError> {
        let client = reqwest::blocking::Client::builder()
            .no_proxy()
            .timeout(PATIENCE);
        let client = match client_tls() {
            Some(tls) => client.tls_backend_preconfigured(tls),
            None => client,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client.build()?)
            .with_endpoint(format!("{}/v1/traces", config.url.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE_MAX);
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build());
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "flowgate"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("flowgate.role", role),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor.build())
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    /// What turns our spans into those of the collector.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("flowgate"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, tracing::Level::TRACE))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // A collector that is away keeps nobody from stopping: the call has
        // its own deadline, and what it did not take is lost.
        drop(self.0.shutdown_with_timeout(PATIENCE));
    }
}

/// Chooses the requests of one worker that are traced.
#[derive(Debug)]
pub struct Chooser {
    /// One of so many; none while tracing is off, 0 for callers' choice alone.
    every: Option<u64>,
    since: Cell<u64>,
}

impl Chooser {
    /// By the share an operator wants; none for no tracing at all.
    pub fn new(per_million: Option<u32>) -> Self {
        let every = per_million.map(|share| match share {
            0 => 0,
            share => 1_000_000 / u64::from(share.min(1_000_000)),
        });
        Self {
            every,
            since: Cell::new(0),
        }
    }

    /// The span of a request, if it is one of those; continues the trace of
    /// its caller.
    pub fn request(&self, headers: &HeaderMap) -> Option<Span> {
        let every = self.every?;
        let parent = headers.contains_key(&TRACEPARENT).then(|| {
            let extractor = HeaderExtractor(headers);
            TraceContextPropagator::new().extract(&extractor)
        });
        let parent = parent.filter(|parent| parent.span().span_context().is_valid());
        let wanted = parent
            .as_ref()
            .map(|parent| parent.span().span_context().is_sampled());
        if !wanted.unwrap_or_else(|| self.is_turn(every)) {
            return None;
        }
        let span = tracing::trace_span!(
            target: "flowgate::traces",
            "request",
            otel.kind = "server",
            http.route = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
            flowgate.environment = tracing::field::Empty,
            flowgate.revision = tracing::field::Empty,
        );
        if let Some(parent) = parent {
            // Only a span without this layer refuses a parent.
            drop(span.set_parent(parent));
        }
        Some(span)
    }

    fn is_turn(&self, every: u64) -> bool {
        if every == 0 {
            return false;
        }
        let since = self.since.get() + 1;
        self.since.set(if since >= every { 0 } else { since });
        since >= every
    }
}

/// The span of a task that talks to the other side, such as `refresh`. None is
/// made while tracing is off.
pub fn task(name: &'static str, environment: &str) -> Span {
    tracing::trace_span!(
        target: "flowgate::traces",
        "task",
        otel.name = name,
        flowgate.environment = environment
    )
}

/// The span of what a request waits for, such as `read`. None is made for a
/// request that is not traced: what it waits for is no trace of its own.
pub fn awaited(name: &'static str, environment: &str) -> Span {
    let request = Span::current();
    if request.is_disabled() || !request.context().span().span_context().is_valid() {
        return Span::none();
    }
    tracing::trace_span!(
        target: "flowgate::traces",
        parent: &request,
        "awaited",
        otel.name = name,
        otel.kind = "client",
        flowgate.environment = environment
    )
}

/// Passes the trace we are in on to whom we ask.
pub fn pass_on(headers: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        let injector = &mut HeaderInjector(headers);
        TraceContextPropagator::new().inject_context(&span.context(), injector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(chooser: &Chooser, headers: &HeaderMap, times: usize) -> usize {
        (0..times)
            .filter(|_| chooser.request(headers).is_some())
            .count()
    }

    fn parent(flags: &str) -> HeaderMap {
        let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let mut headers = HeaderMap::new();
        headers.insert(&TRACEPARENT, text.parse().expect("a header"));
        headers
    }

    #[test]
    fn requests_are_chosen_by_share_and_by_their_caller() {
        let nothing = HeaderMap::new();
        assert_eq!(
            chosen(&Chooser::new(None), &parent("01"), 10),
            0,
            "switched off"
        );
        assert_eq!(chosen(&Chooser::new(Some(0)), &nothing, 1_000), 0);
        assert_eq!(chosen(&Chooser::new(Some(0)), &parent("01"), 10), 10);
        assert_eq!(chosen(&Chooser::new(Some(100_000)), &nothing, 1_000), 100);
        assert_eq!(chosen(&Chooser::new(Some(1_000_000)), &nothing, 10), 10);
        assert_eq!(chosen(&Chooser::new(Some(1_000_000)), &parent("00"), 10), 0);
    }

    #[test]
    fn a_caller_who_makes_no_sense_is_no_caller() {
        let mut headers = HeaderMap::new();
        headers.insert(&TRACEPARENT, "01-zz".parse().expect("a header"));
        assert_eq!(chosen(&Chooser::new(Some(0)), &headers, 10), 0);
        assert_eq!(chosen(&Chooser::new(Some(1_000_000)), &headers, 10), 10);
    }
}
