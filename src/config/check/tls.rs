//! TLS: the certificates that clients are shown, and how servers that we connect to are verified.
//!
//! Files are read here once, so that a wrong path or a key of another certificate is found by the check and not by
//! the first client.

use super::item::Item;
use super::sheet::Fields;
use super::values;
use crate::config::{Certificate, ClientTls, Tls, TlsVersion, pem};

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
    let chain = pem::own_chain(&path).map_err(|reason| chain_item.fault(reason));
    item.sheet.watch_secret(&key_item.place, Some(&key_path));
    let key = pem::private_key(&key_path).map_err(|reason| key_item.fault(reason));
    pem::pair(chain.ok()?, key.ok()?, &path, &key_path).map_err(|reason| key_item.fault(reason)).ok()?;
    item.sheet.watch_certificate(&chain_item.place, &path);
    let place = |item: &Item<'_>| item.sheet.spot(&item.place);
    let (certificate_place, key_place) = (place(&chain_item), place(&key_item));
    Some(Certificate { certificate: path, key: key_path, certificate_place, key_place })
}

/// `{ ca: path, verify: true }`, from the fields of a `tls` map.
pub(super) fn verification(fields: &mut Fields<'_>) -> ClientTls {
    let ca = fields.take("ca").and_then(|item| {
        let path = item.path()?;
        pem::authorities(&path).map_err(|reason| item.fault(reason)).ok()?;
        Some(path)
    });
    ClientTls { ca, skip_verification: !fields.or("verify", values::truth, true) }
}
