//! Where a message ends, and what is passed on of it: the matrix of smuggling, each under every cut.

use proptest::prelude::*;

use super::BareNewline::{Normalize, Reject};
use super::*;

/// What is passed on, what is wrong, and what is left behind the end; `None` = the end has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Passed {
    out: String,
    fault: Option<&'static str>,
    left: Option<String>,
}

fn pass_in_pieces<'a>(bare_newline: BareNewline, pieces: impl Iterator<Item = &'a [u8]>) -> Passed {
    let (mut text, mut heard, mut out) = (Text::new(bare_newline), BytesMut::new(), Vec::new());
    let mut is_over = false;
    for piece in pieces {
        heard.extend_from_slice(piece);
        if !is_over {
            is_over = text.pass(&mut heard, &mut out);
            assert!(is_over || heard.is_empty(), "all is consumed");
        }
    }
    let string = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Passed { out: string(&out), fault: text.fault(), left: is_over.then(|| string(&heard)) }
}

/// The same under every cut.
fn pass(bare_newline: BareNewline, input: &[u8]) -> Passed {
    let whole = pass_in_pieces(bare_newline, std::iter::once(input));
    for at in 1..input.len() {
        let (first, second) = input.split_at(at);
        assert_eq!(pass_in_pieces(bare_newline, [first, second].into_iter()), whole, "cut at {at}");
    }
    assert_eq!(pass_in_pieces(bare_newline, input.chunks(1)), whole, "cut everywhere");
    whole
}

fn clean(out: &str, left: &str) -> Passed {
    Passed { out: out.into(), fault: None, left: Some(left.into()) }
}

const SMUGGLED: &str = "MAIL FROM:<smuggled@e>\r\nRCPT TO:<v@e>\r\nDATA\r\nFrom: s@e\r\n\r\nSMUGGLED\r\n.\r\n";

#[test]
fn a_message_ends_with_a_dot_alone_on_its_line() {
    for mode in [Reject, Normalize] {
        assert_eq!(
            pass(mode, b"Subject: x\r\n\r\ny\r\n.\r\nQUIT\r\n"),
            clean("Subject: x\r\n\r\ny\r\n.\r\n", "QUIT\r\n")
        );
        assert_eq!(pass(mode, b".\r\nQUIT\r\n"), clean(".\r\n", "QUIT\r\n"), "an empty message");
        assert_eq!(pass(mode, b"\r\n.\r\n"), clean("\r\n.\r\n", ""));
        assert_eq!(pass(mode, b"x\r\n.\r\n.\r\n"), clean("x\r\n.\r\n", ".\r\n"), "the first end is the end");
    }
}

#[test]
fn a_message_without_an_end_goes_on() {
    for (input, out) in [("", ""), ("x\r\n", "x\r\n"), ("x\r\n.", "x\r\n"), ("x\r\n.\r", "x\r\n"), ("x\r", "x")] {
        let passed = Passed { out: out.into(), fault: None, left: None };
        assert_eq!(pass(Reject, input.as_bytes()), passed, "{input:?}");
    }
}

#[test]
fn no_other_sequence_is_an_end_and_each_is_a_fault() {
    for (sequence, fault) in [
        ("\n.\n", "bare_lf"),   // B01
        ("\n.\r\n", "bare_lf"), // B02
        ("\n.\r", "bare_lf"),   // B03
        ("\r.\r", "bare_cr"),   // B04
        ("\r.\n", "bare_cr"),
        ("\r.\r\n", "bare_cr"), // B06
        ("\r\n.\n", "bare_lf"), // B07
        ("\r\n.\r", "bare_cr"), // B08
        ("\r\n\0.\r\n", "nul"), // B09
        ("\r\n.\0\r\n", "nul"),
        ("\r\n.\r\r\n", "bare_cr"),   // B11
        ("\r\r\n.\r\r\n", "bare_cr"), // B12
        ("\r\n.\r\r\r\n", "bare_cr"),
        ("\n\r.\r\n", "bare_lf"),
        ("\n\r.\n\r", "bare_lf"),
        ("\r\n.\r\0\n", "bare_cr"),
    ] {
        let passed = pass(Reject, format!("x{sequence}{SMUGGLED}QUIT\r\n").as_bytes());
        assert_eq!((passed.fault, passed.left.as_deref()), (Some(fault), Some("QUIT\r\n")), "{sequence:?}");
        assert!(!passed.out.contains("smuggled") && !passed.out.contains("\r\n.\r\n"), "{sequence:?}: {passed:?}");
    }
}

#[test]
fn a_real_end_behind_a_bare_cr_is_an_end() {
    let passed = pass(Reject, b"x\r\r\n.\r\nNOOP\r\n"); // B13
    assert_eq!(passed, Passed { out: "x".into(), fault: Some("bare_cr"), left: Some("NOOP\r\n".into()) });
    let passed = pass(Reject, b"\0\r\n.\r\nNOOP\r\n");
    assert_eq!(passed, Passed { out: String::new(), fault: Some("nul"), left: Some("NOOP\r\n".into()) });
}

#[test]
fn bare_newlines_are_mended_where_that_is_wished_and_end_nothing() {
    for (sequence, mended) in [
        ("\n.\n", "\r\n..\r\n"),
        ("\n.\r\n", "\r\n..\r\n"),
        ("\r.\r", "\r\n..\r\n"),
        ("\r.\r\n", "\r\n..\r\n"),
        ("\r\n.\n", "\r\n\r\n"),
        ("\r\n.\r", "\r\n\r\n"),
        ("\r\n.\r\r\n", "\r\n\r\n\r\n"),
        ("\r\r\n.\r\r\n", "\r\n\r\n\r\n\r\n"),
        ("\n\n", "\r\n\r\n"),
        ("\r\r", "\r\n\r\n"),
        ("\n\r", "\r\n\r\n"),
        ("\n..\n", "\r\n...\r\n"),
        ("\r.x\r\n", "\r\n..x\r\n"),
    ] {
        let passed = pass(Normalize, format!("x{sequence}{SMUGGLED}QUIT\r\n").as_bytes());
        assert_eq!(passed, clean(&format!("x{mended}{SMUGGLED}"), "QUIT\r\n"), "{sequence:?}");
    }
    let passed = pass(Normalize, format!("x\r\n\0.\r\n{SMUGGLED}").as_bytes());
    assert_eq!((passed.fault, passed.out.as_str()), (Some("nul"), "x\r\n"), "a NUL cannot be mended");
}

#[test]
fn a_dot_that_is_stuffed_stays_so_and_one_that_is_not_goes() {
    for (line, passed_on) in [
        ("..", ".."), // B14
        ("...", "..."),
        (".x", "x"),
        ("..x", "..x"),
        (". ", " "), // B17
        (".\t", "\t"),
        (" .", " ."),
        ("x.", "x."),
    ] {
        let passed = pass(Reject, format!("x\r\n{line}\r\n.\r\n").as_bytes());
        assert_eq!(passed, clean(&format!("x\r\n{passed_on}\r\n.\r\n"), ""), "{line:?}");
        let passed = pass(Reject, format!("{line}\r\n.\r\n").as_bytes());
        assert_eq!(passed, clean(&format!("{passed_on}\r\n.\r\n"), ""), "{line:?} first");
    }
}

#[test]
fn no_other_character_is_a_line_end() {
    for other in [&b"\x85"[..], b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c"] {
        let input = [b"x", other, b".", other, b"\r\n.\r\n"].concat(); // B18
        let out: String = input.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!(pass(Reject, &input), clean(&out, ""));
    }
}

#[test]
fn the_end_is_found_across_the_edge_of_a_buffer() {
    for length in 8192 - 6..8192 + 6 {
        let input = [&vec![b'x'; length][..], b"\r\n.\r\nQUIT\r\n"].concat(); // B19
        let passed = pass_in_pieces(Reject, input.chunks(8192));
        assert_eq!((passed.out.len(), passed.left.as_deref()), (length + 5, Some("QUIT\r\n")));
    }
}

#[test]
fn chunks_are_held_to_the_same_rule() {
    for (chunks, fault) in [
        (&["a\r\nb"][..], None),
        (&["a\r", "\nb"], None),
        (&["a\r", "", "\nb"], None),
        (&["", "\r\n.\r\nMAIL FROM:<evil@e>\r\n"], None), // B53
        (&["a\r", "b\n"], Some("bare_cr")),
        (&["a\rb"], Some("bare_cr")),
        (&["a\r\rb"], Some("bare_cr")),
        (&["a\r"], Some("bare_cr")),
        (&["\n"], Some("bare_lf")),
        (&["a\r\n\nb"], Some("bare_lf")),
        (&["a\r\n", "b\0\n"], Some("nul")),
    ] {
        let (mut whole, mut bytes) = (Chunks::default(), Chunks::default());
        chunks.iter().for_each(|chunk| whole.see(chunk.as_bytes()));
        chunks.concat().as_bytes().chunks(1).for_each(|byte| bytes.see(byte));
        whole.end();
        bytes.end();
        assert_eq!((whole.fault(), bytes.fault()), (fault, fault), "{chunks:?}");
    }
}

/// The lines of a message as whoever stores it has them.
fn unstuffed(text: &str) -> String {
    let text = text.strip_suffix(".\r\n").expect("an end");
    let lines = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    lines.collect()
}

/// Much of what matters, and little else.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![b"\r\n", b"\r\n.", b"\r", b"\n", b".", b"\0", b"text", b"\xff"];
    let part = prop::sample::select(parts);
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_passed_on_is_canonical_and_has_one_end(noise in noise(), normalize: bool, piece in 1..9usize) {
        let mode = if normalize { Normalize } else { Reject };
        let passed = pass_in_pieces(mode, noise.chunks(piece));
        prop_assert_eq!(&pass_in_pieces(mode, noise.chunks(1)), &passed);
        let lines = passed.out.replace("\r\n", "");
        prop_assert!(!lines.contains(['\r', '\n', '\0']), "{:?}", passed);
        let ends = format!("\r\n{}", passed.out).matches("\r\n.\r\n").count();
        prop_assert_eq!(ends, usize::from(passed.left.is_some() && passed.fault.is_none()), "{:?}", passed);
        // A real end, and nothing else, is one.
        let strict = [b"\r\n", &noise[..]].concat();
        prop_assert_eq!(passed.left.is_some(), memchr::memmem::find(&strict, b"\r\n.\r\n").is_some());
    }

    #[test]
    fn clean_text_says_the_same_when_it_is_passed_on(lines in prop::collection::vec("[.x ]{0,4}", 0..12)) {
        let is_end = |line: &String| line == ".";
        let text: String = lines.iter().filter(|line| !is_end(line)).map(|line| format!("{line}\r\n")).collect();
        let text = text + ".\r\n";
        let passed = pass_in_pieces(Reject, std::iter::once(text.as_bytes()));
        prop_assert_eq!(passed.fault, None);
        prop_assert_eq!(unstuffed(&passed.out), unstuffed(&text));
    }
}
