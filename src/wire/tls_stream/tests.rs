//! Our TLS stream against rustls' own buffered one, both ways round.

use std::sync::Arc;

use rustls::ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
use rustls::ContentType::{ApplicationData, Handshake};
use rustls::crypto::aws_lc_rs;
use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

mod records;

type Versions = &'static [&'static SupportedProtocolVersion];
const EACH: [Versions; 2] = [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

fn configs(versions: Versions) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    let (leaf, key) = (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::clone(&leaf)).expect("root");
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key.expect("key"))
        .expect("pair");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("name")
}

fn our_server(config: &Arc<ServerConfig>) -> Session {
    Session::Server(Box::new(UnbufferedServerConnection::new(config.clone()).expect("session")))
}

fn our_client(config: &Arc<ClientConfig>) -> Session {
    Session::Client(Box::new(UnbufferedClientConnection::new(config.clone(), name()).expect("session")))
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.expect("connect"), theirs.expect("accept").0)
}

/// Ours as the server, rustls' own buffered one (through tokio-rustls) as the client; and the other way round.
async fn with_peers(versions: Versions) -> [(TlsStream, tokio_rustls::TlsStream<TcpStream>); 2] {
    let (server, client) = configs(versions);
    let (ours, theirs) = pair().await;
    let connector = TlsConnector::from(client.clone());
    let (us, peer) =
        tokio::join!(TlsStream::handshake(ours, our_server(&server), b""), connector.connect(name(), theirs));
    let first = (us.expect("handshake"), peer.expect("handshake").into());
    let (ours, theirs) = pair().await;
    let acceptor = TlsAcceptor::from(server);
    let (us, peer) = tokio::join!(TlsStream::handshake(ours, our_client(&client), b""), acceptor.accept(theirs));
    [first, (us.expect("handshake"), peer.expect("handshake").into())]
}

#[tokio::test]
async fn megabytes_cross_both_ways_at_once_unchanged() {
    for versions in EACH {
        for (us, peer) in with_peers(versions).await {
            let pattern = |seed: u8| (0..3_000_000_u32).map(|n| (n % 253) as u8 ^ seed).collect::<Vec<u8>>();
            async fn exchange<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S, send: Vec<u8>) -> Vec<u8> {
                let (mut read, mut write) = tokio::io::split(stream);
                let sending = tokio::spawn(async move {
                    write.write_all(&send).await.expect("write");
                    write.shutdown().await.expect("close_notify");
                });
                let mut received = Vec::new();
                read.read_to_end(&mut received).await.expect("read");
                sending.await.expect("sent");
                received
            }
            let (one, two) = tokio::join!(exchange(us, pattern(1)), exchange(peer, pattern(2)));
            assert!(one == pattern(2) && two == pattern(1));
        }
    }
}

#[tokio::test]
async fn records_that_come_byte_by_byte_are_put_together() {
    for versions in EACH {
        let (server, client) = configs(versions);
        let ((ours, middle_one), (middle_two, theirs)) = (pair().await, pair().await);
        let trickle = |from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf| async move {
            let mut from = from;
            while let Ok(byte) = from.read_u8().await {
                to.write_u8(byte).await.expect("passed on");
                tokio::task::yield_now().await;
            }
        };
        middle_one.set_nodelay(true).expect("nodelay");
        let ((read_one, write_one), (read_two, write_two)) = (middle_one.into_split(), middle_two.into_split());
        tokio::spawn(trickle(read_one, write_two));
        tokio::spawn(trickle(read_two, write_one));
        let connector = TlsConnector::from(client);
        let handshakes =
            tokio::join!(TlsStream::handshake(ours, our_server(&server), b""), connector.connect(name(), theirs));
        let (mut us, mut peer) = (handshakes.0.expect("handshake"), handshakes.1.expect("handshake"));
        peer.write_all(b"a NOOP\r\n").await.expect("write");
        us.write_all(b"* OK\r\n").await.expect("write");
        let (mut heard, mut said) = ([0; 8], [0; 6]);
        us.read_exact(&mut heard).await.expect("read");
        peer.read_exact(&mut said).await.expect("read");
        assert_eq!((&heard, &said), (b"a NOOP\r\n", b"* OK\r\n"));
    }
}

#[tokio::test]
async fn an_idle_session_holds_no_buffer() {
    for versions in EACH {
        for (mut us, mut peer) in with_peers(versions).await {
            peer.write_all(&[b'x'; 70_000]).await.expect("write");
            peer.flush().await.expect("flush");
            us.read_exact(&mut vec![0; 70_000]).await.expect("read");
            us.write_all(&[b'y'; 70_000]).await.expect("write");
            us.flush().await.expect("flush");
            assert_eq!((us.partial.capacity(), us.clear.len(), us.unsent.capacity()), (0, 0, 0));
        }
    }
}

#[tokio::test]
async fn what_was_decrypted_beyond_what_was_asked_for_is_kept() {
    let [(mut us, mut peer), _] = with_peers(EACH[1]).await;
    peer.write_all(b"a LOGIN\r\nb NOOP\r\n").await.expect("write");
    peer.flush().await.expect("flush");
    let mut read = Vec::new();
    while read.len() < 17 {
        let mut byte = [0; 1];
        us.read_exact(&mut byte).await.expect("a byte");
        read.extend(byte);
    }
    assert_eq!(read, b"a LOGIN\r\nb NOOP\r\n");
}

#[tokio::test]
async fn close_notify_is_an_end_and_its_absence_is_an_error() {
    for versions in EACH {
        let [(mut us, mut peer), (mut other, rude)] = with_peers(versions).await;
        peer.write_all(b"bye").await.expect("write");
        peer.shutdown().await.expect("close_notify");
        let mut read = Vec::new();
        us.read_to_end(&mut read).await.expect("a proper end");
        assert_eq!(read, b"bye");
        us.write_all(b"still here").await.expect("half closed only");

        drop(rude.into_inner_tcp());
        let error = other.read_to_end(&mut Vec::new()).await.expect_err("truncated");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

trait IntoTcp {
    fn into_inner_tcp(self) -> TcpStream;
}

impl IntoTcp for tokio_rustls::TlsStream<TcpStream> {
    fn into_inner_tcp(self) -> TcpStream {
        match self {
            Self::Client(stream) => stream.into_inner().0,
            Self::Server(stream) => stream.into_inner().0,
        }
    }
}

#[tokio::test]
async fn nothing_is_interpreted_after_close_notify() {
    let [(mut us, peer), _] = with_peers(EACH[1]).await;
    let tokio_rustls::TlsStream::Client(mut peer) = peer else { panic!("a client") };
    peer.get_mut().1.send_close_notify();
    peer.flush().await.expect("flush");
    let (mut tcp, _) = peer.into_inner();
    tcp.write_all(b"b LOGIN x y\r\n").await.expect("write");
    let mut read = Vec::new();
    us.read_to_end(&mut read).await.expect("the end");
    assert!(read.is_empty());
    assert_eq!(us.read(&mut [0; 10]).await.expect("still the end"), 0);
}

#[tokio::test]
async fn a_key_update_of_the_peer_is_answered_and_lived_with() {
    let [(mut us, peer), _] = with_peers(EACH[1]).await;
    let tokio_rustls::TlsStream::Client(mut peer) = peer else { panic!("a client") };
    for _ in 0..3 {
        peer.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
        peer.write_all(b"ping").await.expect("write");
        peer.flush().await.expect("flush");
        us.read_exact(&mut [0; 4]).await.expect("read");
        us.write_all(b"pong").await.expect("write");
        us.flush().await.expect("flush");
        peer.read_exact(&mut [0; 4]).await.expect("read");
    }
}

#[tokio::test]
async fn garbage_is_answered_with_an_alert_and_an_error() {
    let (server, _) = configs(EACH[1]);
    let (ours, mut theirs) = pair().await;
    theirs.write_all(b"a NOOP\r\nb NOOP\r\n").await.expect("write");
    let error = TlsStream::handshake(ours, our_server(&server), b"").await.expect_err("no handshake");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let mut alert = Vec::new();
    let _ = theirs.read_to_end(&mut alert).await;
    assert_eq!(alert.first(), Some(&21), "an alert record: {alert:?}");
}

#[tokio::test]
async fn a_handshake_message_that_never_ends_is_refused() {
    let (server, _) = configs(EACH[1]);
    let (ours, mut theirs) = pair().await;
    // A ClientHello that announces 16 MiB, in records of 16 KiB each.
    let sending = tokio::spawn(async move {
        let mut first = vec![1, 0xff, 0xff, 0xff];
        first.resize(16_384, 0);
        let mut record = vec![22, 3, 1, 0x40, 0];
        record.extend(first);
        while theirs.write_all(&record).await.is_ok() {
            record.truncate(5);
            record.resize(5 + 16_384, 0);
        }
    });
    let error = TlsStream::handshake(ours, our_server(&server), b"").await.expect_err("too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    sending.await.expect("no panic");
}

#[tokio::test]
async fn a_wrong_name_is_a_certificate_problem() {
    let (server, client) = configs(EACH[1]);
    let (ours, theirs) = pair().await;
    let wrong = ServerName::try_from("elsewhere.example").expect("name");
    let session = Session::Client(Box::new(UnbufferedClientConnection::new(client, wrong).expect("session")));
    let acceptor = TlsAcceptor::from(server);
    let (us, _) = tokio::join!(TlsStream::handshake(ours, session, b""), acceptor.accept(theirs));
    let error = us.expect_err("refused");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    assert!(matches!(inner, Some(rustls::Error::InvalidCertificate(_))), "{error}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_writer() {
    let [(mut us, peer), _] = with_peers(EACH[1]).await;
    let chunk = vec![0; 1 << 20];
    let mut written = 0;
    while let Ok(sent) = tokio::time::timeout(std::time::Duration::from_millis(200), us.write(&chunk)).await {
        written += sent.expect("write");
        assert!(written < 64 << 20, "what nobody reads is swallowed");
    }
    assert!(us.unsent.len() <= 2 * scratch::SIZE, "{} bytes kept", us.unsent.len());
    drop(peer);
}

/// A TLS 1.3 client that breaks the rules in the right keys: half a handshake message, then application data.
async fn with_an_interleaved_message() -> (TlsStream, TcpStream) {
    let (server, client) = configs(EACH[1]);
    let mut client = ClientConfig::clone(&client);
    client.enable_secret_extraction = true;
    let (ours, theirs) = pair().await;
    let connector = TlsConnector::from(Arc::new(client));
    let (us, peer) =
        tokio::join!(TlsStream::handshake(ours, our_server(&server), b""), connector.connect(name(), theirs));
    let (mut tcp, session) = peer.expect("handshake").into_inner();
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.tls13()).expect("TLS 1.3");
    let (number, secrets) = session.dangerous_extract_secrets().expect("secrets").tx;
    let (Aes128Gcm { key, iv } | Aes256Gcm { key, iv } | Chacha20Poly1305 { key, iv }) = secrets else {
        panic!("a known suite")
    };
    let mut sealer = suite.aead_alg.encrypter(key, iv);
    let mut records = Vec::new();
    for (number, (typ, text)) in (number..).zip([(Handshake, &[24, 0][..]), (ApplicationData, b"x")]) {
        let payload = OutboundChunks::Single(text);
        let record = OutboundPlainMessage { typ, version: rustls::ProtocolVersion::TLSv1_2, payload };
        records.extend(sealer.encrypt(record, number).expect("sealed").encode());
    }
    tcp.write_all(&records).await.expect("write");
    (us.expect("handshake"), tcp)
}

#[tokio::test]
async fn after_a_fault_nothing_is_asked_of_the_session_again() {
    let (mut us, mut peer) = with_an_interleaved_message().await;
    let error = us.read(&mut [0; 10]).await.expect_err("a fault");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(us.read(&mut [0; 10]).await.is_err(), "the same again, and no panic");
    assert!(us.write(b"* BYE\r\n").await.is_err());
    us.shutdown().await.expect("the alert and FIN");
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.expect("the end");
    assert!(!rest.is_empty(), "the tickets, and the alert");
}

/// Whether the greeting has come when the client has heard all that comes before it says its own Finished.
async fn greets_early(versions: Versions, half_rtt: bool) -> bool {
    let (server, client) = configs(versions);
    let mut server = Arc::unwrap_or_clone(server);
    server.send_half_rtt_data = half_rtt;
    let (ours, mut theirs) = pair().await;
    let serving = tokio::spawn(TlsStream::handshake(ours, our_server(&Arc::new(server)), b"* OK hello\r\n"));
    let mut client = rustls::ClientConnection::new(client, name()).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a hello");
    theirs.write_all(&hello).await.expect("write");
    let mut early = Vec::new();
    let mut flight = [0; 16 * 1024];
    // A flight is one write; what came behind it would come within a moment.
    while let Ok(read) = tokio::time::timeout(std::time::Duration::from_millis(300), theirs.read(&mut flight)).await {
        let mut flight = &flight[..read.expect("read")];
        while !flight.is_empty() {
            client.read_tls(&mut flight).expect("records");
            client.process_new_packets().expect("of a server");
        }
        let _ = std::io::Read::read_to_end(&mut client.reader(), &mut early);
    }
    let came = early == b"* OK hello\r\n";
    assert!(came || early.is_empty(), "{early:?}");
    while early.is_empty() || client.wants_write() {
        let mut ours = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut ours).expect("records");
        }
        theirs.write_all(&ours).await.expect("write");
        if early.is_empty() {
            let read = theirs.read(&mut flight).await.expect("read");
            let mut flight = &flight[..read];
            while !flight.is_empty() {
                client.read_tls(&mut flight).expect("records");
                client.process_new_packets().expect("of a server");
            }
            let _ = std::io::Read::read_to_end(&mut client.reader(), &mut early);
        }
    }
    assert_eq!(early, b"* OK hello\r\n", "sooner or later, and once");
    drop(serving.await.expect("no panic").expect("a handshake"));
    came
}

#[tokio::test]
async fn a_greeting_goes_with_the_first_flight_of_tls_1_3_where_it_may_and_is_never_said_twice() {
    let [old, new] = EACH;
    assert!(greets_early(new, true).await);
    assert!(!greets_early(new, false).await);
    assert!(!greets_early(old, true).await);
}
