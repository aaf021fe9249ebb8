//! What a certificate says about itself: its names, and from when to when it is valid.
//!
//! Only the first certificate of a file is read, the one that clients compare with the name they asked for.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A certificate that clients are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The PEM file.
    pub file: PathBuf,
    /// The DNS names and IP addresses that it covers; its common name where it has none of these.
    pub names: Vec<String>,
    /// Clients accept it from this second on …
    pub not_before: OffsetDateTime,
    /// … up to and including this one.
    pub not_after: OffsetDateTime,
    /// It is still in use although what its file holds now, or the key's file, could not be used.
    pub is_former: bool,
    der: CertificateDer<'static>,
}

/// Why clients refuse a certificate, or will soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateProblem {
    /// It is not valid before this time.
    NotYetValid(OffsetDateTime),
    /// It is valid up to this time, which is less than 14 days away.
    ExpiresSoon(OffsetDateTime, Duration),
    /// It was valid up to this time.
    Expired(OffsetDateTime),
}

/// How long before its end a certificate is a problem: the time in which an automatic renewal that fails can be repaired.
pub const EXPIRES_SOON: Duration = Duration::days(14);

impl CertificateStatus {
    /// The first certificate of a PEM file; `None` when there is none that can be read.
    #[must_use]
    pub fn read(file: &Path) -> Option<Self> {
        let first = CertificateDer::pem_file_iter(file).ok()?.next()?.ok()?;
        Self::of(file, &first)
    }

    /// A certificate that was read from this file; `None` when it is not X.509.
    #[must_use]
    pub fn of(file: &Path, der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            file: file.to_owned(),
            names: names(&certificate),
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            is_former: false,
            der: der.clone().into_owned(),
        })
    }

    /// What is wrong with it at this time, or will be soon.
    #[must_use]
    pub fn problem(&self, now: OffsetDateTime) -> Option<CertificateProblem> {
        if now < self.not_before {
            Some(CertificateProblem::NotYetValid(self.not_before))
        } else {
            CertificateProblem::at_end(self.not_after, now)
        }
    }

    /// Whether clients that ask for this host accept it, by the rules that clients have.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let (Ok(name), Ok(leaf)) = (ServerName::try_from(host), ParsedCertificate::try_from(&self.der)) else {
            return false;
        };
        verify_server_name(&leaf, &name).is_ok()
    }
}

impl CertificateProblem {
    /// What is wrong at this time with a certificate that is valid up to and including `not_after`, or will be soon.
    #[must_use]
    pub fn at_end(not_after: OffsetDateTime, now: OffsetDateTime) -> Option<Self> {
        if now > not_after {
            Some(Self::Expired(not_after))
        } else if not_after - now < EXPIRES_SOON {
            Some(Self::ExpiresSoon(not_after, not_after - now))
        } else {
            None
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetValid(from) => write!(f, "is not valid before {}", utc(*from)),
            Self::Expired(end) => write!(f, "expired at {}", utc(*end)),
            Self::ExpiresSoon(end, left) => match left.whole_days() {
                0 => write!(f, "expires within a day, at {}", utc(*end)),
                1 => write!(f, "expires in 1 day, at {}", utc(*end)),
                days => write!(f, "expires in {days} days, at {}", utc(*end)),
            },
        }
    }
}

/// To the minute.
fn utc(time: OffsetDateTime) -> String {
    format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
}

/// RFC 5280 §4.2.1.6; what else a certificate may name (mail addresses, URIs) is no host.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let hosts: Vec<String> = names.filter_map(host).take(NAMES_MAX).collect();
    if !hosts.is_empty() {
        return hosts;
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_owned).take(1).collect()
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(four) => Some(std::net::Ipv4Addr::from(four).to_string()),
            Err(_) => <[u8; 16]>::try_from(*octets).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
        },
        _ => None,
    }
}

/// More are not shown.
const NAMES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn status(names: &[&str], days: [i64; 2]) -> CertificateStatus {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
        params.distinguished_name.push(DnType::CommonName, "Common");
        [params.not_before, params.not_after] = days.map(|days| noon() + Duration::days(days));
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        CertificateStatus::of(Path::new("c.pem"), certificate.der()).expect("X.509")
    }

    fn noon() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_014_400).expect("a time")
    }

    #[test]
    fn a_certificate_is_a_problem_before_its_time_after_it_and_14_days_before_its_end() {
        let problem = |days| status(&["a"], days).problem(noon()).map(|problem| problem.to_string());
        assert_eq!(problem([-1, 14]), None, "at its edge");
        assert_eq!(problem([0, 90]), None);
        assert_eq!(problem([1, 90]).as_deref(), Some("is not valid before 2027-01-16 12:00 UTC"));
        assert_eq!(problem([-90, 13]).as_deref(), Some("expires in 13 days, at 2027-01-28 12:00 UTC"));
        assert_eq!(problem([-90, 1]).as_deref(), Some("expires in 1 day, at 2027-01-16 12:00 UTC"));
        assert_eq!(problem([-90, 0]).as_deref(), Some("expires within a day, at 2027-01-15 12:00 UTC"));
        assert_eq!(problem([-90, -1]).as_deref(), Some("expired at 2027-01-14 12:00 UTC"));
    }

    #[test]
    fn the_names_are_those_that_clients_compare() {
        let named = status(&["mail.example.org", "*.example.net", "192.0.2.1", "::1"], [0, 1]);
        assert_eq!(named.names, ["mail.example.org", "*.example.net", "192.0.2.1", "::1"]);
        for (host, covered) in [
            ("mail.example.org", true),
            ("MAIL.example.org", true),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.org", false),
            ("", false),
        ] {
            assert_eq!(named.covers(host), covered, "{host}");
        }
        let common = status(&[], [0, 1]);
        assert_eq!((common.names.as_slice(), common.covers("Common")), ([String::from("Common")].as_slice(), false));
    }

    #[test]
    fn what_is_no_certificate_has_no_status() {
        assert_eq!(CertificateStatus::of(Path::new("c.pem"), &CertificateDer::from(b"x".as_slice())), None);
        assert_eq!(CertificateStatus::read(Path::new("no/such/file")), None);
    }
}
