//! What was written: a tree of the YAML file with a line at every value, and nothing decided yet.
//!
//! A tree, not derived structs, because a derived struct stops at the first fault; [`check`](super::check) walks the
//! tree and reports every fault at its place.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{
    Budget, DuplicateKeyPolicy, Location, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned,
    UserMessageFormatter,
};
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
    read_with(text, options())
}

/// The same for a document of up to sixteen million values, without aliases. A key may be there twice in a map.
///
/// # Errors
/// [`Malformed`] at the first place that is not such YAML.
pub fn read_many(text: &str) -> Result<Node, Malformed> {
    let root = read_with(text, options_for_many(DuplicateKeyPolicy::LastWins))?;
    // Of two keys that are numbers the parser keeps the last and says nothing, so those need its own check.
    let is_number =
        |entry: &Entry| entry.key.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    match &root.value {
        Value::Map(entries) if entries.iter().any(is_number) => {
            read_with(text, options_for_many(DuplicateKeyPolicy::Error)).map(|_| root)
        }
        _ => Ok(root),
    }
}

fn read_with(text: &str, options: Options) -> Result<Node, Malformed> {
    let found: Found = serde_yaml::from_str_with_options(text, options).map_err(|error| malformed(&error))?;
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

fn options_for_many(duplicate_keys: DuplicateKeyPolicy) -> Options {
    let mut budget = Budget::default();
    budget.max_events = 32_000_000;
    budget.max_nodes = 16_000_000;
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_depth = 8;
    budget.max_documents = 1;
    let mut options = options();
    options.budget = Some(budget);
    options.duplicate_keys = duplicate_keys;
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
mod tests;
