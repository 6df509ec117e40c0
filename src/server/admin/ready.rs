//! Can applications be sent here?
//!
//! Ready is an edge whose required environments each answer an evaluation
//! right now, under the policies for what is old: serving what is old is
//! serving, refusing it is not. Probes may ask about one environment, required
//! or not, and about steps as well. A journal that cannot write stops steps
//! and never reads.

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Admin, EnvironmentFacts, Facts, json_answer};
use crate::{
    clock::UnixMs,
    current::{Environment, Policy},
    evaluate::{Ask, Subject, SubjectView, decide},
    http::{Answer, problem},
};

/// What a probe asks about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// One environment; else all that are required.
    environment: Option<String>,
    /// Steps as well as evaluations.
    for_writes: bool,
}

impl Probe {
    /// For steps, of all that is required.
    pub(super) const WRITES: Self = Self {
        environment: None,
        for_writes: true,
    };

    /// From a query; the error says what is wrong with it.
    fn of(query: &str) -> Result<Self, String> {
        let mut probe = Self::default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            if seen.contains(&name) {
                return Err(format!("{name} is given twice, expected one value"));
            }
            seen.push(name);
            match (name, &*value) {
                ("environment", name) => probe.environment = Some(name.to_owned()),
                ("for", "read") => {}
                ("for", "write") => probe.for_writes = true,
                ("for", found) => {
                    return Err(format!("for={found} is unknown, expected read or write"));
                }
                (found, _) => {
                    let expected = "expected environment=NAME or for=read|write";
                    return Err(format!("parameter {found} is unknown, {expected}"));
                }
            }
        }
        Ok(probe)
    }

    fn asks_about(&self, environment: &EnvironmentFacts) -> bool {
        match &self.environment {
            Some(name) => *name == environment.name,
            None => environment.required,
        }
    }
}

/// What stands in the way of one environment.
pub(super) struct Missing<'f> {
    environment: &'f str,
    /// Stable.
    reason: &'static str,
    /// For people.
    detail: String,
}

impl Admin {
    /// Answers `/ready`.
    pub(super) fn ready(&self, query: &str) -> Answer {
        let code = "invalid_request_error";
        let probe = match Probe::of(query) {
            Ok(probe) => probe,
            Err(text) => return problem(StatusCode::BAD_REQUEST, code, &text),
        };
        let facts = self.status.facts();
        if let Some(name) = &probe.environment
            && !facts.environments.iter().any(|own| own.name == *name)
        {
            let names = facts.environments.iter().map(|own| own.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let text = format!("environment {name:?} is not served here, expected one of {names}");
            return problem(StatusCode::NOT_FOUND, "not_found_error", &text);
        }
        let missing = self.missing(&facts, &probe);
        if !facts.stopping && missing.is_empty() {
            return json_answer(StatusCode::OK, &json!({"status": "ready"}));
        }
        let names: Vec<&str> = missing.iter().map(|own| own.environment).collect();
        let why: Vec<Value> = missing
            .iter()
            .map(|own| {
                json!({"environment": own.environment, "reason": own.reason, "detail": own.detail})
            })
            .collect();
        let status = match facts.stopping {
            true => "stopping",
            false => "waiting",
        };
        let body = json!({"status": status, "missing": names, "why": why});
        json_answer(StatusCode::SERVICE_UNAVAILABLE, &body)
    }

    /// What does not answer what the probe asks about.
    pub(super) fn missing<'f>(&self, facts: &'f Facts, probe: &Probe) -> Vec<Missing<'f>> {
        let live = self.current.load();
        let now = self.ambient.now_ms();
        let asked = facts.environments.iter();
        let asked = asked.filter(|environment| probe.asks_about(environment));
        let missing = |environment: &'f EnvironmentFacts| {
            let why = match live.named(&environment.name) {
                None => Some(not_here(environment)),
                Some(live) => unanswered(live, now),
            };
            let writable = facts.progress.refuses.is_none() || !probe.for_writes;
            let why = why.or_else(|| {
                let detail = "the journal takes no steps now; evaluations are answered";
                (!writable).then(|| ("journal", detail.to_owned()))
            });
            why.map(|(reason, detail)| Missing {
                environment: &environment.name,
                reason,
                detail,
            })
        };
        asked.filter_map(missing).collect()
    }
}

/// Why there is no snapshot.
fn not_here(environment: &EnvironmentFacts) -> (&'static str, String) {
    let error = &environment.refresh.error;
    let detail = match error {
        Some((name, text)) => format!("no snapshot has come yet: {name}: {text}"),
        None => "no snapshot has come yet".to_owned(),
    };
    ("no-snapshot", detail)
}

/// Why an evaluation comes to no answer. An environment without flows answers
/// everything with "unknown flow", which is an answer.
fn unanswered(environment: &Environment, now: UnixMs) -> Option<(&'static str, String)> {
    let (age, policy) = environment.judged(now);
    if policy == Policy::Refuse {
        let detail = format!("the snapshot is {} and is not served then", age.name());
        return Some(("snapshot-old", detail));
    }
    let nobody = Subject::default();
    let view = SubjectView {
        user: &nobody,
        group: None,
        attributes: None,
        conversation: None,
    };
    let snapshot = &environment.snapshot;
    let sid = snapshot.flows.keys().next().map_or("", |sid| sid);
    let ask = Ask {
        sid,
        ..Ask::default()
    };
    let decision = decide(snapshot, &view, &ask, |_| true, now);
    let answers = snapshot.flows.is_empty() || decision.flow.is_some();
    (!answers).then(|| ("no-answer", "an evaluation comes to no answer".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_says_what_it_asks_about() {
        assert_eq!(Probe::of(""), Ok(Probe::default()));
        assert_eq!(Probe::of("for=read"), Ok(Probe::default()));
        assert_eq!(Probe::of("for=write"), Ok(Probe::WRITES));
        let both = Probe {
            environment: Some("a b".to_owned()),
            for_writes: true,
        };
        assert_eq!(Probe::of("environment=a%20b&for=write"), Ok(both));
        for bad in [
            "for=reads",
            "for=",
            "for",
            "color=red",
            "for=read&for=write",
            "environment=a&environment=a",
        ] {
            assert!(Probe::of(bad).is_err(), "{bad}");
        }
    }
}
