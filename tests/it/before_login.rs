//! What a client may say before it is logged in, at its longest and oddest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::fake::{Fake, Step, answer, hear, say};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::ports;

#[test]
fn an_id_as_long_as_rfc_2971_allows_is_answered_and_a_longer_one_ends_the_session() {
    let nobody = ports::free();
    let gateway = Gateway::start(&Plan::before_one(nobody, nobody));
    let id = |name: &str, value: &str| {
        let pair = format!("\"{}\" \"{}\"", name.repeat(30), value.repeat(1024));
        format!("i ID ({})\r\n", [&*pair; 30].join(" "))
    };
    for id in [id("n", "v"), id("\\\"", "\\\\")] {
        let mut client = Mail::Imap.open(&gateway);
        client.send(id);
        client.lines_to("i OK");
        client.ask_for("n NOOP", "n OK");
    }
    let mut client = Mail::Imap.open(&gateway);
    client.send(format!("i ID (\"n\" \"{}", "v".repeat(70_000)));
    client.expect("* BYE ");
    gateway.logged(&["session ended", "line_too_long"]);
}

#[test]
fn control_characters_in_a_password_reach_the_back_end_as_they_are() {
    let password = "p\tw \u{1b}[1m\u{7f}";
    let imap = Fake::start(vec![
        say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"),
        hear("authenticate"),
        answer("{tag} OK [CAPABILITY IMAP4rev1] in\r\n"),
    ]);
    let pop3 = Fake::start(vec![Step::Serve(Mail::Pop3)]);
    let gateway = Gateway::start(&Plan::before_one(imap.port, pop3.port));
    for mail in [Mail::Imap, Mail::Pop3] {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", password);
        assert!(mail.is_in(&answer), "{mail:?}: {answer}");
    }
    assert!(pop3.heard().contains(&format!("PASS {password}\r\n")), "{:?}", pop3.heard());
    let said = imap.heard();
    let proof = said.lines().find_map(|line| line.split_once("AUTHENTICATE PLAIN ")).expect("a proof").1;
    assert!(STANDARD.decode(proof).expect("base64").ends_with(format!("\0{password}").as_bytes()), "{said}");
    assert!(!gateway.log().contains('\u{1b}'), "{}", gateway.log());
}
