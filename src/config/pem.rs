//! Certificates and keys in PEM files: reading them, and what is wrong with such a file in words for an operator.
//!
//! It stands apart because the check, a start and a reload must say the same. No word of rustls or of its PEM reader is
//! passed on: the reader quotes lines of the file, and the file may be a key.

use std::path::Path;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};

use super::Certificate;
use super::check::Problem;

impl Certificate {
    /// Reads both files. The first certificate of what is returned is the one that is for the key.
    ///
    /// # Errors
    /// [`Problem`]: a file cannot be used, or they do not belong together; with the place in the configuration.
    pub fn load(&self) -> Result<CertifiedKey, Problem> {
        let chain = own_chain(&self.certificate).map_err(|reason| self.certificate_place.error(reason))?;
        let key = private_key(&self.key).map_err(|reason| self.key_place.error(reason))?;
        pair(chain, key, &self.certificate, &self.key).map_err(|reason| self.key_place.error(reason))
    }
}

/// A chain that we show: its first certificate can be read.
pub(super) fn own_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = certificates(path)?;
    // Only our own: an authority may be of a version that nobody would present.
    if chain.first().is_some_and(|leaf| ParsedCertificate::try_from(leaf).is_err()) {
        return Err(format!("{} holds PEM that is no X.509 certificate", path.display()));
    }
    Ok(chain)
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::NoItemsFound => {
            format!("{} holds no PEM private key (one that is encrypted cannot be used)", path.display())
        }
        error => unreadable(path, &error),
    })
}

/// A chain with its key; `path` and `key_path` are where they came from.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
    key_path: &Path,
) -> Result<CertifiedKey, String> {
    let (path, key_path) = (path.display(), key_path.display());
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => format!("the key in {key_path} does not belong to the certificate in {path}"),
        Error::InvalidCertificate(_) => format!("{path} holds PEM that is no X.509 certificate"),
        _ => format!("the key in {key_path} cannot be used: it is damaged, or neither RSA, ECDSA nor Ed25519"),
    })
}

/// Those of a file that names whom we trust.
///
/// # Errors
/// What is wrong with the file, its path in front.
pub fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = store.add(certificate);
        added.map_err(|_| format!("{} holds PEM that is no certificate of an authority", path.display()))?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(format!("{} holds no PEM certificate", path.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("{} cannot be read: {error}", path.display()),
        _ => format!("{} is not PEM", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "mail.example.com";

    fn said(certificate: &str, key: &str) -> String {
        let folder = tempfile::TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("a file");
            file
        };
        let files = Certificate {
            certificate: write("mail.pem", certificate),
            key: write("mail.key", key),
            ..Certificate::default()
        };
        let said = files.load().map_or_else(|problem| problem.message, |_| "fine".to_owned());
        said.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_said_without_a_word_of_its_files() {
        let pair = || {
            let pair = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
            (pair.cert.pem(), pair.signing_key.serialize_pem())
        };
        let ((certificate, key), (other, other_key)) = (pair(), pair());
        let damaged = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let torn = "-----BEGIN PRIVATE KEY-----\nsecret!\n";
        let no_x509 = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";
        for (files, expected) in [
            ([&*certificate, &*key], "fine"),
            ([&other, &key], "the key in mail.key does not belong to the certificate in mail.pem"),
            ([&certificate, &other_key], "the key in mail.key does not belong to the certificate in mail.pem"),
            (
                [&certificate, damaged],
                "the key in mail.key cannot be used: it is damaged, or neither RSA, ECDSA nor Ed25519",
            ),
            ([&certificate, torn], "mail.key is not PEM"),
            ([&certificate, ""], "mail.key holds no PEM private key (one that is encrypted cannot be used)"),
            ([no_x509, &key], "mail.pem holds PEM that is no X.509 certificate"),
            (["", &key], "mail.pem holds no PEM certificate"),
        ] {
            assert_eq!(said(files[0], files[1]), expected);
        }
    }
}
