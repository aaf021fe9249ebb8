//! How much a client may say before it logs in, and what a password may hold, on both sides.

use super::back;
use super::front::*;
use crate::proto::imap::front::ImapFront;
use crate::proto::{Credential, Tls, cut};

#[test]
fn a_hundred_commands_before_the_login_are_answered_and_no_more() {
    let noops = b"a NOOP\r\n".repeat(100);
    let answered = "a OK NOOP completed.\n".repeat(100);
    let said = talk_uncut(&config(Tls::Active), &noops);
    assert_eq!(said, answered);
    let end = "* BYE Too many commands before a login.\n(close TooManyCommands)\n";
    let said = talk_uncut(&config(Tls::Active), &b"a NOOP\r\n".repeat(10_000));
    assert_eq!(said, format!("{answered}{end}"));
    // A password in the one that is too many is not asked about, and TLS does not set the count back.
    let said = talk_uncut(&config(Tls::Active), &[&noops[..], b"a LOGIN alice pw\r\n"].concat());
    assert_eq!(said, format!("{answered}{end}"));
    let clear = [&noops[8 * 8..], b"a STARTTLS\r\n"].concat();
    let said = cut::front_uncut(
        || Box::new(ImapFront::new(config(Tls::Offered))),
        judge,
        &[&clear, &b"a ID NIL\r\n".repeat(6), b"a CAPABILITY\r\na NOOP\r\n"],
    );
    assert!(said.ends_with(&format!("a OK Capability completed.\n{end}")), "{said}");
}

/// The largest ID that RFC 2971 §3.3 allows, but for its first pair.
fn largest_id(string: impl Fn(&str, usize) -> String) -> String {
    let pair = |name: &str| format!("{} {}", string(name, 30), string("v", 1024));
    let pairs: Vec<_> = (0..29).map(|_| pair("k")).collect();
    format!("a ID (\"x-proxy-ttl\" \"3\" {})\r\na LOGIN alice pw\r\n", pairs.join(" "))
}

#[test]
fn the_largest_id_passes_in_every_form_and_however_it_is_cut() {
    let quoted = |filler: &str, length: usize| format!("\"{}\"", filler.repeat(length));
    let escaped = |_: &str, length: usize| format!("\"{}\"", "\\\"".repeat(length));
    let literal = |filler: &str, length: usize| format!("{{{length}+}}\r\n{}", filler.repeat(length));
    let waiting = |filler: &str, length: usize| format!("{{{length}}}\r\n{}", filler.repeat(length));
    for id in [largest_id(quoted), largest_id(escaped), largest_id(literal), largest_id(waiting)] {
        assert!(id.len() > 29 * 1054, "{}", id.len());
        for size in [id.len(), 16 * 1024, 1000] {
            let rounds: Vec<_> = id.as_bytes().chunks(size).collect();
            let said = cut::front_uncut(|| Box::new(ImapFront::new(config(Tls::Active))), judge, &rounds);
            let said = said.replace("+ OK\n", "");
            assert!(said.starts_with("* ID (\"name\" \"Portcullis\")\na OK ID completed.\n"), "{said}");
            assert!(said.ends_with(GRANTED) && said.contains("ttl 3"), "{said}");
        }
    }
}

#[test]
fn a_password_may_hold_control_characters_but_not_cr_lf_or_nul() {
    for byte in (1..0x20).chain([0x7f]).filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        let byte = char::from(byte);
        let plain = b64(format!("\0alice\0p{byte}w").as_bytes());
        for command in [
            format!("a LOGIN alice \"p{byte}w\"\r\n"),
            format!("a LOGIN alice {{3+}}\r\np{byte}w\r\n"),
            format!("a AUTHENTICATE PLAIN {plain}\r\n"),
        ] {
            let said = talk_uncut(&config(Tls::Active), command.as_bytes());
            assert!(said.starts_with(&format!("(login plain alice password p{byte}w)\n")), "{command:?}: {said:?}");
        }
    }
}

#[test]
fn a_control_character_goes_in_base64_or_in_a_literal_and_never_in_quotes() {
    for (byte, base64) in [("\t", "AGFsaWNlAHAJdw=="), ("\x1b", "AGFsaWNlAHAbdw=="), ("\x7f", "AGFsaWNlAHB/dw==")] {
        let plan = back::plan(Credential::Password(back::secret(&format!("p{byte}w"))));
        let plain = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x\r\n";
        assert_eq!(back::talk(&plan, &[plain]), format!("L AUTHENTICATE PLAIN {base64}\n"));
        let literals = "* OK [CAPABILITY IMAP4rev1 LITERAL+] x\r\n";
        assert_eq!(back::talk(&plan, &[literals]), format!("L LOGIN {{5+}}\nalice {{3+}}\np{byte}w\n"));
    }
}
