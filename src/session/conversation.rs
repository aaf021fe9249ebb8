//! A front on a wire: the driver that turns the client's half of a protocol into I/O, the same for all of them.

use tokio::time::{Duration, Instant};

use super::record::Record;
use super::{Ending, LAST_WORDS_TIMEOUT, Session};
use crate::proto::{Answer, Denial, Front, Granted, Login, MailRequest, Need, Stage};
use crate::wire::{Wire, tls};

/// What a client wants that a front cannot decide. Boxed: its place is in every session that waits for it.
pub(super) enum Request {
    Login(Box<Login>),
    MailRequest(Box<MailRequest>),
}

/// What comes after the front's answer has been said.
enum Next {
    Secure,
    Ask(Request),
    End(Ending),
}

/// See the module. Every wait ends at the wire's deadline, or when the gateway stops.
pub(super) struct Conversation<'s> {
    session: &'s Session,
    /// Lent, so that the session's future has one place for it; `None` while TLS is being put inside, and at the end.
    wire: &'s mut Option<Wire>,
    tls: Option<tls::Facts>,
    front: Box<dyn Front>,
    say: Vec<u8>,
    stage: Stage,
}

impl<'s> Conversation<'s> {
    /// `front` has not heard yet what the wire has.
    pub(super) fn open(session: &'s Session, wire: &'s mut Option<Wire>, front: Box<dyn Front>) -> Self {
        let tls = wire.as_ref().and_then(Wire::tls_facts);
        Self { session, wire, tls, front, say: Vec::new(), stage: Stage::BeforeLogin }
    }

    /// TLS from now on.
    async fn secure(&mut self) -> Result<(), Ending> {
        let wire = self.wire.take().ok_or(Ending::Left(Stage::BeforeLogin))?;
        let wire = self.session.secure(wire, &[]).await?;
        self.tls = wire.tls_facts();
        *self.wire = Some(wire);
        self.front.secured();
        Ok(())
    }

    /// Talks until the client wants what the front cannot decide. What it refuses by itself is told to the record.
    pub(super) async fn next_request(&mut self, record: &Record) -> Result<Request, Ending> {
        match self.talk(record).await {
            Ok(wish) => Ok(wish),
            Err(ending) => Err(Box::pin(self.leave(ending)).await),
        }
    }

    /// The login is refused, and may be tried again. A stop of the gateway, and the deadline, wait for this answer.
    pub(super) async fn deny(&mut self, denial: Denial) -> Result<(), Ending> {
        self.front.deny(denial, &mut self.say);
        let wire = self.wire()?;
        wire.deadline = wire.deadline.max(Instant::now() + LAST_WORDS_TIMEOUT);
        self.flush().await
    }

    /// What the client is told of a recipient or a message; it is owed even when the deadline has passed meanwhile.
    pub(super) async fn answer(&mut self, answer: &Answer) -> Result<(), Ending> {
        self.front.answer(answer, &mut self.say);
        let wire = self.wire()?;
        wire.deadline = wire.deadline.max(Instant::now() + LAST_WORDS_TIMEOUT);
        self.flush().await
    }

    /// The client has done something that strangers cannot: it may take its time.
    pub(super) fn extend_deadline(&mut self, time: Duration) {
        self.stage = Stage::Mail;
        if let Some(wire) = self.wire.as_mut() {
            wire.deadline = Instant::now() + time;
        }
    }

    /// The login is granted: what the client said behind it is still in the wire.
    pub(super) async fn grant(&mut self, granted: &Granted) -> Result<Wire, Ending> {
        self.front.grant(granted, &mut self.say);
        let wire = self.wire()?;
        wire.deadline = wire.deadline.max(Instant::now() + LAST_WORDS_TIMEOUT);
        self.flush().await?;
        self.wire.take().ok_or(Ending::Left(Stage::BeforeLogin))
    }

    /// Until when the client may take to log in.
    pub(super) fn deadline(&self) -> Instant {
        self.wire.as_ref().map_or_else(Instant::now, |wire| wire.deadline)
    }

    /// The client's side, to be watched while a login is looked after.
    pub(super) fn client(&self) -> Option<&Wire> {
        self.wire.as_ref()
    }

    /// What TLS was agreed on.
    pub(super) fn tls_facts(&self) -> Option<tls::Facts> {
        self.tls
    }

    async fn talk(&mut self, record: &Record) -> Result<Request, Ending> {
        loop {
            let Some(wire) = self.wire.as_mut() else { return Err(Ending::Left(Stage::BeforeLogin)) };
            let need = self.front.step(&mut wire.heard, &mut self.say);
            self.front.refused_here().into_iter().for_each(|refused| record.refused_here(refused));
            if matches!(need, Need::StartTls) && !wire.heard.is_empty() {
                return Err(Ending::Violation("starttls_plaintext_pipelined"));
            }
            // Out of what waits for the client: it would have its place there as well.
            let Some(next) = Next::of(need) else {
                self.flush().await?;
                self.hear().await?;
                continue;
            };
            self.flush().await?;
            match next {
                Next::Secure => Box::pin(self.secure()).await?,
                Next::Ask(wish) => return Ok(wish),
                Next::End(ending) => return Err(ending),
            }
        }
    }

    async fn hear(&mut self) -> Result<(), Ending> {
        self.session.hear(self.wire, self.stage).await
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        if !self.say.is_empty() {
            let Some(wire) = self.wire.as_mut() else { return Err(Ending::Left(Stage::BeforeLogin)) };
            wire.say(&self.say).await.map_err(|lost| Ending::lost(self.stage, lost))?;
            self.say = Vec::new();
        }
        Ok(())
    }

    /// Whether the client has said something by now that nobody has read.
    pub(super) async fn has_more(&mut self) -> bool {
        let Some(wire) = self.wire.as_mut() else { return false };
        wire.hear_at_once().await;
        !wire.heard.is_empty()
    }

    /// The client's side, to read what the front does not.
    pub(super) fn wire(&mut self) -> Result<&mut Wire, Ending> {
        self.wire.as_mut().ok_or(Ending::Left(Stage::BeforeLogin))
    }

    /// The last words that this ending has for the client, and a polite close.
    pub(super) async fn leave(&mut self, ending: Ending) -> Ending {
        self.session.leave(self.wire, ending).await
    }
}

impl Next {
    /// `None` = more input.
    fn of(need: Need) -> Option<Self> {
        match need {
            Need::Input => None,
            Need::StartTls => Some(Self::Secure),
            Need::Login(login) => Some(Self::Ask(Request::Login(Box::new(login)))),
            Need::MailRequest(post) => Some(Self::Ask(Request::MailRequest(Box::new(post)))),
            Need::Close(closing) => Some(Self::End(closing.into())),
        }
    }
}

/// What was heard may hold a password that was never asked about.
impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.as_mut() {
            wire.wipe();
        }
    }
}
