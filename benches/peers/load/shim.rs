//! A client that is far away: every byte takes half a round trip, TCP's own handshake included.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::way::SharedWay;

/// The path from here to the gateway.
#[derive(Clone, Copy)]
pub struct Distance(pub Duration);

impl Distance {
    /// From the first packet sent to the login's yes heard.
    pub async fn login(self, way: &SharedWay) -> Result<Duration> {
        let door = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (here, far) = (door.local_addr()?, way.address);
        let path = tokio::spawn(async move { self.carry(door.accept().await?.0, far).await });
        let start = Instant::now();
        let stream = TcpStream::connect(here).await?;
        // SYN there, SYN-ACK back: now the client knows that it is connected.
        sleep(self.0).await;
        let mut talk = way.dress(stream).await?;
        way.language.log_in(&mut talk).await?;
        let taken = start.elapsed();
        way.language.log_out(&mut talk).await?;
        drop(talk);
        path.await??;
        Ok(taken)
    }

    /// The server accepts when the third packet of the handshake arrives, one and a half round trips after the first;
    /// what the client says behind it is on its way already.
    async fn carry(self, client: TcpStream, far: SocketAddr) -> Result<()> {
        client.set_nodelay(true)?;
        let half = self.0 / 2;
        let (from_client, to_client) = client.into_split();
        let (up, upward) = mpsc::unbounded_channel();
        let beyond = async {
            sleep(self.0 * 3 / 2).await;
            let server = TcpStream::connect(far).await?;
            server.set_nodelay(true)?;
            let (from_server, to_server) = server.into_split();
            let (down, downward) = mpsc::unbounded_channel();
            tokio::join!(send(from_server, down, half), deliver(downward, to_client), deliver(upward, to_server));
            Ok(())
        };
        tokio::join!(send(from_client, up, half), beyond).1
    }
}

/// Bytes, and when they arrive; none at the end.
type Packet = (Instant, Vec<u8>);

async fn send(mut from: OwnedReadHalf, to: mpsc::UnboundedSender<Packet>, takes: Duration) {
    loop {
        let mut bytes = vec![0; 16 * 1024];
        // A reset behind the goodbye is an end like another.
        let read = from.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(read);
        if to.send((Instant::now() + takes, bytes)).is_err() || read == 0 {
            return;
        }
    }
}

async fn deliver(mut underway: mpsc::UnboundedReceiver<Packet>, mut to: OwnedWriteHalf) {
    while let Some((due, bytes)) = underway.recv().await {
        sleep_until(due).await;
        let done = if bytes.is_empty() { to.shutdown().await } else { to.write_all(&bytes).await };
        if done.is_err() {
            return;
        }
    }
}
