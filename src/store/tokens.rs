//! What may an author leave open in a webhook, and how is it filled in?
//!
//! `${user.identifier}` and its like, in a url, in a header, in the texts of a
//! body. Values come from users, so none of them may change what the author
//! wrote around it: in urls and headers they are percent-encoded, in bodies
//! they stay inside their text, and what was filled in is not read again.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::limits::WEBHOOK_TOKENS_MAX;

/// For messages.
pub(super) const EXPECTED: &str = "expected ${flow.name}, ${flow.identifier}, ${flow.version}, \
                                   ${user.identifier} or ${timestamp}";

/// What separates nothing in a path, a query or a header stays as it is, so
/// that times and e-mail addresses can be read.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@');

/// What is filled in.
#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    /// For people.
    pub(super) flow_name: &'a str,
    /// Its sid.
    pub(super) flow_identifier: &'a str,
    pub(super) flow_version: u32,
    pub(super) user_identifier: &'a str,
    /// When the step was taken, RFC 3339: the same at every attempt.
    pub(super) timestamp: &'a str,
}

impl Values<'_> {
    fn of(&self, token: &str) -> Option<Cow<'_, str>> {
        Some(match token {
            "flow.name" => self.flow_name.into(),
            "flow.identifier" => self.flow_identifier.into(),
            "flow.version" => self.flow_version.to_string().into(),
            "user.identifier" => self.user_identifier.into(),
            "timestamp" => self.timestamp.into(),
            _ => return None,
        })
    }

    /// A header's value with its tokens filled in.
    pub(super) fn header(&self, text: &str) -> String {
        self.fill(text, encoded)
    }

    /// A url with its tokens filled in; none where a value makes a segment of
    /// the path that says to go up, which would lead to another resource than
    /// the author named.
    pub(super) fn url(&self, text: &str) -> Option<String> {
        let filled = self.fill(text, encoded);
        let path = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let dots = |url: &str| {
            let path = path(url);
            let segments = path.split(['/', '\\']);
            let is_dots = |segment: &&str| {
                let decoded = percent_decode_str(segment).decode_utf8_lossy();
                matches!(&*decoded, "." | "..")
            };
            segments.filter(is_dots).count()
        };
        (dots(&filled) == dots(text)).then_some(filled)
    }

    /// A body with the tokens in its texts filled in.
    pub(super) fn body(&self, body: &Value) -> Value {
        match body {
            // Written as JSON afterwards, which escapes what has to be.
            Value::String(text) => self.fill(text, |value| value.into()).into(),
            Value::Array(list) => list.iter().map(|own| self.body(own)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, own)| (name.clone(), self.body(own)))
                .collect(),
            other => other.clone(),
        }
    }

    fn fill(&self, text: &str, write: impl Fn(&str) -> Cow<'_, str>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, token, after)) = next(rest) {
            filled.push_str(before);
            match self.of(token) {
                Some(value) => filled.push_str(&write(&value)),
                // From before imports looked: sent as it was written.
                None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

fn encoded(value: &str) -> Cow<'_, str> {
    utf8_percent_encode(value, ENCODED).into()
}

/// What stands before the first token, its name, and what stands behind it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (token, after) = rest.split_once('}')?;
    Some((before, token, after))
}

/// What is wrong with the tokens of a text; it is not repeated, a part of it
/// may be a secret.
pub(super) fn fault(text: &str) -> Option<String> {
    faults([text])
}

/// The same of all texts of a body, and of its members' names, in which there
/// are none.
pub(super) fn body_fault(body: &Value) -> Option<String> {
    let (mut texts, mut names) = (Vec::new(), Vec::new());
    gather(body, &mut texts, &mut names);
    if names.iter().any(|name| name.contains("${")) {
        return Some("has a token in a member's name (expected tokens in texts)".to_owned());
    }
    faults(texts)
}

fn gather<'a>(body: &'a Value, texts: &mut Vec<&'a str>, names: &mut Vec<&'a str>) {
    match body {
        Value::String(text) => texts.push(text),
        Value::Array(list) => list.iter().for_each(|own| gather(own, texts, names)),
        Value::Object(members) => {
            for (name, own) in members {
                names.push(name);
                gather(own, texts, names);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn faults<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Only whether a token is known is asked here.
    let values = Values {
        flow_name: "",
        flow_identifier: "",
        flow_version: 0,
        user_identifier: "",
        timestamp: "",
    };
    let mut found = 0;
    for text in texts {
        let mut rest = text;
        while let Some((_, token, after)) = next(rest) {
            if values.of(token).is_none() {
                return Some(format!("has an unknown token ({EXPECTED})"));
            }
            found += 1;
            rest = after;
        }
        if rest.contains("${") {
            return Some(format!("has a token without its end ({EXPECTED})"));
        }
    }
    (found > WEBHOOK_TOKENS_MAX)
        .then(|| format!("has {found} tokens (expected at most {WEBHOOK_TOKENS_MAX})"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(user: &str) -> Values<'_> {
        Values {
            flow_name: "Bon voyage & \"more\"",
            flow_identifier: "tour",
            flow_version: 3,
            user_identifier: user,
            timestamp: "2027-01-15T08:00:00Z",
        }
    }

    #[test]
    fn every_token_is_filled_in() {
        let values = values("ada@example.com");
        let url = "https://example.com/${flow.identifier}/${flow.version}?n=${flow.name}\
                   &u=${user.identifier}&t=${timestamp}";
        assert_eq!(
            values.url(url).unwrap(),
            "https://example.com/tour/3?n=Bon%20voyage%20%26%20%22more%22\
             &u=ada@example.com&t=2027-01-15T08:00:00Z"
        );
        let body = json!({"a": ["${flow.name} ${flow.version}", 1, null], "b": {"c": "$x {y}"}});
        assert_eq!(
            values.body(&body),
            json!({"a": ["Bon voyage & \"more\" 3", 1, null], "b": {"c": "$x {y}"}})
        );
    }

    #[test]
    fn no_user_changes_what_the_author_wrote() {
        for user in [
            "a/b?c=d&e#f",
            "a\r\nx-evil: 1",
            "a\\b",
            "%2e%2e",
            "\u{0}\u{7f}",
            "ünï 💡",
            "\",\"admin\":true,\"x\":\"",
            "${flow.name}",
            "${user.identifier}",
        ] {
            let values = values(user);
            let url = values.url("https://h/users/${user.identifier}/x?u=${user.identifier}");
            let url = reqwest::Url::parse(&url.unwrap()).unwrap();
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            assert_eq!(segments.len(), 3, "{url}");
            let decoded = percent_decode_str(segments[1]).decode_utf8().unwrap();
            assert_eq!(decoded, user, "{url}");
            let query: Vec<_> = url.query_pairs().collect();
            assert_eq!(query, [("u".into(), user.into())], "{url}");
            assert_eq!(url.fragment(), None, "{url}");
            let header = values.header("id=\"${user.identifier}\"; team=blue");
            let inner = header.strip_prefix("id=\"").unwrap();
            let inner = inner.strip_suffix("\"; team=blue").unwrap();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@%".contains(&byte);
            assert!(inner.bytes().all(plain), "{header}");
            let body = values.body(&json!({"user": "${user.identifier}"}));
            let sent = serde_json::to_vec(&body).unwrap();
            let read: Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(read, json!({ "user": user }));
        }
    }

    #[test]
    fn no_user_climbs_out_of_a_path() {
        let url = "https://h/users/${user.identifier}/x";
        for user in ["..", "."] {
            assert_eq!(values(user).url(url), None, "{user}");
            let query = "https://h/users?u=${user.identifier}";
            assert!(values(user).url(query).is_some(), "{user}");
        }
        let joined = "https://h/.${user.identifier}/x";
        assert_eq!(values(".").url(joined), None);
        let authored = "https://h/a/../${user.identifier}";
        assert!(values("...").url(authored).is_some());
    }

    #[test]
    fn tokens_that_are_none_are_found() {
        for (text, why) in [
            ("${user.secret}", "unknown token"),
            ("${}", "unknown token"),
            ("${ timestamp }", "unknown token"),
            ("a ${timestamp", "without its end"),
            ("${timestamp} ${flow.name", "without its end"),
            (&"${timestamp}".repeat(WEBHOOK_TOKENS_MAX + 1), "at most"),
        ] {
            let fault = fault(text).unwrap();
            assert!(fault.contains(why), "{text}: {fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
        assert_eq!(fault("$ {x} $$ } ${timestamp}"), None);
        assert!(body_fault(&json!([{"${timestamp}": 1}])).is_some());
        assert!(body_fault(&json!([{"a": {"b": "${x}"}}])).is_some());
        assert_eq!(body_fault(&json!([{"a": {"b": "${timestamp}"}}])), None);
    }
}
