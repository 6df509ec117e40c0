//! How does a line get into the log, and what never does?
//!
//! Installs the subscriber behind the `tracing` macros and keeps the handle
//! that changes its level while the process runs. Control characters are
//! escaped on the way out, whatever they came in with, so that a user id cannot
//! forge a line or speak to a terminal. Users appear as [`UserHash`] makes
//! them, keys as [`key_mark`] does, attributes not at all.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
};

use super::traces::{Exporter, TARGET};
use crate::{
    clock::Ambient,
    config::{LogConfig, LogFormat, LogLevel},
    snapshot::{hex, sha256},
};

/// Changes the level of a log that is being written.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
}

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another subscriber was there before.
    #[error("the log is set up already")]
    Taken(#[source] tracing::subscriber::SetGlobalDefaultError),
    /// The subscriber is gone.
    #[error("the log's level cannot be changed")]
    Gone(#[source] reload::Error),
}

/// Sets up the log of this process on standard error, and beside it where its
/// traces go. Once.
pub fn init(config: &LogConfig, traces: Option<&Exporter>) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = subscriber(config, io::stderr);
    let subscriber = subscriber.with(traces.map(Exporter::layer));
    tracing::subscriber::set_global_default(subscriber).map_err(LogError::Taken)?;
    Ok(handle)
}

impl LogHandle {
    /// From now on logs from this level up.
    pub fn set_level(&self, level: LogLevel) -> Result<(), LogError> {
        self.filter.reload(targets(level)).map_err(LogError::Gone)
    }
}

/// The subscriber, with its lines going to any writer.
fn subscriber<W>(
    config: &LogConfig,
    writer: W,
) -> (
    impl tracing::Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    LogHandle,
)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(config.level));
    // Colours are control characters: they would be escaped with the rest.
    let lines = fmt::layer().with_ansi(false).with_writer(Escaping(writer));
    let lines = match config.format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    (subscriber, LogHandle { filter: handle })
}

/// Our own lines from the level up; of the libraries only warnings, because
/// their debug output names headers and with them keys.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("flowgate", level)
        .with_target(TARGET, LevelFilter::OFF)
}

/// Writers whose control characters are escaped.
struct Escaping<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Escaping<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapingWriter(self.0.make_writer())
    }
}

struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    /// Takes whole events: the format layer hands each over in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&escape(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An event with one line break, at its end, and no other control character.
fn escape(event: &[u8]) -> Vec<u8> {
    let (body, end) = match event.strip_suffix(b"\n") {
        Some(body) => (body, "\n"),
        None => (event, ""),
    };
    let mut text = String::with_capacity(event.len());
    for character in String::from_utf8_lossy(body).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text.push_str(end);
    text.into_bytes()
}

/// Turns user ids into names that tell users apart and cannot be turned back.
///
/// The key is drawn at every start, so that nobody can try ids against an old
/// log, not even with the program and its configuration in hand.
#[derive(Clone)]
pub struct UserHash {
    key: [u8; 32],
}

impl UserHash {
    /// A fresh key.
    pub fn new(ambient: &Ambient) -> Self {
        Self {
            key: ambient.bytes(),
        }
    }

    /// What the log calls this user: 16 hexadecimal digits. 64 bits are enough
    /// to tell users apart; leaving the rest away also closes the extension of
    /// a plain keyed SHA-256.
    pub fn of(&self, user: &str) -> String {
        let mut bytes = Vec::with_capacity(self.key.len() + user.len());
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(user.as_bytes());
        hex(&sha256(&bytes)[..8])
    }
}

/// What the log calls a key: its kind and the first 6 digits of its hash.
pub fn key_mark(kind: &str, sha256: &[u8; 32]) -> String {
    format!("{kind}-{}", hex(&sha256[..3]))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("the lines").clone()).expect("text")
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the lines").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat, work: impl FnOnce(&LogHandle)) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, handle) = subscriber(&LogConfig { level, format }, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || work(&handle));
        lines.text()
    }

    #[test]
    fn a_hostile_value_stays_on_one_line() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let text = logged(LogLevel::Info, format, |_| {
                tracing::info!(name = %"a\nERROR forged\u{1b}[31m\u{9b}\u{7f}", "seen");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.trim_end().chars().all(|c| !c.is_control()), "{text:?}");
            assert!(text.contains("forged"), "{text:?}");
        }
    }

    #[test]
    fn the_level_changes_while_running() {
        let text = logged(LogLevel::Warn, LogFormat::Human, |handle| {
            tracing::info!("before");
            handle
                .set_level(LogLevel::Debug)
                .expect("a live subscriber");
            tracing::debug!("after");
        });
        assert!(!text.contains("before"), "{text}");
        assert!(text.contains("after"), "{text}");
    }

    #[test]
    fn libraries_are_heard_from_warnings_up() {
        let text = logged(LogLevel::Trace, LogFormat::Human, |_| {
            tracing::debug!(target: "hyper::proto", "x-api-key: blocks-development-1");
            tracing::warn!(target: "hyper::proto", "heard");
        });
        assert!(!text.contains("blocks-development-1"), "{text}");
        assert!(text.contains("heard"), "{text}");
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogLevel::Info, LogFormat::Json, |_| {
            tracing::info!(revision = "0.17", "published");
        });
        let line: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(line["revision"], "0.17");
        assert_eq!(line["message"], "published");
    }

    #[test]
    fn users_and_keys_are_told_apart_without_their_names() {
        let hash = UserHash::new(&Ambient::system());
        let ada = hash.of("ada");
        assert_eq!(ada, hash.of("ada"));
        assert_ne!(ada, hash.of("bob"));
        assert_ne!(ada, UserHash::new(&Ambient::system()).of("ada"));
        assert_eq!(key_mark("blocks", &sha256(b"x")).len(), "blocks-".len() + 6);
    }
}
