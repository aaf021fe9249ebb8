//! One message at one server: MAIL, its recipients, its text, and the server's word on each.
//!
//! It stands apart as the only place that writes to such a server. What it could not pass on whole it ends by closing
//! the connection without an end of data, and then the server has no message.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use super::login::HOPS;
use super::record::Record;
use crate::backend::{Candidates, Lease, LoggedIn, LoginRequest, Server};
use crate::metrics::Metrics;
use crate::proto::smtp::delivery::Delivery;
use crate::proto::smtp::text::Chunks;
use crate::proto::{Answer, Credential, Denial, Mail, Recipient};
use crate::wire::{Lost, Wire};

mod pace;
mod text;

use pace::{Pace, silence};

/// See the module. Dropped before [`settle`](Self::settle), it counts as abandoned.
pub(super) struct Transaction {
    /// Its name in the log.
    session: String,
    metrics: Arc<Metrics>,
    lease: Lease,
    delivery: Delivery,
    /// `None` once it was lost, or given up.
    server: Option<Wire>,
    /// What the client is told from then on.
    last_word: Answer,
    recipients: u32,
    bytes: u64,
    /// Of a message in chunks (RFC 3030).
    chunks: Chunks,
    since: Instant,
    /// Of the text, once it has begun.
    pace: Option<Pace>,
    outcome: &'static str,
}

impl Transaction {
    /// Connects to the first of these servers that is there; MAIL comes next.
    ///
    /// # Errors
    /// What every recipient is to be told.
    pub(super) async fn open(
        session: &Session,
        mail: &Mail,
        candidates: &Candidates,
        record: &mut Record,
    ) -> Result<Self, Answer> {
        let request = LoginRequest {
            protocol: session.context.protocol(),
            hostname: &session.parts.hostname,
            given_name: "",
            backend_name: None,
            credential: &Credential::Nobody,
            identity: &session.identity(Some(&mail.helo), HOPS - 1, record),
        };
        let goes_to = |server: &Arc<Server>| record.goes_to(Some(server.shared_name()));
        let opened = session.parts.backends.log_in(candidates, &request, goes_to).await;
        let LoggedIn { wire, granted, lease } = opened.map_err(|failure| {
            record.cannot_deliver(&failure);
            Answer::denied(failure.denial)
        })?;
        Ok(Self {
            session: record.id(),
            metrics: session.parts.metrics.clone(),
            lease,
            delivery: Delivery::new(granted.extensions),
            server: Some(wire),
            last_word: Answer::denied(Denial::Unavailable),
            recipients: 0,
            bytes: 0,
            chunks: Chunks::default(),
            since: Instant::now(),
            pace: None,
            outcome: "abandoned",
        })
    }

    /// MAIL; without a yes there is nothing more to do here.
    pub(super) async fn mail(&mut self, mail: &Mail) -> Answer {
        let mut command = Vec::new();
        let answer = match self.delivery.mail(mail, &mut command) {
            Ok(()) => self.ask(&command, COMMAND).await,
            Err(answer) => answer,
        };
        if !answer.is_yes() {
            self.settle(&answer);
        }
        answer
    }

    /// RCPT, by the address that it has there.
    pub(super) async fn recipient(&mut self, recipient: &Recipient, address: &str) -> Answer {
        let mut command = Vec::new();
        let answer = match self.delivery.recipient(recipient, address, &mut command) {
            Ok(()) => self.ask(&command, COMMAND).await,
            Err(answer) => answer,
        };
        self.recipients += u32::from(answer.is_yes());
        answer
    }

    /// Whether there is no server any more whose word the last answer could have been.
    pub(super) const fn is_lost(&self) -> bool {
        self.server.is_none()
    }

    /// How long the client may take for its next command: an hour in all, and each time no longer than `idle`.
    pub(super) fn command_timeout(&self, idle: Duration) -> Duration {
        IN_ALL.saturating_sub(self.since.elapsed()).min(self.silence(idle))
    }

    /// How long the client may say nothing while it holds a place here.
    fn silence(&self, idle: Duration) -> Duration {
        let server = self.lease.server();
        silence(idle, server.connections(), server.max_connections())
    }

    /// How many recipients the server has accepted.
    pub(super) const fn recipients(&self) -> u32 {
        self.recipients
    }

    /// `accepted`, `deferred`, `refused`; `abandoned` as long as the server has not spoken.
    pub(super) const fn outcome(&self) -> &'static str {
        self.outcome
    }

    /// How many bytes of text were passed on.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The server has said its last word on the message.
    pub(super) fn settle(&mut self, answer: &Answer) {
        self.outcome = match answer.code() {
            200..=299 => "accepted",
            500..=599 => "refused",
            // What is no answer is told as a 4xx of our own.
            _ => "deferred",
        };
    }

    /// Leaves the server politely, if it is at a point where that is understood.
    pub(super) async fn quit(mut self) {
        if let Some(mut wire) = self.server.take() {
            wire.deadline = Instant::now() + QUIT_TIMEOUT;
            let mut command = Vec::new();
            self.delivery.quit(&mut command);
            let _: Result<(), Lost> = wire.say(&command).await;
            wire.close().await;
        }
    }

    /// From now on there is no server, and this is its last word.
    fn give_up(&mut self, answer: Answer) {
        self.server = None;
        self.last_word = answer;
    }

    /// One command, one answer: whatever came before the command is no answer to it.
    async fn ask(&mut self, command: &[u8], patience: Duration) -> Answer {
        if self.server.as_ref().is_some_and(|wire| !wire.heard.is_empty()) {
            self.lose(OUT_OF_TURN);
        }
        self.say(command).await;
        self.hear(patience).await
    }

    /// What cannot be said is known by the next answer: the server may have refused the text before its end.
    async fn say(&mut self, bytes: &[u8]) {
        let Some(wire) = self.server.as_mut().filter(|_| !bytes.is_empty()) else { return };
        wire.deadline = Instant::now() + BLOCK;
        if let Err(lost) = wire.say(bytes).await {
            let answer = self.hear(QUIT_TIMEOUT).await;
            if answer.is_no() {
                self.last_word = answer;
            }
            self.lose(&lost.to_string());
        }
    }

    /// The next answer, or the last word of a server that is gone.
    async fn hear(&mut self, patience: Duration) -> Answer {
        let until = Instant::now() + patience;
        while let Some(wire) = &mut self.server {
            wire.deadline = until;
            match self.delivery.reply(&mut wire.heard) {
                Ok(Some(said)) => {
                    tracing::debug!(session = self.session, backend = self.lease.server().name(), said.text);
                    // What is behind it would be taken for the next one.
                    if !wire.heard.is_empty() {
                        self.lose(OUT_OF_TURN);
                    }
                    return said.answer;
                }
                Ok(None) => {
                    if let Err(lost) = wire.hear().await {
                        self.lose(&lost.to_string());
                    }
                }
                Err(garbled) => self.lose(&garbled),
            }
        }
        self.last_word.clone()
    }

    fn lose(&mut self, detail: &str) {
        if self.server.take().is_some() {
            tracing::info!(
                session = self.session,
                backend = self.lease.server().name(),
                detail,
                "the back-end is lost"
            );
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.metrics.transactions.with_label_values(&[self.outcome]).inc();
    }
}

const OUT_OF_TURN: &str = "spoke out of turn";
/// From a transaction's first recipient to its text: a place at the server is held as long.
const IN_ALL: Duration = Duration::from_secs(3600);
/// A server's answer to a command, and the room for a block of text there (RFC 5321 §4.5.3.2).
const COMMAND: Duration = Duration::from_secs(5 * 60);
const BLOCK: Duration = Duration::from_secs(3 * 60);
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
