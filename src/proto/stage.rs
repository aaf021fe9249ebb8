//! What a session, or a login at a back-end, is doing: the words that the log has for every time-out and every refusal.

use std::fmt;

/// A step of a session. The order is that of a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A load balancer must announce the client.
    ProxyHeader,
    /// A TLS handshake, with the client or with a back-end.
    TlsHandshake,
    /// The client has not asked to log in yet.
    BeforeLogin,
    /// The client waits for the answer to its login.
    LoggingIn,
    /// Reading the name that the client gave.
    UserName,
    /// Asking the directory for the user.
    Directory,
    /// Asking the directory whether the password is right.
    PasswordCheck,
    /// Asking whose login the client's address stands for.
    AfterPop,
    /// Looking at what an administrator has switched off.
    Switches,
    /// Choosing a server.
    Routing,
    /// Waiting until a server has room for one more connection.
    WaitingForPlace,
    /// Connecting to a server.
    Connecting,
    /// Waiting for a server's greeting.
    Greeting,
    /// Waiting for a server's answer to EHLO.
    Ehlo,
    /// Waiting for a server's answer to STARTTLS.
    StartTls,
    /// Waiting for a server's list of capabilities.
    Capability,
    /// Waiting for a server's answer to XCLIENT.
    Xclient,
    /// Waiting for a server's answer to the login.
    Login,
    /// Port 25: between the client's commands.
    Mail,
    /// Port 25: inside a message's text.
    Message,
}

impl Stage {
    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProxyHeader => "reading PROXY header",
            Self::TlsHandshake => "TLS handshake",
            Self::BeforeLogin => "before login",
            Self::LoggingIn => "logging in",
            Self::UserName => "user name",
            Self::Directory => "directory",
            Self::PasswordCheck => "password check",
            Self::AfterPop => "smtp after pop",
            Self::Switches => "switched off",
            Self::Routing => "back-end",
            Self::WaitingForPlace => "waiting for a place",
            Self::Connecting => "connecting",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::Capability => "capability",
            Self::Xclient => "xclient",
            Self::Login => "login",
            Self::Mail => "between commands",
            Self::Message => "in a message's text",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
