//! A mail store as small as can be: one user, one message, in memory; enough for the demo.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{imap, pop3};
use crate::proto::Protocol;

/// One user's mail.
#[derive(Debug)]
pub(super) struct Store {
    pub name: String,
    pub message: String,
    user: String,
    password: String,
}

/// A command's answer; `None` ends the connection after `say`.
pub(super) trait Conversation: Send {
    fn greet(&self) -> String;
    fn answer(&mut self, line: &str, say: &mut String) -> Option<()>;
}

impl Store {
    pub(super) fn new(name: &str, user: &str, password: &str) -> Arc<Self> {
        let message = format!(
            "From: Postmaster <postmaster@example.com>\r\nTo: {user}@example.com\r\nSubject: Hello from {name}\r\n\
             Message-ID: <hello@{name}>\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\n\
             {user}, this message is on {name}, and Portcullis found it for you.\r\n"
        );
        Arc::new(Self { name: name.into(), message, user: user.into(), password: password.into() })
    }

    pub(super) fn lets_in(&self, user: &str, password: &str) -> bool {
        self.user == user && self.password == password
    }

    /// Whether it speaks this protocol: it holds mail, and sends none.
    pub(super) const fn speaks(protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap | Protocol::Pop3 => true,
            Protocol::Submission | Protocol::Smtp => false,
        }
    }

    /// Listens, and serves in tasks of its own; returns the port.
    pub(super) async fn serve(self: &Arc<Self>, protocol: Protocol, address: &str, port: u16) -> io::Result<u16> {
        let listener = TcpListener::bind((address, port)).await?;
        let port = listener.local_addr()?.port();
        let store = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let conversation: Box<dyn Conversation> = match protocol {
                    Protocol::Imap => Box::new(imap::Imap::new(store.clone())),
                    Protocol::Pop3 => Box::new(pop3::Pop3::new(store.clone())),
                    Protocol::Submission | Protocol::Smtp => continue,
                };
                tokio::spawn(converse(stream, conversation));
            }
        });
        Ok(port)
    }
}

async fn converse(stream: TcpStream, mut conversation: Box<dyn Conversation>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(conversation.greet().as_bytes()).await?;
    loop {
        let mut line = Vec::new();
        if (&mut stream).take(LINE_MAX).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let mut say = String::new();
        let going_on = conversation.answer(String::from_utf8_lossy(&line).trim_end(), &mut say);
        stream.write_all(say.as_bytes()).await?;
        if going_on.is_none() {
            return stream.shutdown().await;
        }
    }
}

const LINE_MAX: u64 = 8 * 1024;
