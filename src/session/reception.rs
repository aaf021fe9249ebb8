//! Messages taken from strangers (SMTP on port 25): each recipient's server is looked up, and the first one that is
//! accepted chooses the server for its transaction.
//!
//! ```text
//! RCPT ─ directory ─┬─ unknown, not ours, away ─▶ 550, 554, 451
//!                   └─ lives at a server ─┬─ none chosen yet ─▶ dial, MAIL, RCPT there; its answer is the answer
//!                                         ├─ the chosen one ─▶ RCPT there
//!                                         └─ another ─▶ 452: in a transaction of its own (RFC 5321 §4.5.3.1.10)
//! ```
//!
//! No message is ever kept here, so none is acknowledged before the server that takes it has done so.

use std::sync::Arc;
use std::time::Duration;

use super::conversation::Conversation;
use super::record::Record;
use super::transaction::Transaction;
use super::{Admitted, Ending, Session};
use crate::backend::{Candidates, Server};
use crate::directory::{Lodging, NotPermitted, Recipient as Known};
use crate::proto::smtp::pipelining::SYNCHRONIZATION;
use crate::proto::smtp::refusal_of_mail;
use crate::proto::{Answer, Denial, Mail, MailRequest, Protocol, Recipient, Stage};

/// See the module.
pub(super) struct Reception<'s> {
    session: &'s Session,
    /// Boxed: most sessions have none.
    chosen: Option<Box<Chosen>>,
    /// Whether the client's address vouches for it could not be found out.
    is_in_doubt: bool,
}

/// The server of a transaction, and how it goes there.
struct Chosen {
    mail: Arc<Mail>,
    /// Where its recipients live, though another server of the pool may stand in.
    home: Arc<Server>,
    state: State,
}

enum State {
    Open(Box<Transaction>),
    /// No server there takes it: all its recipients are told so.
    Refused(Verdict, Answer),
}

/// What a recipient is told, and what the log has besides: why, where the answer does not say it.
struct Told {
    verdict: Verdict,
    answer: Answer,
    detail: Option<String>,
}

/// What became of a recipient; the label is a metric's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Elsewhere,
    Unknown,
    RelayDenied,
    Unavailable,
    Refused,
}

impl<'s> Reception<'s> {
    pub(super) const fn new(session: &'s Session) -> Self {
        Self { session, chosen: None, is_in_doubt: false }
    }

    /// A login was refused: where nobody could say whether the address vouches, it stays in doubt until the next is.
    pub(super) fn hears_of(&mut self, denial: Denial) {
        self.is_in_doubt = match denial {
            Denial::BadCredentials | Denial::Unvouched | Denial::Policy => false,
            Denial::Unavailable | Denial::Limit | Denial::Misconfigured => true,
        };
    }

    /// Whether a MAIL that nobody vouches for was a stranger's, who may send to our own recipients.
    pub(super) fn is_of_a_stranger(&self, denial: Denial) -> bool {
        self.session.context.protocol() == Protocol::Smtp && denial == Denial::Unvouched
    }

    /// Does what the front asks for, and answers it. Nobody is logged in by it.
    pub(super) async fn serve(
        &mut self,
        post: Box<MailRequest>,
        conversation: &mut Conversation<'_>,
        record: &mut Record,
    ) -> Result<Option<Box<Admitted>>, Ending> {
        match self.take(*post, conversation, record).await {
            Ok(()) => Ok(None),
            Err(ending) => Err(conversation.leave(ending).await),
        }
    }

    async fn take(
        &mut self,
        post: MailRequest,
        conversation: &mut Conversation<'_>,
        record: &mut Record,
    ) -> Result<(), Ending> {
        match post {
            MailRequest::Recipient(mail, recipient) => {
                let told = tokio::select! {
                    answered = self.recipient(mail.clone(), &recipient, record) => answered,
                    () = super::gone(conversation.client()) => return Err(Ending::Left(Stage::Mail)),
                };
                self.session.parts.metrics.recipients.with_label_values(&[told.verdict.label()]).inc();
                match told.verdict {
                    Verdict::Accepted => conversation.extend_deadline(self.command_timeout()),
                    verdict => {
                        let (answer, detail) = (&told.answer, told.detail.as_deref());
                        record.refuses_recipient(&mail.sender, &recipient.address, verdict.label(), answer, detail);
                    }
                }
                conversation.answer(&told.answer).await
            }
            MailRequest::Data => self.data(conversation, record).await,
            MailRequest::Chunk { size, last } => self.chunk(size, last, conversation, record).await,
            MailRequest::GiveUp => {
                self.give_up().await;
                Ok(())
            }
        }
    }

    /// Where the recipient lives, and what its server says.
    async fn recipient(&mut self, mail: Arc<Mail>, recipient: &Recipient, record: &mut Record) -> Told {
        let lodging = match self.find(&recipient.address).await {
            Ok(lodging) => lodging,
            Err(told) => return told,
        };
        let Some(host) = lodging.route.host.as_deref() else {
            return Told::ours(Verdict::Unavailable, UNROUTABLE).because("the directory's entry has no host");
        };
        let candidates = match self.session.parts.backends.candidates(host, lodging.user.name()) {
            Ok(candidates) => candidates,
            Err(unroutable) => return Told::ours(Verdict::Unavailable, UNROUTABLE).because(unroutable),
        };
        let Some(_turn) = self.session.parts.recipient_lookups.take(lodging.user.name(), record.counted_as()) else {
            return Told::ours(Verdict::Unavailable, BUSY);
        };
        match self.chosen.as_ref().filter(|chosen| Arc::ptr_eq(&chosen.mail, &mail)) {
            Some(chosen) if chosen.home.is(candidates.home()) => {}
            Some(chosen) if chosen.has_recipients() => return Told::ours(Verdict::Elsewhere, ELSEWHERE),
            Some(_) | None => {
                self.give_up().await;
                let state = self.begin(&mail, &candidates, record).await;
                let home = candidates.home().clone();
                self.chosen = Some(Box::new(Chosen { mail, home, state }));
            }
        }
        match self.chosen.as_mut().map(|chosen| &mut chosen.state) {
            Some(State::Open(transaction)) => {
                let answer = transaction.recipient(recipient, &lodging.address).await;
                Told { verdict: Verdict::of(transaction, &answer), answer, detail: None }
            }
            Some(State::Refused(verdict, answer)) => Told { verdict: *verdict, answer: answer.clone(), detail: None },
            None => Told::ours(Verdict::Unavailable, AWAY),
        }
    }

    /// The transaction at the first of these servers that is there.
    async fn begin(&self, mail: &Mail, candidates: &Candidates, record: &mut Record) -> State {
        let mut transaction = match Transaction::open(self.session, mail, candidates, record).await {
            Ok(transaction) => Box::new(transaction),
            Err(answer) => return State::Refused(Verdict::Unavailable, answer),
        };
        let answer = transaction.mail(mail).await;
        match Verdict::of(&transaction, &answer) {
            Verdict::Accepted => State::Open(transaction),
            verdict => State::Refused(verdict, answer),
        }
    }

    /// Whose recipient it is; or why nobody's, and the words for that.
    async fn find(&self, address: &str) -> Result<Lodging, Told> {
        match self.session.parts.directory.recipient(address).await {
            Ok(Known::Lives(lodging)) => match lodging.route.permits(Protocol::Smtp) {
                Err(why @ NotPermitted::Unavailable(_)) => Err(Told::ours(Verdict::Unavailable, MOVING).because(why)),
                // Whoever may not log in may still have mail: that is the server's to know.
                Err(NotPermitted::Denied(_) | NotPermitted::Service(_)) | Ok(()) => Ok(lodging),
            },
            Ok(Known::Unknown) => Err(Told::ours(Verdict::Unknown, "550 5.1.1 There is no such user here.")),
            Ok(Known::NotOurs) if self.is_in_doubt => Err(Told::ours(Verdict::Unavailable, AWAY)),
            Ok(Known::NotOurs) => {
                let told = Told::ours(Verdict::RelayDenied, "554 5.7.1 Relay access denied.");
                Err(told.because("not one of directory.domains, and nobody vouches for the client"))
            }
            Err(error) => Err(Told::ours(Verdict::Unavailable, NO_DIRECTORY).because(error)),
        }
    }

    async fn data(&mut self, conversation: &mut Conversation<'_>, record: &mut Record) -> Result<(), Ending> {
        let service = &self.session.context.service;
        let Some(transaction) = self.open() else { return conversation.answer(&Answer::ours(AWAY)).await };
        let mut answer = transaction.data().await;
        // It has no answer yet: whatever it has said by now, it did not wait for one.
        let is_early = conversation.has_more().await;
        if answer.is_go_ahead() && !service.unauthorized_pipelining.bears(is_early) {
            // The server is left without an end, and has no message.
            self.chosen = None;
            return self.finish(&Answer::ours(SYNCHRONIZATION), conversation, record).await;
        }
        if answer.is_go_ahead() {
            conversation.answer(&answer).await?;
            let taken = transaction.text(conversation.wire()?, service.idle_timeout, service.bare_newline).await;
            answer = taken.map_err(|lost| Ending::lost(Stage::Message, lost))?;
        }
        self.finish(&answer, conversation, record).await
    }

    async fn chunk(
        &mut self,
        size: u64,
        last: bool,
        conversation: &mut Conversation<'_>,
        record: &mut Record,
    ) -> Result<(), Ending> {
        let idle = self.session.context.service.idle_timeout;
        // The front asks for nothing of the kind; but the chunk's bytes would be read as commands.
        let Some(transaction) = self.open() else { return Err(Ending::Violation("chunk_of_no_message")) };
        let taken = transaction.chunk(size, last, conversation.wire()?, idle).await;
        let answer = taken.map_err(|lost| Ending::lost(Stage::Message, lost))?;
        if last || !answer.is_yes() {
            return self.finish(&answer, conversation, record).await;
        }
        conversation.extend_deadline(self.command_timeout());
        conversation.answer(&answer).await
    }

    /// The server has spoken, and the client is told; only then does the server hear goodbye.
    async fn finish(
        &mut self,
        answer: &Answer,
        conversation: &mut Conversation<'_>,
        record: &mut Record,
    ) -> Result<(), Ending> {
        let chosen = self.chosen.take();
        let transaction = match chosen.map(|chosen| *chosen) {
            Some(Chosen { mail, state: State::Open(mut transaction), .. }) => {
                transaction.settle(answer);
                record.message(&mail.sender, &transaction, answer);
                Some(transaction)
            }
            Some(Chosen { state: State::Refused(..), .. }) | None => None,
        };
        conversation.extend_deadline(self.command_timeout());
        conversation.answer(answer).await?;
        record.goes_to(None);
        if let Some(transaction) = transaction {
            transaction.quit().await;
        }
        Ok(())
    }

    /// For the client's next command.
    fn command_timeout(&self) -> Duration {
        let idle = self.session.context.service.idle_timeout;
        match self.chosen.as_ref().map(|chosen| &chosen.state) {
            Some(State::Open(transaction)) => transaction.command_timeout(idle),
            Some(State::Refused(..)) | None => idle,
        }
    }

    fn open(&mut self) -> Option<&mut Transaction> {
        match &mut self.chosen.as_mut()?.state {
            State::Open(transaction) => Some(transaction),
            State::Refused(..) => None,
        }
    }

    async fn give_up(&mut self) {
        if let Some(State::Open(transaction)) = self.chosen.take().map(|chosen| chosen.state) {
            transaction.quit().await;
        }
    }
}

impl Chosen {
    fn has_recipients(&self) -> bool {
        matches!(&self.state, State::Open(transaction) if transaction.recipients() > 0)
    }
}

impl Told {
    /// In the gateway's own words.
    fn ours(verdict: Verdict, words: &'static str) -> Self {
        Self { verdict, answer: Answer::ours(words), detail: None }
    }

    fn because(self, why: impl ToString) -> Self {
        Self { detail: Some(why.to_string()), ..self }
    }
}

impl Verdict {
    /// What a server's answer means, if it is one.
    const fn of(transaction: &Transaction, answer: &Answer) -> Self {
        match (answer.is_yes(), transaction.is_lost()) {
            (true, _) => Self::Accepted,
            (false, true) => Self::Unavailable,
            (false, false) => Self::Refused,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Elsewhere => "elsewhere",
            Self::Unknown => "unknown",
            Self::RelayDenied => "relay_denied",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused_by_backend",
        }
    }
}

const AWAY: &str = refusal_of_mail(Denial::Unavailable);
const BUSY: &str = "451 4.3.2 Too much mail for this recipient at once, please try again later.";
const ELSEWHERE: &str = "452 4.5.3 Too many recipients for one transaction.";
const UNROUTABLE: &str = refusal_of_mail(Denial::Misconfigured);
const MOVING: &str = "451 4.2.1 This mailbox is being moved, please try again later.";
const NO_DIRECTORY: &str = "451 4.4.3 The directory does not answer, please try again later.";
