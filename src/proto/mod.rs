//! The mail protocols as conversations: pure state machines, bytes in, bytes out.
//!
//! Nothing here knows a socket, a clock, a task or the configuration; a test drives each half with byte strings.
//! A protocol is one folder with two halves: a [`Front`] that faces the client until it has logged in, and a [`Back`]
//! that logs in at the user's back-end. What they need from the world they say as a [`Need`] or an [`Ask`].

use std::sync::Arc;

use bytes::BytesMut;

#[cfg(test)]
pub(crate) mod cut;
mod error_budget;
pub mod greeting;
pub mod imap;
pub mod line;
mod login;
pub mod mail;
pub mod pop3;
pub mod sasl;
pub mod smtp;
mod stage;

pub use login::{Credential, Denial, Granted, Identity, Login, LoginFailure, LoginPlan, Refused, RefusedHere, Retry};
pub use mail::{Answer, Mail, MailRequest, Recipient};
pub use sasl::Mechanism;
use smtp::pipelining::UnauthorizedPipelining;
use smtp::text::BareNewline;
pub use stage::Stage;

/// Every protocol that Portcullis speaks: the only list of them, and the factory of their halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// RFC 3501 and RFC 9051.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 6409: SMTP for users who log in and send.
    Submission,
    /// RFC 5321 from other servers: each message is taken, and goes where its recipients live.
    Smtp,
}

impl Protocol {
    /// All of them, in the order in which they are declared and an operator reads them.
    pub const ALL: [Self; 4] = [Self::Imap, Self::Pop3, Self::Submission, Self::Smtp];

    /// The name in YAML, logs and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
            Self::Smtp => "smtp",
        }
    }

    /// The protocol of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Where it stands in [`ALL`](Self::ALL), from 0.
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// The registered port without implicit TLS.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Submission => 587,
            Self::Smtp => 25,
        }
    }

    /// The registered port with implicit TLS (RFC 8314); `None` = there is none, and STARTTLS is spoken instead.
    #[must_use]
    pub const fn tls_port(self) -> Option<u16> {
        match self {
            Self::Imap => Some(993),
            Self::Pop3 => Some(995),
            Self::Submission => Some(465),
            Self::Smtp => None,
        }
    }

    /// The ALPN protocol ids, best first; a client that offers others only is refused, as RFC 7301 §3.2 says: what it
    /// believes to be a web server must not be this port (the ALPACA attack). IANA has none for SMTP; these two are
    /// what Exim offers and takes.
    #[must_use]
    pub const fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Imap => &[b"imap"],
            Self::Pop3 => &[b"pop3"],
            Self::Submission | Self::Smtp => &[b"smtp", b"esmtp"],
        }
    }

    /// As what a client logs in: who logs in on port 25 wants to submit.
    #[must_use]
    pub const fn login(self) -> Self {
        match self {
            Self::Smtp => Self::Submission,
            other => other,
        }
    }

    /// Whether a back-end can log a user in by our word alone (XCLIENT LOGIN=).
    #[must_use]
    pub const fn supports_xclient_login(self) -> bool {
        match self {
            Self::Imap | Self::Pop3 => false,
            Self::Submission | Self::Smtp => true,
        }
    }

    /// The half that faces a client.
    #[must_use]
    pub fn front(self, config: FrontConfig) -> Box<dyn Front> {
        match self {
            Self::Imap => Box::new(imap::front::ImapFront::new(config)),
            Self::Pop3 => Box::new(pop3::front::Pop3Front::new(config)),
            Self::Submission => Box::new(smtp::front::SmtpFront::new(config)),
            Self::Smtp => Box::new(smtp::front::SmtpFront::taking_mail(config)),
        }
    }

    /// The half that logs in at a back-end.
    #[must_use]
    pub fn back(self, plan: LoginPlan) -> Box<dyn Back> {
        match self {
            Self::Imap => Box::new(imap::back::ImapBack::new(plan)),
            Self::Pop3 => Box::new(pop3::back::Pop3Back::new(plan)),
            Self::Submission | Self::Smtp => Box::new(smtp::back::SmtpBack::new(plan)),
        }
    }

    /// The last words before, or instead of, a conversation; whole lines, ready to be written.
    #[must_use]
    pub const fn goodbye(self, why: Goodbye) -> &'static str {
        match self {
            Self::Imap => imap::goodbye(why),
            Self::Pop3 => pop3::goodbye(why),
            Self::Submission | Self::Smtp => smtp::goodbye(why),
        }
    }

    /// What a session that is being relayed may be told before it is closed, at a line border; `None` where the
    /// protocol has no such words (RFC 1939 §3: an idle POP3 session ends without a response), or where nobody who
    /// is blind can know the border (a message may be under way).
    #[must_use]
    pub const fn goodbye_while_relaying(self, why: Goodbye) -> Option<&'static str> {
        match self {
            Self::Imap => Some(imap::goodbye(why)),
            Self::Pop3 | Self::Submission | Self::Smtp => None,
        }
    }
}

/// Why the gateway ends a connection by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// An access list or a block says no; trying again does not help.
    Forbidden,
    /// A limit is reached; trying later may help.
    TooMany,
    /// The login deadline, or the idle time-out, has passed.
    TimedOut,
    /// The gateway is being stopped.
    ShuttingDown,
    /// An administrator ends the session.
    Kicked,
}

/// What a front offers and tolerates; fixed for one session.
#[derive(Debug, Clone)]
pub struct FrontConfig {
    /// The gateway's name, said in greetings.
    pub hostname: Arc<str>,
    /// The text of the greeting behind the protocol's own words.
    pub greeting: Arc<str>,
    /// The SASL mechanisms that are offered, best first.
    pub mechanisms: Arc<[Mechanism]>,
    /// What TLS is to this session at its start.
    pub tls: Tls,
    /// Whether a password may come while the session is not [`Tls::Active`].
    pub cleartext: bool,
    /// Wrong commands in one session; the one that reaches this number ends it. At least 1.
    pub bad_commands: u32,
    /// Failed logins in one session; the one that reaches this number ends it. At least 1.
    pub failed_logins: u32,
    /// What every back-end that the session may end at offers in its answer to EHLO (`SIZE 1000`); may be empty.
    pub extensions: Arc<[Box<str>]>,
    /// Whether a client's address may vouch for it: a MAIL without a login is then asked about, as a login by
    /// [`Credential::Trusted`] whose user is still to be found.
    pub vouching: bool,
    /// What becomes of bare CRs and LFs in a message, where messages are taken ([`Protocol::Smtp`]).
    pub bare_newline: BareNewline,
    /// What becomes of a client that sends commands before their turn; [`Protocol::Smtp`] only.
    pub unauthorized_pipelining: UnauthorizedPipelining,
}

/// What TLS is to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is none on this listener.
    Unavailable,
    /// STARTTLS is offered.
    Offered,
    /// The session is inside TLS.
    Active,
}

/// The client-facing half of a protocol, until the login is granted.
///
/// The driver writes what a call has put into `say` before it acts on the need, and reads only on [`Need::Input`].
pub trait Front: Send {
    /// The greeting.
    fn greet(&mut self, say: &mut Vec<u8>);

    /// Consumes whole commands from `heard`, answers into `say`, and stops at the first need.
    ///
    /// Bytes of an unfinished command stay in `heard`: a conversation keeps no buffer of its own, so STARTTLS can
    /// forget what was heard in the clear and the relay can inherit what was heard early. When it returns
    /// [`Need::Input`], at most [`HEARD_MAX`] bytes are left in `heard`; more than that is the peer's violation.
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Need;

    /// TLS is now active; all that was learnt before is forgotten, but for the counts of errors.
    fn secured(&mut self);

    /// The login that was asked for last is refused.
    fn deny(&mut self, denial: Denial, say: &mut Vec<u8>);

    /// The login that was asked for last is granted; the front is not called again.
    fn grant(&mut self, granted: &Granted, say: &mut Vec<u8>);

    /// What becomes of the [`Need::MailRequest`] that was asked last: see [`MailRequest`] for when it is called. Only a front that
    /// asks such a thing is answered; others need not know of it.
    fn answer(&mut self, answer: &Answer, say: &mut Vec<u8>) {
        let _ = (answer, say);
    }

    /// The logins that were refused here, without [`Need::Login`], since the last call: for the log and the counts.
    fn refused_here(&mut self) -> Vec<RefusedHere>;
}

/// How many bytes of an unfinished command a half may leave in `heard`: the longest is IMAP's ID of 64 KiB.
pub const HEARD_MAX: usize = 65 * 1024;

/// What a front needs next.
#[derive(Debug)]
pub enum Need {
    /// More bytes.
    Input,
    /// A TLS handshake. The go-ahead is in `say`; whatever is left in `heard` was injected and ends the session.
    StartTls,
    /// An answer to this login: [`Front::deny`] or [`Front::grant`].
    Login(Login),
    /// A part of a message, to be passed on: [`Front::answer`].
    MailRequest(MailRequest),
    /// The end of the session; the last words are in `say`.
    Close(Closing),
}

/// Why a front ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The client said so (LOGOUT, QUIT).
    LoggedOut,
    /// More commands came before a login than any client needs.
    TooManyCommands,
    /// `bad_commands` was reached.
    TooManyBadCommands,
    /// `failed_logins` was reached.
    TooManyFailedLogins,
    /// Something no client sends by mistake; the word is a metric label, such as `line_too_long`.
    Violation(&'static str),
}

/// The back-end-facing half of a protocol, until it has logged in.
pub trait Back: Send {
    /// Consumes whole replies from `heard`, writes commands into `say`, and stops at the first ask.
    ///
    /// Called first with nothing heard. The same rules as for [`Front::step`], and: whatever is left in `heard` at
    /// [`Ask::Granted`] belongs to the client.
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask;

    /// TLS is now active.
    fn secured(&mut self);

    /// What it is waiting for now.
    fn stage(&self) -> Stage;
}

/// What a back half needs next.
#[derive(Debug)]
pub enum Ask {
    /// More bytes.
    Input,
    /// A TLS handshake. Whatever is left in `heard` was injected and ends the attempt.
    StartTls,
    /// Nothing: the user is logged in.
    Granted(Granted),
    /// Nothing: the attempt is over.
    Refused(Refused),
}
