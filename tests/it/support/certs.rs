//! An authority and its certificates, made once a process.
//!
//! rustls refuses a certificate that is authority and server at once, so there is a real authority; and a second one
//! that nobody trusts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::keeper;

/// The files and the authority behind them.
pub struct Certs {
    /// PEM of the authority that clients, gateway and servers trust.
    pub ca_file: PathBuf,
    /// For `mail.example.org`, `localhost` and 127.0.0.1: the gateway's first.
    pub mail: Leaf,
    /// For `mail.example.net`: the gateway's second.
    pub other: Leaf,
    /// For every back-end by name, and for slapd by address.
    pub server: Leaf,
    /// For the back-ends' names, by an authority that nobody trusts.
    pub stranger: Leaf,
    ca: Authority,
}

/// A certificate and its key, as files and in memory.
pub struct Leaf {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    secret: PrivateKeyDer<'static>,
}

/// This process's certificates.
pub fn certs() -> &'static Certs {
    static CERTS: LazyLock<Certs> = LazyLock::new(Certs::make);
    &CERTS
}

impl Certs {
    fn make() -> Self {
        let folder = keeper::folder("certs");
        let (ca, stranger) = (Authority::make("Tests"), Authority::make("Strangers"));
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, &ca.pem).unwrap();
        Self {
            mail: ca.leaf(&folder, "mail", &["mail.example.org", "localhost", "127.0.0.1"]),
            other: ca.leaf(&folder, "other", &["mail.example.net"]),
            server: ca.leaf(&folder, "server", &SERVERS),
            stranger: stranger.leaf(&folder, "stranger", &SERVERS),
            ca_file,
            ca,
        }
    }

    /// One more certificate, for a test that needs a name of its own.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.ca.leaf(&keeper::folder("cert"), "leaf", names)
    }

    /// For the back-ends' names, and of the last century.
    pub fn expired(&self) -> Leaf {
        let past = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(1998, 1, 1);
            params.not_after = rcgen::date_time_ymd(1999, 1, 1);
        };
        self.ca.leaf_with(&keeper::folder("cert"), "expired", &SERVERS, past)
    }

    /// For the gateway's names, from and to so many days from now.
    pub fn dated(&self, days: [i64; 2]) -> Leaf {
        let dates = |params: &mut CertificateParams| {
            let [from, to] = days.map(|days| time::OffsetDateTime::now_utc() + time::Duration::days(days));
            (params.not_before, params.not_after) = (from, to);
        };
        self.ca.leaf_with(&keeper::folder("cert"), "dated", &["mail.example.org", "localhost", "127.0.0.1"], dates)
    }

    /// With a back-end's name where names were once, and nowhere else.
    pub fn with_a_common_name_only(&self) -> Leaf {
        let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, SERVERS[0]);
        self.ca.leaf_with(&keeper::folder("cert"), "named", &[], named)
    }

    /// For the back-ends' names, by nobody but itself.
    pub fn self_signed(&self) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(SERVERS.map(String::from)).unwrap().self_signed(&key).unwrap();
        Leaf::write(&keeper::folder("cert"), "self", made.pem(), vec![made.der().clone()], &key)
    }

    /// A client that trusts the authority and speaks these versions.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Leaf {
    fn write(folder: &Path, file: &str, pem: String, chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        let leaf = Self {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}.key")),
            chain,
            secret: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        };
        std::fs::write(&leaf.certificate, pem).unwrap();
        std::fs::write(&leaf.key, key.serialize_pem()).unwrap();
        leaf
    }

    /// A server that shows this certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.secret.clone_key())
            .unwrap();
        Arc::new(config)
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn make(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    fn leaf(&self, folder: &Path, file: &str, names: &[&str]) -> Leaf {
        self.leaf_with(folder, file, names, |_| {})
    }

    fn leaf_with(
        &self,
        folder: &Path,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name.push(DnType::CommonName, file);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![made.der().clone(), self.der.clone()];
        Leaf::write(folder, file, made.pem() + &self.pem, chain, &key)
    }
}

/// What back-ends are called.
const SERVERS: [&str; 4] = ["one.stores.example.org", "two.stores.example.org", "localhost", "127.0.0.1"];

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
