//! One attempt to reach a server, from the connection to the end of the login: counted once, and told to the server's
//! health once, when it ends in whatever way.

use std::io;

use tokio::time::Instant;

use super::health::Sign;
use super::series::Outcome;
use super::server::Server;
use crate::proto::{Denial, LoginFailure, Protocol, Stage};
use crate::wire::{Lost, tls_client};

/// One attempt; see the module. If it is dropped without a verdict, the client has left meanwhile.
#[derive(Debug)]
pub(super) struct Attempt<'s> {
    server: &'s Server,
    pub(super) protocol: Protocol,
    pub(super) started: Instant,
    progress: Progress,
    verdict: Option<Verdict>,
    by: By,
}

/// Who makes the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A session, for its client.
    Session,
    /// The gateway, to see whether the server is back; not counted in the metrics.
    Gateway,
}

/// What the server has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Connected,
    /// It has said something.
    Spoke,
}

/// How an attempt ended.
#[derive(Debug)]
enum Verdict {
    /// The server did what it was asked, or said that it will not.
    Answered,
    /// It is not there, or not of any use; and why.
    Failed(Outcome, String, Sign),
    /// Neither: it spoke, and went in the middle, or the connection led to ourselves.
    Broken(Outcome),
}

impl<'s> Attempt<'s> {
    pub(super) fn new(server: &'s Server, protocol: Protocol) -> Self {
        let (started, progress) = (Instant::now(), Progress::Nothing);
        Self { server, protocol, started, progress, verdict: None, by: By::Session }
    }

    /// One that no session has asked for.
    pub(super) fn of_the_gateway(server: &'s Server, protocol: Protocol) -> Self {
        let mut attempt = Self::new(server, protocol);
        attempt.by = By::Gateway;
        attempt
    }

    pub(super) fn connected(&mut self) {
        self.progress = Progress::Connected;
    }

    pub(super) fn spoke(&mut self) {
        self.progress = Progress::Spoke;
    }

    pub(super) fn answered(&mut self) {
        self.verdict = Some(Verdict::Answered);
    }

    /// There is no connection.
    pub(super) fn not_connected(&mut self, error: &io::Error) -> LoginFailure {
        let outcome = match error.kind() {
            io::ErrorKind::TimedOut => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        self.fail(outcome, Stage::Connecting, error);
        LoginFailure::of_this_server(Stage::Connecting, format!("port {}: {error}", self.server.port(self.protocol)))
    }

    /// The connection has led to the gateway itself.
    pub(super) fn is_a_loop(&mut self, detail: String) -> LoginFailure {
        self.verdict = Some(Verdict::Broken(Outcome::Loop));
        LoginFailure::new(Denial::Misconfigured, Stage::Connecting, detail)
    }

    /// There is no TLS: nobody gets in until that is mended, or the server is frozen.
    pub(super) fn not_secured(&mut self, lost: &Lost) -> LoginFailure {
        let outcome = match lost {
            Lost::TimedOut => Outcome::TimedOut,
            Lost::Closed | Lost::Flooded | Lost::Broken(_) => Outcome::TlsFailed,
        };
        let why = tls_problem(lost);
        self.fail(outcome, Stage::TlsHandshake, &why);
        LoginFailure::of_this_server(Stage::TlsHandshake, why)
    }

    /// The server is there, but its certificate cannot be trusted: an administrator has to look, and each login says so.
    pub(super) fn not_trusted(&mut self, lost: &Lost) -> LoginFailure {
        let why = tls_problem(lost);
        self.verdict = Some(Verdict::Failed(Outcome::TlsFailed, problem(Stage::TlsHandshake, &why), Sign::Spoke));
        LoginFailure::new(Denial::Misconfigured, Stage::TlsHandshake, why)
    }

    /// The connection was lost while the back half was at this stage. That a server which has spoken closes it is no
    /// sign that it is away; that it says nothing more is one.
    pub(super) fn lost(&mut self, stage: Stage, lost: &Lost) -> LoginFailure {
        match (lost, self.progress) {
            (Lost::TimedOut, _) => self.fail(Outcome::TimedOut, stage, lost),
            (Lost::Closed | Lost::Flooded | Lost::Broken(_), Progress::Nothing | Progress::Connected) => {
                self.fail(Outcome::Failed, stage, lost);
            }
            (Lost::Closed | Lost::Flooded | Lost::Broken(_), Progress::Spoke) => {
                self.verdict = Some(Verdict::Broken(Outcome::Connected));
            }
        }
        LoginFailure::of_this_server(stage, lost)
    }

    fn fail(&mut self, outcome: Outcome, stage: Stage, why: impl std::fmt::Display) {
        let sign = match (self.progress, self.by) {
            (Progress::Spoke, _) => Sign::Spoke,
            (Progress::Nothing | Progress::Connected, By::Session) => Sign::Silent,
            (Progress::Nothing | Progress::Connected, By::Gateway) => Sign::StillSilent,
        };
        self.verdict = Some(Verdict::Failed(outcome, problem(stage, why), sign));
    }

    /// The client did not wait for the end. A server that has said nothing for as long as a connection may take is not
    /// there, or every client that is less patient than `login_timeout` would hide that.
    fn given_up(&self) -> Option<Verdict> {
        let silent = self.started.elapsed();
        match self.progress {
            Progress::Nothing | Progress::Connected if silent >= self.server.settings.config.connect_timeout => {
                let why = format!("nothing said for {} seconds, and the client has left", silent.as_secs());
                // Not for a client to decide: the gateway looks itself, as long as any login may take.
                Some(Verdict::Failed(Outcome::TimedOut, why, Sign::LeftEarly))
            }
            Progress::Nothing => None,
            Progress::Connected | Progress::Spoke => Some(Verdict::Broken(Outcome::Connected)),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let (outcome, failed) = match self.verdict.take().or_else(|| self.given_up()) {
            Some(Verdict::Answered) => (Outcome::Connected, Some(None)),
            Some(Verdict::Failed(outcome, problem, sign)) => (outcome, Some(Some((problem, sign)))),
            Some(Verdict::Broken(outcome)) => (outcome, None),
            None => return,
        };
        if self.by == By::Session {
            self.server.health.series().count(outcome);
        }
        if let Some(failed) = failed {
            let failed = failed.as_ref().map(|(problem, sign)| (problem.as_str(), *sign));
            self.server.note(self.protocol, self.started, failed);
        }
    }
}

/// In words for an operator, where TLS itself says why.
fn tls_problem(lost: &Lost) -> String {
    match lost {
        Lost::Broken(error) => tls_client::reason(error),
        Lost::Closed | Lost::TimedOut | Lost::Flooded => lost.to_string(),
    }
}

/// A certificate may say anything, at any length.
fn problem(stage: Stage, why: impl std::fmt::Display) -> String {
    let printable = |letter: char| if letter.is_control() { '?' } else { letter };
    format!("{stage}: {why}").chars().take(PROBLEM).map(printable).collect()
}

/// How much of a problem is shown, in characters.
const PROBLEM: usize = 200;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::State;
    use super::super::tests::{backends, home};
    use super::*;
    use crate::proto::Retry;

    /// How one attempt ends for a server's health, and how it is counted.
    fn ending(act: impl FnOnce(&mut Attempt<'_>)) -> (State, Option<String>, &'static str) {
        let (backends, metrics) = backends();
        let server = home(&backends, "mail1.example.com");
        let mut attempt = Attempt::new(&server, Protocol::Imap);
        act(&mut attempt);
        drop(attempt);
        let counted = ["connected", "failed", "timed_out", "tls_failed", "loop"]
            .into_iter()
            .find(|outcome| metrics.backend_connects.with_label_values(&["mail1.example.com", *outcome]).get() > 0);
        let problem = server.reached().first().and_then(|reached| reached.problem().map(ToString::to_string));
        (server.state(), problem, counted.unwrap_or("nothing"))
    }

    fn after(attempt: &mut Attempt<'_>, time: Duration) {
        attempt.started = attempt.started.checked_sub(time).expect("the machine is older");
    }

    #[test]
    fn an_answer_is_an_answer_and_silence_at_any_stage_is_none() {
        let answered = ending(|attempt| {
            attempt.connected();
            attempt.spoke();
            attempt.answered();
        });
        assert_eq!(answered, (State::Up, None, "connected"));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let refused = ending(|attempt| drop(attempt.not_connected(&refused)));
        assert_eq!(refused, (State::Down, Some("connecting: connection refused".to_owned()), "failed"));
        for (spoke, stage) in [(false, Stage::Greeting), (true, Stage::Login)] {
            let silent = ending(|attempt| {
                attempt.connected();
                if spoke {
                    attempt.spoke();
                }
                assert_eq!(attempt.lost(stage, &Lost::TimedOut).retry, Retry::Elsewhere);
            });
            assert_eq!(silent, (State::Down, Some(format!("{stage}: timed out")), "timed_out"));
        }
        let secret = ending(|attempt| drop(attempt.not_secured(&Lost::Closed)));
        assert_eq!(secret, (State::Down, Some("TLS handshake: closed".to_owned()), "tls_failed"));
    }

    #[test]
    fn a_server_that_closes_is_down_only_where_it_has_said_nothing() {
        let silent = ending(|attempt| {
            attempt.connected();
            attempt.lost(Stage::Greeting, &Lost::Closed);
        });
        assert_eq!(silent, (State::Down, Some("greeting: closed".to_owned()), "failed"));
        let in_the_middle = ending(|attempt| {
            attempt.connected();
            attempt.spoke();
            attempt.lost(Stage::Login, &Lost::Closed);
        });
        assert_eq!(in_the_middle, (State::Unknown, None, "connected"));
    }

    #[test]
    fn a_client_that_leaves_hides_no_server_that_is_silent() {
        // The pool's connect_timeout is a second.
        let long = Duration::from_secs(3);
        let left = |time: Duration, spoke: bool| {
            ending(|attempt| {
                attempt.connected();
                if spoke {
                    attempt.spoke();
                }
                after(attempt, time);
            })
        };
        let why = "nothing said for 3 seconds, and the client has left".to_owned();
        assert_eq!(left(long, false), (State::Down, Some(why), "timed_out"));
        assert_eq!(left(Duration::ZERO, false), (State::Unknown, None, "connected"));
        assert_eq!(left(long, true), (State::Unknown, None, "connected"), "it thinks about a wrong password, perhaps");
        assert_eq!(ending(|_| {}), (State::Unknown, None, "nothing"));
    }

    #[test]
    fn what_a_peer_says_of_itself_is_short_and_printable() {
        let error = io::Error::other(format!("bad\r\nname\u{1b} {}", "x".repeat(1000)));
        let (_, problem, _) = ending(|attempt| drop(attempt.not_connected(&error)));
        let problem = problem.expect("down");
        assert!(problem.starts_with("connecting: bad??name? xxx") && problem.len() == 200, "{problem}");
    }
}
