//! How are flags used, as far as edges have told?
//!
//! Batches of edges in, each taken once; sums by hour, by application and by
//! variant out. Names are those that clients said: a flag that nobody has
//! authored, or not any more, is told of as well.

use std::{collections::BTreeMap, ops::Range};

use serde::Serialize;

use super::{
    PageAsk, Store, StoreError,
    engine::{ApplicationUsage, UsageAsked, UsageKept},
    known_environment,
    paging::{APPLICATIONS, USAGE},
};
use crate::{
    clock::UnixMs,
    limits,
    usage::{HOUR_MS, HourCount, Tally, UsageBatch, UsageTaken, hour_of},
};

/// Rows of each kind that one sweep of an environment forgets.
const SWEEP_MAX: usize = 10_000;

/// How far ahead of ours an edge's clock may be for its hours to be taken.
const AHEAD_MS: u64 = HOUR_MS;

/// Why a batch is refused, whatever it is followed by.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct UsageError {
    /// What is wrong.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What is expected.
    pub expected: String,
}

/// Which use of flags is asked for.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// So many hours, of which the last is the one that goes on.
    pub hours: u64,
    /// Only by this application.
    pub app: Option<String>,
    /// Which page.
    pub page: PageAsk,
}

/// The use of flags, a stretch of the list.
#[derive(Debug, Serialize)]
pub struct UsagePage {
    /// Environment name.
    pub environment: String,
    /// When the first hour began that is summed.
    pub from_ms: UnixMs,
    /// When the last one ends.
    pub until_ms: UnixMs,
    /// By name.
    pub flags: Vec<FlagSums>,
    /// Where the next stretch begins; none when this was the last.
    pub next: Option<String>,
}

/// One flag in the list.
#[derive(Debug, Serialize)]
pub struct FlagSums {
    /// Its name.
    pub flag: String,
    /// Sums of the hours.
    #[serde(flatten)]
    pub counts: Tally,
    /// Who asked in them.
    pub apps: Vec<String>,
    /// When it was asked for last.
    pub last_seen_ms: UnixMs,
}

/// The use of one flag, in detail.
#[derive(Debug, Serialize)]
pub struct FlagDetail {
    /// Environment name.
    pub environment: String,
    /// Its name.
    pub flag: String,
    /// When the first hour began that is summed.
    pub from_ms: UnixMs,
    /// When the last one ends.
    pub until_ms: UnixMs,
    /// Sums of the hours.
    #[serde(flatten)]
    pub counts: Tally,
    /// When it was asked for last; none when that was never, or too long ago.
    pub last_seen_ms: Option<UnixMs>,
    /// By application.
    pub apps: Vec<AppSums>,
    /// By hour, oldest first; hours without any use are left out.
    pub hours: Vec<HourSums>,
}

/// What one application makes of a flag.
#[derive(Debug, Serialize)]
pub struct AppSums {
    /// Its name.
    pub app: String,
    /// Sums.
    #[serde(flatten)]
    pub counts: Tally,
}

/// What all make of it in an hour.
#[derive(Debug, Serialize)]
pub struct HourSums {
    /// When it began.
    pub hour_ms: UnixMs,
    /// Sums.
    #[serde(flatten)]
    pub counts: Tally,
}

/// Applications, a stretch of the list.
#[derive(Debug, Serialize)]
pub struct ApplicationPage {
    /// By environment, and then by name.
    pub applications: Vec<Application>,
    /// Where the next stretch begins; none when this was the last.
    pub next: Option<String>,
}

/// One application in an environment.
#[derive(Debug, Serialize)]
pub struct Application {
    /// Environment name.
    pub environment: String,
    /// What is known of it.
    #[serde(flatten)]
    pub known: ApplicationUsage,
}

impl Store {
    /// Takes what an edge tells of the use of flags, unless it was taken before.
    pub fn take_usage(
        &self,
        environment: &str,
        batch: &UsageBatch,
    ) -> Result<UsageTaken, StoreError> {
        check(batch)?;
        let workspace = self.workspace();
        let uid = &known_environment(&workspace, environment)?.uid;
        let now = self.ambient.now_ms();
        let kept = UsageKept {
            hours: hour_of(now.saturating_sub(self.retention.usage_ms))..now + AHEAD_MS,
            now,
            is_flag: &|name| workspace.flags.contains_key(name),
        };
        let taken = self.engine.take_usage(uid, batch, &kept)?;
        if taken.left_out > 0 {
            tracing::warn!(
                environment,
                left_out = taken.left_out,
                "a part of the use of flags is not kept: of hours that are not, or too much"
            );
        }
        Ok(taken)
    }

    /// When a flag was asked for last, as far as edges have told.
    pub fn flag_seen(
        &self,
        environment_uid: &str,
        flag: &str,
    ) -> Result<Option<UnixMs>, StoreError> {
        Ok(self.engine.flag_seen(environment_uid, flag)?)
    }

    /// The use of all flags of an environment that were ever asked for.
    pub fn usage(&self, environment: &str, asked: &UsageQuery) -> Result<UsagePage, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let hours = self.hours(asked.hours);
        let count_max = USAGE.count(asked.page.count_max);
        let asked = UsageAsked {
            hours: hours.clone(),
            app: asked.app.clone(),
            after: USAGE.place(&asked.page)?.unwrap_or_default(),
            // One more says whether anything follows.
            count_max: count_max + 1,
        };
        let found = self.engine.flag_usage(&environment.uid, &asked)?;
        let page = USAGE.cut(found, count_max, |last| last.flag.clone());
        let page = page.map(|own| FlagSums {
            counts: summed(own.apps.values()),
            flag: own.flag,
            apps: own.apps.into_keys().collect(),
            last_seen_ms: own.seen_ms,
        });
        Ok(UsagePage {
            environment: environment.name.clone(),
            from_ms: hours.start,
            until_ms: hours.end,
            flags: page.rows,
            next: page.next,
        })
    }

    /// The use of one flag.
    pub fn usage_of(
        &self,
        environment: &str,
        flag: &str,
        hours: u64,
    ) -> Result<FlagDetail, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let window = self.hours(hours);
        let found = self.engine.hour_usage(&environment.uid, flag, &window)?;
        let mut apps: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut hours: BTreeMap<UnixMs, Tally> = BTreeMap::new();
        for own in &found {
            apps.entry(&own.app).or_default().add(&own.counts);
            hours.entry(own.hour_ms).or_default().add(&own.counts);
        }
        let by_app = apps.into_iter().map(|(app, counts)| AppSums {
            app: app.to_owned(),
            counts,
        });
        let by_hour = hours.into_iter();
        let by_hour = by_hour.map(|(hour_ms, counts)| HourSums { hour_ms, counts });
        Ok(FlagDetail {
            environment: environment.name.clone(),
            flag: flag.to_owned(),
            from_ms: window.start,
            until_ms: window.end,
            counts: summed(found.iter().map(|own| &own.counts)),
            last_seen_ms: self.engine.flag_seen(&environment.uid, flag)?,
            apps: by_app.collect(),
            hours: by_hour.collect(),
        })
    }

    /// A page of the applications of one environment, or of all.
    pub fn applications(
        &self,
        environment: Option<&str>,
        ask: &PageAsk,
    ) -> Result<ApplicationPage, StoreError> {
        let workspace = self.workspace();
        if let Some(name) = environment {
            known_environment(&workspace, name)?;
        }
        let (begin, after): (String, String) = APPLICATIONS.place(ask)?.unwrap_or_default();
        let count_max = APPLICATIONS.count(ask.count_max);
        let mut names: Vec<&str> = workspace
            .environments
            .iter()
            .map(|own| own.name.as_str())
            .filter(|own| environment.is_none_or(|name| name == *own) && *own >= begin.as_str())
            .collect();
        names.sort_unstable();
        let mut applications = Vec::new();
        for name in names {
            let uid = &known_environment(&workspace, name)?.uid;
            let after = if name == begin { after.as_str() } else { "" };
            let missing = count_max + 1 - applications.len();
            let found = self.engine.applications(uid, after, missing)?;
            applications.extend(found.into_iter().map(|known| Application {
                environment: name.to_owned(),
                known,
            }));
            if applications.len() > count_max {
                break;
            }
        }
        let page = APPLICATIONS.cut(applications, count_max, |last| {
            (last.environment.clone(), last.known.app.clone())
        });
        Ok(ApplicationPage {
            applications: page.rows,
            next: page.next,
        })
    }

    /// Forgets what is too old, a bounded amount of it.
    pub(super) fn sweep_usage(&self, environment_uid: &str, now: UnixMs) -> Result<(), StoreError> {
        let before = hour_of(now.saturating_sub(self.retention.usage_ms));
        let seen_kept_ms = limits::USAGE_SEEN_KEPT_MS.max(self.retention.usage_ms);
        let before = (before, now.saturating_sub(seen_kept_ms));
        let rows = self
            .engine
            .sweep_usage(environment_uid, before, SWEEP_MAX)?;
        if rows > 0 {
            tracing::info!(rows, "the use of flags that is too old was forgotten");
        }
        Ok(())
    }

    /// So many hours up to the end of the one that goes on.
    fn hours(&self, count: u64) -> Range<UnixMs> {
        let end = hour_of(self.ambient.now_ms()) + HOUR_MS;
        let count = count.clamp(1, limits::USAGE_HOURS_MAX);
        end.saturating_sub(count * HOUR_MS)..end
    }
}

fn summed<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|own| sum.add(own));
    sum
}

/// Whether a batch is one, and not too large in any way.
fn check(batch: &UsageBatch) -> Result<(), UsageError> {
    let refused = |what, found: String, expected: &str| {
        Err(UsageError {
            what,
            found,
            expected: expected.to_owned(),
        })
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if batch.journal.len() != 32 || !digits(&batch.journal) {
        let found = format!("{} bytes", batch.journal.len());
        return refused("the journal is no id", found, "32 hexadecimal digits");
    }
    if batch.after >= batch.through || i64::try_from(batch.through).is_err() {
        let found = format!("{} to {}", batch.after, batch.through);
        return refused("the batch goes nowhere", found, "through above after");
    }
    let rows = batch.counts.len().max(batch.seen.len());
    if rows > limits::USAGE_BATCH_COUNTS_MAX {
        let expected = format!("at most {}", limits::USAGE_BATCH_COUNTS_MAX);
        return refused("the batch is too long", format!("{rows} rows"), &expected);
    }
    if let Some(wrong) = batch.counts.iter().find(|own| own.hour_ms % HOUR_MS != 0) {
        let found = format!("{} ms", wrong.hour_ms);
        return refused("an hour begins within one", found, "a multiple of 3600000");
    }
    let counts = batch.counts.iter().flat_map(words_of_count);
    let seen = batch.seen.iter().flat_map(|own| {
        let own_words = [&own.app, &own.instance, &own.sdk, &own.platform];
        own_words.into_iter().chain(&own.strategies).chain(&own.via)
    });
    let longest = counts.chain(seen).map(String::len).max();
    if longest > Some(limits::USAGE_WORD_BYTES_MAX) {
        let found = format!("{} bytes", longest.unwrap_or_default());
        let expected = format!("at most {}", limits::USAGE_WORD_BYTES_MAX);
        return refused("a name is too long", found, &expected);
    }
    Ok(())
}

fn words_of_count(own: &HourCount) -> impl Iterator<Item = &String> {
    [&own.app, &own.flag]
        .into_iter()
        .chain(own.counts.variants.keys())
}

#[cfg(test)]
mod tests;
