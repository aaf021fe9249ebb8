//! SIGHUP: certificates, users files and secrets that are files are read again, each by itself. What cannot be used stays
//! as it was, and one line of the log says why; no session notices.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Gateway, log_warnings};
use crate::config::{BackendLogin, ReloadableSecret, Reread};
use crate::directory::ReloadProblem;

/// What a reload came to.
#[derive(Default)]
struct Outcome {
    /// What was read, in words for the log.
    read: Vec<String>,
    /// What stays as it was.
    failed: Vec<String>,
}

impl Gateway {
    /// See the module. It may take as long as a question to the directory.
    pub async fn reload(&self) {
        let mut outcome = Outcome::default();
        self.reload_certificates(&mut outcome);
        self.reload_directory(&mut outcome).await;
        self.reload_secrets(&mut outcome);
        self.show_expiry();
        // Of the certificates that are in use, not of what their files hold.
        let shown = self.certificates.load().statuses();
        log_warnings(self.config.warnings.with(OffsetDateTime::now_utc(), &shown));
        self.parts.metrics.reloads.with_label_values(&[outcome.label()]).inc();
        outcome.log();
    }

    fn reload_certificates(&self, outcome: &mut Outcome) {
        let Some(tls) = &self.config.tls else { return };
        let (certificates, problems) = self.certificates.load().reload(tls, OffsetDateTime::now_utc());
        self.acceptors.iter().for_each(|acceptor| acceptor.show(&certificates));
        self.certificates.store(Arc::new(certificates));
        for problem in &problems {
            let problem = format!("{problem}; the former certificate stays in use");
            tracing::error!(problem, "reload: a certificate was not taken over");
        }
        let all = tls.certificates.len();
        match all.saturating_sub(problems.len()) {
            0 => {}
            taken if taken == all => outcome.read.push("certificates".to_owned()),
            taken => outcome.read.push(format!("certificates ({taken} of {all})")),
        }
        outcome.failed.extend(problems.into_iter().map(|problem| problem.path));
    }

    async fn reload_directory(&self, outcome: &mut Outcome) {
        let directory = self.parts.directory.reload().await;
        outcome.read.extend(directory.read);
        for problem in directory.problems {
            outcome.failed.push(match &problem {
                ReloadProblem::Users(_) => "a users file".to_owned(),
                ReloadProblem::Secret { of, .. } | ReloadProblem::WrongSecret { of, .. } => {
                    format!("bind_password of {of}")
                }
            });
            // One line a problem of a users file.
            problem.to_string().lines().for_each(stays);
        }
    }

    fn reload_secrets(&self, outcome: &mut Outcome) {
        for (what, secret) in self.secrets() {
            match secret.read_again() {
                Ok(Reread::Changed(_)) => outcome.read.push(format!("{what} (changed)")),
                Ok(Reread::Unchanged) => outcome.read.push(format!("{what} (unchanged)")),
                Ok(Reread::NotAFile) => {}
                Err(problem) => {
                    stays(&format!("{what}: {problem}"));
                    outcome.failed.push(what);
                }
            }
        }
    }

    /// Secrets that may be files, but for those of the directory, which reads its own.
    fn secrets(&self) -> impl Iterator<Item = (String, &ReloadableSecret)> {
        let masters = self.config.backends.iter().filter_map(|pool| match &pool.login {
            BackendLogin::Master { password, .. } => Some((format!("master password of pool {}", pool.name), password)),
            BackendLogin::Replay | BackendLogin::Xclient => None,
        });
        let tokens = self.config.admin.iter().flat_map(|admin| admin.tokens.iter());
        masters.chain(tokens.map(|token| (format!("token {} of admin.tokens", token.name), &token.secret)))
    }
}

impl Outcome {
    /// For the metric.
    fn label(&self) -> &'static str {
        if self.failed.is_empty() { "completed" } else { "failed" }
    }

    fn log(&self) {
        let outcome = self.label();
        let read = if self.read.is_empty() { "nothing".to_owned() } else { self.read.join("; ") };
        let failed = self.failed.join(", ");
        if failed.is_empty() {
            tracing::info!(outcome, read, "reloaded; {AT_A_START}");
        } else {
            let how = if self.read.is_empty() { "reload failed" } else { "reload failed in part" };
            tracing::warn!(outcome, read, "{how}: {failed} could not be taken over, see above; {AT_A_START}");
        }
    }
}

fn stays(problem: &str) {
    tracing::error!(problem, "reload: the old one stays");
}

const AT_A_START: &str = "the configuration itself is read at a start only";
