//! An LDAP server that says what a test tells it to, right or wrong, on a port that the kernel chose.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::ber::{Element, Reader, frame, tag};
use super::dial::Stream;

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    pub(super) heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

/// A message from the client.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// From 0.
    pub(super) connection: usize,
    pub(super) id: u32,
    pub(super) operation: u8,
    pub(super) content: Vec<u8>,
}

pub(super) enum Say {
    Bytes(Vec<u8>),
    Wait(Duration),
    Handshake(TlsAcceptor),
    Close,
}

type Script = Arc<dyn Fn(&Heard) -> Vec<Say> + Send + Sync>;

pub(super) const BIND: u8 = 0x60;
pub(super) const SEARCH: u8 = 0x63;
pub(super) const EXTENDED: u8 = 0x77;

impl Fake {
    pub(super) async fn new(script: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    /// TLS from the first byte.
    pub(super) async fn with_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor), Arc::new(script)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heard, connections) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::<AtomicUsize>::default());
        let task = tokio::spawn({
            let (heard, connections) = (Arc::clone(&heard), Arc::clone(&connections));
            async move {
                let mut talks = tokio::task::JoinSet::new();
                while let Ok((tcp, _)) = listener.accept().await {
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    let (heard, script, acceptor) = (Arc::clone(&heard), Arc::clone(&script), acceptor.clone());
                    talks.spawn(async move {
                        let stream: Box<dyn Stream> = match acceptor {
                            None => Box::new(tcp),
                            Some(acceptor) => Box::new(acceptor.accept(tcp).await?),
                        };
                        talk(stream, number, heard, script).await;
                        std::io::Result::Ok(())
                    });
                }
            }
        });
        Self { address, heard, connections, task }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn heard(&self, operation: u8) -> Vec<Heard> {
        self.heard.lock().expect("lock").iter().filter(|heard| heard.operation == operation).cloned().collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(mut stream: Box<dyn Stream>, connection: usize, all: Arc<Mutex<Vec<Heard>>>, script: Script) {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = frame(&buffer).expect("the client speaks LDAP") {
            let message: Vec<u8> = buffer.drain(..length).collect();
            let heard = read(connection, &message);
            all.lock().expect("lock").push(heard.clone());
            for say in script(&heard) {
                match say {
                    Say::Bytes(bytes) => {
                        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                    }
                    Say::Wait(time) => tokio::time::sleep(time).await,
                    Say::Handshake(acceptor) => match acceptor.accept(stream).await {
                        Ok(tls) => stream = Box::new(tls),
                        Err(_) => return,
                    },
                    Say::Close => return,
                }
            }
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn read(connection: usize, message: &[u8]) -> Heard {
    let mut inner = Reader::new(Reader::new(message).expect(tag::SEQUENCE, "message").expect("a message"));
    let id = inner.expect(tag::INTEGER, "id").expect("an id").to_vec();
    let Element { tag, content } = inner.next().expect("readable").expect("an operation");
    Heard {
        connection,
        id: id.iter().fold(0, |id, octet| (id << 8) | u32::from(*octet)),
        operation: tag,
        content: content.to_vec(),
    }
}

/// One element; lengths take four octets, as Active Directory writes them, where one is not enough.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => element.push(length),
        _ => {
            element.push(0x84);
            element.extend(u32::try_from(content.len()).expect("short").to_be_bytes());
        }
    }
    element.extend(content);
    element
}

pub(super) fn message(id: u32, operation: &[u8]) -> Vec<u8> {
    tlv(tag::SEQUENCE, &[tlv(tag::INTEGER, &id.to_be_bytes()), operation.to_vec()].concat())
}

/// An LDAPResult as this operation.
pub(super) fn result(id: u32, operation: u8, code: u8) -> Vec<u8> {
    let parts = [tlv(tag::ENUMERATED, &[code]), tlv(tag::OCTETS, b""), tlv(tag::OCTETS, b"said so")];
    message(id, &tlv(operation, &parts.concat()))
}

pub(super) fn bound(id: u32, code: u8) -> Vec<u8> {
    result(id, 0x61, code)
}

pub(super) fn done(id: u32, code: u8) -> Vec<u8> {
    result(id, 0x65, code)
}

pub(super) fn entry(id: u32, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, values)| {
            let values: Vec<u8> = values.iter().flat_map(|value| tlv(tag::OCTETS, value)).collect();
            tlv(tag::SEQUENCE, &[tlv(tag::OCTETS, name.as_bytes()), tlv(tag::SET, &values)].concat())
        })
        .collect();
    let parts = [tlv(tag::OCTETS, dn.as_bytes()), tlv(tag::SEQUENCE, &attributes)];
    message(id, &tlv(0x64, &parts.concat()))
}

pub(super) fn reference(id: u32) -> Vec<u8> {
    message(id, &tlv(0x73, &tlv(tag::OCTETS, b"ldap://elsewhere.example/")))
}

/// Sequences one inside the other, each header six octets long.
pub(super) fn nested(depth: usize) -> Vec<u8> {
    let inside = |level: usize| u32::try_from((depth - level - 1) * 6).expect("short").to_be_bytes();
    (0..depth).flat_map(|level| [&[tag::SEQUENCE, 0x84][..], &inside(level)].concat()).collect()
}
