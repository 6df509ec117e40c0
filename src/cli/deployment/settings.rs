//! What can be said of a deployment on the command line?
//!
//! Flags that `create`, `set` and `preview` share, and how each becomes a
//! member of a request.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::{archive, failure::Failure};
use crate::limits;

/// What can be said of a deployment.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Share of the audience, 0 to 100 with at most two decimals.
    #[arg(long, value_name = "PERCENT", value_parser = basis_points, conflicts_with = "basis_points")]
    percentage: Option<u16>,
    /// The same in hundredths of a percent, 0 to 10000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    basis_points: Option<u16>,
    /// latest, or a committed version.
    #[arg(long, value_name = "latest|N", value_parser = version)]
    version: Option<Value>,
    /// How long a percentage decision stands.
    #[arg(long)]
    remember: Option<RememberName>,
    /// What a new version means for those who have begun an older one.
    #[arg(long)]
    on_version_change: Option<ChangeName>,
    /// A percentage from a time on; may be given several times, and then
    /// replaces the schedule.
    #[arg(long, value_name = "TIME=PERCENT", value_parser = scheduled)]
    schedule: Vec<Value>,
    /// Take the schedule away.
    #[arg(long, conflicts_with = "schedule")]
    no_schedule: bool,
    /// File with the alternatives of the audience, JSON or YAML, as in a
    /// project file; an empty list means everyone.
    #[arg(long, value_name = "FILE")]
    audience: Option<PathBuf>,
}

/// How long a decision stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RememberName {
    /// For the conversation; without one, for the id.
    Conversation,
    /// For the id, whatever the conversation.
    User,
    /// Not at all.
    Nothing,
}

/// What a new version means.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChangeName {
    /// They finish what they began.
    Stay,
    /// The migration strategies decide.
    Migrate,
    /// Stay with a conversation, else migrate.
    Default,
}

impl Settings {
    /// The members of a request that are given.
    pub(super) fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        if let Some(points) = self.percentage.or(self.basis_points) {
            body["basisPoints"] = json!(points);
        }
        if let Some(version) = &self.version {
            body["version"] = version.clone();
        }
        if let Some(remember) = self.remember {
            body["remember"] = json!(named(remember));
        }
        match self.on_version_change {
            None => {}
            Some(ChangeName::Default) => body["onVersionChange"] = Value::Null,
            Some(change) => body["onVersionChange"] = json!(named(change)),
        }
        if self.no_schedule || !self.schedule.is_empty() {
            body["schedule"] = json!(self.schedule);
        }
        if let Some(file) = &self.audience {
            body["audience"] = audience(file)?;
        }
        Ok(body)
    }
}

fn named(word: impl ValueEnum) -> Option<String> {
    let value = word.to_possible_value()?;
    Some(value.get_name().to_owned())
}

/// Alternatives as a project file has them: a list, alone or under `audience`.
fn audience(file: &Path) -> Result<Value, Failure> {
    let bytes = archive::read(file, limits::ADMIN_BODY_BYTES_MAX)?;
    let found: Value = serde_yaml_ng::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("{} is neither YAML nor JSON", file.display())).because(&error)
    })?;
    let list = match &found {
        Value::Object(members) if members.len() == 1 => &found["audience"],
        other => other,
    };
    if list.is_array() {
        return Ok(list.clone());
    }
    Err(Failure::usage(format!(
        "{} holds no audience, expected a list of alternatives such as [{{\"name\":\"vips\",\"rules\":[…]}}]",
        file.display()
    )))
}

/// A percentage in its own words to basis points, without a detour over floats.
pub(super) fn basis_points(text: &str) -> Result<u16, String> {
    let refuse =
        || format!("found {text:?}, expected 0 to 100 with at most two decimals, such as 12.5");
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(rest) || rest.len() > 2 {
        return Err(refuse());
    }
    let rest = format!("{rest:0<2}");
    let points = whole.parse::<u16>().ok().and_then(|whole| {
        let rest: u16 = rest.parse().ok()?;
        whole.checked_mul(100)?.checked_add(rest)
    });
    points.filter(|points| *points <= 10_000).ok_or_else(refuse)
}

pub(super) fn version(text: &str) -> Result<Value, String> {
    match text.parse::<u32>() {
        _ if text == "latest" => Ok(json!("latest")),
        Ok(number) if number > 0 => Ok(json!(number)),
        _ => Err(format!(
            "found {text:?}, expected latest or the number of a committed version"
        )),
    }
}

pub(super) fn scheduled(text: &str) -> Result<Value, String> {
    let Some((at, share)) = text.rsplit_once('=') else {
        return Err(format!(
            "found {text:?}, expected a time and a percentage such as 2026-12-01T09:00:00Z=25"
        ));
    };
    let time: jiff::Timestamp = at
        .parse()
        .map_err(|_| format!("found the time {at:?}, expected one such as 2026-12-01T09:00:00Z"))?;
    Ok(json!({"at": time.as_millisecond(), "basisPoints": basis_points(share)?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_become_basis_points_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("100", 10_000),
            ("12.5", 1_250),
            ("0.29", 29),
            ("99.99", 9_999),
        ] {
            assert_eq!(basis_points(text), Ok(expected), "{text}");
        }
        for bad in [
            "", "-1", "+1", "100.01", "101", "1.234", ".5", "5.", "ten", "1e1", "70000",
        ] {
            let error = basis_points(bad).expect_err(bad);
            assert!(error.contains("expected 0 to 100"), "{error}");
        }
    }

    #[test]
    fn versions_and_schedules_say_what_was_expected() {
        assert_eq!(version("latest"), Ok(json!("latest")));
        assert_eq!(version("3"), Ok(json!(3)));
        for bad in ["0", "newest", "-1"] {
            assert!(version(bad).is_err(), "{bad}");
        }
        let entry = scheduled("2026-12-01T09:00:00Z=25.5").expect("an entry");
        assert_eq!(entry["basisPoints"], 2550);
        assert_eq!(entry["at"], 1_796_115_600_000_u64);
        for bad in ["25", "tomorrow=25", "2026-12-01T09:00:00Z=125"] {
            assert!(scheduled(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_a_list_alone_or_under_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audience.yaml");
        let list =
            json!([{"rules": [{"attribute": "plan", "operator": "equals", "value": "pro"}]}]);
        for text in [
            "- rules:\n  - { attribute: plan, operator: equals, value: pro }\n".to_owned(),
            json!({"audience": list}).to_string(),
        ] {
            std::fs::write(&file, text).expect("a file");
            assert_eq!(audience(&file).ok(), Some(list.clone()));
        }
        for text in ["rules: []", "a: [", "7"] {
            std::fs::write(&file, text).expect("a file");
            assert_eq!(audience(&file).expect_err(text).code(), 64);
        }
    }
}
