//! What do the bodies of `/v1` look like?
//!
//! Text is borrowed from the body where it has no escapes.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    evaluate::Tag,
    http::json::{Object, object},
    limits::FLOWS_PER_EVALUATE_MAX,
    server::{
        auth::Access,
        deciding::Who,
        error::{AuthError, Fault, Invalid},
        query::subject_id,
    },
    snapshot::wire::KeyKind,
};

/// Borrowed text also inside of `Option` and `Vec`, where serde would copy.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// For whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectBody<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow, default)]
    group: Option<Text<'a>>,
    #[serde(borrow, default)]
    conversation: Option<Text<'a>>,
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
}

impl<'a> SubjectBody<'a> {
    /// As a query names one.
    pub(super) fn named(
        Text(user): Text<'a>,
        group: Option<Text<'a>>,
        conversation: Option<Text<'a>>,
    ) -> Self {
        Self {
            user,
            group,
            conversation,
            attributes: None,
        }
    }

    /// Whether the request carries facts about the subject.
    pub(super) fn has_attributes(&self) -> bool {
        self.attributes.is_some()
    }
}

impl SubjectBody<'_> {
    /// Checks lengths, and that attributes come from a trusted key.
    pub(super) fn check(&self, access: Access<'_>) -> Result<Who<'_>, Fault> {
        if self.attributes.is_some() && access.key.kind != KeyKind::Server {
            return Err(AuthError::Attributes.into());
        }
        let id = |what, text: &'_ Option<Text<'_>>| match text {
            Some(text) => subject_id(what, &text.0).map(|_| ()),
            None => Ok(()),
        };
        id("subject.group", &self.group)?;
        id("subject.conversation", &self.conversation)?;
        Ok(Who {
            user: subject_id("subject.user", &self.user)?,
            group: self.group.as_ref().map(AsRef::as_ref),
            conversation: self.conversation.as_ref().map(AsRef::as_ref),
            attributes: self.attributes.as_ref(),
        })
    }
}

/// `POST /v1/evaluate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluateBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub(super) subject: SubjectBody<'a>,
    #[serde(borrow, default)]
    pub(super) channel: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) flows: Option<Flows<'a>>,
    #[serde(default)]
    pub(super) start: bool,
    #[serde(borrow, default)]
    pub(super) token: Option<Text<'a>>,
    #[serde(borrow, default)]
    include: Vec<Text<'a>>,
}

impl EvaluateBody<'_> {
    /// Whether blocks are asked for.
    pub(super) fn include_blocks(&self) -> Result<bool, Invalid> {
        match self.include.iter().find(|name| name.0 != "blocks") {
            Some(other) => Err(Invalid::Value {
                what: "include",
                found: other.0.to_string(),
                expected: "blocks",
            }),
            None => Ok(!self.include.is_empty()),
        }
    }
}

/// `POST /v1/flows/{sid}/{intent}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntentBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub(super) subject: SubjectBody<'a>,
    pub(super) version: VersionTag,
    #[serde(default)]
    pub(super) force: Option<bool>,
    #[serde(borrow, default)]
    pub(super) channel: Option<Text<'a>>,
}

/// `POST /v1/blocks/{uid}/transition`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransitionBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub(super) subject: SubjectBody<'a>,
    pub(super) version: VersionTag,
    #[serde(borrow)]
    pub(super) transitions: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) channel: Option<Text<'a>>,
}

/// `POST /v1/changes/tickets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub(super) subject: SubjectBody<'a>,
}

/// `POST /v1/identify`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentifyBody {
    pub(super) identifier: String,
    #[serde(default)]
    pub(super) properties: Map<String, Value>,
    #[serde(default)]
    pub(super) groups: Vec<Object<GroupBody>>,
}

/// A group with properties to merge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupBody {
    pub(super) identifier: String,
    #[serde(default)]
    pub(super) properties: Map<String, Value>,
}

/// A version: a number, or a tag as text; null is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VersionTag(pub(super) Tag);

impl<'de> Deserialize<'de> for VersionTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = VersionTag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version number from 0, uncommitted or latest")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<VersionTag, E> {
                let number = u32::try_from(number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))?;
                Ok(VersionTag(Tag::Number(number)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VersionTag, E> {
                let tag = text.parse().map(VersionTag);
                tag.map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_unit<E: de::Error>(self) -> Result<VersionTag, E> {
                Ok(VersionTag(Tag::Latest))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// Flows in the order asked, each once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flows<'a>(pub(super) Vec<(Cow<'a, str>, Tag)>);

impl<'de: 'a, 'a> Deserialize<'de> for Flows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Flows<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of flow sids and tags")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flows<'de>, A::Error> {
                let mut flows: Vec<(Cow<'de, str>, Tag)> = Vec::new();
                while let Some(Text(sid)) = map.next_key::<Text<'de>>()? {
                    if flows.len() == FLOWS_PER_EVALUATE_MAX {
                        let text = format!("more than {FLOWS_PER_EVALUATE_MAX} flows");
                        return Err(de::Error::custom(text));
                    }
                    if flows.iter().any(|(known, _)| *known == sid) {
                        return Err(de::Error::custom(format!(
                            "flow {sid:?} is asked for twice"
                        )));
                    }
                    let VersionTag(tag) = map.next_value()?;
                    flows.push((sid, tag));
                }
                Ok(Flows(flows))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_numbers_or_names() {
        let text = r#"{"a":2,"b":"latest","c":"uncommitted","d":"7","e":null}"#;
        let flows: Flows<'_> = serde_json::from_str(text).expect("it parses");
        let tags: Vec<Tag> = flows.0.iter().map(|(_, tag)| *tag).collect();
        assert_eq!(
            tags,
            [
                Tag::Number(2),
                Tag::Latest,
                Tag::Number(0),
                Tag::Number(7),
                Tag::Latest
            ]
        );
        assert!(matches!(flows.0[0].0, Cow::Borrowed("a")));
        for bad in [
            r#"{"a":-1}"#,
            r#"{"a":1.5}"#,
            r#"{"a":"newest"}"#,
            r#"{"a":1,"a":2}"#,
            r#"["a"]"#,
        ] {
            assert!(serde_json::from_str::<Flows<'_>>(bad).is_err(), "{bad}");
        }
        let many: Map<String, Value> = (0..=FLOWS_PER_EVALUATE_MAX)
            .map(|n| (n.to_string(), Value::Null))
            .collect();
        let many = Value::Object(many).to_string();
        assert!(serde_json::from_str::<Flows<'_>>(&many).is_err());
    }

    #[test]
    fn a_member_nobody_knows_is_refused_by_name() {
        let text = r#"{"subject":{"user":"u"},"flow":{"a":1}}"#;
        let error = serde_json::from_str::<EvaluateBody<'_>>(text).expect_err("a typing error");
        assert!(
            error.to_string().contains("unknown field `flow`"),
            "{error}"
        );
    }
}
