//! How a login is said to a back-end: the command, and what follows at each `+`.
//!
//! It stands apart because it is a pure choice: credential and capabilities in, lines out.

use std::fmt::Write as _;
use std::vec::IntoIter;

use zeroize::Zeroizing;

use super::reply::Capabilities;
use crate::proto::sasl::{candidates, responses};
use crate::proto::{Credential, Identity, Mechanism};

/// What is said to log in: the first part at once, each further part at a `+`, and not before.
#[derive(Debug)]
pub(super) struct Script {
    parts: IntoIter<Zeroizing<String>>,
    /// So many parts must still be said before an OK can be meant for this login.
    owed: usize,
}

impl Script {
    /// The next part, with its line end; `None` when a `+` is not expected any more.
    pub(super) fn next(&mut self) -> Option<Zeroizing<String>> {
        self.owed = self.owed.saturating_sub(1);
        self.parts.next()
    }

    /// Whether all has been said that proves who the user is.
    pub(super) const fn is_told(&self) -> bool {
        self.owed == 0
    }

    /// The script, or why there is none: a password goes only where the back-end says that it takes one.
    ///
    /// A plain name and password go by LOGIN in quotes, which everybody understands; a `"`, a `\` or a byte above
    /// 0x7F is safer in base64, if PLAIN is offered; only then come escapes and literals.
    pub(super) fn new(user: &str, credential: &Credential, offered: &Capabilities) -> Result<Self, &'static str> {
        let command = match credential {
            Credential::Password(password) if !offered.has("LOGINDISABLED") => Some((user, password.expose())),
            Credential::Password(_)
            | Credential::Token(..)
            | Credential::Master { .. }
            | Credential::Trusted
            | Credential::Nobody => None,
        };
        if let Some((user, password)) = command
            && [user, password].into_iter().all(is_plain)
        {
            return Ok(Self::of(vec![quoted_login(user, password)], 1));
        }
        let mechanism = candidates(credential).iter().find(|mechanism| offered.has_auth(mechanism.wire_name()));
        let said = mechanism.and_then(|mechanism| Some((*mechanism, responses(*mechanism, user, credential)?)));
        match (said, command) {
            (Some((mechanism, said)), _) => Ok(Self::authenticate(mechanism, said, offered.has("SASL-IR"))),
            (None, Some((user, password))) => Ok(Self::login(user, password, offered)),
            (None, None) => Err("no usable mechanism is offered"),
        }
    }

    fn of(parts: Vec<Zeroizing<String>>, owed: usize) -> Self {
        Self { parts: parts.into_iter(), owed }
    }

    /// LOGIN as a mechanism never takes its name in the command: some servers would not understand it.
    fn authenticate(mechanism: Mechanism, said: Vec<Zeroizing<String>>, sasl_ir: bool) -> Self {
        let owed = match mechanism {
            Mechanism::Plain | Mechanism::XOAuth2 | Mechanism::OAuthBearer => 1,
            Mechanism::Login => 2,
        };
        let command = ["L AUTHENTICATE ", mechanism.wire_name()];
        let mut said = said.into_iter();
        let (mut parts, owed) = match (sasl_ir, mechanism) {
            (true, Mechanism::Plain | Mechanism::XOAuth2 | Mechanism::OAuthBearer) => {
                let first = said.next().unwrap_or_default();
                (vec![concat(&[command[0], command[1], " ", &first, "\r\n"])], owed)
            }
            (true, Mechanism::Login) | (false, _) => (vec![concat(&[command[0], command[1], "\r\n"])], owed + 1),
        };
        parts.extend(said.map(|line| concat(&[&line, "\r\n"])));
        Self::of(parts, owed)
    }

    /// Where quotes cannot carry it: literals, in one go where the back-end takes them so (RFC 7888).
    fn login(user: &str, password: &str, offered: &Capabilities) -> Self {
        if [user, password].into_iter().all(is_printable) {
            return Self::of(vec![quoted_login(user, password)], 1);
        }
        let (users, passwords) = (user.len().to_string(), password.len().to_string());
        let short = user.len().max(password.len()) <= 4096;
        if offered.has("LITERAL+") || offered.has("LITERAL-") && short {
            let all = ["L LOGIN {", &users, "+}\r\n", user, " {", &passwords, "+}\r\n", password, "\r\n"];
            return Self::of(vec![concat(&all)], 1);
        }
        let parts = vec![
            concat(&["L LOGIN {", &users, "}\r\n"]),
            concat(&[user, " {", &passwords, "}\r\n"]),
            concat(&[password, "\r\n"]),
        ];
        Self::of(parts, 3)
    }
}

/// Who is behind us, in Dovecot's words for it, which other servers log. Written in one go: every login says it.
pub(super) fn identification(identity: &Identity) -> String {
    let (client, gateway) = (identity.client, identity.gateway);
    let mut line = String::with_capacity(320);
    line.push_str("I ID (\"name\" \"portcullis\" \"x-session-id\" ");
    push_quoted(&mut line, &identity.session);
    // Nothing of the rest can hold a quote, and a String takes all that is written.
    let _ = write!(
        line,
        " \"x-originating-ip\" \"{}\" \"x-originating-port\" \"{}\" \"x-connected-ip\" \"{}\" \"x-connected-port\" \"{}\" \
         \"x-proxy-ttl\" \"{}\")\r\n",
        client.ip().to_canonical(),
        client.port(),
        gateway.ip().to_canonical(),
        gateway.port(),
        identity.ttl,
    );
    line
}

/// One allocation, large enough: a string that grows leaves copies that nobody wipes.
fn quoted_login(user: &str, password: &str) -> Zeroizing<String> {
    let most = 2 * (user.len() + password.len()) + "L LOGIN \"\" \"\"\r\n".len();
    let mut line = Zeroizing::new(String::with_capacity(most));
    line.push_str("L LOGIN ");
    push_quoted(&mut line, user);
    line.push(' ');
    push_quoted(&mut line, password);
    line.push_str("\r\n");
    line
}

/// In quotes; only for what is printable.
pub(super) fn quoted(text: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
    push_quoted(&mut quoted, text);
    quoted
}

fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            line.push('\\');
        }
        line.push(char);
    }
    line.push('"');
}

fn is_plain(text: &str) -> bool {
    is_printable(text) && !text.contains(['"', '\\'])
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// One allocation of the right size: a string that grows leaves copies that nobody wipes.
fn concat(parts: &[&str]) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        whole.push_str(part);
    }
    whole
}
