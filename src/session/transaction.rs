//! One message at one server: MAIL, its recipients, its text, and the server's word on each.
//!
//! It stands apart as the only place that writes to such a server. What it could not pass on whole it ends by closing
//! the connection without an end of data, and then the server has no message.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use super::record::Record;
use crate::backend::{Failure, Lease, Server};
use crate::metrics::Metrics;
use crate::proto::smtp::delivery::Delivery;
use crate::proto::smtp::text::{BareNewline, Chunks, Text};
use crate::proto::{Answer, Credential, Denial, Mail, Recipient};
use crate::wire::{Lost, Wire};

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
    outcome: &'static str,
}

impl Transaction {
    /// Connects to the first of these servers that is there, and says MAIL.
    ///
    /// # Errors
    /// What every recipient is to be told.
    pub(super) async fn open(
        session: &Session,
        mail: &Mail,
        servers: &[Arc<Server>],
        record: &mut Record,
    ) -> Result<Self, Answer> {
        let mut denial = Denial::Unavailable;
        for server in servers {
            record.goes_to(server.name());
            match Self::dial(session, mail, server, record).await {
                Ok(mut transaction) => {
                    let said = transaction.mail(mail).await;
                    return if said.is_yes() { Ok(transaction) } else { Err(said) };
                }
                Err(failure) => {
                    record.cannot_deliver(&failure);
                    denial = failure.denial;
                    if !failure.down {
                        break;
                    }
                }
            }
        }
        Err(Answer::denied(denial))
    }

    async fn dial(session: &Session, mail: &Mail, server: &Arc<Server>, record: &Record) -> Result<Self, Failure> {
        let protocol = session.entrance.protocol();
        let lease = server.lease().await?;
        let errand = session.errand(server, protocol, String::new(), Credential::Nobody, Some(&mail.helo), record);
        let (wire, granted) = lease.log_in(protocol, errand).await?;
        server.offers(protocol, &granted.extensions);
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
            outcome: "abandoned",
        })
    }

    async fn mail(&mut self, mail: &Mail) -> Answer {
        let mut command = Vec::new();
        match self.delivery.mail(mail, &mut command) {
            Ok(()) => self.ask(&command, COMMAND).await,
            Err(answer) => answer,
        }
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

    /// DATA; the text follows if the answer is a go-ahead.
    pub(super) async fn data(&mut self) -> Answer {
        let mut command = Vec::new();
        self.delivery.data(&mut command);
        let answer = self.ask(&command, DATA).await;
        self.only_where(answer.is_go_ahead() || answer.is_no(), answer)
    }

    /// Passes the text on as it comes, up to its end, and returns the server's word on it.
    ///
    /// # Errors
    /// The client is gone, or stays on with a text that nobody takes.
    pub(super) async fn text(
        &mut self,
        client: &mut Wire,
        idle: Duration,
        bare_newline: BareNewline,
    ) -> Result<Answer, Lost> {
        let (mut text, mut lines, mut wasted) = (Text::new(bare_newline), Vec::new(), 0);
        loop {
            let heard = client.heard.len();
            let is_over = text.pass(&mut client.heard, &mut lines);
            if text.fault().is_some() {
                self.server = None;
            }
            if is_over {
                self.has_not_spoken().await;
            }
            wasted += self.pass_on(&lines, heard - client.heard.len()).await;
            lines.clear();
            if is_over {
                break;
            }
            if wasted > WASTE_MAX {
                return Err(Lost::Flooded);
            }
            client.deadline = Instant::now() + idle;
            client.hear().await?;
        }
        Ok(match text.fault() {
            Some(fault) => self.refuse(fault),
            None => self.verdict(END).await,
        })
    }

    /// Passes on one chunk of so many bytes, and returns the server's word on it.
    ///
    /// # Errors
    /// As for [`text`](Self::text).
    pub(super) async fn chunk(
        &mut self,
        size: u64,
        last: bool,
        client: &mut Wire,
        idle: Duration,
    ) -> Result<Answer, Lost> {
        let mut command = Vec::new();
        match self.delivery.chunk(size, last, &mut command) {
            Ok(()) => self.say(&command).await,
            Err(answer) => self.give_up(answer),
        }
        let (mut left, mut wasted) = (size, 0);
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(client.heard.len());
            let bytes = client.heard.split_to(here);
            left -= here as u64;
            self.chunks.see(&bytes);
            if last && left == 0 {
                self.chunks.end();
            }
            if self.chunks.fault().is_some() {
                self.server = None;
            }
            if left == 0 && here > 0 {
                self.has_not_spoken().await;
            }
            wasted += self.pass_on(&bytes, here).await;
            if left == 0 {
                break;
            }
            if wasted > WASTE_MAX {
                return Err(Lost::Flooded);
            }
            client.deadline = Instant::now() + idle;
            client.hear().await?;
        }
        Ok(match self.chunks.fault() {
            Some(fault) => self.refuse(fault),
            None => self.verdict(if last { END } else { COMMAND }).await,
        })
    }

    /// How many recipients the server has accepted.
    pub(super) const fn recipients(&self) -> u32 {
        self.recipients
    }

    /// How many bytes of text were passed on.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The server has said its last word on the message.
    pub(super) fn settle(&mut self, answer: &Answer) {
        self.outcome = match answer.code() {
            200..=299 => "accepted",
            400..=499 => "deferred",
            _ => "refused",
        };
    }

    /// Leaves the server politely, if it is at a point where that is understood.
    pub(super) async fn quit(mut self) {
        if let Some(mut wire) = self.server.take() {
            wire.deadline = Instant::now() + FAREWELL;
            let mut command = Vec::new();
            self.delivery.quit(&mut command);
            let _: Result<(), Lost> = wire.say(&command).await;
            wire.close().await;
        }
    }

    /// Passes on what there is; returns how many of the client's bytes nobody has taken.
    async fn pass_on(&mut self, bytes: &[u8], heard: usize) -> usize {
        self.say(bytes).await;
        match self.server {
            Some(_) => {
                self.bytes += bytes.len() as u64;
                0
            }
            None => heard,
        }
    }

    /// From now on there is no server, and this is its last word.
    fn give_up(&mut self, answer: Answer) {
        self.server = None;
        self.last_word = answer;
    }

    /// Lines that two servers could read as two different messages.
    fn refuse(&self, fault: &'static str) -> Answer {
        tracing::info!(session = self.session, fault, "a message's text is refused");
        Answer::ours(BAD_LINES)
    }

    /// Before all of it is there, nothing can be said of a text but no: that is the server's word, and it gets no end.
    /// An earlier yes would be told to the client as the yes to what nobody has taken.
    async fn has_not_spoken(&mut self) {
        let Some(wire) = &mut self.server else { return };
        wire.deadline = Instant::now();
        // A server that is gone is noticed by the next word.
        if wire.heard.is_empty() && wire.hear().await.is_err() {
            return;
        }
        match self.delivery.reply(&mut wire.heard) {
            Ok(Some(said)) if said.answer.is_no() => self.give_up(said.answer),
            _ => self.lose(OUT_OF_TURN),
        }
    }

    /// What the server says to what it was given.
    async fn verdict(&mut self, patience: Duration) -> Answer {
        let answer = self.hear(patience).await;
        self.only_where(answer.is_yes() || answer.is_no(), answer)
    }

    /// Whoever answers something else is not understood any more.
    fn only_where(&mut self, fits: bool, answer: Answer) -> Answer {
        if fits {
            return answer;
        }
        self.lose("answered something else");
        self.last_word.clone()
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
            let answer = self.hear(FAREWELL).await;
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
const BAD_LINES: &str = "550 5.5.2 A CR or LF alone, or a NUL, in the message.";
/// A server's answer to a command, and the room for a block of text there (RFC 5321 §4.5.3.2).
const COMMAND: Duration = Duration::from_secs(5 * 60);
const DATA: Duration = Duration::from_secs(2 * 60);
const BLOCK: Duration = Duration::from_secs(3 * 60);
/// After the end of data the client waits so long too: who gives up sooner makes two messages of one.
const END: Duration = Duration::from_secs(10 * 60);
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of a text is read that nobody takes, so that the client hears why; then the connection is closed.
const WASTE_MAX: usize = 64 * 1024 * 1024;
