//! TLS towards a server: StartTLS and ldaps, verified.

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::super::fake::{EXTENDED, result};
use super::*;

/// An authority, and a server certificate of it.
struct Authority {
    folder: TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![]).expect("params");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).expect("a certificate");
        let issuer = rcgen::Issuer::new(params, key);
        let server_key = rcgen::KeyPair::generate().expect("a key");
        let server = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("params");
        let server = server.signed_by(&server_key, &issuer).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![server.der().clone()],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )
            .expect("a server");
        Self { folder, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    fn trusted(&self) -> ClientTls {
        ClientTls { ca: Some(self.folder.path().join("ca.pem")), skip_verification: false }
    }
}

/// A server that upgrades as the test says, and answers inside.
async fn upgrading(answer: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static) -> Fake {
    Fake::new(move |heard| match heard.operation {
        EXTENDED => answer(heard),
        BIND => say(bound(heard.id, 0)),
        _ => say(lives_at(heard.id, "mail1")),
    })
    .await
}

fn with_starttls(fake: &Fake, tls: ClientTls) -> Directory {
    let mut config = ldap(vec![url(fake)]);
    config.starttls = true;
    config.tls = tls;
    directory_at(config)
}

#[tokio::test]
async fn starttls_comes_before_anything_else() {
    let authority = Authority::new("127.0.0.1");
    let acceptor = authority.acceptor.clone();
    let fake =
        upgrading(move |heard| vec![Say::Bytes(result(heard.id, 0x78, 0)), Say::Handshake(acceptor.clone())]).await;
    assert_eq!(host(&with_starttls(&fake, authority.trusted()), "alice").await.as_deref(), Some("mail1"));
    let order: Vec<u8> = fake.heard.lock().expect("lock").iter().map(|heard| heard.operation).collect();
    assert_eq!(order, [EXTENDED, BIND, SEARCH]);
    assert!(fake.heard(EXTENDED)[0].content.ends_with(b"1.3.6.1.4.1.1466.20037"));
}

#[tokio::test]
async fn nothing_is_told_to_a_server_that_does_not_upgrade() {
    type Answer = fn(&Heard) -> Vec<Say>;
    let answers: [(Answer, &str); 6] = [
        (|heard| say(result(heard.id, 0x78, 2)), "StartTLS refused"),
        (|heard| say([result(heard.id, 0x78, 0), bound(heard.id, 0)].concat()), "bytes behind the StartTLS answer"),
        (|heard| say(result(heard.id + 1, 0x78, 0)), "answer to no question"),
        (|heard| say(bound(heard.id, 0)), "wrong kind"),
        (|_| say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "not LDAP"),
        (|_| vec![Say::Close], "unexpected end of file"),
    ];
    for (answer, why) in answers {
        let fake = upgrading(answer).await;
        let tls = ClientTls { ca: None, skip_verification: true };
        let problem = problem(&with_starttls(&fake, tls), "alice").await;
        assert!(matches!(&problem, Unavailable::Down(text) if text.contains(why)), "{why}: {problem}");
        assert!(fake.heard(BIND).is_empty() && fake.heard(SEARCH).is_empty(), "{why}");
    }
}

#[tokio::test]
async fn bytes_that_follow_the_starttls_answer_later_are_no_handshake() {
    let fake = upgrading(|heard| {
        vec![
            Say::Bytes(result(heard.id, 0x78, 0)),
            Say::Wait(Duration::from_millis(20)),
            Say::Bytes([bound(1, 0), lives_at(2, "evil")].concat()),
        ]
    })
    .await;
    let problem = problem(&with_starttls(&fake, ClientTls { ca: None, skip_verification: true }), "alice").await;
    assert!(problem.to_string().contains("TLS"), "{problem}");
}

#[tokio::test]
async fn a_server_without_the_right_certificate_is_told_nothing() {
    let (ours, others, other_name) =
        (Authority::new("127.0.0.1"), Authority::new("127.0.0.1"), Authority::new("ldap.example"));
    for (authority, trusted) in [(&others, ours.trusted()), (&other_name, other_name.trusted())] {
        let acceptor = authority.acceptor.clone();
        let fake =
            upgrading(move |heard| vec![Say::Bytes(result(heard.id, 0x78, 0)), Say::Handshake(acceptor.clone())]).await;
        let problem = problem(&with_starttls(&fake, trusted), "alice").await;
        assert!(problem.to_string().contains("certificate"), "{problem}");
        assert!(fake.heard(BIND).is_empty());
        let anyone = ClientTls { ca: None, skip_verification: true };
        assert_eq!(host(&with_starttls(&fake, anyone), "alice").await.as_deref(), Some("mail1"));
    }
}

#[tokio::test]
async fn ldaps_is_tls_from_the_first_byte() {
    let authority = Authority::new("127.0.0.1");
    let fake = Fake::with_tls(authority.acceptor.clone(), searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let mut config = ldap(vec![LdapUrl { ldaps: true, ..url(&fake) }]);
    config.tls = authority.trusted();
    assert_eq!(host(&directory_at(config), "alice").await.as_deref(), Some("mail1"));
}
