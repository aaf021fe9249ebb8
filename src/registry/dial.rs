//! How a Valkey or Redis server is reached: as the client library does, or over TLS that is ours.
//!
//! It stands apart because the library's own TLS would neither read authorities as the rest of the gateway does nor say
//! what is wrong without repeating the peer's words.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::SetupProblem;
use super::valkey::{DEADLINE, label};
use crate::config::ClientTls;
use crate::secret::Secret;
use crate::wire::{socket, tls_client};

/// Where the server is, and how it is verified.
pub(super) struct Way {
    client: Client,
    tls: Option<Tls>,
}

struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Way {
    /// Reads files.
    pub(super) fn new(url: &Secret, tls: Option<&ClientTls>) -> Result<Self, SetupProblem> {
        let client = Client::open(url.expose()).map_err(|_| SetupProblem::Url)?;
        let tls = match (tls, client.get_connection_info().addr()) {
            (None, _) => None,
            (Some(tls), ConnectionAddr::Tcp(host, port)) => {
                if tls.skip_verification {
                    tracing::warn!("verify: false, so anybody between may pose as the registry's store");
                }
                let name = ServerName::try_from(host.clone()).map_err(|_| SetupProblem::Url)?;
                Some(Tls { host: host.clone(), port: *port, name, config: tls_client::client_config(tls, &[])? })
            }
            (Some(_), _) => return Err(SetupProblem::Url),
        };
        Ok(Self { client, tls })
    }

    /// Connects and logs in, within a few [`DEADLINE`]s but for the time that the server's name takes; why not, for the
    /// log. An answer may then take so long.
    pub(super) async fn connect(&self, patience: Duration) -> Result<MultiplexedConnection, String> {
        let settings =
            AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(patience));
        let Some(tls) = &self.tls else {
            let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
            return connecting.await.map_err(|error| label(&error));
        };
        let addresses: Vec<SocketAddr> =
            lookup_host((tls.host.as_str(), tls.port)).await.map_err(|error| why(&error))?.collect();
        let tcp = socket::connect_to_any(&addresses, |_| None, Instant::now() + DEADLINE).await;
        let connecting = TlsConnector::from(Arc::clone(&tls.config));
        let (tcp, _) = tcp.map_err(|error| error.kind().to_string())?;
        let stream = connecting.connect(tls.name.clone(), tcp).await;
        let stream = stream.map_err(|error| why(&error))?;
        let redis = self.client.get_connection_info().redis_settings();
        let made = MultiplexedConnection::new_with_config(redis, stream, settings).await;
        let (connection, driver) = made.map_err(|error| label(&error))?;
        // It ends with the connection.
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// In our words: a certificate may say anything.
fn why(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => "its certificate is not one to trust".to_owned(),
        Some(_) => "TLS failed".to_owned(),
        None => error.kind().to_string(),
    }
}
