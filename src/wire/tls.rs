//! TLS towards clients: certificates chosen by SNI, and re-read without dropping anybody.

use std::io;
use std::sync::Arc;

use super::stream::Stream;
use super::tls_stream::{Session, TlsStream};
use crate::config::{self, CertificateStatus, TlsVersion};
use arc_swap::ArcSwap;
use rustls::client::{UnbufferedClientConnection, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ClientConfig, CommonState, ProtocolVersion, ServerConfig};

/// Certificates and keys did not load; the old ones, if any, stay.
#[derive(Debug, thiserror::Error)]
pub enum SetupProblem {
    /// The certificate's file.
    #[error("{0}: {1}")]
    Pem(String, rustls::pki_types::pem::Error),
    /// The certificate's file has none.
    #[error("{0}: holds no PEM certificate")]
    NoCertificate(String),
    /// They do not belong together, or rustls cannot use them.
    #[error("{0}: {1}")]
    Pair(String, rustls::Error),
    /// Versions, ciphers or the ticketer.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// What is done with a client's handshake; a clone shares the certificates, and so sees new ones.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>, Arc<ArcSwap<Vec<CertificateStatus>>>);

impl Acceptor {
    /// Loads the certificates; `alpn` are the ids of the one protocol that is spoken here. With none, what a client
    /// offers is ignored.
    ///
    /// # Errors
    /// [`SetupProblem`], with the file's name in it.
    pub fn new(tls: &config::Tls, alpn: &[&[u8]]) -> Result<Self, SetupProblem> {
        let (config, certificates) = server_config(tls, alpn.iter().map(|id| id.to_vec()).collect())?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(config)), Arc::new(ArcSwap::from_pointee(certificates))))
    }

    /// The certificates that clients are shown now, which after a failed reload are not those in the files.
    #[must_use]
    pub fn certificates(&self) -> Arc<Vec<CertificateStatus>> {
        self.1.load_full()
    }

    /// Reads the files again, for handshakes from now on.
    ///
    /// # Errors
    /// [`SetupProblem`]; then the old certificates stay.
    pub fn reload(&self, tls: &config::Tls) -> Result<(), SetupProblem> {
        let old = self.0.load_full();
        let (mut new, certificates) = server_config(tls, old.alpn_protocols.clone())?;
        new.ticketer = old.ticketer.clone();
        self.0.store(Arc::new(new));
        self.1.store(Arc::new(certificates));
        Ok(())
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
    alpn: Vec<Vec<u8>>,
) -> Result<(ServerConfig, Vec<CertificateStatus>), SetupProblem> {
    let versions = match tls.minimum {
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let keys = tls.certificates.iter().map(Shown::load).collect::<Result<Vec<_>, _>>()?;
    let files = tls.certificates.iter().map(|files| &files.certificate);
    let statuses = files.zip(&keys).filter_map(|(file, shown)| CertificateStatus::of(file, &shown.leaf)).collect();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni(keys)));
    config.alpn_protocols = alpn;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    // Nothing is said so early but a greeting; rustls leaves it off by itself where clients show certificates.
    config.send_half_rtt_data = tls.early_greeting;
    config.ignore_client_order = true;
    Ok((config, statuses))
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
struct BySni(Vec<Shown>);

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |shown: &&Shown| shown.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| self.0.iter().filter(usable).find(|shown| shown.is_for(&name)));
        named.or_else(|| self.0.iter().find(usable)).or_else(|| self.0.first()).map(|shown| shown.key.clone())
    }
}

impl Shown {
    fn load(files: &config::Certificate) -> Result<Self, SetupProblem> {
        let (certificate, key) = (files.certificate.display().to_string(), files.key.display().to_string());
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| SetupProblem::Pem(certificate.clone(), error))?;
        let leaf = chain.first().cloned();
        let leaf = leaf.ok_or(SetupProblem::NoCertificate(certificate))?;
        let private = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| SetupProblem::Pem(key.clone(), e))?;
        let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
            .map_err(|error| SetupProblem::Pair(key, error))?;
        Ok(Self { key: Arc::new(pair), leaf })
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        ParsedCertificate::try_from(&self.leaf).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_keeps_the_alpn_ids_as_they_were_and_refuses_a_file_without_a_certificate() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let pair = rcgen::generate_simple_self_signed(["mail.example.com".to_owned()]).expect("a certificate");
        let write = |name: &str, pem: String| {
            std::fs::write(folder.path().join(name), pem).expect("a file");
            folder.path().join(name)
        };
        let certificate = config::Certificate {
            certificate: write("c.pem", pair.cert.pem()),
            key: write("k.pem", pair.signing_key.serialize_pem()),
        };
        let tls = config::Tls { certificates: vec![certificate], minimum: TlsVersion::V1_2, early_greeting: true };
        for alpn in [&[][..], &[&b"imap"[..]], &[b"smtp", b"esmtp"]] {
            let expected: Vec<Vec<u8>> = alpn.iter().map(|id| id.to_vec()).collect();
            let acceptor = Acceptor::new(&tls, alpn).expect("an acceptor");
            acceptor.reload(&tls).expect("the same again");
            assert_eq!(acceptor.0.load().alpn_protocols, expected);
        }
        let acceptor = Acceptor::new(&tls, &[]).expect("an acceptor");
        write("c.pem", "no certificate".to_owned());
        let problem = acceptor.reload(&tls).expect_err("nothing to show");
        assert!(problem.to_string().ends_with("c.pem: holds no PEM certificate"), "{problem}");
    }
}
