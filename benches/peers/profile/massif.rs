//! massif's file: a tree of who has allocated how much, read as sites.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

/// What is allocated at one moment.
#[derive(Default)]
pub struct Heap {
    /// Bytes that were asked for.
    pub useful: u64,
    /// What massif reckons for heads and rounding.
    pub extra: u64,
    pub sites: HashMap<Place, u64>,
}

/// What is allocated, and by which lines.
#[derive(PartialEq, Eq, Hash, Clone, PartialOrd, Ord)]
pub struct Place {
    pub what: String,
    pub by: String,
}

impl Heap {
    /// The last snapshot in the file: lines of `n<children>: <bytes> <address>: <function> (<file>:<line>)`, each deeper
    /// than its parent, which it has called. A line without children is the end of a stack.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let snapshot = text.rsplit("#-----------\nsnapshot=").next().unwrap_or_default();
        let number = |key: &str| {
            let line = snapshot.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.parse().ok()).with_context(|| format!("massif does not say {key}"))
        };
        let mut heap = Self { useful: number("mem_heap_B=")?, extra: number("mem_heap_extra_B=")?, ..Self::default() };
        let mut stack: Vec<Frame> = Vec::new();
        for line in snapshot.lines() {
            let inner = line.trim_start();
            let Some((children, rest)) = inner.strip_prefix('n').and_then(|rest| rest.split_once(": ")) else {
                continue;
            };
            let (bytes, what) = rest.split_once(' ').context("massif's tree")?;
            stack.truncate(line.len() - inner.len());
            stack.push(Frame::of(what.split_once(": ").map_or(what, |(_, frame)| frame)));
            if children == "0" {
                *heap.sites.entry(place(&stack)).or_default() += bytes.parse::<u64>()?;
            }
        }
        Ok(heap)
    }
}

#[derive(Clone, Copy)]
pub struct Frame<'t> {
    function: &'t str,
    place: &'t str,
}

impl<'t> Frame<'t> {
    pub fn of(text: &'t str) -> Self {
        let (function, place) = text.rsplit_once(" (").unwrap_or((text, ""));
        let place = place.trim_end_matches(')');
        let known = place.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
        let place = known.or_else(|| place.strip_prefix(ROOT)).unwrap_or(place);
        Self { function, place }
    }

    fn is_ours(&self) -> bool {
        self.place.starts_with("src/")
    }

    /// Of the language's library, or of the crates that make containers.
    fn is_plumbing(&self) -> bool {
        self.place.contains("library/") || !self.place.contains(".rs:") || self.place.starts_with("hashbrown")
    }
}

/// The outermost plumbing names what is allocated; whoever called it says where, and the first of ours for what.
pub fn place(stack: &[Frame]) -> Place {
    let Some((root, frames)) = stack.split_first() else { return Place { what: String::new(), by: String::new() } };
    let Some(caller) = frames.iter().position(|frame| !frame.is_plumbing()) else {
        return Place { what: frames.last().unwrap_or(root).function.to_owned(), by: String::new() };
    };
    let plumbing = frames[..caller].iter().rev();
    let what = plumbing.clone().find(|frame| frame.function.contains('<')).or(plumbing.clone().next()).unwrap_or(root);
    let ours = frames[caller..].iter().find(|frame| frame.is_ours());
    let caller = frames[caller].place;
    let by = match ours.map(|frame| frame.place) {
        Some(ours) if ours != caller => format!("{caller}, for {ours}"),
        _ => caller.to_owned(),
    };
    Place { what: short(what.function), by }
}

/// A type without the paths of its names: of `alloc::sync::Arc<a::B>` that is `Arc<B>`.
fn short(function: &str) -> String {
    let is_of_path = |letter: char| letter.is_alphanumeric() || "_:{}#".contains(letter);
    let mut short = String::new();
    let mut rest = function;
    while let Some(start) = rest.find(is_of_path) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|letter| !is_of_path(letter)).unwrap_or(from.len());
        let path = &from[..end];
        let last = path.rsplit("::").next().unwrap_or(path);
        short += before;
        short += if last.starts_with(char::is_uppercase) { last } else { path };
        rest = &from[end..];
    }
    let short = (short + rest).replace(", Global", "");
    match short.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &short[..end]),
        None => short,
    }
}

/// Letters of a type's name: what comes behind them says little.
const LONGEST: usize = 90;
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/");
