//! The reader of maps, and the list of what is wrong.
//!
//! A section takes its keys one by one from [`Fields`]; the keys that nobody took are reported when the fields go out
//! of scope, so no section can forget to look for unknown ones.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::item::Item;
use super::values::Reading;
use super::{Problem, suggest};
use crate::config::raw::{Entry, Node, Value};

/// One file, and the problems that were found in it.
pub(super) struct Sheet {
    file: PathBuf,
    problems: RefCell<Vec<Problem>>,
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// From the root, such as `listeners[2].address`.
    pub(super) path: String,
    /// From 1.
    pub(super) line: u64,
}

/// The keys of one map that were not taken yet.
pub(super) struct Fields<'a> {
    pub(super) sheet: &'a Sheet,
    /// The path of the map, and the line of its key.
    pub(super) place: Place,
    left: Vec<&'a Entry>,
    asked: Vec<&'static str>,
    /// The value was no map; that is reported, and its missing keys are not.
    void: bool,
}

impl Sheet {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), problems: RefCell::default() }
    }

    /// The map that the file is; an empty file is an empty map.
    pub(super) fn root<'a>(&'a self, node: &'a Node) -> Option<Fields<'a>> {
        let place = Place { path: String::new(), line: 1 };
        match &node.value {
            Value::Null => Some(Fields::of(self, place, &[])),
            Value::Map(entries) => Some(Fields::of(self, place, entries)),
            Value::Scalar(_) | Value::List(_) => {
                self.fault(&place, "is not a map of keys, such as `listeners:`");
                None
            }
        }
    }

    /// Notes a problem.
    pub(super) fn fault(&self, place: &Place, message: impl AsRef<str>) {
        self.problems.borrow_mut().push(Problem {
            file: self.file.clone(),
            line: place.line,
            path: suggest::one_line(&place.path),
            message: suggest::one_line(message.as_ref()),
        });
    }

    /// A path as written, from the file's folder.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// All problems, by line.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}

impl Place {
    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(sheet: &'a Sheet, place: Place, entries: &'a [Entry]) -> Self {
        Self { sheet, place, left: entries.iter().collect(), asked: Vec::new(), void: false }
    }

    fn void(sheet: &'a Sheet, place: Place) -> Self {
        Self { sheet, place, left: Vec::new(), asked: Vec::new(), void: true }
    }

    /// The value of a key; `None` when it was left out, or left empty.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.push(key);
        let index = self.left.iter().position(|entry| entry.key == key)?;
        let entry = self.left.swap_remove(index);
        let is_empty = matches!(entry.value.value, Value::Null);
        let item = self.item(entry);
        if is_empty && GUARDS.contains(&key) {
            item.fault("is empty, which would leave the door open; needs a value, or to be left out");
        }
        (!is_empty).then_some(item)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str) -> Option<Item<'a>> {
        let item = self.take(key);
        if item.is_none() {
            self.missing(key, "");
        }
        item
    }

    /// Notes that a key is missing, with more words behind "is missing".
    pub(super) fn missing(&self, key: &str, more: &str) {
        if !self.void {
            self.sheet.fault(&self.at(key), format!("is missing{more}"));
        }
    }

    /// The value of a key, or the default when it was left out, or is wrong.
    pub(super) fn or<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Reading<T>, default: T) -> T {
        self.take(key).and_then(|item| item.read(parse)).unwrap_or(default)
    }

    /// The map below a key; empty when it was left out.
    pub(super) fn section(&mut self, key: &'static str) -> Fields<'a> {
        match self.take(key) {
            Some(item) => item.fields().unwrap_or_else(|| Fields::void(self.sheet, item.place)),
            None if self.void => Fields::void(self.sheet, self.at(key)),
            None => Fields::of(self.sheet, self.at(key), &[]),
        }
    }

    /// Every key that is left, for maps whose keys are names.
    pub(super) fn rest(&mut self) -> Vec<(&'a str, Item<'a>)> {
        self.left.split_off(0).into_iter().map(|entry| (entry.key.as_str(), self.item(entry))).collect()
    }

    /// Where the key would stand.
    pub(super) fn at(&self, key: &str) -> Place {
        Place { path: self.place.below(key), line: self.place.line }
    }

    /// Notes a problem with the map as a whole.
    pub(super) fn fault(&self, message: impl AsRef<str>) {
        self.sheet.fault(&self.place, message);
    }

    /// Drops what is left without a word: something else was wrong with the map.
    pub(super) fn forget(mut self) {
        self.left.clear();
    }

    fn item(&self, entry: &'a Entry) -> Item<'a> {
        let place = Place { line: entry.value.line, ..self.at(&entry.key) };
        Item { sheet: self.sheet, place, opened: entry.line, node: &entry.value }
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for entry in self.left.drain(..) {
            let place = Place { path: self.place.below(&entry.key), line: entry.line };
            self.sheet.fault(&place, suggest::unknown_key(&entry.key, &self.asked));
        }
    }
}

/// Keys that keep people out: with all their lines commented out they are a mistake, not a default.
const GUARDS: [&str; 8] =
    ["access", "limits", "user_limits", "proxy_protocol", "check", "cleartext", "verify", "tokens"];
