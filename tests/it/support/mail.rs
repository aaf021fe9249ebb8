//! What IMAP and POP3 have in common, so that one test can try both.

use super::client::Client;
use super::gateway::Gateway;
use super::slapd::password;

/// A protocol, from a client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// RFC 3501.
    Imap,
    /// RFC 1939.
    Pop3,
}

/// Both.
pub const BOTH: [Mail; 2] = [Mail::Imap, Mail::Pop3];

/// How a login is refused, in the words of the table in WIRE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong password, or no such user.
    BadCredentials,
    /// Directory or back-end down, or full.
    Unavailable,
    /// By a rule, a status, a service.
    Policy,
    /// Set up wrongly.
    Misconfigured,
}

impl Mail {
    /// The listener with STARTTLS, and the service's name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
        }
    }

    /// The listener with implicit TLS.
    pub const fn tls_name(self) -> &'static str {
        match self {
            Self::Imap => "imaps",
            Self::Pop3 => "pop3s",
        }
    }

    /// How a greeting, and every other good news without a tag, starts.
    pub const fn ok(self) -> &'static str {
        match self {
            Self::Imap => "* OK ",
            Self::Pop3 => "+OK",
        }
    }

    /// How a connection is turned away before any greeting.
    pub const fn turned_away(self) -> &'static str {
        match self {
            Self::Imap => "* BYE ",
            Self::Pop3 => "-ERR ",
        }
    }

    /// A command that is answered at any time before the login, and how the answer starts.
    pub const fn harmless(self) -> (&'static str, &'static str) {
        match self {
            Self::Imap => ("n NOOP", "n OK"),
            Self::Pop3 => ("NOOP", "+OK"),
        }
    }

    /// The command that asks for TLS, and how consent starts.
    pub const fn start_tls(self) -> (&'static str, &'static str) {
        match self {
            Self::Imap => ("s STARTTLS", "s OK"),
            Self::Pop3 => ("STLS", "+OK"),
        }
    }

    /// Connects by implicit TLS and hears the greeting.
    #[track_caller]
    pub fn open(self, gateway: &Gateway) -> Client {
        let mut client = gateway.connect(self.tls_name()).tls();
        client.expect(self.ok());
        client
    }

    /// The same from another address.
    #[track_caller]
    pub fn open_from(self, source: &str, gateway: &Gateway) -> Client {
        let mut client = gateway.connect_from(source, self.tls_name()).tls();
        client.expect(self.ok());
        client
    }

    /// Connects in the clear, hears the greeting, and upgrades.
    #[track_caller]
    pub fn open_starttls(self, gateway: &Gateway) -> Client {
        let mut client = gateway.connect(self.name());
        client.expect(self.ok());
        let (command, consent) = self.start_tls();
        client.ask_for(command, consent);
        client.tls()
    }

    /// Logs in with the user's own command; the answer, whatever it is.
    #[track_caller]
    pub fn try_login(self, client: &mut Client, user: &str, password: &str) -> String {
        match self {
            Self::Imap => {
                let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                client.send(format!("l LOGIN \"{}\" \"{}\"\r\n", quote(user), quote(password)));
                client.lines_to("l ").pop().expect("the tagged line")
            }
            Self::Pop3 => {
                client.ask_for(&format!("USER {user}"), "+OK");
                client.ask(&format!("PASS {password}"))
            }
        }
    }

    /// Logs in a user of the tests; fails the test when that is refused.
    #[track_caller]
    pub fn login(self, client: &mut Client, user: &str) {
        let answer = self.try_login(client, user, &password(user));
        assert!(self.is_in(&answer), "{self:?} login of {user}: {answer}");
    }

    /// Connects by implicit TLS and logs in a user of the tests.
    #[track_caller]
    pub fn session(self, gateway: &Gateway, user: &str) -> Client {
        let mut client = self.open(gateway);
        self.login(&mut client, user);
        client
    }

    /// Whether the answer to a login is yes.
    pub fn is_in(self, answer: &str) -> bool {
        match self {
            Self::Imap => answer.starts_with("l OK"),
            Self::Pop3 => answer.starts_with("+OK"),
        }
    }

    /// Fails the test when the answer to a login is not this refusal.
    #[track_caller]
    pub fn refused(self, answer: &str, why: Refusal) {
        assert!(self.is_refusal(answer, why), "{self:?}: expected {why:?}, got {answer:?}");
    }

    /// Fails the test when the answer blames the client, or is no refusal at all.
    #[track_caller]
    pub fn refused_as_no_fault_of_the_client(self, answer: &str) {
        let fine = [Refusal::Unavailable, Refusal::Misconfigured].iter().any(|&why| self.is_refusal(answer, why));
        assert!(fine, "{self:?}: expected Unavailable or Misconfigured, got {answer:?}");
    }

    fn is_refusal(self, answer: &str, why: Refusal) -> bool {
        let start = match (self, why) {
            (Self::Imap, Refusal::BadCredentials) => "l NO [AUTHENTICATIONFAILED] ",
            (Self::Imap, Refusal::Unavailable) => "l NO [UNAVAILABLE] ",
            (Self::Imap, Refusal::Policy) => "l NO [AUTHORIZATIONFAILED] ",
            (Self::Imap, Refusal::Misconfigured) => "l NO [SERVERBUG] ",
            (Self::Pop3, Refusal::BadCredentials | Refusal::Policy) => "-ERR [AUTH] ",
            (Self::Pop3, Refusal::Unavailable) => "-ERR [SYS/TEMP] ",
            (Self::Pop3, Refusal::Misconfigured) => "-ERR [SYS/PERM] ",
        };
        answer.starts_with(start)
    }

    /// The name of the server whose seeded message is the mailbox's first.
    #[track_caller]
    pub fn server_of(self, client: &mut Client) -> String {
        let lines = match self {
            Self::Imap => {
                client.send("e EXAMINE INBOX\r\n");
                client.lines_to("e OK");
                client.send("f FETCH 1 BODY.PEEK[TEXT]\r\n");
                client.lines_to("f OK")
            }
            Self::Pop3 => {
                client.ask_for("RETR 1", "+OK");
                client.lines_to(".")
            }
        };
        let text = lines.iter().find_map(|line| line.strip_prefix("This is "));
        text.and_then(|name| name.strip_suffix('.'))
            .unwrap_or_else(|| panic!("no seeded message: {lines:?}"))
            .to_owned()
    }
}
