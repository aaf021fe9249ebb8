//! The relay between two real sockets: order, half-close, back-pressure, idleness, goodbyes; each in every way of moving
//! bytes.

use super::direction::TURN;
use super::*;
use crate::config::Splice;
use crate::wire::Activity;
use prometheus::IntCounter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A client and a back-end with a relay between them.
struct Bench {
    client: TcpStream,
    backend: TcpStream,
    relay: JoinHandle<Tally>,
    meter: ByteCounters,
    activity: Arc<Activity>,
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.expect("connect"), theirs.expect("accept").0)
}

async fn bench(how: Relaying, from_client: &[u8], from_backend: &[u8], idle: Duration) -> Bench {
    let (client, client_side) = pair().await;
    let (backend, backend_side) = pair().await;
    let meter = ByteCounters {
        up: IntCounter::new("up", "up").expect("counter"),
        down: IntCounter::new("down", "down").expect("counter"),
    };
    let activity = Arc::new(Activity::new());
    let relay = Relay::new(
        (Stream::Plain(client_side), from_client.into()),
        (Stream::Plain(backend_side), from_backend.into()),
        idle,
        Arc::new(RelayConfig { protocol: Protocol::Imap, relaying: how, meter: meter.clone() }),
        activity.clone(),
    );
    Bench { client, backend, relay: tokio::spawn(relay), meter, activity }
}

macro_rules! in_every_manner {
    ($($name:ident $(($($clock:tt)*))?;)*) => {
        in_every_manner! { @ copying COPYING $($name $(($($clock)*))?;)* }
        in_every_manner! { @ splicing SPLICING $($name $(($($clock)*))?;)* }
        in_every_manner! { @ turning TURNING $($name $(($($clock)*))?;)* }
        in_every_manner! { @ bytewise BYTEWISE $($name $(($($clock)*))?;)* }
    };
    (@ $manner:ident $how:ident $($name:ident $(($($clock:tt)*))?;)*) => {
        mod $manner {
            $(#[tokio::test $(($($clock)*))?]
            async fn $name() {
                super::$name(super::$how).await;
            })*
        }
    };
}

in_every_manner! {
    what_was_heard_early_goes_first;
    a_half_closed_side_is_passed_on_and_the_other_drained;
    five_megabytes_cross_both_ways_at_once_through_small_buffers;
    an_urgent_byte_in_the_way_stops_nobody;
    one_turn_moves_no_more_than_is_fair;
    a_reader_that_stops_holds_the_writer_back;
    traffic_in_either_direction_counts_against_idleness (start_paused = true);
    within_a_line_an_idle_session_is_only_closed (start_paused = true);
    a_side_that_does_not_close_after_the_other_is_not_waited_for_long (start_paused = true);
    a_short_session_is_closed_with_its_server (start_paused = true);
    a_client_in_the_middle_of_something_is_waited_for (start_paused = true);
    a_client_that_has_said_much_is_waited_for (start_paused = true);
    a_reset_ends_the_relay_and_closes_the_other_side;
    a_relay_that_is_cut_says_goodbye;
    who_is_kicked_hears_goodbye_at_a_line_border_and_the_back_end_is_closed;
    within_a_line_who_is_kicked_is_only_closed;
    a_kick_that_comes_before_the_relay_is_not_lost;
    a_side_that_no_longer_hears_still_gets_its_last_words_through;
}

const COPYING: Relaying = Relaying { splice: Splice::Never, buffer: 32 * 1024 };
const SPLICING: Relaying = Relaying { splice: Splice::Always, buffer: 32 * 1024 };
/// The buffer is small, so that splicing begins and ends often.
const TURNING: Relaying = Relaying { splice: Splice::Auto, buffer: 4096 };
const BYTEWISE: Relaying = Relaying { splice: Splice::Never, buffer: 1 };

/// Not more than is fair when each byte costs two system calls.
fn much(how: Relaying, bytes: usize) -> usize {
    if how == BYTEWISE { bytes / 20 } else { bytes }
}

/// Whether the relay looks at what it passes on.
fn sees(how: Relaying) -> bool {
    how != SPLICING
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

async fn what_was_heard_early_goes_first(how: Relaying) {
    let mut bench = bench(how, b"a SELECT INBOX\r\n", b"* early\r\n", LONG).await;
    bench.client.write_all(b"b NOOP\r\n").await.expect("write");
    bench.backend.write_all(b"b OK\r\n").await.expect("write");
    read_exactly(&mut bench.backend, b"a SELECT INBOX\r\nb NOOP\r\n").await;
    read_exactly(&mut bench.client, b"* early\r\nb OK\r\n").await;
}

async fn a_half_closed_side_is_passed_on_and_the_other_drained(how: Relaying) {
    let Bench { mut client, mut backend, relay, .. } = bench(how, b"", b"", LONG).await;
    client.write_all(b"QUIT\r\n").await.expect("write");
    client.shutdown().await.expect("FIN");
    assert_eq!(rest(&mut backend).await, b"QUIT\r\n");
    let mail = vec![b'm'; much(how, 1_000_000)];
    let (sent, received) = tokio::join!(
        async {
            backend.write_all(&mail).await.expect("write");
            drop(backend);
        },
        rest(&mut client)
    );
    assert_eq!(((), received.len()), (sent, mail.len()));
    let tally = relay.await.expect("no panic");
    assert_eq!((tally.up, tally.down), (6, mail.len() as u64));
    assert!(matches!(tally.end, End::Closed(Side::Client)), "{tally:?}");
}

async fn five_megabytes_cross_both_ways_at_once_through_small_buffers(how: Relaying) {
    let Bench { client, backend, relay, meter, activity } = bench(how, b"", b"", LONG).await;
    for socket in [&client, &backend] {
        let socket = socket2::SockRef::from(socket);
        socket.set_send_buffer_size(4096).expect("small");
    }
    let size = much(how, 5_000_000) as u64;
    let pattern = |seed: u8| (0..size).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<u8>>();
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
    assert_eq!((tally.up, tally.down, meter.up.get(), meter.down.get()), (size, size, size, size));
    assert_eq!(activity.bytes(), (size, size));
}

async fn a_reader_that_stops_holds_the_writer_back(how: Relaying) {
    let Bench { client, mut backend, .. } = bench(how, b"", b"", LONG).await;
    let chunk = vec![0; 1 << 20];
    let mut written = 0_usize;
    while let Ok(sent) = tokio::time::timeout(Duration::from_millis(300), backend.write(&chunk)).await {
        written += sent.expect("write");
        assert!(written < 64 << 20, "the relay swallows what nobody reads");
    }
    drop(client);
}

async fn traffic_in_either_direction_counts_against_idleness(how: Relaying) {
    let Bench { mut client, mut backend, relay, .. } = bench(how, b"", b"", Duration::from_secs(60)).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        backend.write_all(b"* 1 EXISTS\r\n").await.expect("write");
        read_exactly(&mut client, b"* 1 EXISTS\r\n").await;
    }
    let words = if sees(how) { IDLE } else { "" };
    assert_eq!(rest(&mut client).await, words.as_bytes(), "at a line border, where it is known, it says goodbye");
    assert!(matches!(relay.await.expect("no panic").end, End::Idle));
}

async fn within_a_line_an_idle_session_is_only_closed(how: Relaying) {
    let Bench { mut client, mut backend, relay, .. } = bench(how, b"", b"", Duration::from_secs(60)).await;
    backend.write_all(b"* 1 FETCH (BODY[] {100}\r\nhalf").await.expect("write");
    assert_eq!(rest(&mut client).await, b"* 1 FETCH (BODY[] {100}\r\nhalf");
    assert!(matches!(relay.await.expect("no panic").end, End::Idle));
}

async fn a_side_that_does_not_close_after_the_other_is_not_waited_for_long(how: Relaying) {
    let Bench { client, mut backend, relay, .. } = bench(how, b"", b"", LONG).await;
    backend.write_all(&vec![b'm'; ONE_FLIGHT as usize]).await.expect("write");
    backend.shutdown().await.expect("FIN");
    assert_over_within(relay, BACKEND_CLOSED_TIMEOUT..BACKEND_CLOSED_TIMEOUT + Duration::from_secs(1)).await;
    drop(client);
}

async fn a_short_session_is_closed_with_its_server(how: Relaying) {
    let logout = b"a LOGOUT\r\n";
    let Bench { mut client, mut backend, relay, .. } = bench(how, logout, b"", LONG).await;
    let most = ONE_FLIGHT as usize - logout.len() - 1;
    backend.write_all(&vec![b'm'; most]).await.expect("write");
    read_exactly(&mut backend, logout).await;
    backend.shutdown().await.expect("FIN");
    assert_over_within(relay, Duration::ZERO..BACKEND_CLOSED_TIMEOUT).await;
    assert_eq!(rest(&mut client).await.len(), most);
}

async fn a_client_in_the_middle_of_something_is_waited_for(how: Relaying) {
    let short_of_a_line = b"a APPEND INBOX {2000}";
    let Bench { client, mut backend, relay, .. } = bench(how, short_of_a_line, b"", LONG).await;
    read_exactly(&mut backend, short_of_a_line).await;
    backend.shutdown().await.expect("FIN");
    assert_over_within(relay, BACKEND_CLOSED_TIMEOUT..BACKEND_CLOSED_TIMEOUT + Duration::from_secs(1)).await;
    drop(client);
}

async fn a_client_that_has_said_much_is_waited_for(how: Relaying) {
    let much = vec![b'\n'; ONE_FLIGHT as usize];
    let Bench { client, mut backend, relay, .. } = bench(how, &much, b"", LONG).await;
    read_exactly(&mut backend, &much).await;
    backend.shutdown().await.expect("FIN");
    assert_over_within(relay, BACKEND_CLOSED_TIMEOUT..BACKEND_CLOSED_TIMEOUT + Duration::from_secs(1)).await;
    drop(client);
}

async fn assert_over_within(relay: JoinHandle<Tally>, time: std::ops::Range<Duration>) {
    let started = Instant::now();
    let tally = relay.await.expect("no panic");
    assert!(matches!(tally.end, End::Closed(Side::Backend)), "{tally:?}");
    assert!(time.contains(&started.elapsed()), "{:?}", started.elapsed());
}

async fn a_reset_ends_the_relay_and_closes_the_other_side(how: Relaying) {
    let Bench { mut client, backend, relay, .. } = bench(how, b"", b"", LONG).await;
    socket2::SockRef::from(&backend).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(backend);
    assert!(rest(&mut client).await.is_empty());
    assert!(matches!(relay.await.expect("no panic").end, End::Lost(Side::Backend, _)));
}

async fn a_relay_that_is_cut_says_goodbye(how: Relaying) {
    let Bench { mut client, backend: _open, relay, .. } = bench(how, b"", b"* OK\r\n", LONG).await;
    read_exactly(&mut client, b"* OK\r\n").await;
    relay.abort();
    assert_eq!(rest(&mut client).await, Protocol::Imap.goodbye(Goodbye::ShuttingDown).as_bytes());
}

async fn a_side_that_no_longer_hears_still_gets_its_last_words_through(how: Relaying) {
    let Bench { mut client, mut backend, relay, .. } = bench(how, b"", b"", LONG).await;
    let mail = vec![b'm'; much(how, 3_000_000)];
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

async fn an_urgent_byte_in_the_way_stops_nobody(how: Relaying) {
    let Bench { mut client, mut backend, relay, .. } = bench(how, b"", b"", LONG).await;
    backend.write_all(b"before").await.expect("write");
    read_exactly(&mut client, b"before").await;
    socket2::SockRef::from(&backend).send_out_of_band(b"!").expect("an urgent byte");
    backend.write_all(b"behind").await.expect("write");
    drop(backend);
    let heard = tokio::time::timeout(Duration::from_secs(10), rest(&mut client)).await.expect("it goes on");
    assert_eq!(heard, b"behind");
    drop(client);
    relay.await.expect("no panic");
}

async fn one_turn_moves_no_more_than_is_fair(how: Relaying) {
    let ((_client, client_side), (backend, backend_side)) = (pair().await, pair().await);
    // As much as the sockets take, which is more than a turn.
    backend.writable().await.expect("writable");
    let mut waiting = 0;
    while let Ok(sent) = backend.try_write(&[0; 64 * 1024]) {
        waiting += sent as u64;
    }
    backend_side.readable().await.expect("readable");
    client_side.writable().await.expect("writable");
    let meter = ByteCounters {
        up: IntCounter::new("up", "up").expect("counter"),
        down: IntCounter::new("down", "down").expect("counter"),
    };
    let (client, backend) = (Stream::Plain(client_side), Stream::Plain(backend_side));
    let early = BytesMut::new;
    let mut relay = Relay::new(
        (client, early()),
        (backend, early()),
        LONG,
        Arc::new(RelayConfig { protocol: Protocol::Imap, relaying: how, meter }),
        Arc::new(Activity::new()),
    );
    let first = std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut relay).poll(cx).is_pending());
        Poll::Ready(relay.bytes().1)
    });
    let moved = first.await;
    assert!(waiting > u64::from(TURN) && moved > 0 && moved <= u64::from(TURN), "{moved} of {waiting}");
}

async fn who_is_kicked_hears_goodbye_at_a_line_border_and_the_back_end_is_closed(how: Relaying) {
    let Bench { mut client, mut backend, relay, activity, .. } = bench(how, b"", b"* OK\r\n", LONG).await;
    read_exactly(&mut client, b"* OK\r\n").await;
    client.write_all(b"a IDLE\r\n").await.expect("write");
    read_exactly(&mut backend, b"a IDLE\r\n").await;
    assert_eq!(activity.bytes(), (8, 6), "seen while it lives");
    activity.kick();
    assert_eq!(rest(&mut client).await, Protocol::Imap.goodbye(Goodbye::Kicked).as_bytes());
    assert!(rest(&mut backend).await.is_empty());
    let tally = relay.await.expect("no panic");
    assert!(matches!(tally, Tally { up: 8, down: 6, end: End::Kicked }), "{tally:?}");
}

async fn within_a_line_who_is_kicked_is_only_closed(how: Relaying) {
    let Bench { mut client, mut backend, relay, activity, .. } = bench(how, b"", b"", LONG).await;
    backend.write_all(b"* 1 FETCH (BODY[] {100}\r\nhalf").await.expect("write");
    read_exactly(&mut client, b"* 1 FETCH (BODY[] {100}\r\nhalf").await;
    activity.kick();
    assert!(rest(&mut client).await.is_empty());
    assert!(matches!(relay.await.expect("no panic").end, End::Kicked));
}

async fn a_kick_that_comes_before_the_relay_is_not_lost(how: Relaying) {
    let Bench { client, relay, activity, .. } = bench(how, b"", b"", LONG).await;
    activity.kick();
    assert!(matches!(relay.await.expect("no panic").end, End::Kicked));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn the_back_end_of_a_session_that_lasts_is_kept_alive() {
    use std::os::fd::AsFd;
    let ((_client, client_side), (_backend, backend_side)) = (pair().await, pair().await);
    let seen = socket2::Socket::from(backend_side.as_fd().try_clone_to_owned().expect("a descriptor"));
    let meter = ByteCounters {
        up: IntCounter::new("up", "up").expect("counter"),
        down: IntCounter::new("down", "down").expect("counter"),
    };
    let relay = tokio::spawn(Relay::new(
        (Stream::Plain(client_side), BytesMut::new()),
        (Stream::Plain(backend_side), BytesMut::new()),
        LONG,
        Arc::new(RelayConfig { protocol: Protocol::Imap, relaying: COPYING, meter }),
        Arc::new(Activity::new()),
    ));
    tokio::time::sleep(SHORT - Duration::from_secs(1)).await;
    assert!(!seen.keepalive().expect("an option"), "a short session does not pay for it");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(seen.keepalive().expect("an option"));
    assert!(seen.tcp_user_timeout().expect("an option").is_some());
    relay.abort();
}
