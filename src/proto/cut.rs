//! The cut test: a half must say and need the same for every split of what it hears, byte by byte too.
//!
//! It stands apart because every half of every protocol is held to it, and because it writes a conversation down in
//! a form in which tests can read it: what the half said, line by line without CR, and in brackets what it needed.
//!
//! A conversation is a row of *rounds*: what the peer says once the half has nothing left to do. A handshake, when it
//! is asked for, takes place at the end of its round; what is left of the round by then was injected.

use bytes::BytesMut;

use super::smtp::text::{BareNewline, Text};
use super::{Answer, Ask, Back, Credential, Denial, Front, Granted, HEARD_MAX, Login, MailRequest, Need, Stage};

/// A front's conversation, the same under every cut; `judge` says what becomes of a login. The greeting is left out.
pub(crate) fn front(
    make: impl Fn() -> Box<dyn Front>,
    judge: impl Fn(&Login) -> Result<Granted, Denial>,
    rounds: &[&[u8]],
) -> String {
    mail_front(make, judge, |post| panic!("no message is taken here: {post}"), rounds)
}

/// The same with a front that takes messages; `clerk` says what becomes of each part, which he is told in words:
/// `recipient bob@example.com from alice@example.com`, `data`, `text "…"`, `chunk "…" last`.
pub(crate) fn mail_front(
    make: impl Fn() -> Box<dyn Front>,
    judge: impl Fn(&Login) -> Result<Granted, Denial>,
    clerk: impl Fn(&str) -> Answer,
    rounds: &[&[u8]],
) -> String {
    every_cut(rounds, |cut| {
        let mut front = make();
        front.greet(&mut Vec::new());
        converse(&mut Client { front, judge: &judge, clerk: &clerk, reading: Reading::Commands }, rounds, cut)
    })
}

/// A back's conversation, the same under every cut.
pub(crate) fn back(make: impl Fn() -> Box<dyn Back>, rounds: &[&[u8]]) -> String {
    every_cut(rounds, |cut| converse(&mut Server(make()), rounds, cut))
}

/// The conversation without cuts, for input that is too long to be cut everywhere.
pub(crate) fn front_uncut(
    make: impl Fn() -> Box<dyn Front>,
    judge: impl Fn(&Login) -> Result<Granted, Denial>,
    rounds: &[&[u8]],
) -> String {
    mail_front_uncut(make, judge, |post| panic!("no message is taken here: {post}"), rounds)
}

/// The same with a front that takes messages.
pub(crate) fn mail_front_uncut(
    make: impl Fn() -> Box<dyn Front>,
    judge: impl Fn(&Login) -> Result<Granted, Denial>,
    clerk: impl Fn(&str) -> Answer,
    rounds: &[&[u8]],
) -> String {
    let mut front = make();
    front.greet(&mut Vec::new());
    converse(&mut Client { front, judge: &judge, clerk: &clerk, reading: Reading::Commands }, rounds, Cut::Nowhere)
}

/// The same for input that is judged by what comes together: cut once, anywhere but at `borders`, where a cut hides what
/// is to be judged.
pub(crate) fn mail_front_but(
    make: impl Fn() -> Box<dyn Front>,
    clerk: impl Fn(&str) -> Answer,
    borders: &[usize],
    rounds: &[&[u8]],
) -> String {
    let judge = |login: &Login| -> Result<Granted, Denial> { panic!("nobody logs in here: {}", login.user) };
    let run = |cut| {
        let (front, reading) = (make(), Reading::Commands);
        converse(&mut Client { front, judge: &judge, clerk: &clerk, reading }, rounds, cut)
    };
    let (whole, length) = (run(Cut::Nowhere), rounds.iter().map(|round| round.len()).sum());
    for at in (1..length).filter(|at| !borders.contains(at)) {
        assert_eq!(run(Cut::At(at)), whole, "cut at {at} of {length}");
    }
    whole
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Nowhere,
    /// Once, so many bytes after the start of the first round.
    At(usize),
    Everywhere,
}

/// Input longer than this is cut at some places only: at the start, at the end, and every so often.
const CUT_EVERYWHERE_BELOW: usize = 600;

fn every_cut(rounds: &[&[u8]], run: impl Fn(Cut) -> String) -> String {
    let whole = run(Cut::Nowhere);
    let length: usize = rounds.iter().map(|round| round.len()).sum();
    let stride = length / CUT_EVERYWHERE_BELOW + 1;
    for at in (1..length).filter(|at| at % stride == 0 || *at < 20 || length - at < 20) {
        assert_eq!(run(Cut::At(at)), whole, "cut at {at} of {length}");
    }
    assert_eq!(run(Cut::Everywhere), whole, "cut everywhere");
    whole
}

/// The pieces in which a round arrives that begins `before` bytes after the start of the first one.
fn pieces(round: &[u8], before: usize, cut: Cut) -> Vec<&[u8]> {
    match cut {
        Cut::Everywhere => round.chunks(1).collect(),
        Cut::At(at) if (before + 1..before + round.len()).contains(&at) => {
            let (first, second) = round.split_at(at - before);
            vec![first, second]
        }
        Cut::At(_) | Cut::Nowhere => vec![round],
    }
}

enum Flow {
    Input,
    StartTls,
    Again,
    /// The stream belongs to the other side now, with all that was heard and not consumed.
    HandedOn,
    /// The conversation is over, and what is left of it is not read.
    Over,
}

trait Half {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> (Flow, String);
    fn secured(&mut self);
}

struct Client<'a, J, C> {
    front: Box<dyn Front>,
    judge: &'a J,
    clerk: &'a C,
    reading: Reading,
}

/// What the driver reads by itself.
enum Reading {
    Commands,
    Text(Text, Vec<u8>),
    Chunk { size: usize, last: bool },
}

impl<J, C: Fn(&str) -> Answer> Client<'_, J, C> {
    /// What the driver reads for a front that waits for the answer; `None` = nothing, the front may be stepped.
    fn read(&mut self, heard: &mut BytesMut) -> Option<(Flow, String)> {
        let what = match &mut self.reading {
            Reading::Commands => return None,
            Reading::Text(text, out) => {
                if !text.pass(heard, out) {
                    return Some((Flow::Input, String::new()));
                }
                let fault = text.fault().map_or(String::new(), |fault| format!(" {fault}"));
                format!("text {:?}{fault}", String::from_utf8_lossy(out))
            }
            Reading::Chunk { size, last } if heard.len() >= *size => {
                let bytes = heard.split_to(*size);
                format!("chunk {:?}{}", String::from_utf8_lossy(&bytes), if *last { " last" } else { "" })
            }
            Reading::Chunk { .. } => return Some((Flow::Input, String::new())),
        };
        self.reading = Reading::Commands;
        Some((Flow::Again, self.ask(&what).1))
    }

    fn post(&mut self, post: MailRequest) -> (Flow, String) {
        let what = match post {
            MailRequest::GiveUp => return (Flow::Again, "(give up)\n".to_owned()),
            MailRequest::Chunk { size, last } => {
                let size = usize::try_from(size).expect("no test has so many");
                self.reading = Reading::Chunk { size, last };
                return (Flow::Again, String::new());
            }
            MailRequest::Data => "data".to_owned(),
            MailRequest::Recipient(mail, recipient) => format!("recipient {} from {}", recipient.address, mail.sender),
        };
        let (code, note) = self.ask(&what);
        if code == 354 {
            self.reading = Reading::Text(Text::new(BareNewline::Reject), Vec::new());
        }
        (Flow::Again, note)
    }

    fn ask(&mut self, what: &str) -> (u16, String) {
        let (answer, mut say) = ((self.clerk)(what), Vec::new());
        self.front.answer(&answer, &mut say);
        (answer.code(), format!("({what})\n{}", spoken(&say)))
    }
}

impl<J: Fn(&Login) -> Result<Granted, Denial>, C: Fn(&str) -> Answer> Half for Client<'_, J, C> {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> (Flow, String) {
        if let Some(read) = self.read(heard) {
            return read;
        }
        match self.front.step(heard, say) {
            Need::Input => (Flow::Input, String::new()),
            Need::StartTls => (Flow::StartTls, "(starttls)\n".to_owned()),
            Need::MailRequest(post) => self.post(post),
            Need::Close(why) => (Flow::Over, format!("(close {why:?})\n")),
            Need::Login(login) => {
                let mut note = describe(&login);
                let mut answer = Vec::new();
                let flow = match (self.judge)(&login) {
                    Ok(granted) => {
                        self.front.grant(&granted, &mut answer);
                        Flow::HandedOn
                    }
                    Err(denial) => {
                        self.front.deny(denial, &mut answer);
                        Flow::Again
                    }
                };
                note.push_str(&spoken(&answer));
                (flow, note)
            }
        }
    }

    fn secured(&mut self) {
        self.front.secured();
    }
}

/// `(login plain alice password pw ttl 4)`
fn describe(login: &Login) -> String {
    let proof = match &login.credential {
        Credential::Password(secret) => format!("password {}", secret.expose()),
        Credential::Token(mechanism, secret) => format!("token {mechanism} {}", secret.expose()),
        Credential::Master { name, password } => format!("master {name} {}", password.expose()),
        Credential::Trusted => "trusted".to_owned(),
        Credential::Nobody => "nobody".to_owned(),
    };
    let ttl = login.ttl.map_or(String::new(), |ttl| format!(" ttl {ttl}"));
    let helo = login.helo.as_ref().map_or(String::new(), |name| format!(" helo {name}"));
    format!("(login {} {} {proof}{ttl}{helo})\n", login.mechanism, login.user)
}

struct Server(Box<dyn Back>);

impl Half for Server {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> (Flow, String) {
        match self.0.step(heard, say) {
            Ask::Input => (Flow::Input, String::new()),
            Ask::StartTls => (Flow::StartTls, "(starttls)\n".to_owned()),
            Ask::Granted(Granted { text, capabilities, extensions }) => {
                let capabilities = capabilities.map_or(String::new(), |list| format!(" [{list}]"));
                let extensions = if extensions.is_empty() { String::new() } else { format!(" {extensions:?}") };
                (Flow::HandedOn, format!("(granted{capabilities}{extensions} {text})\n"))
            }
            Ask::Refused(refused) => (Flow::Over, format!("(refused {:?}: {})\n", refused.denial, refused.detail)),
        }
    }

    fn secured(&mut self) {
        self.0.secured();
    }
}

fn converse(half: &mut dyn Half, rounds: &[&[u8]], cut: Cut) -> String {
    let (mut transcript, mut heard, mut before) = (String::new(), BytesMut::new(), 0);
    // A half may have something to do before it has heard anything.
    let silence: &[u8] = b"";
    for round in std::iter::once(&silence).chain(rounds) {
        let pieces = pieces(round, before, cut);
        before += round.len();
        for (index, piece) in pieces.iter().enumerate() {
            heard.extend_from_slice(piece);
            let unheard = || pieces.get(index + 1..).unwrap_or_default().concat();
            match drain(half, &mut heard, &mut transcript) {
                Flow::Input | Flow::Again => {}
                Flow::StartTls if heard.is_empty() && unheard().is_empty() => {
                    half.secured();
                    // What a half says first inside TLS belongs to this round.
                    assert!(matches!(drain(half, &mut heard, &mut transcript), Flow::Input));
                }
                Flow::Over => return transcript,
                Flow::StartTls | Flow::HandedOn => {
                    let rest = [&heard[..], &unheard()].concat();
                    if !rest.is_empty() {
                        transcript.push_str(&format!("(rest {:?})\n", String::from_utf8_lossy(&rest)));
                    }
                    return transcript;
                }
            }
        }
    }
    transcript
}

/// Steps until the half wants something of the world.
fn drain(half: &mut dyn Half, heard: &mut BytesMut, transcript: &mut String) -> Flow {
    for _ in 0..1_000_000 {
        let mut say = Vec::new();
        let (flow, note) = half.step(heard, &mut say);
        transcript.push_str(&spoken(&say));
        transcript.push_str(&note);
        match flow {
            Flow::Again => {}
            Flow::Input => {
                assert!(heard.len() <= HEARD_MAX, "{} bytes are left in heard", heard.len());
                let mut again = Vec::new();
                let (flow, note) = half.step(heard, &mut again);
                assert!(matches!(flow, Flow::Input) && note.is_empty(), "a step without news needed {note}");
                assert!(again.is_empty(), "a step without news said {:?}", spoken(&again));
                return Flow::Input;
            }
            Flow::StartTls | Flow::HandedOn | Flow::Over => return flow,
        }
    }
    panic!("the half spins");
}

/// What was said, without the CRs; each line must have had one.
fn spoken(say: &[u8]) -> String {
    let text = String::from_utf8(say.to_vec()).expect("what we say is UTF-8");
    let lines = text.replace("\r\n", "\n");
    assert!(!lines.contains('\r'), "a bare CR was said: {text:?}");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "a bare LF was said: {text:?}");
    assert!(lines.is_empty() || lines.ends_with('\n'), "half a line was said: {text:?}");
    lines
}

#[test]
#[should_panic(expected = "cut at 1 of 2")]
fn a_half_that_looks_at_half_a_command_fails_the_cut_test() {
    struct Hasty;
    impl Back for Hasty {
        fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask {
            if !heard.is_empty() {
                say.extend_from_slice(format!("{}\r\n", heard.split().len()).as_bytes());
            }
            Ask::Input
        }
        fn secured(&mut self) {}
        fn stage(&self) -> Stage {
            Stage::Login
        }
    }
    back(|| Box::new(Hasty), &[b"ab"]);
}
