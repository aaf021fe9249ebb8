//! A mail store as small as can be: one user, whose mailbox is in memory; enough for the demo.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::mailboxes::Mailboxes;
use super::{imap, pop3, submission};
use crate::proto::Protocol;

/// The server of one user.
#[derive(Debug)]
pub(super) struct Store {
    pub name: String,
    pub user: String,
    /// Of all users: mail is sent to the others.
    pub mailboxes: Mailboxes,
    password: String,
    address: String,
}

/// A protocol's side of a connection.
pub(super) trait Conversation: Send {
    fn greet(&self) -> String;
    /// Answers one line, which comes without its end; `None` closes the connection after `say`.
    fn answer(&mut self, line: &str, say: &mut String) -> Option<()>;
}

impl Store {
    pub(super) fn new(name: &str, user: &str, password: &str, mailboxes: Mailboxes) -> Arc<Self> {
        let address = format!("{user}@example.com");
        let message = format!(
            "From: Postmaster <postmaster@example.com>\r\nTo: {address}\r\nSubject: Hello from {name}\r\n\
             Message-ID: <hello@{name}>\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\n\
             {user}, this message is on {name}, and Portcullis found it for you.\r\n"
        );
        mailboxes.open(&address, &message);
        Arc::new(Self { name: name.into(), user: user.into(), mailboxes, password: password.into(), address })
    }

    pub(super) fn lets_in(&self, user: &str, password: &str) -> bool {
        self.user == user && self.password == password
    }

    /// The user's messages.
    pub(super) fn messages(&self) -> Vec<Arc<str>> {
        self.mailboxes.messages(&self.address)
    }

    /// Whether it speaks this protocol: it takes no mail from other servers.
    pub(super) const fn speaks(protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap | Protocol::Pop3 | Protocol::Submission => true,
            Protocol::Smtp => false,
        }
    }

    /// Listens, and serves in tasks of its own; returns the port.
    pub(super) async fn serve(self: &Arc<Self>, protocol: Protocol, address: &str, port: u16) -> io::Result<u16> {
        let listener = TcpListener::bind((address, port)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(self.clone().accept(protocol, listener));
        Ok(port)
    }

    async fn accept(self: Arc<Self>, protocol: Protocol, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = places.clone().acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_BACKOFF).await;
                continue;
            };
            let conversation: Box<dyn Conversation> = match protocol {
                Protocol::Imap => Box::new(imap::Imap::new(self.clone())),
                Protocol::Pop3 => Box::new(pop3::Pop3::new(self.clone())),
                Protocol::Submission => Box::new(submission::Submission::new(self.clone())),
                Protocol::Smtp => return,
            };
            tokio::spawn(async move {
                let _ = converse(stream, conversation).await;
                drop(place);
            });
        }
    }
}

/// Until one side closes the connection, or a line is too long, or nothing moves for [`SILENCE_MAX`].
async fn converse(stream: TcpStream, mut conversation: Box<dyn Conversation>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(conversation.greet().as_bytes()).await?;
    loop {
        let mut line = Vec::new();
        timeout(SILENCE_MAX, (&mut stream).take(LINE_MAX).read_until(b'\n', &mut line)).await??;
        // A lone LF is a line end too, also in a message: no other server reads it after this one.
        let Some(line) = line.strip_suffix(b"\n") else { return Ok(()) };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut say = String::new();
        let going_on = conversation.answer(&String::from_utf8_lossy(line), &mut say);
        timeout(SILENCE_MAX, stream.write_all(say.as_bytes())).await??;
        if going_on.is_none() {
            return stream.shutdown().await;
        }
    }
}

const LINE_MAX: u64 = 8 * 1024;
const CONNECTIONS_MAX: usize = 200;
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Longer than the gateway leaves a session idle.
const SILENCE_MAX: Duration = Duration::from_secs(3600);
