use crate::proto::cut;
use crate::proto::imap::front::ImapFront;
use crate::proto::{Closing, Denial, Front, Granted, Login, Mechanism, Need, Terms, Tls};

fn terms(tls: Tls) -> Terms {
    Terms {
        hostname: "mx.example".into(),
        greeting: "ready".into(),
        mechanisms: [Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2, Mechanism::OAuthBearer].into(),
        tls,
        cleartext: false,
        bad_commands: 10,
        failed_logins: 3,
    }
}

/// The password is "pw"; alice's back-end is down, bob's says everything, and mallory may not come in.
fn judge(login: &Login) -> Result<Granted, Denial> {
    use crate::proto::Credential::{Master, Password, Token};
    let (Password(secret) | Token(_, secret)) = &login.credential else {
        unreachable!("{Master:?}", Master = "master")
    };
    match login.user.as_str() {
        "down" => Err(Denial::Unavailable),
        "full" => Err(Denial::Limit),
        "mallory" => Err(Denial::Policy),
        "broken" => Err(Denial::Misconfigured),
        "quiet" if secret.expose() == "pw" => Ok(Granted::default()),
        _ if secret.expose() == "pw" => {
            Ok(Granted { text: "Logged in as you".to_owned(), capabilities: Some("IMAP4rev1 IDLE MOVE".to_owned()) })
        }
        _ => Err(Denial::BadCredentials),
    }
}

/// Inside TLS, under every cut.
fn talk(input: &[u8]) -> String {
    talk_on(&terms(Tls::Active), &[input])
}

fn talk_on(terms: &Terms, rounds: &[&[u8]]) -> String {
    cut::front(|| Box::new(ImapFront::new(terms.clone())), judge, rounds)
}

fn talk_uncut(terms: &Terms, input: &[u8]) -> String {
    cut::front_uncut(|| Box::new(ImapFront::new(terms.clone())), judge, &[input])
}

fn b64(message: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(message)
}

const GRANTED: &str = "a OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in as you\n";
const ALICE: &str = "(login plain alice password pw)\na OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in as you\n";
const FAILED: &str = "a NO [AUTHENTICATIONFAILED] Authentication failed.\n";

#[test]
fn the_greeting_and_the_capabilities_say_what_works_here_and_now() {
    let greeting = |terms: Terms| {
        let mut say = Vec::new();
        ImapFront::new(terms).greet(&mut say);
        String::from_utf8(say).expect("UTF-8")
    };
    let common = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE";
    let auth = " AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER";
    assert_eq!(greeting(terms(Tls::Active)), format!("{common}{auth}] mx.example ready\r\n"));
    assert_eq!(greeting(terms(Tls::Offered)), format!("{common} STARTTLS LOGINDISABLED] mx.example ready\r\n"));
    assert_eq!(greeting(terms(Tls::Unavailable)), format!("{common} LOGINDISABLED] mx.example ready\r\n"));
    let open = Terms { cleartext: true, ..terms(Tls::Offered) };
    assert_eq!(greeting(open), format!("{common} STARTTLS{auth}] mx.example ready\r\n"));
    let tokens = Terms { mechanisms: [Mechanism::XOAuth2].into(), ..terms(Tls::Active) };
    assert_eq!(greeting(tokens), format!("{common} AUTH=XOAUTH2 LOGINDISABLED] mx.example ready\r\n"));
}

#[test]
fn the_small_commands_are_answered() {
    assert_eq!(
        talk(b"a CAPABILITY\r\nb NOOP\r\nc ID NIL\r\nd ENABLE X\r\ne LOGOUT\r\nf NOOP\r\n"),
        "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER\n\
         a OK Capability completed.\n\
         b OK NOOP completed.\n\
         * ID (\"name\" \"Portcullis\")\nc OK ID completed.\n\
         * ENABLED\nd OK ENABLE ignored before the login.\n\
         * BYE Logging out\ne OK Logout completed.\n(close LoggedOut)\n"
            .replace("f NOOP", "")
    );
}
