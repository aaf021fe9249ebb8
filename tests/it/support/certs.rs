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
        let servers = ["one.stores.example.org", "two.stores.example.org", "localhost", "127.0.0.1"];
        Self {
            mail: ca.leaf(&folder, "mail", &["mail.example.org", "localhost", "127.0.0.1"]),
            other: ca.leaf(&folder, "other", &["mail.example.net"]),
            server: ca.leaf(&folder, "server", &servers),
            stranger: stranger.leaf(&folder, "stranger", &servers),
            ca_file,
            ca,
        }
    }

    /// One more certificate, for a test that needs a name of its own.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.ca.leaf(&keeper::folder("cert"), "leaf", names)
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
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name.push(DnType::CommonName, file);
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let leaf = Leaf {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}.key")),
            chain: vec![made.der().clone(), self.der.clone()],
            secret: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        };
        std::fs::write(&leaf.certificate, made.pem() + &self.pem).unwrap();
        std::fs::write(&leaf.key, key.serialize_pem()).unwrap();
        leaf
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
