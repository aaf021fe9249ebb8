//! The rules of the house, as tests over the sources.
//!
//! A single crate has no walls that the compiler guards: who may use whom is the table below, which is the one of the
//! architecture in `src/lib.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "tidy/grafana.rs"]
mod grafana;

/// Each module and its layer. A module uses what is below it, never what is beside or above it; but see the exceptions.
const LAYERS: &[(&str, u8)] = &[
    ("secret", 0),
    ("metrics", 0),
    ("drain", 0),
    ("logging", 0),
    ("proto", 0),
    ("node_id", 0),
    ("config", 1),
    ("wire", 2),
    ("directory", 3),
    ("registry", 3),
    ("roster", 3),
    ("gate", 3),
    ("backend", 4),
    ("nodes", 4),
    ("session", 5),
    ("worker", 6),
    ("listener", 6),
    ("admin", 6),
    ("lookup", 6),
    ("gateway", 7),
    ("cli", 7),
    ("main", 7),
];

/// Who may also use a neighbour.
const NEIGHBOURS: &[(&str, &str)] = &[("proto", "secret"), ("worker", "listener"), ("cli", "gateway"), ("main", "cli")];

/// Who may use less than what is below: these and nothing else.
const STRICT: &[(&str, &[&str])] = &[("proto", &["secret"]), ("config", &["proto", "secret"])];

/// Why `module` may not use `used`, if it may not.
fn fault(module: &str, used: &str) -> Option<String> {
    let layer = |name: &str| LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer);
    let Some(own) = layer(module) else { return Some(format!("the module {module} is not in the table")) };
    let Some(other) = layer(used) else { return Some(format!("the module {used} is not in the table")) };
    let strict = STRICT.iter().find(|(name, _)| *name == module);
    let allowed = module == used || NEIGHBOURS.contains(&(module, used)) || (other < own);
    let allowed = allowed && strict.is_none_or(|(_, only)| module == used || only.contains(&used));
    (!allowed).then(|| format!("{module} (layer {own}) uses {used} (layer {other})"))
}

/// What the pure part must not name: no runtime, no clock, no sockets. Addresses are values and fine.
const IMPURE: &[&str] = &[
    "tokio",
    "socket2",
    "rustls",
    "std::time",
    "std::thread",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "Instant",
    "SystemTime",
    "Duration",
];

#[test]
fn every_module_uses_only_what_the_layers_allow() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.name != "src/lib.rs" && !source.is_a_test()) {
        let (module, used) = (source.module(), source.modules_used());
        let found = used.iter().filter_map(|used| fault(&module, used));
        faults.extend(found.map(|fault| format!("{}: {fault}", source.name)));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_of_layers_forbids_what_it_should() {
    for (module, used) in [("session", "gate"), ("directory", "wire"), ("worker", "listener"), ("proto", "secret")] {
        assert_eq!(fault(module, used), None);
    }
    let forbidden =
        [("gate", "directory"), ("wire", "gate"), ("listener", "worker"), ("proto", "metrics"), ("x", "wire")];
    for (module, used) in forbidden {
        assert!(fault(module, used).is_some(), "{module} uses {used}");
    }
}

#[test]
fn the_protocols_are_pure() {
    let mut faults = Vec::new();
    let pure: Vec<Source> = sources().into_iter().filter(|source| source.module() == "proto").collect();
    assert!(pure.len() > 3, "the protocols' sources are not where they were");
    for source in &pure {
        for (number, line) in source.production() {
            for word in IMPURE.iter().filter(|word| names(line, word)) {
                faults.push(format!("{}:{number}: names {word}: {}", source.name, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_file_says_at_its_head_what_it_is() {
    for source in sources().into_iter().chain(tests()) {
        assert!(source.text.starts_with("//!"), "{} does not open with //!", source.name);
    }
}

#[test]
fn templates_say_what_they_are_and_name_nobody_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 5, "the page's templates are not where they were");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let opens = ["{#-", "<!--", "/*", "// "].iter().any(|comment| text.starts_with(comment));
        assert!(opens, "{} does not open with a comment", file.display());
        let own = text.replace("http://www.w3.org/2000/svg", "");
        // What the policy of the page forbids a browser, and what would not be escaped.
        for words in
            ["http:", "https:", "//www", " style=", "<style", "<script>", " onclick=", "|safe", "innerHTML", "eval("]
        {
            assert!(!own.contains(words), "{} has {words}", file.display());
        }
    }
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines; split it", source.name);
    }
}

const LONGEST: usize = 400;

#[test]
fn no_file_names_a_path_of_one_machine() {
    let places = ["/home/", "/Users/", "/tmp/"];
    for source in sources().into_iter().chain(tests()).filter(|source| !source.name.ends_with("tidy.rs")) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let found = places.iter().find(|place| line.contains(*place));
            assert!(found.is_none(), "{}:{number}: {}", source.name, line.trim());
        }
    }
}

#[test]
fn the_reader_of_sources_sees_uses_in_all_their_forms() {
    let source = Source {
        name: "src/gate/mod.rs".into(),
        text: "//! x\n// crate::cli\nuse crate::config::Limits;\nuse crate::{\n    metrics::Label,\n    proto::{Protocol, \
               imap},\n};\nfn f() -> crate::wire::Wire {}\n#[cfg(test)]\nmod tests {\n    use crate::session::Session;\n}\n\
               use crate::secret;\n#[cfg(test)]\nmod other;\nuse crate::drain;\n"
            .into(),
    };
    let used: Vec<String> = source.modules_used().into_iter().collect();
    assert_eq!(used, ["config", "drain", "metrics", "proto", "secret", "wire"]);
}

struct Source {
    /// Relative to the repository, such as `src/gate/flow.rs`.
    name: String,
    text: String,
}

impl Source {
    /// The module below the crate's root: `gate`.
    fn module(&self) -> String {
        let path = Path::new(self.name.strip_prefix("src/").unwrap_or(&self.name));
        let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    }

    /// A file that is compiled for tests only: what it uses is its own affair.
    fn is_a_test(&self) -> bool {
        let name = Path::new(&self.name);
        let stem = name.file_stem().unwrap().to_str().unwrap();
        stem == "tests" || stem.ends_with("_tests") || name.iter().any(|part| part == "tests")
    }

    /// The lines that are neither comment nor test-only, each with its number.
    fn production(&self) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        let mut rest = (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
        while let Some((number, line)) = rest.next() {
            if !line.trim_start().starts_with("#[cfg(test)]") {
                lines.push((number, line));
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let item =
                rest.by_ref().find(|(_, line)| !line.trim_start().starts_with("#[")).map_or("", |(_, line)| line);
            if item.trim_end().ends_with('{') {
                rest.by_ref().find(|(_, line)| line.trim_end().len() == indent + 1 && line.trim() == "}");
            }
        }
        lines
    }

    /// Modules of the crate that production code names through `crate::…` (or the crate's own name, in `main`).
    fn modules_used(&self) -> BTreeSet<String> {
        let text: Vec<&str> = self.production().into_iter().map(|(_, line)| line).collect();
        let text = text.join("\n").replace("portcullis::", "crate::");
        let mut used = BTreeSet::new();
        for (at, _) in text.match_indices("crate::").filter(|(at, _)| !text[..*at].ends_with(is_of_a_word)) {
            let rest = &text[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(list) => used.extend(heads_of_a_list(list)),
                None => used.extend(word(rest).filter(|word| word.starts_with(char::is_lowercase))),
            }
        }
        used
    }
}

/// The first words of the items of `{a::b, c::{d, e}}`, given what follows the first brace.
fn heads_of_a_list(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut starts) = (0, Vec::new(), true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            _ if starts && is_of_a_word(letter) => {
                heads.extend(word(&list[at..]));
                starts = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|letter| !is_of_a_word(letter)).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Whether `line` has `word` as a word of its own.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_of_a_word) && !line[at + word.len()..].starts_with(is_of_a_word))
}

fn sources() -> Vec<Source> {
    below("src", 10)
}

fn tests() -> Vec<Source> {
    below("tests", 5)
}

/// All Rust files below a folder of the repository; a test that found none has tried nothing.
fn below(folder: &str, least: usize) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    assert!(files.len() >= least, "{folder} has only {} Rust files", files.len());
    files.sort();
    let read = |file: PathBuf| Source {
        name: file.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(&file).unwrap(),
    };
    files.into_iter().map(read).collect()
}
