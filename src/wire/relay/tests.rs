//! The relay between two real sockets: order, half-close, back-pressure, idleness, goodbyes.

use super::*;
use crate::wire::Pulse;
use prometheus::IntCounter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A client and a back-end with a relay between them.
struct Bench {
    client: TcpStream,
    backend: TcpStream,
    relay: JoinHandle<Tally>,
    meter: Meter,
    pulse: Arc<Pulse>,
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.expect("connect"), theirs.expect("accept").0)
}

async fn bench(from_client: &[u8], from_backend: &[u8], idle: Duration) -> Bench {
    let (client, client_side) = pair().await;
    let (backend, backend_side) = pair().await;
    let meter = Meter {
        up: IntCounter::new("up", "up").expect("counter"),
        down: IntCounter::new("down", "down").expect("counter"),
    };
    let pulse = Arc::new(Pulse::new());
    let relay = Relay::new(
        (Stream::Plain(client_side), from_client.into()),
        (Stream::Plain(backend_side), from_backend.into()),
        idle,
        Protocol::Imap,
        Arc::new(meter.clone()),
        pulse.clone(),
    );
    Bench { client, backend, relay: tokio::spawn(relay), meter, pulse }
}

const IDLE: &str = Protocol::Imap.goodbye(Goodbye::TimedOut);
const LONG: Duration = Duration::from_secs(3600);

async fn read_exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    stream.read_exact(&mut read).await.expect("bytes");
    assert_eq!(read, expected);
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.expect("bytes");
    read
}

#[tokio::test]
async fn what_was_heard_early_goes_first() {
    let mut bench = bench(b"a SELECT INBOX\r\n", b"* early\r\n", LONG).await;
    bench.client.write_all(b"b NOOP\r\n").await.expect("write");
    bench.backend.write_all(b"b OK\r\n").await.expect("write");
    read_exactly(&mut bench.backend, b"a SELECT INBOX\r\nb NOOP\r\n").await;
    read_exactly(&mut bench.client, b"* early\r\nb OK\r\n").await;
}

#[tokio::test]
async fn a_half_closed_side_is_passed_on_and_the_other_drained() {
    let Bench { mut client, mut backend, relay, .. } = bench(b"", b"", LONG).await;
    client.write_all(b"QUIT\r\n").await.expect("write");
    client.shutdown().await.expect("FIN");
    assert_eq!(rest(&mut backend).await, b"QUIT\r\n");
    let mail = vec![b'm'; 1_000_000];
    let (sent, received) = tokio::join!(
        async {
            backend.write_all(&mail).await.expect("write");
            drop(backend);
        },
        rest(&mut client)
    );
    assert_eq!(((), received.len()), (sent, mail.len()));
    let tally = relay.await.expect("no panic");
    assert_eq!((tally.up, tally.down), (6, 1_000_000));
    assert!(matches!(tally.end, End::Closed(Side::Client)), "{tally:?}");
}

#[tokio::test]
async fn five_megabytes_cross_both_ways_at_once_through_small_buffers() {
    let Bench { client, backend, relay, meter, pulse } = bench(b"", b"", LONG).await;
    for socket in [&client, &backend] {
        let socket = socket2::SockRef::from(socket);
        socket.set_send_buffer_size(4096).expect("small");
    }
    let pattern = |seed: u8| (0..5_000_000_u32).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<u8>>();
    async fn exchange(stream: TcpStream, send: Vec<u8>) -> Vec<u8> {
        let (mut read, mut write) = stream.into_split();
        let sending = tokio::spawn(async move {
            write.write_all(&send).await.expect("write");
            write.shutdown().await.expect("FIN");
        });
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.expect("read");
        sending.await.expect("sent");
        received
    }
    let (down, up) = tokio::join!(exchange(client, pattern(1)), exchange(backend, pattern(2)));
    assert!(down == pattern(2) && up == pattern(1), "not one byte changed");
    let tally = relay.await.expect("no panic");
    assert_eq!((tally.up, tally.down, meter.up.get(), meter.down.get()), (5_000_000, 5_000_000, 5_000_000, 5_000_000));
    assert_eq!(pulse.bytes(), (5_000_000, 5_000_000));
}

#[tokio::test]
async fn a_reader_that_stops_holds_the_writer_back() {
    let Bench { client, mut backend, .. } = bench(b"", b"", LONG).await;
    let chunk = vec![0; 1 << 20];
    let mut written = 0_usize;
    while let Ok(sent) = tokio::time::timeout(Duration::from_millis(300), backend.write(&chunk)).await {
        written += sent.expect("write");
        assert!(written < 64 << 20, "the relay swallows what nobody reads");
    }
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn traffic_in_either_direction_counts_against_idleness() {
    let Bench { mut client, mut backend, relay, .. } = bench(b"", b"", Duration::from_secs(60)).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        backend.write_all(b"* 1 EXISTS\r\n").await.expect("write");
        read_exactly(&mut client, b"* 1 EXISTS\r\n").await;
    }
    assert_eq!(rest(&mut client).await, IDLE.as_bytes(), "at a line border it says goodbye");
    assert!(matches!(relay.await.expect("no panic").end, End::Idle));
}

#[tokio::test(start_paused = true)]
async fn within_a_line_an_idle_session_is_only_closed() {
    let Bench { mut client, mut backend, relay, .. } = bench(b"", b"", Duration::from_secs(60)).await;
    backend.write_all(b"* 1 FETCH (BODY[] {100}\r\nhalf").await.expect("write");
    assert_eq!(rest(&mut client).await, b"* 1 FETCH (BODY[] {100}\r\nhalf");
    assert!(matches!(relay.await.expect("no panic").end, End::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_side_that_does_not_close_after_the_other_is_not_waited_for_long() {
    let Bench { client, mut backend, relay, .. } = bench(b"", b"", LONG).await;
    let started = Instant::now();
    backend.shutdown().await.expect("FIN");
    let tally = relay.await.expect("no panic");
    assert!(matches!(tally.end, End::Closed(Side::Backend)), "{tally:?}");
    assert!(started.elapsed() <= AFTERWORD + Duration::from_secs(1));
    drop(client);
}

#[tokio::test]
async fn a_reset_ends_the_relay_and_closes_the_other_side() {
    let Bench { mut client, backend, relay, .. } = bench(b"", b"", LONG).await;
    socket2::SockRef::from(&backend).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(backend);
    assert!(rest(&mut client).await.is_empty());
    assert!(matches!(relay.await.expect("no panic").end, End::Lost(Side::Backend, _)));
}

#[tokio::test]
async fn a_relay_that_is_cut_says_goodbye() {
    let Bench { mut client, backend: _open, relay, .. } = bench(b"", b"* OK\r\n", LONG).await;
    read_exactly(&mut client, b"* OK\r\n").await;
    relay.abort();
    assert_eq!(rest(&mut client).await, Protocol::Imap.goodbye(Goodbye::ShuttingDown).as_bytes());
}

#[tokio::test]
async fn a_side_that_no_longer_hears_still_gets_its_last_words_through() {
    let Bench { mut client, mut backend, relay, .. } = bench(b"", b"", LONG).await;
    let mail = vec![b'm'; 3_000_000];
    let sending = tokio::spawn(async move {
        backend.write_all(&mail).await.expect("write");
        backend.shutdown().await.expect("FIN");
        backend
    });
    // The back-end has said all and hears no more; the client, still reading, says something.
    let mut first = vec![0; 1000];
    client.read_exact(&mut first).await.expect("the beginning");
    let reader = tokio::spawn(async move {
        client.write_all(b"z LOGOUT\r\n").await.expect("write");
        rest(&mut client).await.len()
    });
    drop(sending.await.expect("sent"));
    // A reset may have cost the relay what it had not read yet; what it had read, the client gets.
    let received = reader.await.expect("read") as u64;
    let tally = relay.await.expect("no panic");
    assert_eq!(received + 1000, tally.down, "nothing that the relay had taken is lost");
    assert!(matches!(tally.end, End::Closed(Side::Backend) | End::Lost(Side::Backend, _)), "{tally:?}");
}

#[tokio::test]
async fn who_is_kicked_hears_goodbye_at_a_line_border_and_the_back_end_is_closed() {
    let Bench { mut client, mut backend, relay, pulse, .. } = bench(b"", b"* OK\r\n", LONG).await;
    read_exactly(&mut client, b"* OK\r\n").await;
    client.write_all(b"a IDLE\r\n").await.expect("write");
    read_exactly(&mut backend, b"a IDLE\r\n").await;
    assert_eq!(pulse.bytes(), (8, 6), "seen while it lives");
    pulse.kick();
    assert_eq!(rest(&mut client).await, Protocol::Imap.goodbye(Goodbye::Kicked).as_bytes());
    assert!(rest(&mut backend).await.is_empty());
    let tally = relay.await.expect("no panic");
    assert!(matches!(tally, Tally { up: 8, down: 6, end: End::Kicked }), "{tally:?}");
}

#[tokio::test]
async fn within_a_line_who_is_kicked_is_only_closed() {
    let Bench { mut client, mut backend, relay, pulse, .. } = bench(b"", b"", LONG).await;
    backend.write_all(b"* 1 FETCH (BODY[] {100}\r\nhalf").await.expect("write");
    read_exactly(&mut client, b"* 1 FETCH (BODY[] {100}\r\nhalf").await;
    pulse.kick();
    assert!(rest(&mut client).await.is_empty());
    assert!(matches!(relay.await.expect("no panic").end, End::Kicked));
}

#[tokio::test]
async fn a_kick_that_comes_before_the_relay_is_not_lost() {
    let Bench { client, relay, pulse, .. } = bench(b"", b"", LONG).await;
    pulse.kick();
    assert!(matches!(relay.await.expect("no panic").end, End::Kicked));
    drop(client);
}
