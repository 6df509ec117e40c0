//! What stands in a project file, as written?
//!
//! YAML or JSON becomes a tree that keeps the order of members and refuses
//! duplicate keys (which both parsers would otherwise let the last one win).
//! Meaning is given to it in `import`; here is only the form. The format is
//! named by its first member, `flowgate: project/1`. A short file can ask for
//! a lot of work: what aliases unfold into and what the YAML scanner does with
//! deep nesting are bounded here.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

use crate::limits::{IMPORT_BYTES_MAX, IMPORT_NODES_MAX};

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

/// What the files of one import may still unfold into.
pub(super) struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            nodes: Cell::new(IMPORT_NODES_MAX),
            bytes: Cell::new(IMPORT_BYTES_MAX),
        }
    }
}

impl Budget {
    /// Takes one value, and the bytes of its text.
    fn take<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let nodes = self.nodes.get().checked_sub(1);
        let bytes = self.bytes.get().checked_sub(bytes);
        let (Some(nodes), Some(bytes)) = (nodes, bytes) else {
            return Err(E::custom(format_args!(
                "more than {IMPORT_NODES_MAX} values or {IMPORT_BYTES_MAX} bytes of text once \
                 aliases are followed (expected at most that; split the import)"
            )));
        };
        self.nodes.set(nodes);
        self.bytes.set(bytes);
        Ok(())
    }
}

/// Every document of a file: one project each. JSON may hold one or a list of
/// them, YAML one or several separated by `---`.
pub(super) fn parse(text: &str, budget: &Budget) -> Result<Vec<Node>, String> {
    let trimmed = text.trim_start_matches('\u{feff}');
    let nodes = if trimmed.trim_start().starts_with(['{', '[']) {
        // JSON is nearly a subset of YAML; surrogate escapes are not.
        let mut reader = serde_json::Deserializer::from_str(trimmed);
        let node = NodeSeed(budget).deserialize(&mut reader);
        let node = node.and_then(|node| reader.end().map(|()| node));
        vec![node.map_err(|error| error.to_string())?]
    } else {
        refuse_costly(trimmed)?;
        let documents = serde_yaml_ng::Deserializer::from_str(trimmed);
        let nodes: Result<Vec<Node>, _> = documents
            .map(|document| NodeSeed(budget).deserialize(document))
            .collect();
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

/// Steps the YAML scanner may be made to take through its stack of open
/// brackets: a second or two. It walks the whole stack at every token, so that
/// 200 kB of brackets keep it busy for minutes.
const NESTING_STEPS_MAX: u64 = 1_000_000_000;

/// Each is compared with all before it; nobody needs one.
const TAG_DIRECTIVES_MAX: usize = 16;

/// Refuses what takes the YAML parser a time that grows with the square of the
/// text. Brackets inside of texts are counted as well: it takes hundreds that
/// are never closed in a very large file to be refused for them.
fn refuse_costly(text: &str) -> Result<(), String> {
    let (mut depth, mut steps) = (0_u64, 0_u64);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' | b'?' | b'&' | b'*' | b'!' => {}
            _ => continue,
        }
        steps = steps.saturating_add(depth);
        if steps > NESTING_STEPS_MAX {
            return Err("too many brackets are open at the same time".to_owned());
        }
    }
    let directives = text.lines().filter(|line| line.starts_with("%TAG"));
    if directives.count() > TAG_DIRECTIVES_MAX {
        return Err(format!(
            "more than {TAG_DIRECTIVES_MAX} %TAG directives (expected none)"
        ));
    }
    Ok(())
}

/// Reads one value out of a budget.
#[derive(Clone, Copy)]
struct NodeSeed<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain text, a number, true or false, null, a list or a table")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.0.take(0)?;
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        self.0.take(0)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        self.0.take(0)?;
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        self.0.take(0)?;
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        self.0.take(0)?;
        let number = Number::from_f64(value);
        number
            .map(Node::Number)
            .ok_or_else(|| E::custom(format!("the number {value} is not finite")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        self.0.take(value.len())?;
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Node, E> {
        self.0.take(value.len())?;
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        self.0.take(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        self.0.take(0)?;
        let mut table: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                // Failing inside the value makes both parsers say where it is.
                members.next_value_seed(Second(&name))?;
            }
            self.0.take(name.len())?;
            table.push((name, members.next_value_seed(self)?));
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

    fn parse(text: &str) -> Result<Vec<Node>, String> {
        super::parse(text, &Budget::default())
    }

    #[test]
    fn a_page_of_aliases_does_not_fill_the_memory() {
        let many = |what: &str| vec![what; 3_000].join(", ");
        let wide = format!("a: &a [{}]\nb: [{}]\n", many("x"), many("*a"));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(20_000), many("*a"));
        for text in [wide, long] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains("once aliases are followed"), "{error}");
        }
        assert!(parse("a: &a [x, y]\nb: *a\n").is_ok());
    }

    #[test]
    fn what_keeps_the_scanner_busy_is_refused_before_it_begins() {
        let brackets = format!("a: {}", "[".repeat(200_000));
        let braces = format!("a: {}", "{a: ".repeat(100_000));
        for text in [brackets, braces] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains("too many brackets"), "{error}");
        }
        let tags: String = (0..100).map(|n| format!("%TAG !a{n}! x\n")).collect();
        let error = parse(&format!("{tags}---\na: 1\n")).unwrap_err();
        assert!(error.contains("%TAG"), "{error}");
        let smile = "- \"well :[ {\"\n".repeat(2_000);
        assert!(parse(&format!("a:\n{smile}")).is_ok());
    }

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
