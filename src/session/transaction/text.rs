//! A message's text on its way to the server, behind DATA or in chunks.
//!
//! It stands apart from the commands because here two sides are waited for: the client with what comes, the server with
//! room for it, and with its word only once it has all of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{COMMAND, OUT_OF_TURN, Pace, QUIT_TIMEOUT, Transaction};
use crate::proto::Answer;
use crate::proto::smtp::text::{BareNewline, Text};
use crate::wire::{Lost, Wire};

impl Transaction {
    /// DATA; the text follows if the answer is a go-ahead.
    pub(in crate::session) async fn data(&mut self) -> Answer {
        let mut command = Vec::new();
        self.delivery.data(&mut command);
        let answer = self.ask(&command, DATA).await;
        if answer.is_yes() || answer.is_go_ahead() && self.is_lost() {
            self.lose("said yes before it had the message");
            return self.last_word.clone();
        }
        answer
    }

    /// Passes the text on as it comes, up to its end, and returns the server's word on it.
    ///
    /// # Errors
    /// The client is gone, or stays on with a text that nobody takes.
    pub(in crate::session) async fn text(
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
                self.listen().await;
            }
            wasted += self.pass_on(&lines, heard - client.heard.len()).await;
            lines.clear();
            if is_over {
                break;
            }
            if wasted > WASTE_MAX {
                return Err(Lost::Flooded);
            }
            self.await_more(client, idle).await?;
        }
        Ok(match text.fault() {
            Some(fault) => self.refuse(fault),
            None => self.hear(END).await,
        })
    }

    /// Passes on one chunk of so many bytes, and returns the server's word on it.
    ///
    /// # Errors
    /// As for [`text`](Self::text).
    pub(in crate::session) async fn chunk(
        &mut self,
        size: u64,
        last: bool,
        client: &mut Wire,
        idle: Duration,
    ) -> Result<Answer, Lost> {
        let mut command = Vec::new();
        self.listen().await;
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
                self.listen().await;
            }
            wasted += self.pass_on(&bytes, here).await;
            if left == 0 {
                break;
            }
            if wasted > WASTE_MAX {
                return Err(Lost::Flooded);
            }
            self.await_more(client, idle).await?;
        }
        Ok(match self.chunks.fault() {
            Some(fault) => self.refuse(fault),
            None => self.hear(if last { END } else { COMMAND }).await,
        })
    }

    /// The client has until its pace says so.
    async fn await_more(&mut self, client: &mut Wire, idle: Duration) -> Result<(), Lost> {
        let idle = self.silence(idle);
        let pace = self.pace.get_or_insert_with(Pace::new);
        client.deadline = pace.due(idle);
        let before = client.heard.len();
        client.hear().await?;
        pace.count(client.heard.len() - before);
        Ok(())
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

    /// What the server says before it has all of a message is no yes to it; but it may have refused the message already.
    async fn listen(&mut self) {
        let Some(wire) = &mut self.server else { return };
        wire.deadline = Instant::now();
        // If it is gone, that will be seen.
        let _: Result<(), Lost> = wire.hear().await;
        if !wire.heard.is_empty() {
            let answer = self.hear(QUIT_TIMEOUT).await;
            if answer.is_no() {
                self.last_word = answer;
            }
            self.lose(OUT_OF_TURN);
        }
    }

    /// Lines that two servers could read as two different messages.
    fn refuse(&self, fault: &'static str) -> Answer {
        tracing::info!(session = self.session, fault, "a message's text is refused");
        Answer::ours(BAD_LINES)
    }
}

const BAD_LINES: &str = "550 5.5.2 A CR or LF alone, or a NUL, in the message.";
const DATA: Duration = Duration::from_secs(2 * 60);
/// After the end of data the client waits so long too: who gives up sooner makes two messages of one.
const END: Duration = Duration::from_secs(10 * 60);
/// How much of a text is read that nobody takes, so that the client hears why; then the connection is closed.
const WASTE_MAX: usize = 64 * 1024 * 1024;
