//! What gateways show each other, by way of a slow link to a real redis-server.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::tests::{Server, is_up};
use super::*;
use crate::config::Store;
use crate::registry::tests::{Site, noon, rules};
use crate::secret::Secret;

/// A port to the server. On a connection by which a whole hash was asked for, nothing comes back any more.
async fn slow_link(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its number").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, server));
        }
    });
    port
}

async fn carry(client: TcpStream, server: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    let ((mut from, mut back), (mut answers, mut to)) = (client.into_split(), server.into_split());
    let stalled = Arc::new(Notify::new());
    let stall = stalled.clone();
    let answering = tokio::spawn(async move {
        tokio::select! {
            _ = copy(&mut answers, &mut back) => {}
            () = stall.notified() => std::future::pending().await,
        }
    });
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer).await?;
        let asked = buffer.get(..count).unwrap_or_default();
        if asked.windows(11).any(|word| word == b"$7\r\nHGETALL") {
            stalled.notify_one();
        }
        if count == 0 {
            answering.abort();
            return Ok(());
        }
        to.write_all(asked).await?;
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_what_others_show_is_long_in_coming() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}", slow_link(server.port).await);
    let store = Store::Valkey { url: Secret::new(url).expect("plain"), tls: None, prefix: "pc".to_owned() };
    let (site, direct) = (Site::open(&rules(), &store, &noon()), Site::open(&rules(), &server.store(), &noon()));
    is_up(&site).await;
    is_up(&direct).await;
    direct.registry.renew(8, "two", (0, 0)).await.expect("it is there");
    let (reads, renews) = tokio::join!(site.registry.posted(7), async {
        // While the other waits.
        tokio::time::sleep(Duration::from_millis(200)).await;
        site.registry.renew(7, "one", (0, 0)).await
    });
    assert!(reads.is_err(), "nothing has come: {reads:?}");
    assert!(renews.is_ok_and(|heard| heard.is_new));
}
