//! What was written: a tree of the YAML file with a line at every value, and nothing decided yet.
//!
//! A tree, not derived structs, because a derived struct stops at the first fault; [`check`](super::check) walks the
//! tree and reports every fault at its place.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Budget, Location, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter};
use zeroize::Zeroizing;

/// A value and where it stands. It may hold passwords, so it has no `Debug`.
pub struct Node {
    /// From 1; of an alias, where the alias stands.
    pub line: u64,
    /// What it is.
    pub value: Value,
}

/// What a node holds.
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// As it was written, but for quotes and escapes: `0123` and `1.20` are still themselves.
    Scalar(Zeroizing<String>),
    /// In order.
    List(Vec<Node>),
    /// In order; the keys are unique.
    Map(Vec<Entry>),
}

/// A key and its value.
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands, from 1.
    pub line: u64,
    /// Its value.
    pub value: Node,
}

/// The text is not YAML, or not YAML that anybody should have to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: u64,
    /// What the YAML parser says.
    pub message: String,
}

/// Reads one YAML document; an empty text is [`Value::Null`].
///
/// # Errors
/// [`Malformed`] at the first place that is not YAML: a syntax error, a key twice in one map, a key that is no text,
/// a second document, more than [`DEPTH_MAX`] levels or [`NODES_MAX`] values.
pub fn read(text: &str) -> Result<Node, Malformed> {
    let found: Found = serde_yaml::from_str_with_options(text, options()).map_err(|error| malformed(&error))?;
    Ok(found.into_node(text))
}

/// How deep lists and maps may stand in each other.
pub const DEPTH_MAX: usize = 32;

/// How many values a file may have, with every alias written out.
pub const NODES_MAX: usize = 100_000;

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = DEPTH_MAX;
    budget.max_nodes = NODES_MAX;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = NODES_MAX;
    options.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
    // A snippet of the file could show a password.
    options.with_snippet = false;
    options
}

fn malformed(error: &serde_yaml::Error) -> Malformed {
    let line = error.location().map_or(1, |location| location.line().max(1));
    Malformed { line, message: UserMessageFormatter.format_message(error).into_owned() }
}

/// A value as the deserializer hands it over: plain scalars that look like numbers or booleans are no longer text.
type Found = Spanned<Shape>;

enum Shape {
    Null,
    Text(Zeroizing<String>),
    /// A plain scalar that was given a type; its text is still in the file.
    Typed(String),
    List(Vec<Found>),
    Map(Vec<(Spanned<String>, Found)>),
}

trait IntoNode {
    fn into_node(self, source: &str) -> Node;
}

impl IntoNode for Found {
    fn into_node(self, source: &str) -> Node {
        let value = match self.value {
            Shape::Null => Value::Null,
            Shape::Text(text) => Value::Scalar(text),
            Shape::Typed(guess) => Value::Scalar(Zeroizing::new(written(source, self.defined).unwrap_or(guess))),
            Shape::List(items) => Value::List(items.into_iter().map(|item| item.into_node(source)).collect()),
            Shape::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key: key.value,
                        line: key.referenced.line(),
                        value: value.into_node(source),
                    })
                    .collect(),
            ),
        };
        Node { line: self.referenced.line().max(1), value }
    }
}

fn written(source: &str, place: Location) -> Option<String> {
    let span = place.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Shape, E> {
        Ok(Shape::Text(Zeroizing::new(text)))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Typed(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Shape::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `line:value`, all of it; a list in [], a map in {}.
    fn shown(node: &Node) -> String {
        let value = match &node.value {
            Value::Null => "~".to_owned(),
            Value::Scalar(text) => text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let each = |entry: &Entry| format!("{}@{}={}", entry.key, entry.line, shown(&entry.value));
                format!("{{{}}}", entries.iter().map(each).collect::<Vec<_>>().join(" "))
            }
        };
        format!("{}:{value}", node.line)
    }

    fn tree(text: &str) -> String {
        shown(&read(text).unwrap_or_else(|problem| panic!("{problem:?}")))
    }

    #[test]
    fn a_scalar_arrives_as_it_was_written() {
        for text in [
            "5m",
            "1.2",
            "1.20",
            "yes",
            "True",
            "off",
            "0123",
            "0x1F",
            "1_000",
            "-0",
            "1e3",
            ".inf",
            "3000/1m",
            "2026-01-01",
        ] {
            assert_eq!(tree(&format!("é: {text} # note\n")), format!("1:{{é@1=1:{text}}}"));
            assert_eq!(tree(&format!("- [ {text} ]\n")), format!("1:[1:[1:{text}]]"));
        }
        assert_eq!(tree("a: \"[::]:143\"\nb: '0123'\nc: |\n  x\n"), "1:{a@1=1:[::]:143 b@2=2:0123 c@3=4:x\n}");
    }

    #[test]
    fn every_key_and_value_has_its_line() {
        let text = "# head\na:\n  - 1\n  -\n    b: { c: 2,\n      d: ~ }\n\n3: x\nyes:\n";
        assert_eq!(tree(text), "2:{a@2=3:[3:1 5:{b@5=5:{c@5=5:2 d@6=6:~}}] 3@8=8:x yes@9=9:~}");
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        assert_eq!(tree("a: &x\n  b: 1\nc: *x\n"), "1:{a@1=2:{b@2=2:1} c@3=3:{b@3=3:1}}");
    }

    #[test]
    fn an_empty_file_is_nothing() {
        for text in ["", "# only words\n\n", "---\n"] {
            assert!(matches!(read(text), Ok(Node { value: Value::Null, .. })), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_one_fault_with_its_line() {
        for (line, text, words) in [
            (3, "a: 1\nb: [1, 2\nc: 3\n", "':'"),
            (3, "a: 1\nb: 2\na: 3\n", "duplicate"),
            (3, "a:\n  b: 1\n   c: 2\n", "not allowed"),
            (3, "a: 1\n---\nb: 2\n", "single YAML document"),
            (2, "b: 1\na: *x\n", "unknown"),
            (3, "b: 1\na: \"x\n", "quoted"),
            (1, "a: &a [*a]", "ecursive"),
            (1, "? [1]\n: 2\n", "string"),
            (1, "~: 2\n", "null"),
        ] {
            let fault = read(text).err().unwrap_or_else(|| panic!("{text:?} was read"));
            assert_eq!(fault.line, line, "{text:?}: {}", fault.message);
            assert!(fault.message.contains(words), "{text:?}: {}", fault.message);
        }
    }

    #[test]
    fn depth_and_size_have_an_end() {
        let nested = |depth: usize| format!("{}1", "- ".repeat(depth));
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        assert!(read(&nested(DEPTH_MAX + 1)).is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&"- 1\n".repeat(NODES_MAX - 1)).is_ok());
        assert!(read(&"- 1\n".repeat(NODES_MAX)).is_err());
        let laughs = "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
            c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
            e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
        assert!(read(laughs).is_err());
    }

    #[test]
    fn a_fault_does_not_quote_a_value() {
        for text in
            ["password: hunter2: x\n", "password: !!int hunter2\n", "password: \"hunter2\n", "password: 'hunter2' 3\n"]
        {
            let fault = read(text).err().unwrap_or_else(|| panic!("{text:?} was read"));
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}
