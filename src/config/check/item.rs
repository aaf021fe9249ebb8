//! The reader of one value: text, a choice, a list, a map.

use super::sheet::{Fields, Place, Sheet};
use super::values::Reading;
use crate::config::raw::{Node, Value};

/// A value that was written.
pub(super) struct Item<'a> {
    pub(super) sheet: &'a Sheet,
    pub(super) place: Place,
    /// The line of its key, or its own in a list: where something missing in it is missed.
    pub(super) opened: u64,
    pub(super) node: &'a Node,
}

impl<'a> Item<'a> {
    /// Notes a problem with it.
    pub(super) fn fault(&self, message: impl AsRef<str>) {
        self.sheet.fault(&self.place, message);
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether it is a map with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.node.value, Value::Map(entries) if entries.iter().any(|entry| entry.key == key))
    }

    /// Its text, parsed. The reason of a failure is a predicate, such as "is not a port".
    pub(super) fn read<T>(&self, parse: impl FnOnce(&str) -> Reading<T>) -> Option<T> {
        let text = self.text()?;
        parse(text.as_str()).map_err(|reason| self.fault(format!("{text} {reason}"))).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        self.read(|text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("is not one of {}", words.join(", "))
            })
        })
    }

    /// The map that it is.
    pub(super) fn fields(&self) -> Option<Fields<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.fault(format!("is {}, but a map of keys belongs here", self.kind()));
            return None;
        };
        let place = Place { path: self.place.path.clone(), line: self.opened };
        Some(Fields::of(self.sheet, place, entries))
    }

    /// The items of the list that it is.
    pub(super) fn items(&self) -> Vec<Item<'a>> {
        let Value::List(nodes) = &self.node.value else {
            self.fault(format!("is {}, but a list belongs here", self.kind()));
            return Vec::new();
        };
        let items = nodes.iter().enumerate().map(|(index, node)| Item {
            sheet: self.sheet,
            place: Place { path: format!("{}[{index}]", self.place.path), line: node.line },
            opened: node.line,
            node,
        });
        items.collect()
    }

    /// The same, at least one.
    pub(super) fn some_items(&self) -> Vec<Item<'a>> {
        let items = self.items();
        if items.is_empty() && matches!(self.node.value, Value::List(_)) {
            self.fault("is empty; at least one belongs here");
        }
        items
    }

    /// The same; one value may stand for a list of one.
    pub(super) fn one_or_more(self) -> Vec<Item<'a>> {
        match self.node.value {
            Value::List(_) => self.some_items(),
            _ => vec![self],
        }
    }

    fn kind(&self) -> &'static str {
        match self.node.value {
            Value::Null => "empty",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }
}
