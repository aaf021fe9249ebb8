//! How servers that we connect to are verified: directory servers and back-ends alike.
//!
//! It stands apart because it is the only place where verification can be switched off.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config;

/// Why there is no client side of TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupProblem {
    /// The CA file cannot be read, or holds no certificate that can be used.
    #[error("{0}")]
    Authorities(String),
    /// The system has no certificates.
    #[error("no certificates of authorities on this system; name a ca file")]
    NoSystemAuthorities,
    /// rustls does not want it so.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The client side of TLS 1.2 and 1.3, offering these ALPN protocols (none = no ALPN).
///
/// Reads files; call it at start and reload, not for a connection.
///
/// # Errors
/// [`TlsSetupProblem`]: there is nobody to trust.
pub fn client_config(tls: &config::ClientTls, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsSetupProblem> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = if tls.skip_verification {
        let anyone = Arc::new(Anyone(provider));
        builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth()
    } else {
        builder.with_root_certificates(authorities(tls)?).with_no_client_auth()
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn authorities(tls: &config::ClientTls) -> Result<RootCertStore, TlsSetupProblem> {
    let Some(file) = &tls.ca else {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if store.is_empty() { Err(TlsSetupProblem::NoSystemAuthorities) } else { Ok(store) };
    };
    config::pem::authorities(file).map_err(TlsSetupProblem::Authorities)
}

/// Why a handshake with a server failed, in words for an operator where they are known.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    use rustls::{CertificateError as Certificate, Error};
    let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return error.to_string();
    };
    let Error::InvalidCertificate(certificate) = problem else { return problem.to_string() };
    match certificate {
        Certificate::UnknownIssuer => {
            "its certificate is of an authority that is not trusted here: name that one's file as `ca` of `tls`"
                .to_owned()
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        Certificate::NotValidForName => "its certificate is for other names than that of the server".to_owned(),
        Certificate::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().take(NAMES_SHOWN).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "no name at all" } else { &names };
            format!("its certificate is not for {}, but for {names}", expected.to_str())
        }
        other => format!("its certificate cannot be trusted: {other}"),
    }
}

/// A name as its certificate has it, out of `DnsName("mail1.example.com")` and `IpAddress(192.0.2.1)`, as rustls passes it on.
fn plain(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inside.trim_matches('"')
}

/// Of a certificate, which may have thousands.
const NAMES_SHOWN: usize = 5;

/// Takes any certificate, but wants proof that the server holds its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ca(text: &str) -> Result<Arc<ClientConfig>, TlsSetupProblem> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, text).expect("written");
        client_config(&config::ClientTls { ca: Some(file), skip_verification: false }, &[b"imap"])
    }

    #[test]
    fn an_own_authority_is_trusted_and_alpn_is_offered() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let authority = rcgen::CertificateParams::new(vec!["ca".into()]).and_then(|p| p.self_signed(&key));
        let config = with_ca(&authority.expect("a certificate").pem()).expect("a configuration");
        assert_eq!(config.alpn_protocols, [b"imap"]);
    }

    #[test]
    fn a_ca_file_without_certificates_is_a_problem() {
        let said = |text| with_ca(text).map_or_else(|problem| problem.to_string(), |_| "fine".to_owned());
        assert!(said("").ends_with("ca.pem holds no PEM certificate"));
        assert!(said("hello\n").ends_with("ca.pem holds no PEM certificate"));
        assert!(said("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").ends_with("ca.pem is not PEM"));
        let nonsense = said("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(nonsense.ends_with("ca.pem holds PEM that is no certificate of an authority"), "{nonsense}");
        let missing = config::ClientTls { ca: Some("no/such/file".into()), skip_verification: false };
        let missing = client_config(&missing, &[]).expect_err("no file").to_string();
        assert!(missing.starts_with("no/such/file cannot be read: "), "{missing}");
    }

    #[test]
    fn names_of_a_refused_certificate_are_told_as_they_are() {
        let said = |presented: &[&str]| {
            let presented = presented.iter().map(ToString::to_string).collect();
            let expected = ServerName::try_from("one.example.org").expect("a name");
            let problem = rustls::CertificateError::NotValidForNameContext { expected, presented };
            reason(&io::Error::other(rustls::Error::InvalidCertificate(problem)))
        };
        let two = said(&["DnsName(\"mail1.example.com\")", "IpAddress(192.0.2.1)"]);
        assert_eq!(two, "its certificate is not for one.example.org, but for mail1.example.com, 192.0.2.1");
        assert!(said(&[]).ends_with(", but for no name at all"));
        assert!(said(&["", "(", "x)"]).ends_with(", but for , (, x)"), "whatever they look like");
    }

    #[test]
    fn without_verification_no_authority_is_needed() {
        let tls = config::ClientTls { ca: None, skip_verification: true };
        assert!(client_config(&tls, &[]).is_ok());
    }
}
