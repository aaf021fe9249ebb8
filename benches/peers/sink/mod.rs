//! The back-end of the bench: it knows everybody and stores nothing, as quickly as it can.

mod auth_http;
mod imap;
mod pop3;
mod smtp;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certs::Certs;
use crate::talk::Talk;

/// Its ports, on every address of the loopback network.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Ports {
    #[arg(long)]
    pub imap: u16,
    #[arg(long)]
    pub imaps: u16,
    #[arg(long)]
    pub pop3: u16,
    #[arg(long)]
    pub smtp: u16,
    /// Where nginx asks who may log in.
    #[arg(long)]
    pub auth: u16,
}

impl Ports {
    pub fn free() -> Self {
        let free = crate::ports::free;
        Self { imap: free(), imaps: free(), pop3: free(), smtp: free(), auth: free() }
    }

    pub fn as_arguments(&self) -> Vec<String> {
        let Self { imap, imaps, pop3, smtp, auth } = *self;
        [("imap", imap), ("imaps", imaps), ("pop3", pop3), ("smtp", smtp), ("auth", auth)]
            .map(|(name, port)| format!("--{name}={port}"))
            .to_vec()
    }
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Where the run's certificates lie.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    ports: Ports,
}

/// Serves until it is ended.
pub async fn run(Arguments { folder, ports }: Arguments) -> Result<()> {
    crate::gateways::raise_descriptors()?;
    let tls = TlsAcceptor::from(Certs::in_folder(&folder).server()?);
    let auth = auth_http::Answer { imap: ports.imap, pop3: ports.pop3, smtp: ports.smtp };
    tokio::try_join!(
        serve(ports.imap, |stream| imap::talk(Talk::over(stream))),
        serve(ports.imaps, move |stream| {
            let tls = tls.clone();
            async move { imap::talk(Talk::over(tls.accept(stream).await?)).await }
        }),
        serve(ports.pop3, |stream| pop3::talk(Talk::over(stream))),
        serve(ports.smtp, |stream| smtp::talk(Talk::over(stream))),
        serve(ports.auth, move |stream| auth.give(stream)),
    )?;
    Ok(())
}

async fn serve<T>(port: u16, talk: impl Fn(TcpStream) -> T) -> Result<()>
where
    T: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = listen(port)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that goes away in the middle is the load's affair, which counts it.
        tokio::spawn(talk(stream));
    }
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket.listen(4096)?)
}
