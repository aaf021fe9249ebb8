//! TLS: the certificates that clients are shown, and how servers that we connect to are verified.
//!
//! Files are read here once, so that a wrong path or a key of another certificate is found by the check and not by
//! the first client.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::item::Item;
use super::sheet::Fields;
use super::values;
use crate::config::{Certificate, ClientTls, Tls, TlsVersion};

/// What clients are shown.
pub(super) struct Shown {
    /// Whether certificates are named, right or wrong: listeners may rely on them.
    pub(super) is_written: bool,
    /// `None` = no TLS, or a problem that was reported.
    pub(super) tls: Option<Tls>,
}

pub(super) fn shown(root: &mut Fields<'_>) -> Shown {
    let Some(item) = root.take("tls") else {
        return Shown { is_written: false, tls: None };
    };
    let Some(mut fields) = item.fields() else {
        return Shown { is_written: true, tls: None };
    };
    let minimum = fields.take("minimum").and_then(|item| item.choice(&VERSIONS)).unwrap_or_default();
    let early_greeting = fields.or("early_greeting", values::truth, true);
    let list = fields.need("certificates").map(|item| item.some_items()).unwrap_or_default();
    let certificates: Vec<_> = list.iter().filter_map(certificate).collect();
    let tls = (!certificates.is_empty()).then_some(Tls { certificates, minimum, early_greeting });
    Shown { is_written: true, tls }
}

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];

fn certificate(item: &Item<'_>) -> Option<Certificate> {
    let mut fields = item.fields()?;
    let (chain_item, key_item) = (fields.need("certificate"), fields.need("key"));
    let (chain_item, key_item) = (chain_item?, key_item?);
    let (path, key_path) = (chain_item.path(), key_item.path());
    let (path, key_path) = (path?, key_path?);
    let chain = own_chain(&path).map_err(|reason| chain_item.fault(reason));
    item.sheet.watch_secret(&key_item.place, Some(&key_path));
    let key = private_key(&key_path).map_err(|reason| key_item.fault(reason));
    if let Err(error) = CertifiedKey::from_der(chain.ok()?, key.ok()?, &default_provider()) {
        key_item.fault(match error {
            rustls::Error::InconsistentKeys(_) => format!("is not the key of {}", path.display()),
            error => format!("cannot be used with {}: {error}", path.display()),
        });
        return None;
    }
    item.sheet.watch_certificate(&chain_item.place, &path);
    Some(Certificate { certificate: path, key: key_path })
}

fn own_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = certificates(path)?;
    // Only our own: an authority may be of a version that nobody would present.
    if chain.first().is_some_and(|leaf| ParsedCertificate::try_from(leaf).is_err()) {
        return Err(format!("{} holds PEM that is no X.509 certificate", path.display()));
    }
    Ok(chain)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(format!("{} holds no PEM certificate", path.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::NoItemsFound => {
            format!("{} holds no PEM private key (one that is encrypted cannot be used)", path.display())
        }
        error => unreadable(path, &error),
    })
}

// `PemError` quotes lines of the file, and the file may be a key: its words are for nobody's log.
fn unreadable(path: &Path, error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("{} cannot be read: {error}", path.display()),
        _ => format!("{} is not PEM", path.display()),
    }
}

/// `{ ca: path, verify: true }`, from the fields of a `tls` map.
pub(super) fn verification(fields: &mut Fields<'_>) -> ClientTls {
    let ca = fields.take("ca").and_then(|item| {
        let path = item.path()?;
        authorities(&path).map_err(|reason| item.fault(reason)).ok()?;
        Some(path)
    });
    ClientTls { ca, skip_verification: !fields.or("verify", values::truth, true) }
}

fn authorities(path: &Path) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| format!("{} cannot be used as an authority: {error}", path.display()))?;
    }
    Ok(())
}
