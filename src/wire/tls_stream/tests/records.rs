//! Which records are sent, in which order, and which of them in one segment.

use super::*;

/// The types of the records in what came: 21 is an alert, 22 a handshake message, 23 anything encrypted.
fn records(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        types.push(*kind);
        bytes = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).expect("whole records");
    }
    assert!(bytes.is_empty(), "whole records");
    types
}

/// Our server, and a client that has finished its handshake; what has come for it since is still in the kernel.
async fn finished(half_rtt: bool, greeting: &'static [u8]) -> (TlsStream, rustls::ClientConnection, TcpStream) {
    let (server, client) = configs(EACH[1]);
    let mut server = Arc::unwrap_or_clone(server);
    server.send_half_rtt_data = half_rtt;
    server.send_tls13_tickets = 1;
    server.ticketer = aws_lc_rs::Ticketer::new().expect("a ticketer");
    let (ours, mut theirs) = pair().await;
    let serving = tokio::spawn(TlsStream::handshake(ours, our_server(&Arc::new(server)), greeting));
    let mut client = rustls::ClientConnection::new(client, name()).expect("a client");
    let mut heard = 0;
    while client.is_handshaking() || half_rtt && heard < greeting.len() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("records");
        }
        theirs.write_all(&flight).await.expect("write");
        hear_records(&mut client, &mut theirs).await;
        heard += std::io::Read::read(&mut client.reader(), &mut [0; 99]).unwrap_or(0);
    }
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).expect("records");
    }
    theirs.write_all(&flight).await.expect("write");
    (serving.await.expect("no panic").expect("a handshake"), client, theirs)
}

/// Feeds the client with what one read brings; the types of the records.
async fn hear_records(client: &mut rustls::ClientConnection, tcp: &mut TcpStream) -> Vec<u8> {
    let mut flight = vec![0; 16 * 1024];
    let read = tcp.read(&mut flight).await.expect("read");
    flight.truncate(read);
    let mut rest = &flight[..];
    while !rest.is_empty() {
        client.read_tls(&mut rest).expect("records");
        client.process_new_packets().expect("of a server");
    }
    records(&flight)
}

/// The kernel is asked, not the runtime: what a peer on this machine has sent is there at once.
fn is_readable(tcp: &TcpStream) -> bool {
    socket2::SockRef::from(tcp).peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok()
}

#[tokio::test]
async fn the_ticket_comes_with_the_words_behind_the_handshake_and_never_alone() {
    for (half_rtt, greeting) in [(true, &b"* OK hello\r\n"[..]), (true, b""), (false, b"")] {
        let (mut us, mut client, mut theirs) = finished(half_rtt, greeting).await;
        us.flush().await.expect("nothing to flush");
        assert!(!is_readable(&theirs), "readable, and no line to read");
        assert_eq!(client.tls13_tickets_received(), 0);
        std::io::Write::write_all(&mut client.writer(), b"a NOOP\r\n").expect("room");
        let mut command = Vec::new();
        client.write_tls(&mut command).expect("records");
        theirs.write_all(&command).await.expect("write");
        us.read_exact(&mut [0; 8]).await.expect("the command");
        assert!(!is_readable(&theirs), "a read lets no ticket go");
        us.write_all(b"a OK\r\n").await.expect("write");
        assert_eq!(hear_records(&mut client, &mut theirs).await, [23, 23], "the ticket and the answer, in one segment");
        assert_eq!(client.tls13_tickets_received(), 1);
        let mut answer = [0; 6];
        std::io::Read::read_exact(&mut client.reader(), &mut answer).expect("the answer");
        assert_eq!(&answer, b"a OK\r\n");
        us.write_all(b"b OK\r\n").await.expect("write");
        assert_eq!(hear_records(&mut client, &mut theirs).await, [23]);
    }
}

#[tokio::test]
async fn a_greeting_that_is_not_early_comes_behind_its_ticket_in_one_segment() {
    let (_us, mut client, mut theirs) = finished(false, b"* OK hello\r\n").await;
    assert_eq!(hear_records(&mut client, &mut theirs).await, [23, 23]);
    assert_eq!(client.tls13_tickets_received(), 1);
}

#[tokio::test]
async fn a_server_that_only_closes_sends_its_ticket_before_that() {
    let (mut us, mut client, mut theirs) = finished(true, b"* OK hello\r\n").await;
    us.shutdown().await.expect("close_notify and FIN");
    assert_eq!(hear_records(&mut client, &mut theirs).await, [23, 23]);
    assert_eq!(client.tls13_tickets_received(), 1);
    assert_eq!(std::io::Read::read(&mut client.reader(), &mut [0; 1]).expect("close_notify"), 0);
}

#[tokio::test]
async fn a_handshake_that_fails_after_server_hello_ends_with_its_alert() {
    for versions in EACH {
        let (server, client) = configs(versions);
        let (mut server, mut client) = (Arc::unwrap_or_clone(server), Arc::unwrap_or_clone(client));
        server.alpn_protocols = vec![b"imap".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        let (ours, theirs) = pair().await;
        let connector = TlsConnector::from(Arc::new(client));
        let (us, peer) = tokio::join!(
            TlsStream::handshake(ours, our_server(&Arc::new(server)), b"* OK hello\r\n"),
            connector.connect(name(), theirs)
        );
        us.expect_err("refused");
        let error = peer.expect_err("refused");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
        assert_eq!(inner, Some(&alert), "{error}");
    }
}
