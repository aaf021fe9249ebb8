//! What YAML becomes, line by line, and what is refused.

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
