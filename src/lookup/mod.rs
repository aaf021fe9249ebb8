//! What other MTAs may ask: is this address somebody's who has just logged in?
//!
//! It stands apart from the mail protocols because nobody logs in here: who may ask is a list of addresses, and every
//! question is answered by the registry. A protocol is a `Language`, pure, bytes in and bytes out; this file is the
//! one driver of them all.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::config::{Lookup, LookupProtocol};
use crate::directory::{Directory, NotPermitted};
use crate::drain::Drain;
use crate::metrics::Metrics;
use crate::proto::Protocol;
use crate::registry::{Coverage, Registry};
use crate::session::permission::{Forbidden, is_switched_on, may_use};
use crate::wire::slots::{ConnectionSlot, ConnectionSlots};

#[cfg(test)]
mod cut;
mod policy;
mod socketmap;
mod whoson;

/// One protocol, at one connection.
trait Language: Send {
    /// Takes at most one whole request from `heard`; an unfinished one stays there, or in here.
    fn hear(&mut self, heard: &mut BytesMut) -> Heard;

    /// The answer to the last question; `false`: there is none, and the connection ends.
    fn answer(&mut self, answer: &Answer<'_>, say: &mut Vec<u8>) -> bool;
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// Not yet a whole request.
    More,
    /// To be looked up and answered.
    Question(IpAddr),
    /// Answered without looking anything up.
    Reply(&'static [u8]),
    /// Likewise, and then the connection ends; without a word where that is the protocol's way.
    Last(&'static [u8], &'static str),
}

/// What the registry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer<'a> {
    /// The address is this user's.
    User(&'a str),
    /// It is nobody's, or that of too many.
    Nobody,
    /// It is a user's who may not send now; perhaps later.
    Later,
    /// Nobody knows.
    Away,
}

fn language(protocol: LookupProtocol) -> Box<dyn Language> {
    match protocol {
        LookupProtocol::Policy => Box::new(policy::Policy::default()),
        LookupProtocol::Socketmap => Box::new(socketmap::Socketmap),
        LookupProtocol::Whoson => Box::new(whoson::Whoson::default()),
    }
}

/// Answers at one address until `drain` stops; what one connection does wrong ends that one.
pub async fn serve(
    listener: TcpListener,
    lookup: Lookup,
    registry: Registry,
    directory: Directory,
    metrics: Arc<Metrics>,
    drain: Drain,
) {
    let slots = ConnectionSlots::new(CONNECTIONS);
    let desk = Arc::new(Desk { protocol: lookup.protocol, registry, directory, metrics });
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(protocol = lookup.protocol.name(), %error, "accept failed");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let ip = peer.ip().to_canonical();
        if !lookup.from.iter().any(|range| range.contains(ip)) {
            desk.count("stranger");
            continue;
        }
        let (slot, evicts) = slots.take();
        if evicts {
            desk.count("full");
        }
        let (desk, drain) = (desk.clone(), drain.clone());
        tokio::spawn(async move {
            let why = tokio::select! {
                () = drain.stopping() => return,
                () = slot.evicted() => return,
                why = desk.talk(stream, &slot) => why,
            };
            if let Err(Trouble::Malformed(problem)) = &why {
                desk.count("malformed");
                tracing::info!(protocol = desk.protocol.name(), %peer, problem, "a look-up was not understood");
            }
        });
    }
}

/// What all connections of one listener share.
struct Desk {
    protocol: LookupProtocol,
    registry: Registry,
    directory: Directory,
    metrics: Arc<Metrics>,
}

/// Why a connection ended before its time.
enum Trouble {
    Malformed(&'static str),
    /// Closed, idle for too long, or not reading; or the registry is away, which it has logged itself.
    Lost,
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl Desk {
    fn count(&self, answer: &'static str) {
        self.metrics.lookups.with_label_values(&[self.protocol.name(), answer]).inc();
    }

    async fn talk(&self, mut stream: TcpStream, slot: &ConnectionSlot) -> Result<(), Trouble> {
        let mut language = language(self.protocol);
        let (mut heard, mut say) = (BytesMut::new(), Vec::new());
        let mut patience = FIRST_BYTE;
        loop {
            heard.reserve(READ);
            match timeout(patience, stream.read_buf(&mut heard)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => read?,
                Err(_) => return Err(Trouble::Lost),
            };
            patience = self.patience();
            let done = self.serve_all(language.as_mut(), &mut heard, &mut say, &mut stream, slot).await;
            // What was answered before the trouble is still said.
            flush(&mut stream, &mut say).await?;
            slot.set_answered();
            if done? {
                return Ok(());
            }
        }
    }

    /// Everything that was heard, in order; whether the connection is to end.
    async fn serve_all(
        &self,
        language: &mut dyn Language,
        heard: &mut BytesMut,
        say: &mut Vec<u8>,
        stream: &mut TcpStream,
        slot: &ConnectionSlot,
    ) -> Result<bool, Trouble> {
        loop {
            let asked = language.hear(heard);
            if asked != Heard::More {
                slot.set_asking();
            }
            match asked {
                Heard::More => return Ok(false),
                Heard::Reply(reply) => say.extend_from_slice(reply),
                Heard::Last(reply, "") => {
                    say.extend_from_slice(reply);
                    return Ok(true);
                }
                Heard::Last(reply, problem) => {
                    say.extend_from_slice(reply);
                    return Err(Trouble::Malformed(problem));
                }
                Heard::Question(address) => {
                    if !self.answer(language, address, say).await {
                        return Err(Trouble::Lost);
                    }
                }
            }
            if say.len() >= SAY_MAX {
                flush(stream, say).await?;
            }
        }
    }

    async fn answer(&self, language: &mut dyn Language, address: IpAddr, say: &mut Vec<u8>) -> bool {
        let coverage = self.registry.covers(address).await;
        let (answer, label) = match &coverage {
            Ok(Coverage::User { name, .. }) => match self.may_send(name).await {
                Ok(()) => (Answer::User(name), "user"),
                Err(Forbidden::SwitchedOff) => (Answer::Nobody, "switched_off"),
                Err(Forbidden::NotPermitted(NotPermitted::Denied(_) | NotPermitted::Service(_))) => {
                    (Answer::Nobody, "not_permitted")
                }
                Err(Forbidden::NotPermitted(NotPermitted::Unavailable(_))) => (Answer::Later, "not_now"),
            },
            Ok(Coverage::Nobody) => (Answer::Nobody, "nobody"),
            Ok(Coverage::TooManyUsers(_)) => (Answer::Nobody, "too_many_users"),
            Err(_) => (Answer::Away, "away"),
        };
        self.count(label);
        // So that one connection with a great many questions lets the others have their turn.
        tokio::task::consume_budget().await;
        language.answer(&answer, say)
    }

    /// Whether our own submission listener would let this user send. Where the directory cannot say, or does not know the
    /// user by this name, what is remembered of the user decides, and at last the record: a login was proved.
    async fn may_send(&self, name: &Arc<str>) -> Result<(), Forbidden> {
        is_switched_on(&self.registry, name, Protocol::Submission)?;
        let found = timeout(DIRECTORY, self.directory.find_identity(name)).await;
        let found = found.ok().and_then(Result::ok).flatten().map(|(_, route)| route);
        match found.or_else(|| self.directory.remembered_identity(name)) {
            Some(route) => may_use(&self.registry, name, &route, Protocol::Submission),
            None => Ok(()),
        }
    }

    fn patience(&self) -> Duration {
        match self.protocol {
            LookupProtocol::Policy | LookupProtocol::Whoson => Duration::from_secs(300),
            // socketmap_table(5): its clients give up by then.
            LookupProtocol::Socketmap => Duration::from_secs(100),
        }
    }
}

async fn flush(stream: &mut TcpStream, say: &mut Vec<u8>) -> Result<(), Trouble> {
    if !say.is_empty() {
        timeout(WRITING, stream.write_all(say)).await.map_err(|_| Trouble::Lost)??;
        say.clear();
    }
    Ok(())
}

/// One line without its end, once it has come; `Err`: it is longer than it may be.
fn line(heard: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, ()> {
    match memchr::memchr(b'\n', heard) {
        Some(end) if end <= max => {
            let mut line = heard.split_to(end + 1);
            line.truncate(end);
            Ok(Some(line))
        }
        None if heard.len() <= max => Ok(None),
        _ => Err(()),
    }
}

/// Connections at one listener; one more evicts another.
const CONNECTIONS: usize = 256;
/// For a connection's first byte to come: an MTA connects when it has a question.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// For the directory to say what a user may do; an MTA waits for the answer.
const DIRECTORY: Duration = Duration::from_secs(2);
const READ: usize = 4096;
const SAY_MAX: usize = 64 * 1024;
const WRITING: Duration = Duration::from_secs(30);
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
