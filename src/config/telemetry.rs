//! Where are traces sent?
//!
//! The section `telemetry`, which is the same on edge and store.

use super::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// The section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "telemetry.otlp_url",
        flag: "otlp-url",
        kind: Kind::HttpUrl,
        preset: Preset::Optional("\"http://127.0.0.1:4318\""),
        secret: None,
        doc: "A collector that takes OpenTelemetry traces over HTTP; /v1/traces is added. Not set, nothing is traced.",
    },
    Key {
        name: "telemetry.traces_per_million",
        flag: "traces-per-million",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        preset: Preset::Value("1000"),
        secret: None,
        doc: "How many of a million requests are traced when nobody asks for it; those whose caller traces them (a \
              sampled traceparent) always are. One in a thousand shows where time goes and costs nothing that can be \
              measured.",
    },
];

/// Traces for a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesConfig {
    /// The collector, without a trailing slash.
    pub url: String,
    /// Share of requests.
    pub per_million: u32,
}

/// The section; none when nothing is traced.
pub(super) fn read(reader: &mut Reader) -> Option<TracesConfig> {
    let per_million = reader.number("telemetry.traces_per_million");
    let url = reader.optional_text("telemetry.otlp_url")?;
    Some(TracesConfig {
        url,
        per_million: u32::try_from(per_million).unwrap_or(u32::MAX),
    })
}
