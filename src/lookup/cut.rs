//! The cut test of the look-ups: the same answers for every split of what is heard, and random input.

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Answer, Heard, Language};

type Make<'a> = &'a dyn Fn() -> Box<dyn Language>;

/// What is said to `text`, cut anywhere; questions stand in parentheses. In this world 192.0.2.1 and 2001:db8::1 are
/// alice's, the user of 192.0.2.8 may not send now, and at 192.0.2.9 the registry is away.
pub(super) fn conversation(make: Make<'_>, text: &[u8]) -> String {
    let whole = run(make, &[text]);
    let stride = text.len() / 600 + 1;
    for at in (1..text.len()).step_by(stride) {
        let (first, second) = text.split_at(at);
        assert_eq!(run(make, &[first, second]), whole, "cut at {at} of {}", text.len());
    }
    assert_eq!(run(make, &text.chunks(1).collect::<Vec<_>>()), whole, "cut everywhere");
    whole
}

/// Mixtures of these words and of anything: nothing panics, nothing spins, and every cut says the same.
pub(super) fn random_input(make: Make<'_>, words: &[&'static [u8]]) {
    let word = prop_oneof![
        3 => proptest::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    let input = (proptest::collection::vec(word, 0..12), any::<proptest::sample::Index>());
    let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&input, |(words, at)| {
        let text = words.concat();
        let (first, second) = text.split_at(at.index(text.len() + 1));
        prop_assert_eq!(run(make, &[first, second]), run(make, &[&text]));
        Ok(())
    });
    outcome.expect("it holds");
}

fn run(make: Make<'_>, pieces: &[&[u8]]) -> String {
    let (mut language, mut heard, mut said) = (make(), BytesMut::new(), Vec::new());
    for piece in pieces {
        heard.extend_from_slice(piece);
        for round in 0.. {
            assert!(round < 100_000, "it spins");
            match language.hear(&mut heard) {
                Heard::More => break,
                Heard::Reply(reply) => said.extend_from_slice(reply),
                Heard::Last(reply, problem) => {
                    said.extend_from_slice(reply);
                    let end = if problem.is_empty() { "(close)".to_owned() } else { format!("(bad {problem})") };
                    said.extend_from_slice(end.as_bytes());
                    return String::from_utf8(said).expect("what we say is UTF-8");
                }
                Heard::Question(address) => {
                    said.extend_from_slice(format!("({address})").as_bytes());
                    let answer = match address.to_string().as_str() {
                        "192.0.2.1" | "2001:db8::1" => Answer::User("alice"),
                        "192.0.2.8" => Answer::Later,
                        "192.0.2.9" => Answer::Away,
                        _ => Answer::Nobody,
                    };
                    if !language.answer(&answer, &mut said) {
                        said.extend_from_slice(b"(close)");
                        return String::from_utf8(said).expect("what we say is UTF-8");
                    }
                }
            }
        }
    }
    String::from_utf8(said).expect("what we say is UTF-8")
}
