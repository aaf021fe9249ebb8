//! The reader of maps, and the list of what is wrong.
//!
//! A section takes its keys one by one from [`Fields`]; the keys that nobody took are reported when the fields go out
//! of scope, so no section can forget to look for unknown ones.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::item::Item;
use super::values::Reading;
use super::{Problem, Severity, suggest};
use crate::config::raw::{Entry, Node, Value};
use crate::config::warnings::{self, Warnings};

/// One file, and the problems that were found in it.
pub(super) struct Sheet {
    file: PathBuf,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Warnings>,
}

struct Fault {
    problem: Problem,
    cause: Cause,
}

/// A key with a typing error is one mistake: what is missing because of it is not reported as well.
enum Cause {
    Value,
    /// One of these keys is not there; paths from the root.
    Missing(Vec<String>),
    /// This key was probably meant; a path from the root.
    Misspelt(String),
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
        Self { file: file.to_owned(), faults: RefCell::default(), warnings: RefCell::default() }
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
        self.note(place, message.as_ref(), Cause::Value);
    }

    /// Notes a problem that is there because none of these keys is; `wanted` are paths from the root.
    pub(super) fn missing(&self, place: &Place, wanted: &[&str], message: impl AsRef<str>) {
        let wanted = wanted.iter().map(ToString::to_string).collect();
        self.note(place, message.as_ref(), Cause::Missing(wanted));
    }

    fn note(&self, place: &Place, message: &str, cause: Cause) {
        let problem = self.problem(place, message, Severity::Error);
        self.faults.borrow_mut().push(Fault { problem, cause });
    }

    /// Notes what is no fault, but should be looked at.
    pub(super) fn warn(&self, place: &Place, message: impl AsRef<str>) {
        let problem = self.problem(place, message.as_ref(), Severity::Warning);
        self.warnings.borrow_mut().found.push(problem);
    }

    fn problem(&self, place: &Place, message: &str, severity: Severity) -> Problem {
        let warnings::Place { file, line, path } = self.spot(place);
        Problem { severity, file, line, path, message: suggest::one_line(message) }
    }

    /// The same for whoever keeps it.
    pub(super) fn spot(&self, place: &Place) -> warnings::Place {
        warnings::Place {
            file: self.file.clone(),
            line: place.line,
            path: suggest::one_line(suggest::cut(&place.path)),
        }
    }

    /// A certificate that clients are shown.
    pub(super) fn watch_certificate(&self, place: &Place, file: &Path) {
        let spot = self.spot(place);
        self.warnings.borrow_mut().certificates.push((spot, file.to_owned()));
    }

    /// A file that others should not read; `None` = the configuration itself.
    pub(super) fn watch_secret(&self, place: &Place, file: Option<&Path>) {
        let (spot, file) = (self.spot(place), file.unwrap_or(&self.file).to_owned());
        self.warnings.borrow_mut().secrets.push((spot, file));
    }

    /// The name that a certificate should cover.
    pub(super) fn watch_hostname(&self, place: &Place, host: &str) {
        let spot = self.spot(place);
        self.warnings.borrow_mut().hostname = Some((spot, host.to_owned()));
    }

    /// A path as written, from the file's folder.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// All problems, by line, and the warnings.
    pub(super) fn into_problems(self) -> (Vec<Problem>, Warnings) {
        let faults = self.faults.into_inner();
        let misspelt: Vec<&str> = faults
            .iter()
            .filter_map(|fault| match &fault.cause {
                Cause::Misspelt(meant) => Some(meant.as_str()),
                Cause::Value | Cause::Missing(_) => None,
            })
            .collect();
        let is_below = |path: &str, meant: &str| {
            path.strip_prefix(meant).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_told = |fault: &Fault| match &fault.cause {
            Cause::Missing(wanted) => wanted.iter().any(|path| misspelt.iter().any(|meant| is_below(path, meant))),
            Cause::Value | Cause::Misspelt(_) => false,
        };
        let mut problems: Vec<Problem> =
            faults.iter().filter(|fault| !is_told(fault)).map(|fault| fault.problem.clone()).collect();
        problems.sort_by_key(|problem| problem.line);
        (problems, self.warnings.into_inner())
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
            let place = self.at(key);
            self.sheet.missing(&place, &[&place.path], format!("is missing{more}"));
        }
    }

    /// Notes a problem with the map as a whole that is there because it has none of these keys.
    pub(super) fn missing_all(&self, keys: &[&str], message: impl AsRef<str>) {
        let wanted: Vec<String> = keys.iter().map(|key| self.place.below(key)).collect();
        self.sheet.missing(&self.place, &wanted.iter().map(String::as_str).collect::<Vec<_>>(), message);
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

    /// Where the value of a key stands that was not taken yet, if it is written.
    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        let entry = self.left.iter().find(|entry| entry.key == key)?;
        Some(self.item(entry).place)
    }

    /// Whether it is a map, in which no key is left that nobody has asked for.
    pub(super) fn is_all_taken(&self) -> bool {
        !self.void && self.left.is_empty()
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
            let cause = match suggest::meant(&entry.key, &self.asked) {
                Some(meant) => Cause::Misspelt(self.place.below(meant)),
                None => Cause::Value,
            };
            self.sheet.note(&place, &suggest::unknown_key(&entry.key, &self.asked), cause);
        }
    }
}

/// Keys that keep people out: with all their lines commented out they are a mistake, not a default.
const GUARDS: [&str; 8] =
    ["access", "limits", "user_limits", "proxy_protocol", "check", "cleartext", "verify", "tokens"];
