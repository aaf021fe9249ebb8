//! One attempt to reach a server, from the connection to the end of the login: counted once, and told to the server's
//! health once, when it ends in whatever way.

use std::io;

use tokio::time::Instant;

use super::health::Outcome;
use super::login::Failure;
use super::server::Server;
use crate::proto::{Denial, Protocol};
use crate::wire::Lost;

/// One attempt; see the module. If it is dropped without a verdict, the client has left meanwhile.
#[derive(Debug)]
pub(super) struct Attempt<'s> {
    server: &'s Server,
    protocol: Protocol,
    pub(super) started: Instant,
    progress: Progress,
    verdict: Option<Verdict>,
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
    Failed(Outcome, String),
    /// Neither: it spoke, and went in the middle, or the connection led to ourselves.
    Broken(Outcome),
}

impl<'s> Attempt<'s> {
    pub(super) fn new(server: &'s Server, protocol: Protocol) -> Self {
        Self { server, protocol, started: Instant::now(), progress: Progress::Nothing, verdict: None }
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
    pub(super) fn not_connected(&mut self, error: &io::Error) -> Failure {
        let outcome = match error.kind() {
            io::ErrorKind::TimedOut => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        self.fail(outcome, "connecting", error);
        Failure::down("connecting", format!("port {}: {error}", self.server.port(self.protocol)))
    }

    /// The connection has led to the gateway itself.
    pub(super) fn is_a_loop(&mut self, detail: String) -> Failure {
        self.verdict = Some(Verdict::Broken(Outcome::Loop));
        Failure::new(Denial::Misconfigured, "connecting", detail)
    }

    /// There is no TLS: nobody gets in until that is mended, or the server is frozen.
    pub(super) fn not_secured(&mut self, lost: &Lost, why: &str) {
        let outcome = match lost {
            Lost::TimedOut => Outcome::TimedOut,
            Lost::Closed | Lost::Flooded | Lost::Broken(_) => Outcome::TlsFailed,
        };
        self.fail(outcome, "TLS handshake", why);
    }

    /// The connection was lost while the back half was at this stage. That a server which has spoken closes it is no
    /// sign that it is away; that it says nothing more is one.
    pub(super) fn lost(&mut self, stage: &'static str, lost: &Lost) -> Failure {
        match (lost, self.progress) {
            (Lost::TimedOut, _) => self.fail(Outcome::TimedOut, stage, lost),
            (Lost::Closed | Lost::Flooded | Lost::Broken(_), Progress::Nothing | Progress::Connected) => {
                self.fail(Outcome::Failed, stage, lost);
            }
            (Lost::Closed | Lost::Flooded | Lost::Broken(_), Progress::Spoke) => {
                self.verdict = Some(Verdict::Broken(Outcome::Connected));
            }
        }
        Failure::down(stage, lost.to_string())
    }

    fn fail(&mut self, outcome: Outcome, stage: &str, why: impl std::fmt::Display) {
        // A certificate may say anything, at any length.
        let printable = |letter: char| if letter.is_control() { '?' } else { letter };
        let problem = format!("{stage}: {why}").chars().take(PROBLEM).map(printable).collect();
        self.verdict = Some(Verdict::Failed(outcome, problem));
    }

    /// The client did not wait for the end. A server that has said nothing for as long as a connection may take is not
    /// there, or every client that is less patient than `login_timeout` would hide that.
    fn given_up(&self) -> Option<Verdict> {
        let silent = self.started.elapsed();
        match self.progress {
            Progress::Nothing | Progress::Connected if silent >= self.server.settings.config.connect_timeout => {
                let why = format!("nothing said for {} seconds, and the client has left", silent.as_secs());
                Some(Verdict::Failed(Outcome::TimedOut, why))
            }
            Progress::Nothing => None,
            Progress::Connected | Progress::Spoke => Some(Verdict::Broken(Outcome::Connected)),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let (outcome, problem) = match self.verdict.take().or_else(|| self.given_up()) {
            Some(Verdict::Answered) => (Outcome::Connected, None),
            Some(Verdict::Failed(outcome, problem)) => (outcome, Some(problem)),
            Some(Verdict::Broken(outcome)) => return self.server.health.series().count(outcome),
            None => return,
        };
        self.server.health.series().count(outcome);
        self.server.note(self.protocol, self.started, problem.as_deref());
    }
}

/// How much of a problem is shown, in characters.
const PROBLEM: usize = 200;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::State;
    use super::super::tests::backends;
    use super::*;

    /// How one attempt ends for a server's health, and how it is counted.
    fn ending(act: impl FnOnce(&mut Attempt<'_>)) -> (State, Option<String>, &'static str) {
        let (backends, metrics) = backends();
        let server = backends.candidates("mail1.example.com", "u").expect("routable").remove(0);
        let mut attempt = Attempt::new(&server, Protocol::Imap);
        act(&mut attempt);
        drop(attempt);
        let counted = ["connected", "failed", "timed_out", "tls_failed", "loop"]
            .into_iter()
            .find(|outcome| metrics.backend_connects.with_label_values(&["mail1.example.com", *outcome]).get() > 0);
        let problem = server.reached().first().and_then(|reached| reached.problem.as_deref().map(str::to_owned));
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
        for (spoke, stage) in [(false, "greeting"), (true, "login")] {
            let silent = ending(|attempt| {
                attempt.connected();
                if spoke {
                    attempt.spoke();
                }
                assert!(attempt.lost(stage, &Lost::TimedOut).down);
            });
            assert_eq!(silent, (State::Down, Some(format!("{stage}: timed out")), "timed_out"));
        }
        let secret = ending(|attempt| attempt.not_secured(&Lost::Closed, "closed"));
        assert_eq!(secret, (State::Down, Some("TLS handshake: closed".to_owned()), "tls_failed"));
    }

    #[test]
    fn a_server_that_closes_is_down_only_where_it_has_said_nothing() {
        let silent = ending(|attempt| {
            attempt.connected();
            attempt.lost("greeting", &Lost::Closed);
        });
        assert_eq!(silent, (State::Down, Some("greeting: closed".to_owned()), "failed"));
        let in_the_middle = ending(|attempt| {
            attempt.connected();
            attempt.spoke();
            attempt.lost("login", &Lost::Closed);
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
