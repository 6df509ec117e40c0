//! For whom are flags asked?
//!
//! Unleash's context, from a query or a body: six fields of its own, and
//! properties, among which everything else counts that stands beside them. A
//! field that is only among the properties is taken for the field. Values are
//! texts; numbers and booleans are what they are written as, and what is null
//! or no single value is absent.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::{
    evaluate::{Subject, SubjectView},
    http::json,
    limits::{CONTEXT_FIELD_BYTES_MAX, CONTEXT_PROPERTIES_MAX},
    server::{
        error::{Fault, Invalid},
        query::{Plus, pairs},
    },
    snapshot::Snapshot,
};

const USER_ID: &str = "userId";
const ENVIRONMENT: &str = "environment";
const REMOTE_ADDRESS: &str = "remoteAddress";

/// The fields that are no properties.
const FIELDS: [&str; 6] = [
    USER_ID,
    "sessionId",
    "appName",
    ENVIRONMENT,
    "currentTime",
    REMOTE_ADDRESS,
];

/// A context.
#[derive(Debug)]
pub(super) struct Context {
    user: Subject,
    /// Fields and properties side by side.
    attributes: Map<String, Value>,
}

impl Context {
    /// From a query: `userId=7&properties[plan]=pro`.
    pub(super) fn of_query(raw: &str) -> Result<Self, Fault> {
        let mut own = Map::new();
        let mut given = Given::default();
        let mut properties = 0;
        for pair in pairs(raw, Plus::Space) {
            let (name, value) = pair?;
            let inner = name.strip_prefix("properties[");
            let inner = inner.and_then(|rest| rest.strip_suffix(']'));
            let is_inner = inner.is_some();
            let name = inner.unwrap_or(&name);
            let field = FIELDS.iter().position(|own| *own == name);
            properties += usize::from(is_inner || field.is_none());
            let (is_again, counts) = match field {
                Some(field) => given.field(field, is_inner),
                None => (own.contains_key(name), true),
            };
            if is_again {
                return Err(Invalid::Repeated {
                    what: "a field of the context",
                }
                .into());
            }
            if counts {
                own.insert(name.to_owned(), Value::String(value.into_owned()));
            }
        }
        Self::within_limits(own, properties)
    }

    /// From a body: `{"context":{…}}`, or the context alone.
    pub(super) fn of_body(bytes: &[u8]) -> Result<Self, Fault> {
        let mut body: Map<String, Value> = json::parse(bytes, json::Limits::default())?;
        let context = match body.remove("context") {
            None | Some(Value::Null) => body,
            Some(Value::Object(context)) => context,
            Some(other) => return Err(no_object("context", &other)),
        };
        let (mut fields, mut properties) = (Map::new(), Map::new());
        let mut inner = Map::new();
        for (name, value) in context {
            let place = match value {
                Value::Object(given) if name == "properties" => {
                    inner = given;
                    continue;
                }
                Value::Null => continue,
                other if name == "properties" => return Err(no_object("properties", &other)),
                Value::Array(_) | Value::Object(_) if FIELDS.contains(&&*name) => {
                    return Err(Invalid::Value {
                        what: "a field of the context",
                        found: format!("{name} {value}"),
                        expected: "a text, a number or a boolean",
                    }
                    .into());
                }
                _ if FIELDS.contains(&&*name) => &mut fields,
                _ => &mut properties,
            };
            place.insert(name, value);
        }
        // Where both are given, what stands among the properties is meant.
        properties.extend(inner);
        Self::joined(fields, properties)
    }

    fn joined(fields: Map<String, Value>, properties: Map<String, Value>) -> Result<Self, Fault> {
        let count = properties.len();
        let mut attributes = properties;
        attributes.extend(fields);
        attributes
            .retain(|_, value| !matches!(value, Value::Null | Value::Array(_) | Value::Object(_)));
        Self::within_limits(attributes, count)
    }

    fn within_limits(attributes: Map<String, Value>, properties: usize) -> Result<Self, Fault> {
        if properties > CONTEXT_PROPERTIES_MAX {
            return Err(Invalid::Length {
                what: "the properties of the context",
                found: properties,
                expected: "at most 256",
            }
            .into());
        }
        let texts = attributes.values().filter_map(Value::as_str);
        if let Some(long) = texts
            .map(str::len)
            .max()
            .filter(|own| *own > CONTEXT_FIELD_BYTES_MAX)
        {
            return Err(Invalid::Length {
                what: "a value of the context",
                found: long,
                expected: "at most 4096 bytes",
            }
            .into());
        }
        let user = match attributes.get(USER_ID) {
            Some(Value::String(user)) => Subject::unseen(user),
            Some(other) => Subject::unseen(&other.to_string()),
            None => Subject::unseen(""),
        };
        Ok(Self { user, attributes })
    }

    /// Adds what the edge knows better: the environment, which the key has
    /// settled, and the address of whoever says none. Loopback is nobody's
    /// address but that of something in between.
    pub(super) fn complete(mut self, snapshot: &Snapshot, from: IpAddr) -> Self {
        let mut fill = |name: &str, value: &dyn ToString, over: bool| {
            if snapshot.flags.asks().has(name) && (over || !self.attributes.contains_key(name)) {
                let value = Value::String(value.to_string());
                self.attributes.insert(name.to_owned(), value);
            }
        };
        let overrules = !snapshot.takes_environments;
        fill(ENVIRONMENT, &snapshot.environment, overrules);
        if !from.to_canonical().is_loopback() {
            fill(REMOTE_ADDRESS, &from.to_canonical(), false);
        }
        self
    }

    /// As evaluation looks at it.
    pub(super) fn view(&self) -> SubjectView<'_> {
        SubjectView {
            user: &self.user,
            group: None,
            attributes: Some(&self.attributes),
            conversation: None,
        }
    }

    /// A field or property, if it is there.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)
    }
}

/// Which of the fields a query has given: by themselves, and among the
/// properties, where they count unless they are given by themselves, too.
#[derive(Default)]
struct Given {
    alone: [bool; FIELDS.len()],
    inner: [bool; FIELDS.len()],
}

impl Given {
    /// Whether this field was given in this way already, and whether this is
    /// what counts.
    fn field(&mut self, field: usize, is_inner: bool) -> (bool, bool) {
        let place = match is_inner {
            true => &mut self.inner[field],
            false => &mut self.alone[field],
        };
        let is_again = std::mem::replace(place, true);
        (is_again, !is_inner || !self.alone[field])
    }
}

fn no_object(what: &'static str, found: &Value) -> Fault {
    Fault::Invalid(Invalid::Value {
        what,
        found: found.to_string(),
        expected: "an object",
    })
}

// The texts above name the limits.
const _: () = assert!(CONTEXT_PROPERTIES_MAX == 256 && CONTEXT_FIELD_BYTES_MAX == 4096);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_query(raw: &str) -> Value {
        Value::Object(Context::of_query(raw).expect("a context").attributes)
    }

    fn of_body(body: &Value) -> Value {
        let context = Context::of_body(body.to_string().as_bytes()).expect("a context");
        Value::Object(context.attributes)
    }

    #[test]
    fn fields_and_properties_come_in_every_form_clients_use() {
        let expected = json!({"userId": "7", "appName": "shop", "plan": "pro", "age": "7"});
        for raw in [
            "userId=7&appName=shop&properties[plan]=pro&properties[age]=7",
            "userId=7&appName=shop&properties%5Bplan%5D=pro&age=7",
            "properties[userId]=7&appName=shop&plan=pro&age=7&properties[appName]=other",
        ] {
            assert_eq!(of_query(raw), expected, "{raw}");
        }
        let inner =
            json!({"userId": 7, "plan": "pro", "age": 7.5, "yes": true, "no": null, "list": [1]});
        let expected = json!({"userId": 7, "plan": "pro", "age": 7.5, "yes": true});
        for body in [
            json!({"context": {"properties": inner}}),
            json!({"context": inner, "toggles": []}),
            inner.clone(),
            json!({"userId": 7, "properties": inner, "plan": "free"}),
            json!({"properties": inner, "appName": null, "context": null}),
        ] {
            assert_eq!(of_body(&body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_context_is_refused_with_what_was_found() {
        let many: Map<String, Value> = (0..257).map(|at| (at.to_string(), 1.into())).collect();
        for body in [
            json!({"context": "ann"}),
            json!({"context": {"userId": ["ann"]}}),
            json!({"context": {"properties": 7}}),
            json!({"context": {"properties": many}}),
        ] {
            let refused = Context::of_body(body.to_string().as_bytes());
            assert!(matches!(refused, Err(Fault::Invalid(_))), "{body}");
        }
        let many: String = (0..257).map(|at| format!("p{at}=1&")).collect();
        for raw in ["userId=1&userId=2", "a=%ff", &many] {
            assert!(
                matches!(Context::of_query(raw), Err(Fault::Invalid(_))),
                "{raw}"
            );
        }
        let long = format!("userId={}", "u".repeat(4097));
        assert!(Context::of_query(&long).is_err());
    }
}
