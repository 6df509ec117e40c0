//! What may a line of a file of users say?
//!
//! One JSON object: a user with properties and groups, or a group alone. The
//! same reader judges a line before it is sent and when it arrives, by the
//! limits that identify calls have. Members that nobody knows are refused: a
//! misspelt one would lose what it says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    evaluate::can_name,
    http::json::{self, JsonError, Object},
    limits::{GROUPS_PER_USER_MAX, SUBJECT_ID_BYTES_MAX},
    progress::event::GroupDocument,
};

/// A line, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub enum UserLine {
    /// A user, and the groups they belong to.
    User {
        /// User id.
        user: String,
        /// Null removes.
        properties: Map<String, Value>,
        /// Upserted, and joined.
        groups: Vec<GroupDocument>,
    },
    /// A group alone.
    Group(GroupDocument),
}

/// Why a line cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not JSON, or not the members that are expected.
    #[error("found no line of users: {0}; expected {EXPECTED}")]
    Shape(#[from] JsonError),
    /// Both or neither.
    #[error("found {found}, expected {EXPECTED}")]
    Subject {
        /// Which of the two.
        found: &'static str,
    },
    /// Groups have no groups.
    #[error("found groups of a group, expected them beside a user")]
    GroupsOfGroup,
    /// Nobody can have this id.
    #[error(
        "found {found} as {what}, expected 1 to {SUBJECT_ID_BYTES_MAX} bytes without control \
             characters, and neither . nor .."
    )]
    Id {
        /// Whose.
        what: &'static str,
        /// Shortened.
        found: String,
    },
    /// More groups than are kept of anybody.
    #[error("found {0} groups, expected at most {GROUPS_PER_USER_MAX}")]
    Groups(usize),
}

const EXPECTED: &str = r#"an object such as {"user":"u1","properties":{},"groups":[{"identifier":"g1","properties":{}}]} or {"group":"g1","properties":{}}"#;

/// As it is written.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "listed")]
    groups: Option<Vec<WrittenGroup>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    identifier: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    properties: Map<String, Value>,
}

/// Groups are objects, also where derived code would take arrays.
mod listed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Object, WrittenGroup};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<WrittenGroup>>, D::Error> {
        let groups: Vec<Object<WrittenGroup>> = Vec::deserialize(deserializer)?;
        Ok(Some(
            groups.into_iter().map(|Object(group)| group).collect(),
        ))
    }

    pub(super) fn serialize<S: Serializer>(
        groups: &Option<Vec<WrittenGroup>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        groups.serialize(serializer)
    }
}

impl UserLine {
    /// Reads a line.
    pub fn read(line: &[u8]) -> Result<Self, LineError> {
        let written: Written = json::parse(line, json::Limits::default())?;
        match (written.user, written.group) {
            (Some(user), None) => {
                check("the user", &user)?;
                let groups = written.groups.unwrap_or_default();
                if groups.len() > GROUPS_PER_USER_MAX {
                    return Err(LineError::Groups(groups.len()));
                }
                let groups = groups.into_iter().map(|group| {
                    check("a group", &group.identifier)?;
                    Ok(GroupDocument {
                        identifier: group.identifier,
                        properties: group.properties,
                    })
                });
                Ok(Self::User {
                    user,
                    properties: written.properties,
                    groups: groups.collect::<Result<_, LineError>>()?,
                })
            }
            (None, Some(_)) if written.groups.is_some() => Err(LineError::GroupsOfGroup),
            (None, Some(identifier)) => {
                check("the group", &identifier)?;
                Ok(Self::Group(GroupDocument {
                    identifier,
                    properties: written.properties,
                }))
            }
            (Some(_), Some(_)) => Err(LineError::Subject {
                found: "both a user and a group",
            }),
            (None, None) => Err(LineError::Subject {
                found: "neither a user nor a group",
            }),
        }
    }

    /// As [`Self::read`] reads it.
    pub fn write(self) -> Result<String, serde_json::Error> {
        let written = match self {
            Self::User {
                user,
                properties,
                groups,
            } => {
                let groups = groups.into_iter().map(|group| WrittenGroup {
                    identifier: group.identifier,
                    properties: group.properties,
                });
                let groups: Vec<_> = groups.collect();
                Written {
                    user: Some(user),
                    properties,
                    groups: (!groups.is_empty()).then_some(groups),
                    ..Written::default()
                }
            }
            Self::Group(group) => Written {
                group: Some(group.identifier),
                properties: group.properties,
                ..Written::default()
            },
        };
        serde_json::to_string(&written)
    }
}

fn check(what: &'static str, id: &str) -> Result<(), LineError> {
    if (1..=SUBJECT_ID_BYTES_MAX).contains(&id.len()) && can_name(id) {
        return Ok(());
    }
    const KEPT: usize = 40;
    let start: String = id.chars().take(KEPT).collect();
    Err(LineError::Id {
        what,
        found: format!("{start:?} ({} bytes)", id.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for line in [
            r#"{"user":"u\u00e9","properties":{"a":[1,null],"b":null}}"#,
            r#"{"user":"u","properties":{},"groups":[{"identifier":"g"},{"identifier":"h","properties":{"n":1}}]}"#,
            r#"{"group":"g","properties":{"n":1.5}}"#,
            r#"{"group":"g"}"#,
        ] {
            let read = UserLine::read(line.as_bytes()).expect(line);
            let again = read.clone().write().expect("it is written");
            assert_eq!(UserLine::read(again.as_bytes()).expect(&again), read);
        }
    }

    #[test]
    fn a_line_that_says_something_else_is_refused_with_what_was_found() {
        let long = format!(r#"{{"user":"{}"}}"#, "x".repeat(513));
        let many: Vec<String> = (0..=GROUPS_PER_USER_MAX)
            .map(|n| format!(r#"{{"identifier":"g{n}"}}"#))
            .collect();
        let many = format!(r#"{{"user":"u","groups":[{}]}}"#, many.join(","));
        for (line, found) in [
            ("", "EOF"),
            ("[1]", "expected an object"),
            (r#"{"user":"u""#, "EOF"),
            (r#"{"user":"u"} {"user":"v"}"#, "trailing"),
            (r#"{"properties":{}}"#, "neither a user nor a group"),
            (r#"{"user":"u","group":"g"}"#, "both a user and a group"),
            (r#"{"group":"g","groups":[]}"#, "groups of a group"),
            (r#"{"user":7}"#, "integer `7`"),
            (r#"{"user":"u","properties":[1]}"#, "sequence"),
            (r#"{"user":"u","groups":[["g"]]}"#, "expected an object"),
            (r#"{"user":"u","groups":[{"properties":{}}]}"#, "identifier"),
            (r#"{"user":"u","propertys":{}}"#, "propertys"),
            (r#"{"user":"u","user":"v"}"#, "duplicate"),
            (r#"{"user":""}"#, "(0 bytes)"),
            (r#"{"user":".."}"#, ".."),
            (r#"{"user":"a\nb"}"#, r"a\nb"),
            (long.as_str(), "(513 bytes)"),
            (many.as_str(), "groups"),
        ] {
            let error = UserLine::read(line.as_bytes()).expect_err(line).to_string();
            assert!(error.contains(found), "{line}: {error}");
            assert!(error.contains("expected"), "{line}: {error}");
        }
    }
}
