//! TLS towards clients: certificates chosen by SNI, and re-read without dropping anybody.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::stream::Stream;
use super::tls_stream::{Session, TlsStream};
use crate::config::{self, CertificateProblem, CertificateStatus, Problem, TlsVersion};
use arc_swap::ArcSwap;
use rustls::client::{UnbufferedClientConnection, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ClientConfig, CommonState, ProtocolVersion, ServerConfig};
use time::OffsetDateTime;

/// There is no server side of TLS.
#[derive(Debug, thiserror::Error)]
pub enum SetupProblem {
    /// A certificate, or its key.
    #[error(transparent)]
    Certificate(#[from] Problem),
    /// Versions, ciphers or the ticketer.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The certificates that clients are shown, read once for all protocols. A clone is the same certificates.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Arc<[Shown]>);

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// The first [`Problem`] with one of them.
    pub fn load(tls: &config::Tls) -> Result<Self, Problem> {
        tls.certificates.iter().map(Shown::load).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the files again; a pair of them that cannot be used is kept as it was, and the others are not.
    ///
    /// Nor is a certificate taken over that has expired at this time, in place of one that is valid: all clients refuse
    /// it, and it is more likely an old file than what somebody wants. Where the former one is no better, it is.
    #[must_use]
    pub fn reload(&self, tls: &config::Tls, now: OffsetDateTime) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let reload = |(files, former): (&config::Certificate, &Shown)| match former.reload(files, now) {
            Ok(shown) => shown,
            Err(problem) => {
                problems.push(problem);
                Shown { is_former: true, ..former.clone() }
            }
        };
        let reloaded = std::iter::zip(&tls.certificates, &*self.0).map(reload).collect();
        (Self(reloaded), problems)
    }

    /// What they say of themselves.
    #[must_use]
    pub fn statuses(&self) -> Vec<CertificateStatus> {
        self.0.iter().filter_map(Shown::status).collect()
    }
}

/// What is done with a client's handshake; a clone shares the certificates, and so sees new ones.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>);

impl Acceptor {
    /// `alpn` are the ids of the one protocol that is spoken here. With none, what a client offers is ignored.
    ///
    /// # Errors
    /// [`SetupProblem::Rustls`].
    pub fn new(tls: &config::Tls, certificates: &Certificates, alpn: &[&[u8]]) -> Result<Self, SetupProblem> {
        let config = server_config(tls, certificates, alpn.iter().map(|id| id.to_vec()).collect())?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Shows these in handshakes from now on. Tickets of former sessions stay good.
    pub fn show(&self, certificates: &Certificates) {
        let mut config = ServerConfig::clone(&self.0.load());
        config.cert_resolver = Arc::new(BySni(certificates.clone()));
        self.0.store(Arc::new(config));
    }

    pub(super) async fn accept(&self, stream: Stream, greeting: &[u8]) -> io::Result<Stream> {
        let Stream::Plain(tcp) = stream else { return Err(io::Error::other("TLS inside TLS")) };
        let session = UnbufferedServerConnection::new(self.0.load_full()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(TlsStream::handshake(tcp, Session::Server(Box::new(session)), greeting).await?)))
    }
}

/// What is done to a server that we connect to.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// `name` is what the certificate must say; `config` is from [`super::tls_client`].
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self { config, name }
    }

    pub(super) async fn connect(&self, stream: Stream) -> io::Result<Stream> {
        let Stream::Plain(tcp) = stream else { return Err(io::Error::other("TLS inside TLS")) };
        let session =
            UnbufferedClientConnection::new(self.config.clone(), self.name.clone()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(TlsStream::handshake(tcp, Session::Client(Box::new(session)), &[]).await?)))
    }
}

/// What was agreed on, as words for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    version: ProtocolVersion,
    cipher: CipherSuite,
}

impl Facts {
    pub(super) fn of(connection: &CommonState) -> Option<Self> {
        Some(Self { version: connection.protocol_version()?, cipher: connection.negotiated_cipher_suite()?.suite() })
    }

    /// `TLSv1_3`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version.as_str().unwrap_or("unknown")
    }

    /// `TLS13_AES_128_GCM_SHA256`.
    #[must_use]
    pub fn cipher(&self) -> &'static str {
        self.cipher.as_str().unwrap_or("unknown")
    }
}

fn server_config(
    tls: &config::Tls,
    certificates: &Certificates,
    alpn: Vec<Vec<u8>>,
) -> Result<ServerConfig, SetupProblem> {
    let versions = match tls.minimum {
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni(certificates.clone())));
    config.alpn_protocols = alpn;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    // Nothing is said so early but a greeting; rustls leaves it off by itself where clients show certificates.
    config.send_half_rtt_data = tls.early_greeting;
    config.ignore_client_order = true;
    Ok(config)
}

/// AES-128-GCM first: the cheapest, and no weaker in practice.
fn provider() -> rustls::crypto::CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let name = suite.suite().as_str().unwrap_or_default();
        !name.contains("AES_128_GCM")
    });
    provider
}

/// The first certificate that fits the name and the client's signature schemes; else the first that fits the schemes;
/// else the first of all, with which rustls then says `handshake_failure` as RFC 8446 §4.1.1 asks, and not
/// `access_denied`. Nothing is remembered of names that nobody has.
#[derive(Debug)]
struct BySni(Certificates);

#[derive(Debug, Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
    file: PathBuf,
    /// What its files hold now could not be used.
    is_former: bool,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |shown: &&Shown| shown.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let all = &self.0.0;
        let named = name.and_then(|name| all.iter().filter(usable).find(|shown| shown.is_for(&name)));
        named.or_else(|| all.iter().find(usable)).or_else(|| all.first()).map(|shown| shown.key.clone())
    }
}

impl Shown {
    fn load(files: &config::Certificate) -> Result<Self, Problem> {
        let key = files.load()?;
        // `load` has read it.
        let leaf = key.cert.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()));
        Ok(Self { key: Arc::new(key), leaf, file: files.certificate.clone(), is_former: false })
    }

    /// Reads its files again. See [`Certificates::reload`].
    fn reload(&self, files: &config::Certificate, now: OffsetDateTime) -> Result<Self, Problem> {
        let shown = Self::load(files)?;
        match shown.expired(now) {
            Some(expired) if self.is_valid(now) => {
                let message = format!("the certificate in {} {expired}", shown.file.display());
                Err(files.certificate_place.error(message))
            }
            Some(_) | None => Ok(shown),
        }
    }

    /// `None` = it is not X.509.
    fn status(&self) -> Option<CertificateStatus> {
        let mut status = CertificateStatus::of(&self.file, &self.leaf)?;
        status.is_former = self.is_former;
        Some(status)
    }

    /// In words, if it has.
    fn expired(&self, now: OffsetDateTime) -> Option<CertificateProblem> {
        let problem = self.status()?.problem(now)?;
        matches!(problem, CertificateProblem::Expired(_)).then_some(problem)
    }

    fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.status().is_some_and(|status| status.not_before <= now && now <= status.not_after)
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        ParsedCertificate::try_from(&self.leaf).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a certificate and its key in a folder.
    struct Files(tempfile::TempDir);

    impl Files {
        fn renew(&self, name: &str) {
            let pair = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).expect("a certificate");
            self.write(&format!("{name}.pem"), &pair.cert.pem());
            self.write(&format!("{name}.key"), &pair.signing_key.serialize_pem());
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.0.path().join(file), text).expect("a file");
        }

        fn tls(&self, names: &[&str]) -> config::Tls {
            let certificate = |name: &&str| {
                self.renew(name);
                let [certificate, key] = ["pem", "key"].map(|end| self.0.path().join(format!("{name}.{end}")));
                config::Certificate { certificate, key, ..config::Certificate::default() }
            };
            let certificates = names.iter().map(certificate).collect();
            config::Tls { certificates, minimum: TlsVersion::V1_2, early_greeting: true }
        }
    }

    #[test]
    fn new_certificates_leave_the_alpn_ids_and_the_ticketer_as_they_were() {
        let files = Files(tempfile::TempDir::new().expect("a folder"));
        let tls = files.tls(&["mail"]);
        let certificates = Certificates::load(&tls).expect("a certificate");
        for alpn in [&[][..], &[&b"imap"[..]], &[b"smtp", b"esmtp"]] {
            let expected: Vec<Vec<u8>> = alpn.iter().map(|id| id.to_vec()).collect();
            let acceptor = Acceptor::new(&tls, &certificates, alpn).expect("an acceptor");
            let ticketer = acceptor.0.load().ticketer.clone();
            acceptor.show(&certificates);
            assert_eq!(acceptor.0.load().alpn_protocols, expected);
            assert!(Arc::ptr_eq(&acceptor.0.load().ticketer, &ticketer));
        }
    }

    #[test]
    fn a_pair_that_cannot_be_used_stays_as_it_was_and_holds_up_no_other() {
        let files = Files(tempfile::TempDir::new().expect("a folder"));
        let tls = files.tls(&["one", "two"]);
        let first = Certificates::load(&tls).expect("certificates");
        let leaf = |certificates: &Certificates, at: usize| certificates.0[at].leaf.clone();
        let former = |certificates: &Certificates| {
            certificates.statuses().iter().map(|status| status.is_former).collect::<Vec<_>>()
        };

        files.renew("one");
        files.renew("two");
        // A renewal that was caught in the middle: the key is still the old one's.
        let other = rcgen::generate_simple_self_signed(["one.example.com".to_owned()]).expect("a certificate");
        files.write("one.key", &other.signing_key.serialize_pem());
        let (second, problems) = first.reload(&tls, OffsetDateTime::now_utc());
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains("one.key does not belong to the certificate in "), "{said:?}");
        assert_eq!(leaf(&second, 0), leaf(&first, 0));
        assert_ne!(leaf(&second, 1), leaf(&first, 1));
        assert_eq!((former(&first), former(&second)), (vec![false, false], vec![true, false]));

        files.renew("one");
        let (third, problems) = second.reload(&tls, OffsetDateTime::now_utc());
        assert!(problems.is_empty() && former(&third) == [false, false]);
        assert_ne!(leaf(&third, 0), leaf(&first, 0));
    }
}
