//! What came of a load?
//!
//! Counted over what was due after the warm-up: how long answers took from
//! when they were due, what they were, and whether the generator itself kept
//! up. Figures of a run in which it did not are figures of the generator.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{connection::Tally, plan::Load};

/// The shares of answers that are reported, in percent.
const SHARES: [(f64, &str); 6] = [
    (50.0, "p50"),
    (75.0, "p75"),
    (90.0, "p90"),
    (99.0, "p99"),
    (99.9, "p99.9"),
    (100.0, "max"),
];

/// Columns of the longest bar.
const BAR: usize = 50;

/// So many of a hundred requests may leave late before the run says nothing.
const LATE_PERCENT_MAX: u64 = 1;

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Report {
    times: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    failed: u64,
    reasons: Vec<String>,
    late: u64,
    unsent: u64,
    asked_rate: f64,
    reached_rate: f64,
    due: u64,
}

impl Report {
    pub(super) fn of(load: &Load, tallies: Vec<Tally>) -> Self {
        let mut tallies = tallies.into_iter();
        // There is at least one connection.
        let mut sum = tallies.next().expect("a tally of each connection");
        for tally in tallies {
            // Of the same bounds, so that nothing is out of range.
            sum.times.add(&tally.times).expect("histograms of one kind");
            for (status, count) in tally.statuses {
                *sum.statuses.entry(status).or_default() += count;
            }
            sum.failed += tally.failed;
            sum.late += tally.late;
            sum.unsent += tally.unsent;
            sum.last = sum.last.max(tally.last);
            for reason in tally.reasons.into_iter() {
                sum.reasons.add(reason);
            }
        }
        let took = sum.last.max(load.duration).max(Duration::from_millis(1));
        Self {
            reached_rate: sum.times.len() as f64 / took.as_secs_f64(),
            times: sum.times,
            statuses: sum.statuses,
            failed: sum.failed,
            reasons: sum.reasons.into_iter().collect(),
            late: sum.late,
            unsent: sum.unsent,
            asked_rate: load.rate,
            due: load.total() - load.first_counted(),
        }
    }

    /// What is wrong with the run; nothing when its figures stand.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let refused = self.statuses.iter().filter(|(status, _)| **status >= 400);
        let refused: u64 = refused.map(|(_, count)| count).sum();
        if refused > 0 {
            complaints.push(format!(
                "{refused} of {} answers were refusals",
                self.times.len()
            ));
        }
        if self.failed > 0 {
            let why = self.reasons.join("; ");
            complaints.push(format!("{} requests had no answer: {why}", self.failed));
        }
        if self.unsent > 0 {
            complaints.push(format!(
                "{} requests were due and never sent, because every connection waited for its answer \
                 (the server does not keep up, or more --connections are wanted)",
                self.unsent
            ));
        }
        if self.late * 100 > self.due * LATE_PERCENT_MAX {
            complaints.push(format!(
                "{} requests left late although their connection was free: the generator does not keep up, \
                 and these times are its own (lower --rate, or use another machine)",
                self.late
            ));
        }
        complaints
    }

    /// For people: a table and a plot.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |words: String| writeln!(text, "{words}").unwrap_or_default();
        line(format!(
            "{:.0} requests a second were due, {:.0} were answered; {} answers",
            self.asked_rate,
            self.reached_rate,
            self.times.len()
        ));
        for (status, count) in &self.statuses {
            line(format!("  status {status}  {count}"));
        }
        line("\ntime from when a request was due to its whole answer".to_owned());
        for (share, name) in SHARES {
            let us = self.times.value_at_percentile(share);
            line(format!("  {name:<6} {:>10}", millis(us)));
        }
        text.push('\n');
        text.push_str(&self.plot());
        text
    }

    /// The share of answers in each doubling of time.
    fn plot(&self) -> String {
        let buckets: Vec<(u64, u64)> = self
            .times
            .iter_log(64, 2.0)
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect();
        let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let filled = buckets.iter().position(|(_, count)| *count > 0);
        let mut text = String::new();
        for (upto, count) in buckets.into_iter().skip(filled.unwrap_or(0)) {
            let bar = (count as f64 / most.max(1) as f64 * BAR as f64).ceil() as usize;
            let row = format!(
                "  up to {:>10}  {:<BAR$}  {count}",
                millis(upto + 1),
                "#".repeat(bar)
            );
            // As above.
            writeln!(text, "{row}").unwrap_or_default();
        }
        text
    }

    /// For scripts; times are microseconds.
    pub fn json(&self) -> Value {
        let times = SHARES.map(|(share, name)| {
            let us = self.times.value_at_percentile(share);
            (name.to_owned(), Value::from(us))
        });
        let statuses = self.statuses.iter();
        let statuses = statuses.map(|(status, count)| (status.to_string(), Value::from(*count)));
        json!({
            "due": self.due,
            "answers": self.times.len(),
            "rate_asked_per_s": self.asked_rate,
            "rate_reached_per_s": self.reached_rate,
            "times_us": times.into_iter().collect::<serde_json::Map<_, _>>(),
            "statuses": statuses.collect::<serde_json::Map<_, _>>(),
            "failed": self.failed,
            "unsent": self.unsent,
            "late": self.late,
            "complaints": self.complaints(),
        })
    }
}

/// Microseconds as milliseconds.
fn millis(us: u64) -> String {
    format!("{:.3} ms", us as f64 / 1_000.0)
}
