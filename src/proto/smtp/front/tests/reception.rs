//! Conversations with servers that bring mail: what is taken, what is passed on, and what never gets through.

use proptest::prelude::*;

use super::*;
use crate::proto::Answer;
use crate::proto::smtp::text::BareNewline;

pub(super) fn port_25() -> FrontConfig {
    let extensions = ["PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "STARTTLS"];
    FrontConfig { mechanisms: [].into(), extensions: extensions.map(Into::into).into(), ..clear() }
}

/// Nobody is nowhere, everybody else gets everything; but who speaks of spam.
pub(super) fn clerk(what: &str) -> Answer {
    match what {
        _ if what.starts_with("recipient nobody@") => Answer::ours("550 5.1.1 No such user."),
        _ if what.starts_with("recipient later@") => Answer::ours("451 4.3.0 Later."),
        _ if what.starts_with("recipient ") => Answer::ours("250 2.1.5 OK."),
        "data" => Answer::ours("354 Go on."),
        _ if what.contains("bare") => Answer::ours("550 5.5.2 Bare newline."),
        _ if what.contains("spam") => Answer::ours("554 5.7.1 Spam."),
        _ if what.starts_with("text ") => Answer::ours("250 2.0.0 Taken."),
        _ => Answer::ours("250 2.0.0 Chunk."),
    }
}

/// After EHLO, whose answer is left out.
fn post(rounds: &[&str]) -> String {
    after_hello(&post_bare(&port_25(), &[&["EHLO mx.example.net\r\n"], rounds].concat()))
}

fn after_hello(transcript: &str) -> String {
    let answer = transcript.lines().take_while(|line| line.starts_with("250-")).count();
    transcript.lines().skip(answer + 1).fold(String::new(), |text, line| text + line + "\n")
}

fn post_bare(config: &FrontConfig, rounds: &[&str]) -> String {
    let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::mail_front(|| Box::new(SmtpFront::taking_mail(config.clone())), judge, clerk, &rounds)
}

/// Without cuts.
fn post_uncut(rounds: &[&str]) -> String {
    let all = [&["EHLO mx.example.net\r\n"], rounds].concat();
    let rounds: Vec<_> = all.iter().map(|round| round.as_bytes()).collect();
    let make = || -> Box<dyn Front> { Box::new(SmtpFront::taking_mail(port_25())) };
    after_hello(&cut::mail_front_uncut(make, judge, clerk, &rounds))
}

const MAIL: &str = "MAIL FROM:<a@b>\r\n";
const BOB: &str = "RCPT TO:<bob@c>\r\n";
const MAIL_OK: &str = "250 2.1.0 OK.\n";
const BOB_OK: &str = "(recipient bob@c from a@b)\n250 2.1.5 OK.\n";

#[test]
fn a_message_is_taken_and_another_behind_it() {
    let message = "MAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<bob@c>\r\nRCPT TO:<nobody@c>\r\nDATA\r\n";
    let first =
        format!("{MAIL_OK}{BOB_OK}(recipient nobody@c from a@b)\n550 5.1.1 No such user.\n(data)\n354 Go on.\n");
    let text = "(text \"x\\r\\n..\\r\\n.\\r\\n\")\n250 2.0.0 Taken.\n";
    let transcript = post(&[message, "x\r\n..\r\n.\r\n", message, "x\r\n..\r\n.\r\nQUIT\r\n"]);
    assert_eq!(transcript, format!("{first}{text}{first}{text}221 2.0.0 Bye.\n(close LoggedOut)\n"));
    // B36, B42: all of it at once.
    let at_once = post(&[&format!("{message}x\r\n..\r\n.\r\n{message}x\r\n..\r\n.\r\nQUIT\r\n")]);
    assert_eq!(at_once, transcript);
}

#[test]
fn helo_and_ehlo_may_be_followed_at_once() {
    let transcript = post_bare(&port_25(), &["HELO mx\r\nMAIL FROM:<>\r\nRCPT TO:<bob@c>\r\n"]); // B34
    assert_eq!(transcript, format!("250 mail.example.com\n{MAIL_OK}(recipient bob@c from )\n250 2.1.5 OK.\n"));
}

#[test]
fn only_what_can_be_kept_is_shown() {
    let hello = post_bare(&port_25(), &["EHLO mx\r\n"]);
    let expected =
        "250-mail.example.com\n250-PIPELINING\n250-SIZE 1000\n250-8BITMIME\n250-DSN\n250-CHUNKING\n250 STARTTLS\n";
    assert_eq!(hello, expected);
    let mending = FrontConfig { bare_newline: BareNewline::Normalize, ..port_25() };
    assert_eq!(post_bare(&mending, &["EHLO mx\r\n"]), expected.replace("250-CHUNKING\n", ""));
    let none = FrontConfig { extensions: [].into(), tls: Tls::Active, ..port_25() };
    assert_eq!(post_bare(&none, &["EHLO mx\r\n"]), "250 mail.example.com\n");
}

#[test]
fn every_command_has_its_time() {
    assert_eq!(post_bare(&port_25(), &[MAIL]), "503 5.5.1 EHLO comes first.\n");
    let first = "503 5.5.1 MAIL comes first.\n";
    assert_eq!(post(&[BOB, "BDAT 2 LAST\r\nhiNOOP\r\n", "DATA\r\n"]), format!("{first}{first}{OK}{first}"));
    assert_eq!(post(&[MAIL, MAIL, BOB]), format!("{MAIL_OK}503 5.5.1 One message at a time.\n{BOB_OK}"));
    assert_eq!(post(&[MAIL, "DATA\r\n"]), format!("{MAIL_OK}554 5.5.1 No valid recipients.\n"));
    let nobody = post(&[MAIL, "RCPT TO:<later@c>\r\n", "BDAT 1 LAST\r\nx", "DATA\r\n"]);
    let none = "554 5.5.1 No valid recipients.\n";
    assert_eq!(nobody, format!("{MAIL_OK}(recipient later@c from a@b)\n451 4.3.0 Later.\n{none}{none}"));
}

#[test]
fn a_transaction_that_ends_without_a_message_is_given_up() {
    let begun = format!("{MAIL_OK}{BOB_OK}(give up)\n");
    assert_eq!(post(&[MAIL, BOB, "RSET\r\n", BOB]), format!("{begun}{OK}503 5.5.1 MAIL comes first.\n"));
    assert_eq!(post(&[MAIL, BOB, "HELO x\r\n", MAIL]), format!("{begun}250 mail.example.com\n{MAIL_OK}"));
    assert!(post(&[MAIL, BOB, "EHLO x\r\n", BOB]).starts_with(&format!("{begun}250-mail")));
    assert_eq!(post(&[MAIL, BOB, "QUIT\r\n"]), format!("{begun}221 2.0.0 Bye.\n(close LoggedOut)\n"));
    let secured = post(&[MAIL, BOB, "STARTTLS\r\n", MAIL]);
    let go = "220 2.0.0 Begin TLS negotiation now.\n(starttls)\n";
    assert_eq!(secured, format!("{begun}{go}503 5.5.1 EHLO comes first.\n"));
    // Nobody knows of it yet, or it goes on.
    assert_eq!(post(&[MAIL, "RSET\r\n", MAIL]), format!("{MAIL_OK}{OK}{MAIL_OK}"));
    let goes_on = post(&[MAIL, BOB, "NOOP\r\n", "EHLO\r\n", "RSET x\r\n", BOB]);
    assert!(!goes_on.contains("give up") && goes_on.ends_with(BOB_OK), "{goes_on}");
    let rejected = post(&[MAIL, "RCPT TO:<nobody@c>\r\n", "RSET\r\n"]);
    assert!(rejected.ends_with(&format!("(give up)\n{OK}")), "{rejected}");
}

#[test]
fn after_a_message_nothing_is_left_of_it() {
    let again = post(&[MAIL, BOB, "DATA\r\n", "spam\r\n.\r\n", "DATA\r\n", "RSET\r\n"]);
    let taken = "(data)\n354 Go on.\n(text \"spam\\r\\n.\\r\\n\")\n554 5.7.1 Spam.\n";
    assert_eq!(again, format!("{MAIL_OK}{BOB_OK}{taken}503 5.5.1 MAIL comes first.\n{OK}"));
}

#[test]
fn what_looks_like_an_end_smuggles_nothing() {
    for sequence in ["\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n\0.\r\n", "\r\n.\r\r\n"] {
        let text = format!("x{sequence}MAIL FROM:<smuggled@e>\r\nRCPT TO:<v@e>\r\n.\r\nNOOP\r\n");
        let transcript = post(&[MAIL, BOB, "DATA\r\n", &text]);
        assert!(!transcript.contains("from smuggled") && !transcript.contains("(recipient v"), "{transcript}");
        assert_eq!(transcript.matches("(text ").count(), 1, "{transcript}");
        assert!(transcript.ends_with(OK), "{transcript}");
    }
}

#[test]
fn chunks_are_counted_and_never_read() {
    let payload = "\r\n.\r\nMAIL FROM:<evil@e>\r\n";
    let transcript = post(&[MAIL, BOB, &format!("BDAT {}\r\n{payload}BDAT 5 LAST\r\nHELLOQUIT\r\n", payload.len())]);
    let chunks = "(chunk \"\\r\\n.\\r\\nMAIL FROM:<evil@e>\\r\\n\")\n250 2.0.0 Chunk.\n(chunk \"HELLO\" last)\n250 2.0.0 Chunk.\n";
    let bye = "221 2.0.0 Bye.\n(close LoggedOut)\n";
    assert_eq!(transcript, format!("{MAIL_OK}{BOB_OK}{chunks}{bye}")); // B53, B54
    let empty = post(&[MAIL, BOB, "BDAT 0 LAST\r\nNOOP\r\n"]);
    assert_eq!(empty, format!("{MAIL_OK}{BOB_OK}(chunk \"\" last)\n250 2.0.0 Chunk.\n{OK}"));
}

#[test]
fn a_message_comes_in_one_way() {
    let begun = format!("{MAIL_OK}{BOB_OK}(chunk \"x\")\n250 2.0.0 Chunk.\n");
    let mixed = post(&[MAIL, BOB, "BDAT 1\r\nx", BOB, "DATA\r\n", "RSET\r\n"]); // B56
    let expected = "503 5.5.1 The message has begun.\n503 5.5.1 BDAT has begun the message.\n(give up)\n";
    assert_eq!(mixed, format!("{begun}{expected}{OK}"));
    let refused = post(&[MAIL, BOB, "BDAT 4\r\nspamBDAT 1 LAST\r\nxNOOP\r\n"]);
    let expected = "(chunk \"spam\")\n554 5.7.1 Spam.\n503 5.5.1 MAIL comes first.\n";
    assert_eq!(refused, format!("{MAIL_OK}{BOB_OK}{expected}{OK}"));
}

#[test]
fn chunks_that_are_wrong_end_the_session_or_count() {
    let bad = "501 5.5.4 BDAT takes a size and LAST.\n(close Violation(\"bad_chunk\"))\n";
    for line in [
        "BDAT",
        "BDAT x",
        "BDAT -1",
        "BDAT +5",
        "BDAT 0x10",
        "BDAT 5 FOO",
        "BDAT 5 LAST x",
        "BDAT 99999999999999999999",
        "BDAT 5\0",
        "BDAT 5\rx",
    ] {
        let transcript = post(&[MAIL, BOB, &format!("{line}\r\nHELLOQUIT\r\n")]); // B51
        assert_eq!(transcript, format!("{MAIL_OK}{BOB_OK}{bad}"), "{line:?}");
    }
    assert_eq!(post(&["BDAT 5\nHELLOQUIT\r\n"]), bad);
    let empty = post(&[MAIL, BOB, &"BDAT 0\r\n".repeat(12)]); // B52
    let refusal = "551 5.5.4 An empty chunk is none, but for the last.\n".repeat(9);
    assert_eq!(empty, format!("{MAIL_OK}{BOB_OK}{refusal}421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n"));
}

#[test]
fn a_flood_of_small_chunks_ends() {
    let flood = post_uncut(&[MAIL, BOB, &"BDAT 1\r\nx".repeat(200)]); // B57
    assert_eq!(flood.matches("250 2.0.0 Chunk.").count(), 98 + 9);
    assert!(flood.ends_with("421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n"));
    let large = format!("BDAT 512\r\n{}", "x".repeat(512));
    let transcript = post_uncut(&[MAIL, BOB, &large, &large]);
    assert!(transcript.ends_with("(give up)\n552 5.3.4 The message is too large.\n"), "1000 bytes are the most");
}

#[test]
fn a_chunk_that_is_too_large_is_passed_over_or_ends_the_session() {
    let large = "552 5.3.4 The message is too large.\n";
    let over = post(&[MAIL, BOB, &format!("BDAT 1001 LAST\r\n{}NOOP\r\n", "x".repeat(1001))]);
    assert_eq!(over, format!("{MAIL_OK}{BOB_OK}(give up)\n{large}{OK}"));
    for line in ["BDAT 4294967296 LAST\r\n", "BDAT 67108865\r\n"] {
        let end = format!("{large}(close Violation(\"chunk_too_large\"))\n");
        assert_eq!(post(&[MAIL, BOB, line, "QUIT\r\n"]), format!("{MAIL_OK}{BOB_OK}{end}")); // B58
        assert_eq!(post(&[line, "QUIT\r\n"]), end);
    }
}

#[test]
fn where_no_chunks_are_shown_they_are_passed_over() {
    let config = FrontConfig { bare_newline: BareNewline::Normalize, ..port_25() };
    let transcript = post_bare(&config, &["HELO x\r\n", MAIL, BOB, "BDAT 6 LAST\r\nQUIT\r\nDATA\r\n", ".\r\n"]);
    let expected = "502 5.5.1 Not implemented.\n(data)\n354 Go on.\n(text \".\\r\\n\")\n250 2.0.0 Taken.\n";
    assert_eq!(transcript, format!("250 mail.example.com\n{MAIL_OK}{BOB_OK}{expected}"));
}

#[test]
fn a_message_that_says_that_it_is_too_large_is_refused_at_once() {
    assert_eq!(post(&["MAIL FROM:<a@b> SIZE=1000\r\n"]), MAIL_OK);
    let refused = "552 5.3.4 The message is too large.\n";
    assert_eq!(post(&["MAIL FROM:<a@b> SIZE=1001\r\n", MAIL]), format!("{refused}{MAIL_OK}"));
    for size in ["SIZE", "SIZE 0"] {
        let any = FrontConfig { extensions: [size.into()].into(), ..port_25() };
        let transcript = post_bare(&any, &["HELO x\r\n", "MAIL FROM:<a@b> SIZE=18446744073709551615\r\n"]);
        assert!(transcript.ends_with(MAIL_OK), "{size}");
    }
}

#[test]
fn the_recipient_after_the_thousandth_is_one_too_many() {
    let transcript = post_uncut(&[MAIL, &BOB.repeat(1002), "DATA\r\n"]);
    let expected = BOB_OK.repeat(1000) + &"452 4.5.3 Too many recipients.\n".repeat(2) + "(data)\n354 Go on.\n";
    assert_eq!(transcript, format!("{MAIL_OK}{expected}"));
}

#[test]
fn idle_commands_are_borne_a_hundred_times_between_messages() {
    let end = "421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n";
    for line in ["NOOP\r\n", "RSET\r\n", "VRFY x\r\n", "HELP\r\n", "HELO x\r\n", "EHLO x\r\n"] {
        let transcript = post_uncut(&[&line.repeat(200)]);
        // EHLO was one of them; ten wrong commands end a session.
        let answers = transcript.lines().filter(|answer| answer.get(3..4) == Some(" ")).count();
        assert_eq!(answers, 98 + 9 + 1, "{line}");
        assert!(transcript.ends_with(end), "{line}");
    }
    let message = format!("{MAIL}{BOB}DATA\r\n.\r\n");
    let cycle = "NOOP\r\n".repeat(98) + &message;
    assert!(!post_uncut(&[&cycle, &cycle, &cycle]).contains("421"), "a message sets it back");
    let harvest = post_uncut(&[MAIL, &"RCPT TO:<nobody@c>\r\n".repeat(200)]);
    assert_eq!(harvest.matches("550 5.1.1").count(), 98 + 10);
    assert!(harvest.ends_with(end));
}

#[test]
fn a_line_without_its_cr_is_no_command() {
    let bare = "500 5.5.2 A line ends with CR and LF.\n";
    assert_eq!(post(&["NOOP\n", "RSET\nNOOP\r\n"]), format!("{bare}{bare}{OK}"));
    assert_eq!(post(&["MAIL FROM:<a@b>\n", BOB]), format!("{bare}503 5.5.1 MAIL comes first.\n"));
    assert_eq!(post(&[MAIL, BOB, "QUIT\n", BOB]), format!("{MAIL_OK}{BOB_OK}{bare}{BOB_OK}"));
    assert_eq!(post(&["RSET\rQUIT\r\n"]), "500 5.5.2 A CR or NUL inside a line.\n"); // B31
    assert_eq!(post(&["MAIL FROM:<a\0@b>\r\n"]), "500 5.5.2 A CR or NUL inside a line.\n"); // B32
}

#[test]
fn nobody_logs_in_unless_that_is_configured() {
    let no = "502 5.5.1 Not implemented.\n";
    assert_eq!(post(&["AUTH PLAIN\r\n", &format!("AUTH PLAIN {ALICE}\r\n")]), format!("{no}{no}"));
    let config = FrontConfig { mechanisms: [Mechanism::Plain].into(), tls: Tls::Active, ..port_25() };
    let auth = format!("AUTH PLAIN {ALICE}\r\nMAIL FROM:<x@y>\r\n");
    let granted = after_hello(&post_bare(&config, &["EHLO x\r\n", &auth]));
    let login = "(login plain alice password secret helo x)\n";
    assert_eq!(granted, format!("{login}{GRANTED}(rest \"MAIL FROM:<x@y>\\r\\n\")\n"));
    let late = after_hello(&post_bare(&config, &["EHLO x\r\n", MAIL, &auth]));
    let expected = "503 5.5.1 Not while a message is sent.\n503 5.5.1 One message at a time.\n";
    assert_eq!(late, format!("{MAIL_OK}{expected}"));
}

#[test]
fn who_is_vouched_for_is_a_user_and_who_is_not_is_a_stranger() {
    let sent = |name: &str| {
        let hello = format!("EHLO {name}\r\n");
        let rounds = [&*hello, "MAIL FROM:<a@b>\r\nRCPT TO:<bob@c>\r\n", "RSET\r\n", MAIL];
        after_hello(&post_bare(&FrontConfig { vouching: true, ..port_25() }, &rounds))
    };
    assert_eq!(
        sent("alice"),
        "(login plain  trusted helo alice)\n(rest \"MAIL FROM:<a@b>\\r\\nRCPT TO:<bob@c>\\r\\n\")\n"
    );
    for name in ["mallory", "down", "busy", "barred"] {
        // It is asked about at each MAIL: somebody may have logged in meanwhile.
        let asked = format!("(login plain  trusted helo {name})\n");
        assert_eq!(sent(name), format!("{asked}{MAIL_OK}{BOB_OK}(give up)\n{OK}{asked}{MAIL_OK}"), "{name}");
    }
}

#[test]
fn what_no_stranger_may_do_is_refused() {
    for line in
        ["XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1", "ETRN #q", "TURN", "EXPN staff", "SAML FROM:<a@b>"]
    {
        assert_eq!(post(&[&format!("{line}\r\n")]), "502 5.5.1 Not implemented.\n", "{line}");
    }
    assert_eq!(post(&["XEXCH50 1 2\r\n"]), UNKNOWN);
    assert_eq!(post(&["VRFY bob@c\r\n"]), "252 2.5.0 Send some mail, and see.\n");
    let wrong = "555 5.5.4 A parameter that is not supported.\n";
    assert_eq!(
        post(&["MAIL FROM:<a@b> SMTPUTF8\r\n", "MAIL FROM:<a@b> BODY=BINARYMIME\r\n"]),
        format!("{wrong}{wrong}")
    );
}

#[test]
fn an_answer_that_fits_nowhere_is_told_as_a_mistake_of_ours() {
    let clerk = |what: &str| Answer::ours(if what == "data" { "250 2.0.0 OK." } else { "354 Go on." });
    let make = || -> Box<dyn Front> { Box::new(SmtpFront::taking_mail(port_25())) };
    let transcript = cut::mail_front(make, judge, clerk, &[b"HELO x\r\n", MAIL.as_bytes(), BOB.as_bytes()]);
    assert!(transcript.ends_with("451 4.3.0 Something went wrong, please try again later.\n"), "{transcript}");
}

#[test]
fn an_answer_that_nobody_asked_for_is_not_passed_on() {
    let (mut front, mut say) = (SmtpFront::taking_mail(port_25()), Vec::new());
    front.answer(&Answer::ours("250 2.0.0 OK."), &mut say);
    assert!(say.is_empty());
}

#[test]
fn a_long_list_of_recipients_who_live_elsewhere_loses_no_message() {
    let elsewhere = |what: &str| match what {
        _ if what.starts_with("recipient far@") => Answer::ours("452 4.5.3 Too many recipients for one transaction."),
        _ => clerk(what),
    };
    let rounds = |rounds: &[&str]| {
        let make = || -> Box<dyn Front> { Box::new(SmtpFront::taking_mail(port_25())) };
        let all: Vec<_> = [&["HELO x\r\n"], rounds].concat().iter().map(|round| round.as_bytes()).collect();
        cut::mail_front_uncut(make, judge, elsewhere, &all)
    };
    const FAR: &str = "RCPT TO:<far@c>\r\n";
    assert!(rounds(&[MAIL, BOB, &FAR.repeat(999), "DATA\r\n"]).ends_with("(data)\n354 Go on.\n"));
    // A thousand are the most of these too, and of those who are not even elsewhere.
    let end = "421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n";
    let asked = |transcript: &str| transcript.matches("(recipient far@c").count();
    let many = rounds(&[MAIL, BOB, &FAR.repeat(2000)]);
    assert!(many.ends_with(end) && asked(&many) == 1000 + 98 + 10, "{}", asked(&many));
    // Before anybody is accepted each may cost a dial.
    let nobody = rounds(&[MAIL, &FAR.repeat(200)]);
    assert!(nobody.ends_with(end) && asked(&nobody) < 110, "{}", asked(&nobody));
    let over = rounds(&[MAIL, &BOB.repeat(1500), "DATA\r\n"]);
    assert!(over.ends_with("(data)\n354 Go on.\n"));
}

/// What a client may say that knows SMTP, and means ill.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"EHLO x\r\n",
        b"MAIL FROM:<a@b>\r\n",
        b"MAIL FROM:<",
        b"RCPT TO:<bob@c>\r\n",
        b"RCPT TO:<nobody@c>\r\n",
        b"DATA\r\n",
        b"text",
        b"\r\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"BDAT 3\r\n",
        b"BDAT 2 LAST\r\n",
        b"BDAT ",
        b"RSET\r\n",
        b"QUIT\r\n",
        b"STARTTLS\r\n",
        b" SIZE=1",
        b"NOOP\r\n",
        b"AUTH PLAIN\r\n",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_cut_changes_what_becomes_of_noise(noise in noise()) {
        let mut input = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@c>\r\n".to_vec();
        input.extend(noise);
        // STARTTLS would make what comes behind it something else.
        let input: Vec<_> = String::from_utf8_lossy(&input).replace("STARTTLS", "STARTTLSX").into_bytes();
        let make = || -> Box<dyn Front> { Box::new(SmtpFront::taking_mail(port_25())) };
        // What comes together with a refused DATA is another thing than what comes later.
        let together = cut::mail_front_uncut(make, judge, clerk, &[&input]).contains("text_behind_refused_data");
        prop_assume!(!together);
        let transcript = cut::mail_front(make, judge, clerk, &[&input]);
        for asked in transcript.lines().filter(|line| line.starts_with("(recipient ")) {
            prop_assert!(["(recipient bob@c from a@b)", "(recipient nobody@c from a@b)"].contains(&asked), "{asked}");
        }
    }
}
