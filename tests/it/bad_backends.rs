//! Back-ends that break their promises, each for IMAP and POP3: the client is told to come back, within the login
//! deadline, on a connection that goes on; and the next login works.
//!
//! I and A numbers are those of the catalogue of hostile input that the project started from.

use std::time::{Duration, Instant};

use crate::support::certs::certs;
use crate::support::fake::{BlackHole, Fake, Step, answer, hear, say, tls};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::{ports, replies};

const DEADLINE: Duration = Duration::from_millis(500);

fn plan(mail: Mail, port: u16) -> Plan {
    let nobody = ports::free();
    let plan = if mail == Mail::Imap { Plan::before_one(port, nobody) } else { Plan::before_one(nobody, port) };
    plan.set("backends.stores.connect_timeout", "500ms").set("backends.stores.login_timeout", "500ms")
}

fn starttls(plan: Plan) -> Plan {
    plan.set("backends.stores.tls", &format!("{{ mode: starttls, ca: \"{}\" }}", certs().ca_file.display()))
}

fn implicit(plan: Plan) -> Plan {
    plan.set("backends.stores.tls", &format!("{{ mode: implicit, ca: \"{}\" }}", certs().ca_file.display()))
}

fn as_it_is(plan: Plan) -> Plan {
    plan
}

/// One login at a back-end that plays `bad`, and one behind it, on the same connection, at a good one.
#[track_caller]
fn fails_then_works(what: &str, mail: Mail, bad: Vec<Step>, good: Vec<Step>, setting: fn(Plan) -> Plan) -> Fake {
    let fake = Fake::start_with(vec![bad, good]);
    let gateway = Gateway::start(&setting(plan(mail, fake.port)));
    let mut client = mail.open(&gateway);
    let start = Instant::now();
    let answer = mail.try_login(&mut client, "alice", "alice-secret");
    mail.refused_as_no_fault_of_the_client(&answer);
    assert!(start.elapsed() < DEADLINE + SLACK, "{what} by {mail:?}: answered after {:?}", start.elapsed());
    let answer = mail.try_login(&mut client, "alice", "alice-secret");
    assert!(mail.is_in(&answer), "{what} by {mail:?}, the next login: {answer}\n{}", gateway.log());
    assert!(gateway.metric("panics_total", &[]) < 0.5, "{what}");
    assert!(!gateway.log().contains("alice-secret"), "{what}: a password in the log");
    fake
}

/// For a slow machine.
const SLACK: Duration = Duration::from_secs(3);

fn greets(mail: Mail) -> Step {
    say(replies::greeting(mail))
}

#[test]
fn a_refused_connection_is_unavailable_at_once_i01() {
    for mail in BOTH {
        let gateway = Gateway::start(&plan(mail, ports::free()));
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
        mail.refused(&answer, Refusal::Unavailable);
    }
}

#[test]
fn a_connection_that_is_never_answered_ends_at_its_deadline_i02() {
    let hole = BlackHole::start();
    for mail in BOTH {
        let gateway = Gateway::start(&plan(mail, hole.port));
        let start = Instant::now();
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
        mail.refused(&answer, Refusal::Unavailable);
        assert!(start.elapsed() < DEADLINE + SLACK, "{:?}", start.elapsed());
        assert!(gateway.metric("backend_connects_total", &["outcome=\"timed_out\""]) > 0.5, "counted as what it is");
    }
}

#[test]
fn bad_greetings_i03_to_i06() {
    for mail in BOTH {
        let start = mail.ok();
        let cases: Vec<(&str, Vec<Step>)> = vec![
            ("nothing", vec![]),
            ("half of it", vec![say(&start[..3])]),
            ("ten megabytes in one line", vec![say(start), Step::Flood(vec![b'x'; 10_240], 1024)]),
            ("ten megabytes in lines", vec![Step::Flood(b"* OK hello\r\n".repeat(100), 8192)]),
            ("zeros", vec![Step::Say(vec![0; 64]), say("\r\n")]),
            ("binary", vec![Step::Say((0..=255).collect()), say("\r\n")]),
            ("another protocol", vec![say("220 mail.example.org ESMTP\r\n")]),
            ("a goodbye", vec![say(mail.turned_away()), say("too many\r\n"), Step::Close]),
            ("an end", vec![Step::Close]),
            ("a reset", vec![Step::Reset]),
        ];
        for (what, bad) in cases {
            let fake = fails_then_works(what, mail, bad, vec![Step::Serve(mail)], as_it_is);
            assert_eq!(fake.connections(), 2, "{what}");
        }
    }
}

#[test]
fn silence_at_every_stage_of_tls_i07_and_i08() {
    for mail in BOTH {
        let (hello, consent) =
            if mail == Mail::Imap { ("starttls", "{tag} OK go\r\n") } else { ("stls", "+OK go\r\n") };
        let good_starttls = vec![
            if mail == Mail::Imap { say(STARTTLS_GREETING) } else { greets(mail) },
            hear(hello),
            answer(consent),
            tls(&certs().server),
            Step::Agree(mail),
        ];
        let good_implicit = vec![tls(&certs().server), Step::Serve(mail)];
        fails_then_works("in the handshake", mail, vec![], good_implicit, implicit);
        let before = good_starttls[..1].to_vec();
        fails_then_works("before STARTTLS", mail, before, good_starttls.clone(), starttls);
        let behind = good_starttls[..3].to_vec();
        fails_then_works("behind STARTTLS", mail, behind, good_starttls.clone(), starttls);
        let mut torn = good_starttls[..3].to_vec();
        torn.push(Step::Close);
        fails_then_works("an end behind STARTTLS", mail, torn, good_starttls, starttls);
    }
}

const STARTTLS_GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR ID STARTTLS AUTH=PLAIN] fake\r\n";

#[test]
fn trouble_behind_the_login_i09_to_i12() {
    for mail in BOTH {
        let word = if mail == Mail::Imap { "alice" } else { "" };
        let cases: Vec<(&str, Vec<Step>)> = vec![
            ("silence", vec![greets(mail), hear(word)]),
            ("an end", vec![greets(mail), hear(word), Step::Close]),
            ("a reset", vec![greets(mail), hear(word), Step::Reset]),
            ("garbage", vec![greets(mail), hear(word), say("\u{1}\u{2}garbage\r\n")]),
            ("half an answer", vec![greets(mail), hear(word), say(if mail == Mail::Imap { "x O" } else { "+O" })]),
        ];
        for (what, bad) in cases {
            fails_then_works(what, mail, bad, vec![Step::Serve(mail)], as_it_is);
        }
    }
    let bye = vec![greets(Mail::Imap), hear("alice"), say("* BYE shutting down\r\n"), Step::Close];
    fails_then_works("BYE and an end", Mail::Imap, bye, vec![Step::Serve(Mail::Imap)], as_it_is);
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_an_answer() {
    for mail in BOTH {
        let fake = Fake::start(vec![Step::Drip(replies::greeting(mail).into()), Step::Agree(mail)]);
        let gateway = Gateway::start(&plan(mail, fake.port));
        mail.session(&gateway, "alice");
    }
}

#[test]
fn all_that_a_back_end_said_before_it_hung_up_reaches_the_client_i16() {
    let mut script = vec![greets(Mail::Pop3), hear("user"), answer("+OK\r\n"), hear("pass"), answer("+OK in\r\n")];
    script.extend([
        hear("retr"),
        Step::Flood(b"1234567\r\n".repeat(1000), 1000),
        say("last words\r\n"),
        Step::HalfClose,
    ]);
    let gateway = Gateway::start(&plan(Mail::Pop3, Fake::start(script).port));
    let mut client = Mail::Pop3.session(&gateway, "alice");
    client.send("RETR 1\r\n");
    assert_eq!(client.lines_to("last words").len(), 1_000_001);
    assert_eq!(client.closed(), "");
}

#[test]
fn a_session_that_is_authenticated_before_it_begins_is_none_a34() {
    for greeting in [
        "* PREAUTH ready\r\n",
        "* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n",
        "* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
        "* PREAUTH [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\r\n",
        "* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n",
    ] {
        let good = vec![Step::Serve(Mail::Imap)];
        fails_then_works(greeting, Mail::Imap, vec![say(greeting), Step::Agree(Mail::Imap)], good, as_it_is);
    }
}

#[test]
fn a_greeting_with_a_referral_is_not_followed_and_not_shown_a41() {
    let elsewhere = Fake::start(vec![Step::Serve(Mail::Imap)]);
    let greeting = format!("* OK [REFERRAL imap://127.0.0.1:{}/] moved\r\n", elsewhere.port);
    let fake =
        Fake::start(vec![say(&greeting), hear("login"), answer("{tag} NO [REFERRAL imap://127.0.0.1/] moved\r\n")]);
    let gateway = Gateway::start(&plan(Mail::Imap, fake.port));
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", "alice-secret");
    assert!(answer.starts_with("l NO [") && !answer.contains("REFERRAL"), "{answer}");
    assert_eq!(elsewhere.connections(), 0);
}

/// Where STARTTLS must succeed, a back-end that does not let it gets no password, and no identity.
#[track_caller]
fn gives_nothing_away(what: &str, mail: Mail, script: Vec<Step>) {
    let fake = Fake::start(script);
    let gateway = Gateway::start(&starttls(plan(mail, fake.port)));
    let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
    mail.refused_as_no_fault_of_the_client(&answer);
    fake.heard_no_login();
    for told in ["originating", "XCLIENT", "127.0.0.1"] {
        assert!(!fake.heard().contains(told), "{what}: {told} was told in the clear: {:?}", fake.heard());
    }
}

#[test]
fn a_stripped_starttls_is_no_reason_to_go_on_without_a36() {
    let greetings = [
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID] ready\r\n",
        "* OK [CAPABILITY IMAP4rev1] ready\r\n",
        "* OK ready\r\n",
    ];
    for greeting in greetings {
        let script = vec![say(greeting), Step::Agree(Mail::Imap)];
        // The last one says STARTTLS is fine, and then there is no TLS.
        gives_nothing_away(greeting, Mail::Imap, script);
    }
}

#[test]
fn a_refused_starttls_is_no_reason_to_go_on_without_a37() {
    for refusal in ["{tag} NO not now\r\n", "{tag} BAD what\r\n", "+ go on\r\n", "{tag} PREAUTH\r\n"] {
        let script = vec![say(STARTTLS_GREETING), hear("starttls"), answer(refusal), Step::Agree(Mail::Imap)];
        gives_nothing_away(refusal, Mail::Imap, script);
    }
    for refusal in ["-ERR no\r\n", "-ERR [SYS/TEMP] no\r\n", "+ go on\r\n"] {
        let script = vec![say("+OK ready\r\n"), hear("stls"), answer(refusal), Step::Agree(Mail::Pop3)];
        gives_nothing_away(refusal, Mail::Pop3, script);
    }
}

#[test]
fn bytes_behind_the_consent_to_starttls_were_injected_a31_to_a33() {
    for injected in
        ["{tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=ANON\r\n", "{tag} OK go\r\n* O", "{tag} OK go\r\nl OK in\r\n"]
    {
        let script = vec![say(STARTTLS_GREETING), hear("starttls"), answer(injected), tls(&certs().server)];
        gives_nothing_away(injected, Mail::Imap, [script, vec![Step::Agree(Mail::Imap)]].concat());
    }
    for injected in ["+OK go\r\n+OK\r\n+OK logged in\r\n", "+OK go\r\n\u{1}\u{2}", "+OK go\r\n+"] {
        let script = vec![say("+OK ready\r\n"), hear("stls"), answer(injected), tls(&certs().server)];
        gives_nothing_away(injected, Mail::Pop3, [script, vec![Step::Agree(Mail::Pop3)]].concat());
    }
}

#[test]
fn a_greeting_of_many_lines_is_refused_before_anything_is_said_a46() {
    let greeting = "+OK 2 messages\r\n1 120\r\n2 200\r\n.\r\n";
    let bad = vec![say(greeting), Step::Agree(Mail::Pop3)];
    let fake = Fake::start(bad.clone());
    let gateway = Gateway::start(&plan(Mail::Pop3, fake.port));
    let answer = Mail::Pop3.try_login(&mut Mail::Pop3.open(&gateway), "alice", "alice-secret");
    Mail::Pop3.refused_as_no_fault_of_the_client(&answer);
    assert!(!fake.heard().contains("secret"), "{:?}", fake.heard());
    fails_then_works(greeting, Mail::Pop3, bad, vec![Step::Serve(Mail::Pop3)], as_it_is);
}

#[test]
fn what_a_back_end_says_before_the_login_is_never_shown_a42_and_a43() {
    for untagged in ["* OK [ALERT] call 0900", "* 5 EXISTS", "* LIST () \"/\" evil", "* FLAGS (evil)"] {
        let fake = Fake::start(vec![greets(Mail::Imap), say(untagged), say("\r\n"), Step::Agree(Mail::Imap)]);
        let gateway = Gateway::start(&plan(Mail::Imap, fake.port));
        let mut client = Mail::Imap.open(&gateway);
        client.send("l LOGIN alice alice-secret\r\n");
        let heard = client.lines_to("l ").concat();
        assert!(!heard.contains(&untagged[4..]), "{heard}");
    }
}
