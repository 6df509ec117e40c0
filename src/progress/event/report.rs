//! What does an edge tell its store about itself?
//!
//! One environment as the edge sees it, sent when it changes and every few
//! seconds. Nothing rests on it: it is for the people who look at their edges.

use serde::{Deserialize, Serialize};

/// How one environment is doing on one edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeReport {
    /// Names the edge's data folder, so it stays through restarts.
    pub edge: String,
    /// Of the program.
    pub version: String,
    /// In force; none before the first snapshot.
    pub revision: Option<String>,
    /// `fresh`, `stale`, `expired` or `clock-behind`; empty before the first
    /// snapshot.
    pub state: String,
    /// Since the timestamp in force was signed.
    pub age_s: Option<u64>,
    /// Records that are not applied upstream yet.
    pub backlog_records: u64,
    /// Whether steps are taken.
    pub journal_writable: bool,
    /// The newest release, while it is held back: what would be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// Name of the last failure of a refresh; none after a success.
    pub reason: Option<String>,
}

impl EdgeReport {
    /// Whether the other one says something new. Ages and lengths change all
    /// the time: of the backlog it is news whether there is one.
    pub fn is_news_after(&self, told: &Self) -> bool {
        let settled = |report: &Self| Self {
            age_s: None,
            backlog_records: report.backlog_records.min(1),
            ..report.clone()
        };
        settled(self) != settled(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_lengths_are_no_news() {
        let told = EdgeReport {
            age_s: Some(3),
            backlog_records: 7,
            ..EdgeReport::default()
        };
        let mut now = EdgeReport {
            age_s: Some(4),
            backlog_records: 8,
            ..EdgeReport::default()
        };
        assert!(!now.is_news_after(&told));
        now.backlog_records = 0;
        assert!(now.is_news_after(&told));
        now.backlog_records = 1;
        now.revision = Some("0.2".to_owned());
        assert!(now.is_news_after(&told));
        let held = EdgeReport {
            held: Some(7),
            ..told.clone()
        };
        assert!(held.is_news_after(&told));
    }

    #[test]
    fn an_older_or_newer_edge_is_understood() {
        let text = r#"{"edge":"e1","version":"9.0.0","tomorrow":[1]}"#;
        let read: EdgeReport = serde_json::from_str(text).expect("a report");
        assert_eq!((read.edge.as_str(), read.revision), ("e1", None));
    }
}
