//! Pipes: lent empty, given back empty, closed otherwise, and never more than allowed.

use std::future::poll_fn;
use std::task::Waker;

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.expect("connect"), theirs.expect("accept").0)
}

/// Open pipes of this thread, and those of them that wait in the pool. Each test has a thread of its own.
fn pipes() -> (usize, usize) {
    POOL.with_borrow(|pool| (Arc::strong_count(&pool.places) - 1, pool.empty.len()))
}

async fn fill(pipe: &mut Pipe, from: &TcpStream, most: usize) -> Filled {
    poll_fn(|cx| pipe.poll_fill(cx, from, most)).await.expect("a splice")
}

#[tokio::test]
async fn bytes_go_through_a_pipe_that_serves_again() {
    let ((mut source, from), (to, mut sink)) = (pair().await, pair().await);
    for round in 0..3 {
        source.write_all(b"hello").await.expect("write");
        let mut pipe = Pipe::take().expect("a pipe");
        assert_eq!((fill(&mut pipe, &from, 4).await, round), (Filled::With(4), round));
        poll_fn(|cx| pipe.poll_drain(cx, &to)).await.expect("drained");
        assert_eq!(fill(&mut pipe, &from, 100).await, Filled::With(1));
        poll_fn(|cx| pipe.poll_drain(cx, &to)).await.expect("drained");
        drop(pipe);
        let mut heard = [0; 5];
        sink.read_exact(&mut heard).await.expect("bytes");
        assert_eq!((&heard, pipes()), (b"hello", (1, 1)));
    }
}

#[tokio::test]
async fn a_pipe_with_bytes_left_in_it_is_closed() {
    let (mut source, from) = pair().await;
    source.write_all(b"hello").await.expect("write");
    let mut pipe = Pipe::take().expect("a pipe");
    assert_eq!(fill(&mut pipe, &from, 100).await, Filled::With(5));
    drop(pipe);
    assert_eq!(pipes(), (0, 0));
}

#[tokio::test]
async fn the_end_of_the_source_is_no_bytes_and_its_reset_an_error() {
    let (source, from) = pair().await;
    drop(source);
    let mut pipe = Pipe::take().expect("a pipe");
    assert_eq!(fill(&mut pipe, &from, 100).await, Filled::With(0));
    let (source, from) = pair().await;
    socket2::SockRef::from(&source).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    drop(source);
    let broken = poll_fn(|cx| pipe.poll_fill(cx, &from, 100)).await;
    assert_eq!(broken.expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
    drop(pipe);
    assert_eq!(pipes(), (0, 0), "nobody knows what is in it");
}

#[tokio::test]
async fn what_stands_behind_an_urgent_byte_is_left_to_recv() {
    let (mut source, from) = pair().await;
    socket2::SockRef::from(&source).send_out_of_band(b"!").expect("an urgent byte");
    source.write_all(b"behind").await.expect("write");
    let mut pipe = Pipe::take().expect("a pipe");
    let filling = tokio::time::timeout(std::time::Duration::from_secs(5), fill(&mut pipe, &from, 100));
    assert_eq!(filling.await.expect("it is not waited for what is there"), Filled::NotNow);
}

#[tokio::test]
async fn there_are_never_more_pipes_than_allowed_and_few_are_kept() {
    let pipes_held: Vec<Pipe> = std::iter::from_fn(Pipe::take).take(OPEN_MAX + 10).collect();
    assert_eq!((pipes_held.len(), pipes()), (OPEN_MAX, (OPEN_MAX, 0)));
    drop(pipes_held);
    assert_eq!(pipes(), (EMPTY_MAX, EMPTY_MAX));
    assert!(Pipe::take().is_some());
}

#[tokio::test]
async fn after_none_could_be_made_a_while_passes_without_asking() {
    POOL.with_borrow_mut(|pool| pool.pause = 2);
    assert!(Pipe::take().is_none() && Pipe::take().is_none());
    assert!(Pipe::take().is_some());
}

#[tokio::test]
async fn an_empty_source_is_waited_for() {
    let (_source, from) = pair().await;
    let mut pipe = Pipe::take().expect("a pipe");
    assert!(pipe.poll_fill(&mut Context::from_waker(Waker::noop()), &from, 100).is_pending());
    drop(pipe);
    assert_eq!(pipes(), (1, 1));
}

#[test]
fn a_direction_splices_while_it_pays_and_only_where_it_may() {
    let auto = CopyMode::new(Splice::Auto);
    assert!(!auto.is_splicing() && !auto.copied(false).is_splicing() && auto.copied(true).is_splicing());
    let bulk = auto.copied(true);
    assert!(bulk.spliced(WORTH_IT).is_splicing() && !bulk.spliced(WORTH_IT - 1).is_splicing());
    let (never, always) = (CopyMode::new(Splice::Never), CopyMode::new(Splice::Always));
    assert!(!never.copied(true).is_splicing());
    assert!(always.spliced(1).is_splicing() && always.copied(false).is_splicing());
}
