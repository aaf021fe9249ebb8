//! Warnings: what keeps nothing from running, but is dangerous, or will soon be an error.
//!
//! Time and other people change certificates and secret files, so these are looked at again at each start and each
//! SIGHUP; what was found in the configuration itself stays as it is.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::certificate::CertificateStatus;
use super::check::{Problem, Severity};

/// What to look at, and where the configuration names it.
#[derive(Debug, Default)]
pub struct Warnings {
    pub(super) found: Vec<Problem>,
    pub(super) certificates: Vec<(Place, PathBuf)>,
    /// Where the host name is written, and what it is.
    pub(super) hostname: Option<(Place, String)>,
    pub(super) secrets: Vec<(Place, PathBuf)>,
}

/// Where a value stands in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The configuration's file.
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// Such as `tls.certificates[0].key`.
    pub path: String,
}

impl Place {
    fn warning(&self, message: String) -> Problem {
        self.problem(Severity::Warning, message)
    }

    /// An error that stands here.
    #[must_use]
    pub fn error(&self, message: String) -> Problem {
        self.problem(Severity::Error, message)
    }

    fn problem(&self, severity: Severity, message: String) -> Problem {
        let Self { file, line, path } = self.clone();
        Problem { severity, file, line, path, message }
    }
}

impl Warnings {
    /// All warnings at this time, by line.
    #[must_use]
    pub fn at(&self, now: OffsetDateTime) -> Vec<Problem> {
        let read: Vec<_> = self.certificates.iter().filter_map(|(_, file)| CertificateStatus::read(file)).collect();
        self.with(now, &read)
    }

    /// The same where these are the certificates that clients are shown, whatever their files hold now.
    #[must_use]
    pub fn with(&self, now: OffsetDateTime, certificates: &[CertificateStatus]) -> Vec<Problem> {
        let mut warnings = self.found.clone();
        warnings.extend(self.about_certificates(now, certificates));
        warnings.extend(self.about_secrets());
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }

    fn about_certificates(&self, now: OffsetDateTime, certificates: &[CertificateStatus]) -> Vec<Problem> {
        let of = |file: &PathBuf| certificates.iter().find(|status| status.file == *file);
        let statuses: Vec<_> = self.certificates.iter().filter_map(|(place, file)| Some((place, of(file)?))).collect();
        let dated = statuses.iter().filter_map(|(place, status)| {
            let (problem, file) = (status.problem(now)?, status.file.display());
            Some(place.warning(match status.is_former {
                true => format!("the former certificate of {file}, which is still in use, {problem}"),
                false => format!("the certificate in {file} {problem}"),
            }))
        });
        let mut warnings: Vec<_> = dated.collect();
        if let Some((place, host)) = &self.hostname
            && !statuses.is_empty()
            && !statuses.iter().any(|(_, status)| status.covers(host))
        {
            let names: Vec<&str> = statuses.iter().flat_map(|(_, status)| &status.names).map(String::as_str).collect();
            let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
            warnings.push(place.warning(format!(
                "no certificate of `tls.certificates` covers {host}: clients that connect by this name will refuse it; the certificates cover {shown}{more}"
            )));
        }
        warnings
    }

    /// One for each file that is not the owner's and the group's alone.
    fn about_secrets(&self) -> Vec<Problem> {
        let mut seen: Vec<&PathBuf> = Vec::new();
        let mut warnings = Vec::new();
        for (place, file) in &self.secrets {
            let Ok(facts) = std::fs::metadata(file) else { continue };
            let mode = facts.permissions().mode() & 0o777;
            if mode & OTHERS == 0 || seen.contains(&file) || !is_reached_by_others(file) {
                continue;
            }
            seen.push(file);
            let can = if mode & OTHERS_WRITE == 0 { "read" } else { "change" };
            warnings.push(place.warning(format!(
                "every user of this machine can {can} {} (mode {mode:04o}), which holds a secret; `chmod o= {0}`",
                file.display()
            )));
        }
        warnings
    }
}

/// Whether every folder above it lets others pass.
fn is_reached_by_others(file: &Path) -> bool {
    let Ok(real) = file.canonicalize() else { return true };
    let passes = |folder: &Path| folder.metadata().map_or(true, |facts| facts.permissions().mode() & OTHERS_PASS != 0);
    real.ancestors().skip(1).all(passes)
}

/// To read or to write, for those who are neither owner nor group.
const OTHERS: u32 = 0o006;
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_PASS: u32 = 0o001;
const NAMES_SHOWN: usize = 10;
