//! What the back-end-facing half says to greetings, capabilities, answers and attacks.

use crate::proto::cut;
use crate::proto::imap::back::ImapBack;
use crate::proto::{Back, Credential, Identity, LoginPlan, Mechanism, Stage};
use crate::secret::Secret;

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text).expect("no line end")
}

pub(super) fn plan(credential: Credential) -> LoginPlan {
    let (hostname, user) = ("gw.example.com".into(), "alice".to_owned());
    LoginPlan { hostname, user, credential, starttls: false, identity: None }
}

fn password() -> LoginPlan {
    plan(Credential::Password(secret("pw")))
}

fn identified() -> LoginPlan {
    LoginPlan {
        identity: Some(Identity {
            client: "[::ffff:192.0.2.7]:4711".parse().expect("an address"),
            gateway: "[2001:db8::1]:993".parse().expect("an address"),
            session: "s-1".to_owned(),
            ttl: 4,
            helo: None,
        }),
        ..password()
    }
}

fn secure() -> LoginPlan {
    LoginPlan { starttls: true, ..identified() }
}

pub(super) fn talk(plan: &LoginPlan, rounds: &[&str]) -> String {
    let rounds: Vec<&[u8]> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::back(|| Box::new(ImapBack::new(plan.clone())), &rounds)
}

const HELLO: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN] hello\r\n";
const BARE: &str = "* OK [CAPABILITY IMAP4rev1] hello\r\n";
const LOGIN: &str = "L LOGIN \"alice\" \"pw\"\n";
const ID: &str = "I ID (\"name\" \"portcullis\" \"x-session-id\" \"s-1\" \"x-originating-ip\" \"192.0.2.7\" \
    \"x-originating-port\" \"4711\" \"x-connected-ip\" \"2001:db8::1\" \"x-connected-port\" \"993\" \"x-proxy-ttl\" \"4\")\n";
const IN: &str = "L OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n";

#[test]
fn our_word_alone_lets_nobody_in() {
    let said = talk(&plan(Credential::Trusted), &[HELLO]);
    assert!(said.contains("(refused Misconfigured: ") && !said.contains("LOGIN"), "{said}");
}

#[test]
fn identity_and_login_go_in_one_write() {
    assert_eq!(
        talk(&identified(), &[HELLO, "* ID NIL\r\nI OK done\r\n", IN]),
        format!("{ID}{LOGIN}(granted [IMAP4rev1 IDLE] Logged in)\n")
    );
    // Its refusal is no reason not to log in; and where it is not offered, nothing is told.
    let refused = talk(&identified(), &[HELLO, "I BAD what\r\nL OK [CAPABILITY X] y\r\n"]);
    assert_eq!(refused, format!("{ID}{LOGIN}(granted [X] y)\n"));
    assert_eq!(talk(&identified(), &[BARE, IN]), format!("{LOGIN}(granted [IMAP4rev1 IDLE] Logged in)\n"));
}

#[test]
fn what_comes_behind_the_ok_belongs_to_the_client() {
    let said = talk(&password(), &[HELLO, "L OK [CAPABILITY X] in\r\n* OK [ALERT] later\r\n* B"]);
    assert_eq!(said, format!("{LOGIN}(granted [X] in)\n(rest \"* OK [ALERT] later\\r\\n* B\")\n"));
}

#[test]
fn the_capabilities_are_asked_for_where_the_greeting_has_none() {
    assert_eq!(
        talk(
            &identified(),
            &["* OK hi\r\n", "* CAPABILITY IMAP4rev1 ID\r\nC OK x\r\n", "I OK x\r\nL OK [CAPABILITY X] y\r\n"]
        ),
        format!("C CAPABILITY\n{ID}{LOGIN}(granted [X] y)\n")
    );
    for (reply, why) in [
        ("C BAD x\r\n", "Unavailable: CAPABILITY refused"),
        ("C NO x\r\n", "Unavailable: CAPABILITY refused"),
        ("C OK x\r\n", "Unavailable: protocol: CAPABILITY without a list"),
        ("* CAPABILITY IMAP4\r\nC OK x\r\n", "Misconfigured: neither IMAP4rev1 nor IMAP4rev2 is offered"),
    ] {
        assert_eq!(talk(&password(), &["* OK hi\r\n", reply]), format!("C CAPABILITY\n(refused {why})\n"));
    }
}

#[test]
fn the_capabilities_after_the_login_come_unasked_or_are_asked_for() {
    let said = talk(&password(), &[BARE, "* CAPABILITY A\r\n* CAPABILITY IMAP4rev1 B\r\nL OK in\r\n"]);
    assert_eq!(said, format!("{LOGIN}(granted [IMAP4rev1 B] in)\n"));
    let said = talk(&password(), &[BARE, "L OK in\r\n", "* OK [ALERT] x\r\n* CAPABILITY A B\r\nP OK x\r\n* 1"]);
    assert_eq!(said, format!("{LOGIN}P CAPABILITY\n(granted [A B] in)\n(rest \"* 1\")\n"));
    let said = talk(&password(), &[BARE, "L OK in\r\n", "P NO x\r\n"]);
    assert_eq!(said, format!("{LOGIN}P CAPABILITY\n(granted in)\n"));
    // A list from before the identification was answered is one from before the login.
    let said = talk(&identified(), &[HELLO, "* CAPABILITY A\r\nI OK x\r\nL OK in\r\n", "* CAPABILITY B\r\nP OK x\r\n"]);
    assert_eq!(said, format!("{ID}{LOGIN}P CAPABILITY\n(granted [B] in)\n"));
}

#[test]
fn the_text_of_the_ok_is_printable_and_without_codes() {
    let said = talk(&password(), &[BARE, "L OK [CAPABILITY X] [ALERT] call\x1b[1m \u{e4}\r\n"]);
    assert_eq!(said, format!("{LOGIN}(granted [X] call?[1m ??)\n"));
    let long = format!("L OK [CAPABILITY X] {}\r\n", "x".repeat(3000));
    assert_eq!(talk(&password(), &[BARE, &long]), format!("{LOGIN}(granted [X] {})\n", "x".repeat(512)));
}

#[test]
fn starttls_comes_before_anything_else_and_capabilities_are_read_again() {
    let tls = "* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] hi\r\n";
    let inside = "* CAPABILITY IMAP4rev1 ID\r\nC OK x\r\n";
    let wanted = format!("S STARTTLS\n(starttls)\nC CAPABILITY\n{ID}{LOGIN}(granted [IMAP4rev1 IDLE] Logged in)\n");
    assert_eq!(talk(&secure(), &[tls, "S OK go\r\n", inside, "I OK x\r\n", IN]), wanted);
    assert_eq!(talk(&secure(), &["* OK hi\r\n", "S OK go\r\n", inside, "I OK x\r\n", IN]), wanted);
    // What was offered in the clear is not believed inside.
    let said = talk(
        &secure(),
        &[tls, "* CAPABILITY AUTH=PLAIN SASL-IR\r\nS OK go\r\n", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nC OK x\r\n"],
    );
    assert_eq!(said, "S STARTTLS\n(starttls)\nC CAPABILITY\n(refused Misconfigured: no usable mechanism is offered)\n");
}

#[test]
fn nothing_is_told_in_the_clear_when_starttls_is_not_to_be_had() {
    assert_eq!(talk(&secure(), &[HELLO]), "(refused Unavailable: STARTTLS not supported)\n");
    for reply in ["S NO x\r\n", "S BAD x\r\n", "+ go on\r\n"] {
        let said = talk(&secure(), &["* OK hi\r\n", reply]);
        assert_eq!(said, "S STARTTLS\n(refused Unavailable: STARTTLS not supported: it was refused)\n");
    }
}

#[test]
fn what_was_injected_behind_the_starttls_ok_is_left_for_the_driver_to_refuse() {
    let said = talk(&secure(), &["* OK hi\r\n", "S OK go\r\n* CAPABILITY X\r\nC OK x\r\n"]);
    assert_eq!(said, "S STARTTLS\n(starttls)\n(rest \"* CAPABILITY X\\r\\nC OK x\\r\\n\")\n");
}

#[test]
fn a_greeting_is_a_plain_ok_and_nothing_behind_it() {
    for greeting in ["* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n", "* PREAUTH ready\r\n", "* preauth\r\n"] {
        assert_eq!(talk(&password(), &[greeting]), "(refused Unavailable: protocol: PREAUTH)\n");
        assert_eq!(talk(&secure(), &[greeting]), "(refused Unavailable: protocol: PREAUTH)\n");
    }
    assert_eq!(talk(&password(), &["* BYE [X] busy\x07\r\n"]), "(refused Unavailable: it said BYE [X] busy?)\n");
    for greeting in [
        "220 mx ESMTP\r\n",
        "+OK pop\r\n",
        "\0\x01\r\n",
        "* NO x\r\n",
        "L OK x\r\n",
        "* 5 EXISTS\r\n",
        "\r\n",
        "+ \r\n",
    ] {
        let said = talk(&password(), &[greeting]);
        assert!(said.starts_with("(refused Unavailable: protocol: unexpected "), "{said}");
    }
    // A referral in the greeting is not followed; it is no list of capabilities either.
    assert_eq!(talk(&password(), &["* OK [REFERRAL imaps://evil:993] x\r\n"]), "C CAPABILITY\n");
}

#[test]
fn more_than_a_greeting_before_we_spoke_is_a_violation() {
    // Not a matter of cuts: what comes later may be an answer.
    let mut heard = bytes::BytesMut::from("* OK hi\r\n* LIST () \"/\" x\r\n");
    let mut say = Vec::new();
    let ask = ImapBack::new(password()).step(&mut heard, &mut say);
    assert!(matches!(ask, crate::proto::Ask::Refused(_)) && say.is_empty(), "{ask:?}");
}

#[test]
fn untagged_data_before_the_login_is_swallowed() {
    for data in [
        "* LIST () \"/\" \"x\"\r\n* LSUB () \"/\" x\r\n* STATUS x ()\r\n* SEARCH 1\r\n* FLAGS (x)\r\n",
        "* 5 EXISTS\r\n* 3 RECENT\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 1)\r\n",
        "* OK [ALERT] call +1\r\n* NO [PARSE] x\r\n* BAD [BADCHARSET] x\r\n* OK [REFERRAL imap://evil] x\r\n",
    ] {
        let said = talk(
            &secure(),
            &[
                "* OK hi\r\n",
                &format!("{data}S OK x\r\n"),
                &format!("{data}* CAPABILITY IMAP4rev1\r\n{data}C OK x\r\n"),
                &format!("{data}{IN}"),
            ],
        );
        assert_eq!(
            said,
            format!("S STARTTLS\n(starttls)\nC CAPABILITY\n{LOGIN}(granted [IMAP4rev1 IDLE] Logged in)\n")
        );
    }
}

#[test]
fn a_foreign_or_early_tag_is_a_violation() {
    let violation = "(refused Unavailable: protocol: unexpected reply to the login)\n";
    for reply in
        ["2 OK begin\r\n", "I OK x\r\n", "C OK x\r\n", "l OK x\r\n", "P OK x\r\n", "* PREAUTH x\r\n", "+ x\r\n"]
    {
        assert_eq!(talk(&password(), &[BARE, reply]), format!("{LOGIN}{violation}"), "{reply}");
    }
    assert_eq!(talk(&identified(), &[HELLO, "L OK x\r\n"]), format!("{ID}{LOGIN}{violation}"));
    assert_eq!(talk(&identified(), &[HELLO, "I OK x\r\nI OK x\r\n"]), format!("{ID}{LOGIN}{violation}"));
    assert_eq!(
        talk(&secure(), &["* OK hi\r\n", "L OK x\r\n"]),
        "S STARTTLS\n(refused Unavailable: protocol: unexpected \"L OK x\")\n"
    );
    assert_eq!(
        talk(&password(), &["* OK hi\r\n", "L OK x\r\n"]),
        "C CAPABILITY\n(refused Unavailable: protocol: unexpected \"L OK x\")\n"
    );
    assert_eq!(talk(&password(), &[BARE, "* 1 FETCH (X {3}\r\n"]), format!("{LOGIN}{violation}"));
}

#[test]
fn a_refusal_is_sorted_by_its_code() {
    for (reply, denial) in [
        ("NO wrong", "BadCredentials"),
        ("NO", "BadCredentials"),
        ("NO [AUTHENTICATIONFAILED] x", "BadCredentials"),
        ("NO [AUTHORIZATIONFAILED] x", "BadCredentials"),
        ("NO [EXPIRED] x", "BadCredentials"),
        ("NO [ALERT] x", "BadCredentials"),
        ("BAD x", "BadCredentials"),
        ("NO [unavailable] x", "Unavailable"),
        ("NO [SERVERBUG] x", "Unavailable"),
        ("NO [INUSE] x", "Unavailable"),
        ("NO [CONTACTADMIN] x", "Unavailable"),
        ("NO [REFERRAL imap://alice@evil/] x", "Unavailable"),
        ("NO [LIMIT] x", "Limit"),
        ("NO [PRIVACYREQUIRED] x", "Misconfigured"),
    ] {
        let said = talk(&password(), &[BARE, &format!("L {reply}\r\n")]);
        let words = reply.trim_start_matches("NO").trim_start_matches("BAD").trim_start();
        assert_eq!(said, format!("{LOGIN}(refused {denial}: it refused the login: {words})\n"));
    }
    assert_eq!(
        talk(&password(), &[BARE, "* BYE later\r\nL NO x\r\n"]),
        format!("{LOGIN}(refused Unavailable: it said BYE later)\n")
    );
}

#[test]
fn a_back_end_that_echoes_the_password_is_not_quoted_in_the_log() {
    for echo in ["L NO no such login: alice pw\r\n", "* BYE alice pw\r\n", "L LOGIN \"alice\" \"pw\"\r\n"] {
        let said = talk(&password(), &[BARE, echo]);
        let said = said.strip_prefix(LOGIN).expect("the login");
        assert!(said.starts_with("(refused") && !said.contains("pw"), "{said}");
    }
    let tricky = plan(Credential::Password(secret("ä")));
    let said = talk(&tricky, &[HELLO, "L NO L AUTHENTICATE PLAIN AGFsaWNlAMOk\r\n"]);
    let withheld = "(its words are withheld: the credential is among them))\n";
    assert!(said.ends_with(withheld), "{said}");
    for (password, echo) in [("geheimß", "L NO geheimß\r\n"), ("p\"w", "L NO \"p\\\"w\"\r\n")] {
        let said = talk(&plan(Credential::Password(secret(password))), &[HELLO, echo]);
        assert!(said.ends_with(withheld), "{said}");
    }
}

#[test]
fn a_password_that_quotes_cannot_carry_goes_by_plain_where_it_can() {
    for password in ["p\"w", "p\\w", "pä", "p\tw"] {
        let plan = plan(Credential::Password(secret(password)));
        let plain =
            crate::proto::sasl::responses(Mechanism::Plain, "alice", &plan.credential).expect("PLAIN").remove(0);
        let plain = plain.as_str().to_owned();
        assert_eq!(talk(&plan, &[HELLO]), format!("L AUTHENTICATE PLAIN {plain}\n"));
        // Without SASL-IR only the `+` draws it out.
        let slow = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n";
        assert_eq!(talk(&plan, &[slow]), "L AUTHENTICATE PLAIN\n");
        assert_eq!(
            talk(&plan, &[slow, "+\r\n", IN]),
            format!("L AUTHENTICATE PLAIN\n{plain}\n(granted [IMAP4rev1 IDLE] Logged in)\n")
        );
        assert_eq!(
            talk(&plan, &[slow, "L NO x\r\n"]),
            "L AUTHENTICATE PLAIN\n(refused BadCredentials: it refused the login: x)\n"
        );
    }
}

#[test]
fn without_plain_come_escapes_and_then_literals() {
    let specials = plan(Credential::Password(secret("p\"\\w")));
    assert_eq!(talk(&specials, &[BARE]), "L LOGIN \"alice\" \"p\\\"\\\\w\"\n");
    let utf8 = plan(Credential::Password(secret("pä")));
    assert_eq!(talk(&utf8, &["* OK [CAPABILITY IMAP4rev1 LITERAL+] x\r\n"]), "L LOGIN {5+}\nalice {3+}\npä\n");
    assert_eq!(talk(&utf8, &["* OK [CAPABILITY IMAP4rev1 LITERAL-] x\r\n"]), "L LOGIN {5+}\nalice {3+}\npä\n");
    let long = plan(Credential::Password(secret(&"ä".repeat(2100))));
    assert_eq!(talk(&long, &["* OK [CAPABILITY IMAP4rev1 LITERAL-] x\r\n"]), "L LOGIN {5}\n");
    assert_eq!(talk(&utf8, &[BARE]), "L LOGIN {5}\n");
    assert_eq!(talk(&utf8, &[BARE, "+\r\n"]), "L LOGIN {5}\nalice {3}\n");
    assert_eq!(
        talk(&utf8, &[BARE, "+ x\r\n", "+ x\r\n", IN]),
        "L LOGIN {5}\nalice {3}\npä\n(granted [IMAP4rev1 IDLE] Logged in)\n"
    );
}

#[test]
fn no_part_of_a_password_goes_without_its_plus() {
    let utf8 = plan(Credential::Password(secret("pä")));
    let violation = "(refused Unavailable: protocol: unexpected reply to the login)\n";
    assert_eq!(talk(&utf8, &[BARE, "+ x\r\n", IN]), format!("L LOGIN {{5}}\nalice {{3}}\n{violation}"));
    assert_eq!(talk(&utf8, &[BARE, "+\r\n", "+\r\n", "+\r\n"]), format!("L LOGIN {{5}}\nalice {{3}}\npä\n{violation}"));
    let slow = "* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN LOGINDISABLED] x\r\n";
    assert_eq!(talk(&identified(), &[slow, "+ early\r\n"]), format!("{ID}L AUTHENTICATE PLAIN\n{violation}"));
    assert_eq!(talk(&identified(), &[slow, "I OK x\r\n+ \r\n"]), format!("{ID}L AUTHENTICATE PLAIN\nAGFsaWNlAHB3\n"));
    assert_eq!(talk(&password(), &[slow, IN]), format!("L AUTHENTICATE PLAIN\n{violation}"));
}

#[test]
fn where_login_is_disabled_a_mechanism_is_used_or_nothing_told() {
    let hello = |words: &str| format!("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED {words}] x\r\n");
    assert_eq!(talk(&password(), &[&hello("STARTTLS")]), "(refused Misconfigured: no usable mechanism is offered)\n");
    assert_eq!(talk(&password(), &[&hello("auth=plain sasl-ir")]), "L AUTHENTICATE PLAIN AGFsaWNlAHB3\n");
    let login = "L AUTHENTICATE LOGIN\nYWxpY2U=\ncHc=\n(granted [IMAP4rev1 IDLE] Logged in)\n";
    assert_eq!(
        talk(&password(), &[&hello("AUTH=LOGIN SASL-IR"), "+ VXNlcm5hbWU6\r\n", "+ UGFzc3dvcmQ6\r\n", IN]),
        login
    );
}

#[test]
fn a_master_logs_in_for_the_user_by_plain_or_not_at_all() {
    let master = plan(Credential::Master { name: "proxy".to_owned(), password: secret("pw") });
    assert_eq!(
        talk(&master, &[HELLO, IN]),
        "L AUTHENTICATE PLAIN YWxpY2UAcHJveHkAcHc=\n(granted [IMAP4rev1 IDLE] Logged in)\n"
    );
    assert_eq!(talk(&master, &[BARE]), "(refused Misconfigured: no usable mechanism is offered)\n");
    // The client's password was not asked about: a no is not about it.
    let said = talk(&master, &[HELLO, "L NO [AUTHENTICATIONFAILED] x\r\n"]);
    assert!(said.contains("(refused Misconfigured: "), "{said}");
}

#[test]
fn a_token_goes_by_its_own_mechanism_and_an_error_challenge_is_answered() {
    let hello = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER] x\r\n";
    let xoauth2 = plan(Credential::Token(Mechanism::XOAuth2, secret("t")));
    let first = "dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0AQE=";
    assert_eq!(
        talk(&xoauth2, &[hello, "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n", "L NO [AUTHENTICATIONFAILED] x\r\n"]),
        format!(
            "L AUTHENTICATE XOAUTH2 {first}\n\n(refused BadCredentials: it refused the login: [AUTHENTICATIONFAILED] x)\n"
        )
    );
    assert_eq!(
        talk(&xoauth2, &[hello, IN]),
        format!("L AUTHENTICATE XOAUTH2 {first}\n(granted [IMAP4rev1 IDLE] Logged in)\n")
    );
    let bearer = plan(Credential::Token(Mechanism::OAuthBearer, secret("t")));
    let slow = "* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] x\r\n";
    assert_eq!(
        talk(&bearer, &[slow, "+ \r\n", "+ e30=\r\n", "L NO x\r\n"]),
        "L AUTHENTICATE OAUTHBEARER\nbixhPWFsaWNlLAFhdXRoPUJlYXJlciB0AQE=\nAQ==\n(refused BadCredentials: it refused the login: x)\n"
    );
    assert_eq!(talk(&bearer, &[BARE]), "(refused Misconfigured: no usable mechanism is offered)\n");
}

#[test]
fn a_back_end_that_says_too_much_is_refused() {
    let too_much = "(refused Unavailable: protocol: more was said than a login takes)\n";
    assert_eq!(talk(&password(), &[&format!("* OK {}", "x".repeat(5000))]), too_much);
    assert_eq!(talk(&password(), &[BARE, &"* 5 EXISTS\r\n".repeat(200)]), format!("{LOGIN}{too_much}"));
    assert_eq!(
        talk(&password(), &[BARE, &format!("* {}\r\n", "x".repeat(4000)).repeat(20)]),
        format!("{LOGIN}{too_much}")
    );
}

#[test]
fn a_back_end_that_drips_its_ok_is_waited_for() {
    assert_eq!(
        talk(&password(), &[BARE, "L ", "OK [CAPABILITY X", "] in\r", "\n"]),
        format!("{LOGIN}(granted [X] in)\n")
    );
}

#[test]
fn each_wait_has_a_name() {
    let mut back = ImapBack::new(secure());
    let mut say = Vec::new();
    let mut hear = |back: &mut ImapBack, words: &str| {
        let _ask = back.step(&mut bytes::BytesMut::from(words), &mut say);
        back.stage()
    };
    assert_eq!(hear(&mut back, ""), Stage::Greeting);
    assert_eq!(hear(&mut back, "* OK hi\r\n"), Stage::StartTls);
    assert_eq!(hear(&mut back, "S OK hi\r\n"), Stage::StartTls);
    back.secured();
    assert_eq!(hear(&mut back, ""), Stage::Capability);
    assert_eq!(hear(&mut back, "* CAPABILITY IMAP4rev1\r\nC OK x\r\n"), Stage::Login);
    assert_eq!(hear(&mut back, "L OK x\r\n"), Stage::Capability);
}
