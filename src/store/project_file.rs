//! What stands in a project file, as written?
//!
//! YAML or JSON becomes a tree that keeps the order of members and refuses
//! duplicate keys (which both parsers would otherwise let the last one win).
//! Meaning is given to it in `import`; here is only the form. The format is
//! named by its first member, `flowgate: project/1`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// The member that names the format.
pub(super) const FORMAT_MEMBER: &str = "flowgate";

/// The format this release reads and writes.
pub(super) const FORMAT: &str = "project/1";

/// A path's source when it starts at the entry.
pub(super) const ENTRY: &str = "entry";

/// A piece of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// As a field's value.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => Value::Number(value),
            Self::Text(value) => Value::String(value),
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Table(members) => members
                .into_iter()
                .map(|(name, member)| (name, member.into_value()))
                .collect(),
        }
    }
}

/// Every document of a file: one project each. JSON may hold one or a list of
/// them, YAML one or several separated by `---`.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let trimmed = text.trim_start_matches('\u{feff}');
    let nodes = if trimmed.trim_start().starts_with(['{', '[']) {
        // JSON is nearly a subset of YAML; surrogate escapes are not.
        vec![serde_json::from_str::<Node>(trimmed).map_err(|error| error.to_string())?]
    } else {
        let documents = serde_yaml_ng::Deserializer::from_str(trimmed);
        let nodes: Result<Vec<Node>, _> = documents.map(Node::deserialize).collect();
        nodes.map_err(|error| error.to_string())?
    };
    let projects = nodes.into_iter().flat_map(|node| match node {
        Node::List(projects) => projects,
        one => vec![one],
    });
    let projects: Vec<Node> = projects.filter(|node| *node != Node::Null).collect();
    if projects.is_empty() {
        return Err("the file is empty (expected a project)".to_owned());
    }
    Ok(projects)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain text, a number, true or false, null, a list or a table")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value);
        number
            .map(Node::Number)
            .ok_or_else(|| E::custom(format!("the number {value} is not finite")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut table: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                // Failing inside the value makes both parsers say where it is.
                members.next_value_seed(Second(&name))?;
            }
            table.push((name, members.next_value()?));
        }
        Ok(Node::Table(table))
    }
}

/// Refuses the value of a key that was there before, whatever it is.
struct Second<'a>(&'a str);

impl<'de> de::DeserializeSeed<'de> for Second<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Second<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {:?} only once", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_are_refused_with_their_position() {
        for text in ["a: 1\nb: 2\na: 3\n", "{\"a\":1,\n\"a\":2}"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("the key \"a\" only once"), "{error}");
            assert!(error.contains("line"), "{error}");
        }
        assert!(parse("outer:\n  a: 1\n  a: 2\n").is_err());
    }

    #[test]
    fn members_keep_their_order() {
        let nodes = parse("z: 1\na: 2\n").unwrap();
        let [Node::Table(members)] = nodes.as_slice() else {
            panic!("one table expected, got {nodes:?}");
        };
        assert_eq!(members[0].0, "z");
    }

    #[test]
    fn json_escapes_that_yaml_lacks_are_read() {
        let nodes = parse("{\"a\":\"\\ud83d\\ude00\"}").unwrap();
        let expected = Node::Table(vec![("a".to_owned(), Node::Text("😀".to_owned()))]);
        assert_eq!(nodes, [expected]);
    }

    #[test]
    fn several_documents_are_several_projects() {
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap().len(), 2);
        assert_eq!(parse("[{\"a\":1},{\"b\":2}]").unwrap().len(), 2);
        assert!(parse("# only a comment\n").is_err());
        assert!(parse("a: .nan\n").is_err());
        assert!(parse("a: !tagged {b: 1}\n").is_err());
    }
}
