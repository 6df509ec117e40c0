//! What must hold of what clients tell of their flags, whatever it is?
//!
//! A target of `crate::fuzzing`. A body is refused with one of few statuses, or
//! becomes a report with names and numbers within their bounds, about flags
//! that the key sees or that nobody has, which can be kept.

use std::sync::LazyLock;

use super::usage::{Told, UNNAMED, read};
use crate::{
    clock::UnixMs,
    limits::{USAGE_COUNT_MAX, USAGE_WORD_BYTES_MAX},
    server::route::Protocol,
    snapshot::{
        Revision, Snapshot,
        flags::{FlagToken, Flags, FlagsDocument},
    },
    usage::{self, HOUR_MS},
};

const NOW: UnixMs = 1_800_000_000_000;

/// Two flags, of which the key sees one.
static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let document = br#"{"features":[{"name":"ours","project":"shop","enabled":true},
        {"name":"theirs","project":"desk","enabled":true}]}"#;
    let document = FlagsDocument::read(document).expect("a document");
    let flags = Flags::compile(&document).into();
    let token = FlagToken::parse("shop:development.secret", "a token").expect("a token");
    let revision = Revision {
        epoch: 0,
        number: 1,
    };
    Snapshot::of_unsigned_flags("development", revision, &flags, &[token])
});

/// The first byte says which body it is.
pub(crate) fn usage(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else {
        return;
    };
    let told = match kind % 4 {
        0 => Told::Metrics,
        1 => Told::Register,
        2 => Told::Bulk,
        _ => Told::Proxy,
    };
    let seen_by = (&*SNAPSHOT, &SNAPSHOT.keys[0]);
    let (report, _) = match read(seen_by, NOW, Some("sdk:1"), (told, body)) {
        Ok(read) => read,
        Err(fault) => {
            let status = fault.answer(Protocol::Unleash).status().as_u16();
            assert!([400, 422].contains(&status), "{status}");
            return;
        }
    };
    assert_eq!(report.environment, "development");
    assert!(report.counts.iter().all(|own| own.flag == "ours"));
    assert!(
        !report
            .unknown
            .iter()
            .any(|own| ["ours", "theirs"].contains(&&*own.flag))
    );
    for own in report.counts.iter().chain(&report.unknown) {
        let is_ours = own.app.starts_with('(') && own.app.ends_with(')');
        assert!(!is_ours || own.app == UNNAMED, "{}", own.app);
        assert!(own.hour_ms % HOUR_MS == 0 && own.hour_ms <= NOW);
        let names = [&own.app, &own.flag]
            .into_iter()
            .chain(own.counts.variants.keys());
        assert!(
            names
                .map(String::len)
                .all(|length| length <= USAGE_WORD_BYTES_MAX)
        );
        let numbers = own
            .counts
            .variants
            .values()
            .chain([&own.counts.yes, &own.counts.no]);
        assert!(numbers.max() <= Some(&USAGE_COUNT_MAX));
    }
    usage::fuzzing::kept(report, NOW);
}
