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

    /// The server accepts when the third packet of the handshake arrives, one and a half round trips after the first.
    async fn carry(self, client: TcpStream, far: SocketAddr) -> Result<()> {
        client.set_nodelay(true)?;
        sleep(self.0 * 3 / 2).await;
        let server = TcpStream::connect(far).await?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let half = self.0 / 2;
        tokio::try_join!(delayed(from_client, to_server, half), delayed(from_server, to_client, half))?;
        Ok(())
    }
}

/// Passes on what is read, so much later, without holding up what comes behind it.
async fn delayed(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, by: Duration) -> Result<()> {
    let (sent, mut underway) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reads = async move {
        loop {
            let mut bytes = vec![0; 16 * 1024];
            // A reset behind the goodbye is an end like another.
            let read = from.read(&mut bytes).await.unwrap_or(0);
            bytes.truncate(read);
            if sent.send((Instant::now() + by, bytes)).is_err() || read == 0 {
                return;
            }
        }
    };
    let writes = async {
        while let Some((due, bytes)) = underway.recv().await {
            sleep_until(due).await;
            let passed = if bytes.is_empty() { to.shutdown().await } else { to.write_all(&bytes).await };
            if passed.is_err() {
                return;
            }
        }
    };
    tokio::join!(reads, writes);
    Ok(())
}
