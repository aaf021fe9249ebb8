//! The server's side of a SASL exchange, one line at a time, until it is a [`Login`] or a [`Fault`].
//!
//! ```text
//! new ─▶ Username:/empty challenge ──answer──▶ [LOGIN only: Password: ──answer──▶] Done | Failed
//! ```
//!
//! Nothing is asked of anybody here: what cannot be a login (an empty password, a name with a line end in it) fails
//! before the directory hears of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Mechanism, oauth};
use crate::proto::{Credential, Login};
use crate::secret::Secret;

/// A SASL exchange that waits for the client's next line.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first response: everything, or LOGIN's user name.
    First,
    /// LOGIN's password, after its user name.
    Password(Zeroizing<Vec<u8>>),
}

/// What a client's line has made of the exchange.
#[derive(Debug)]
pub enum Turn {
    /// It goes on: say [`Exchange::challenge`], then give it the next line.
    Challenge(Exchange),
    /// It is complete; the `ttl` is `None`, the protocol's half knows better.
    Done(Login),
    /// It is over.
    Failed(Fault),
}

/// Why an exchange failed here, without anybody having been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The client said `*`.
    #[error("cancelled")]
    Cancelled,
    /// Not strict base64 (RFC 4648 §3): a wrong command, not a wrong password.
    #[error("invalid base64")]
    Syntax,
    /// Over [`Mechanism::line_max`].
    #[error("response too long")]
    TooLong,
    /// Nothing that could be a login: a failed login.
    #[error("no possible credentials")]
    Credentials,
    /// The client wants to act as somebody else; who may is set up with master users, not asked for: a failed login.
    #[error("authorization as another user")]
    Authorization,
}

impl Exchange {
    /// Begins an exchange.
    #[must_use]
    pub const fn new(mechanism: Mechanism) -> Self {
        Self { mechanism, state: State::First }
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What the server says next, behind `+ `: base64, and empty where the client speaks first.
    #[must_use]
    pub const fn challenge(&self) -> &'static str {
        match (self.mechanism, &self.state) {
            (Mechanism::Login, State::First) => "VXNlcm5hbWU6",
            (Mechanism::Login, State::Password(_)) => "UGFzc3dvcmQ6",
            (Mechanism::Plain | Mechanism::XOAuth2 | Mechanism::OAuthBearer, _) => "",
        }
    }

    /// The longest line that [`Exchange::answer`] takes.
    #[must_use]
    pub const fn line_max(&self) -> usize {
        self.mechanism.line_max()
    }

    /// The initial response that came with the command; `=` stands for an empty one (RFC 4959 §3, RFC 5034 §4).
    #[must_use]
    pub fn initial(self, argument: &[u8]) -> Turn {
        if argument == b"=" { self.respond(b"") } else { self.respond(argument) }
    }

    /// The client's answer to the last challenge, without its line end; exactly `*` cancels.
    #[must_use]
    pub fn answer(self, line: &[u8]) -> Turn {
        if line == b"*" { Turn::Failed(Fault::Cancelled) } else { self.respond(line) }
    }

    fn respond(self, base64: &[u8]) -> Turn {
        if base64.len() > self.line_max() {
            return Turn::Failed(Fault::TooLong);
        }
        let Ok(message) = STANDARD.decode(base64).map(Zeroizing::new) else {
            return Turn::Failed(Fault::Syntax);
        };
        let login = match (self.mechanism, self.state) {
            (Mechanism::Login, State::First) => {
                return Turn::Challenge(Self { mechanism: Mechanism::Login, state: State::Password(message) });
            }
            (Mechanism::Login, State::Password(user)) => password_login(Mechanism::Login, &user, &message),
            (Mechanism::Plain, _) => plain(&message),
            (mechanism @ Mechanism::XOAuth2, _) => oauth::xoauth2(&message).and_then(|proof| proof.login(mechanism)),
            (mechanism @ Mechanism::OAuthBearer, _) => {
                oauth::oauthbearer(&message).and_then(|proof| proof.login(mechanism))
            }
        };
        login.map_or_else(Turn::Failed, Turn::Done)
    }
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2): exactly two NULs.
fn plain(message: &[u8]) -> Result<Login, Fault> {
    let mut fields = message.split(|byte| *byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Fault::Credentials);
    };
    let login = password_login(Mechanism::Plain, authcid, password)?;
    if authzid.is_empty() || authzid == authcid { Ok(login) } else { Err(Fault::Authorization) }
}

/// A login by user name and password as a peer sent them, in whatever way.
///
/// A password may hold any other control character: RFC 4616 §2 forbids NUL only, and the back-end or the directory
/// decides, not a gateway in front of it (RFC 8265 §4.2 forbids them where a password is *set*). CR and LF would end a
/// command.
///
/// # Errors
/// [`Fault::Credentials`] when the name is not UTF-8, holds a control character, is empty or longer than 255 bytes, or
/// when the password is not UTF-8, holds CR, LF or NUL, or is empty: an LDAP bind with an empty password succeeds as
/// anonymous (RFC 4513 §5.1.2).
pub fn password_login(mechanism: Mechanism, user: &[u8], password: &[u8]) -> Result<Login, Fault> {
    let user = user_name(user)?;
    let password = Secret::from_bytes(password).map_err(|_| Fault::Credentials)?;
    if password.is_empty() {
        return Err(Fault::Credentials);
    }
    Ok(Login { user, credential: Credential::Password(password), mechanism, ttl: None, helo: None })
}

pub(super) fn user_name(name: &[u8]) -> Result<String, Fault> {
    match std::str::from_utf8(name) {
        Ok(name) if (1..=255).contains(&name.len()) && !name.chars().any(char::is_control) => Ok(name.to_owned()),
        Ok(_) | Err(_) => Err(Fault::Credentials),
    }
}
