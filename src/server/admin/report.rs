//! What does `/status` say?
//!
//! In words what the metrics say in numbers: each environment with what is
//! live, how old that is and what follows from it, how its supply goes, and
//! how progress does. Members may be added; those that are there stay.

use serde_json::{Map, Value, json};

use super::{
    Admin, EnvironmentFacts, JournalFacts, ProgressFacts, RefreshFacts, UpstreamFacts, age_s,
    facts::OUTCOMES, ready::Probe, seconds_since,
};
use crate::{
    clock::UnixMs,
    current::{Age, Environment, WAIT_OUTCOMES},
    http::version::Fit,
    usage::UsageFacts,
};

impl Admin {
    /// The body of `/status`.
    pub(super) fn report(&self) -> Value {
        let facts = self.status.facts();
        let live = self.current.load();
        let now = self.ambient.now_ms();
        let environments = facts.environments.iter().map(|facts| {
            let environment = live.named(&facts.name).map(|live| &**live);
            environment_report(facts, environment, now)
        });
        let is_ready = |probe| !facts.stopping && self.missing(&facts, &probe).is_empty();
        let waits = WAIT_OUTCOMES.into_iter().zip(self.current.waits());
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": is_ready(Probe::default()),
            "ready_for_writes": is_ready(Probe::WRITES),
            "stopping": facts.stopping,
            "environments": environments.collect::<Vec<_>>(),
            "progress": progress_report(&facts.progress),
            "upstream": upstream_report(&facts.upstream),
            "usage": usage_report(&facts.usage),
            "min_revision_waits": counts(waits),
        })
    }
}

fn counts<'n>(pairs: impl IntoIterator<Item = (&'n str, u64)>) -> Value {
    let pairs = pairs.into_iter();
    let pairs = pairs.map(|(name, count)| (name.to_owned(), count.into()));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn upstream_report(upstream: &UpstreamFacts) -> Value {
    let fit = upstream
        .version
        .as_deref()
        .map(|other| Fit::of(other).name());
    json!({
        "version": upstream.version,
        "fit": fit,
        "last_report_ms": upstream.reported_ms,
        "report_error": upstream.error,
    })
}

fn usage_report(usage: &UsageFacts) -> Value {
    json!({
        "store": if usage.has_store { "configured" } else { "no store configured: nothing is kept" },
        "writable": usage.writable,
        "pending": usage.pending,
        "backlog_records": usage.backlog_records,
        "journal_bytes": usage.journal_bytes,
        "journal_bytes_max": usage.journal_bytes_max,
        "dropped": counts(usage.dropped.iter().copied()),
        "error": usage.error,
    })
}

fn progress_report(progress: &ProgressFacts) -> Value {
    json!({
        "writable": progress.refuses.is_none(),
        "refuses": progress.refuses,
        "ledger": if progress.has_ledger { "configured" } else { "no ledger configured" },
        "backlog_records": progress.backlog_records,
        "journal_bytes": progress.journal.bytes,
        "journals_open": progress.journals_open,
        "shipped": counts(OUTCOMES.into_iter().zip(progress.outcomes)),
        "forks": progress.forks,
        "users_cached": progress.users_cached,
        "users_resident": progress.users_resident,
        "users_on_disk": progress.users_on_disk,
        "reads_singly": progress.reads_singly,
        "steps_capped": progress.steps_capped,
        "failed_commits": progress.journal.failed_commits,
        "task_panics": progress.task_panics,
        "error": progress.error,
        "journal": journal_report(&progress.journal),
    })
}

fn journal_report(journal: &JournalFacts) -> Value {
    let unsettled = journal.unsettled_bytes.iter();
    json!({
        "bytes": journal.bytes,
        "bytes_max": journal.bytes_max,
        "occupied_bytes": journal.occupied_bytes,
        "pressure": journal.pressure,
        "unsettled_bytes": counts(unsettled.map(|(name, bytes)| (name.as_str(), *bytes))),
        "environment_bytes_max": journal.environment_bytes_max,
        "quarantined_bytes": journal.quarantined_bytes,
        "error": journal.error,
    })
}

fn environment_report(facts: &EnvironmentFacts, live: Option<&Environment>, now: UnixMs) -> Value {
    let set_aside = live.map(|live| {
        let list = live.snapshot.set_aside.iter();
        list.map(|left| json!({"flow": left.flow, "version": left.version, "why": left.why}))
            .collect::<Vec<_>>()
    });
    let mut report = json!({
        "name": facts.name,
        "required": facts.required,
        "live": live.is_some(),
        "deprecated": live.map(|live| live.snapshot.deprecated),
        "revision": live.map(|live| live.snapshot.revision.to_string()),
        "age_s": live.map(|live| age_s(live, now)),
        "stale": live.map(|live| live.freshness.is_stale(now)),
        "state": live.map(|live| live.judged(now).0.name()),
        "policy": live.map(|live| live.judged(now).1.name()),
        "on_stale": live.map(|live| live.policies.on_stale.name()),
        "on_expired": live.map(|live| live.policies.on_expired.name()),
        "issued_ms": live.map(|live| live.freshness.issued_ms),
        "fresh_until_ms": live.map(|live| live.freshness.fresh_until_ms),
        "expires_ms": live.map(|live| live.freshness.expires_ms),
        "clock_problem": clock_problem(&facts.refresh, live, now),
        "flows": live.map(|live| live.snapshot.flows.len()),
        "flags": live.map(|live| live.snapshot.flags.list().len()),
        "set_aside": set_aside.unwrap_or_default(),
        "changes": changes_report(facts, now),
    });
    let supply = supply_report(facts, now);
    if let (Some(report), Value::Object(supply)) = (report.as_object_mut(), supply) {
        report.extend(supply);
    }
    report
}

/// How what is live is kept up to date.
fn supply_report(facts: &EnvironmentFacts, now: UnixMs) -> Value {
    let refresh = &facts.refresh;
    let error = refresh.error.as_ref();
    json!({
        "last_attempt_ms": refresh.last_attempt_ms,
        "last_attempt_age_s": refresh.last_attempt_ms.map(|last| seconds_since(last, now)),
        "last_success_ms": refresh.last_success_ms,
        "last_success_age_s": refresh.last_success_ms.map(|last| seconds_since(last, now)),
        "silent": facts.is_silent(refresh.last_attempt_ms, now),
        "silent_after_s": facts.silent_after_ms / 1_000,
        "failures": refresh.failures_in_all(),
        "failures_in_a_row": refresh.failures_in_a_row,
        "failures_by_reason": counts(refresh.failures.iter().copied()),
        "from_disk": refresh.from_disk,
        "fell_back": refresh.fell_back,
        "root_expires_ms": refresh.root_expires_ms,
        "reason": error.map(|(name, _)| name),
        "error": error.map(|(name, text)| format!("{name}: {text}")),
        "held": refresh.held.as_ref().map(|held| json!({
            "release": held.release, "revision": held.revision,
        })),
        "judged": refresh.verdict.iter().map(|flow| json!({
            "flow": flow.flow, "judged": flow.judged, "changed": flow.changed, "moved": flow.moved,
        })).collect::<Vec<_>>(),
    })
}

/// In words why expiry is not judged.
fn clock_problem(
    refresh: &RefreshFacts,
    live: Option<&Environment>,
    now: UnixMs,
) -> Option<String> {
    let behind = live.filter(|live| live.freshness.age(now) == Age::Unjudged);
    let behind = behind.map(|live| {
        format!(
            "the clock says {now} ms, and what is live was signed at {} ms: \
             it counts as stale, and expiry is not judged by this clock",
            live.freshness.issued_ms
        )
    });
    behind.or_else(|| refresh.clock_problem.clone())
}

fn changes_report(facts: &EnvironmentFacts, now: UnixMs) -> Value {
    let changes = &facts.changes;
    json!({
        "connected": changes.connected,
        "last_answer_ms": changes.last_answer_ms,
        "last_answer_age_s": changes.last_answer_ms.map(|last| seconds_since(last, now)),
        "silent": facts.is_silent(changes.last_answer_ms, now),
        "changes": changes.changes,
        "gaps": changes.gaps,
        "error": changes.error,
    })
}
