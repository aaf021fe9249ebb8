//! A mail client that says exactly what a test tells it to.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};

use super::certs::certs;
use super::wait;

/// One connection.
pub struct Client {
    stream: Stream,
    heard: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Why there is no next line.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The peer has closed; these bytes of an unfinished line came before it.
    Closed(String),
    /// Nothing came in time.
    Silence,
    /// TLS is broken, or something else is.
    Failed(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Client {
    /// Connects; nothing is read.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect_timeout(&address, wait::SOON).expect("a connection"))
    }

    /// Connects from an address of the loopback network.
    #[track_caller]
    pub fn connect_from(source: &str, address: SocketAddr) -> Self {
        let source: IpAddr = source.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect_timeout(&address.into(), wait::SOON).expect("a connection");
        Self::on(socket.into())
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(wait::SOON)).unwrap();
        stream.set_write_timeout(Some(wait::SOON)).unwrap();
        Self { stream: Stream::Plain(stream), heard: Vec::new() }
    }

    /// From now on, waits this long for a line.
    pub fn patience(&mut self, limit: Duration) {
        self.socket().set_read_timeout(Some(limit)).unwrap();
    }

    /// Puts TLS over the connection, verifying `mail.example.org`.
    #[track_caller]
    pub fn tls(self) -> Self {
        self.tls_as("mail.example.org", &certs().client(rustls::ALL_VERSIONS, &[])).expect("a TLS handshake")
    }

    /// Puts TLS over the connection, asking for `name`.
    ///
    /// # Errors
    /// The handshake's failure, as rustls tells it. Not when bytes were heard in the clear and not read: that fails
    /// the test.
    #[track_caller]
    pub fn tls_as(self, name: &str, config: &Arc<ClientConfig>) -> Result<Self, String> {
        assert!(self.heard.is_empty(), "heard before TLS: {}", String::from_utf8_lossy(&self.heard));
        let Stream::Plain(mut stream) = self.stream else { panic!("this is TLS already") };
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).expect("a TLS client");
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|error| error.to_string())?;
        }
        Ok(Self { stream: Stream::Tls(Box::new(StreamOwned::new(tls, stream))), heard: Vec::new() })
    }

    /// The TLS session: version, ALPN, the peer's certificates.
    #[track_caller]
    pub fn session(&self) -> &ClientConnection {
        match &self.stream {
            Stream::Tls(tls) => &tls.conn,
            Stream::Plain(_) => panic!("this is not TLS"),
        }
    }

    /// Writes these bytes and no others.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the peer takes it");
    }

    /// As [`Self::send`].
    ///
    /// # Errors
    /// The peer has gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes.as_ref()),
            Stream::Tls(tls) => tls.write_all(bytes.as_ref()).and_then(|()| tls.flush()),
        }
    }

    /// Writes a line and gives the next one that is heard.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    /// Writes a line and fails the test when the answer does not start so.
    #[track_caller]
    pub fn ask_for(&mut self, line: &str, start: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.expect(start)
    }

    /// The next line, without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.try_line().unwrap_or_else(|end| panic!("expected a line, got {end}"))
    }

    /// The next line; fails the test when it does not start so.
    #[track_caller]
    pub fn expect(&mut self, start: &str) -> String {
        match self.try_line() {
            Ok(line) if line.starts_with(start) => line,
            other => panic!("expected {start:?}, got {other:?}"),
        }
    }

    /// All lines to the one that starts so, which is the last.
    #[track_caller]
    pub fn lines_to(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.try_line() {
                Ok(line) => lines.push(line),
                Err(end) => panic!("expected {start:?}, got {lines:?} and then {end}"),
            }
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                return lines;
            }
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// When there is none.
    pub fn try_line(&mut self) -> Result<String, End> {
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.heard[..end]).into_owned();
                self.heard.drain(..end + 2);
                return Ok(line);
            }
            self.hear()?;
        }
    }

    /// Reads to the end of the connection, and gives what came before it; fails the test when the peer does not close.
    #[track_caller]
    pub fn closed(&mut self) -> String {
        loop {
            match self.hear() {
                Ok(()) => {}
                Err(End::Closed(rest)) => return rest,
                Err(other) => panic!("expected the end, got {other}, after {:?}", String::from_utf8_lossy(&self.heard)),
            }
        }
    }

    /// Fails the test when the peer says anything, or closes, within `time`.
    #[track_caller]
    pub fn silent(&mut self, time: Duration) {
        let before = self.socket().read_timeout().unwrap();
        self.patience(time);
        assert_eq!(self.hear(), Err(End::Silence), "heard {:?}", String::from_utf8_lossy(&self.heard));
        self.socket().set_read_timeout(before).unwrap();
    }

    /// Says no more, but goes on listening; inside TLS with close_notify first.
    pub fn half_close(&mut self) {
        if let Stream::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
        self.tear();
    }

    /// The same, but inside TLS too with nothing but a FIN: what was said may have been cut off. Somebody whom the
    /// peer has sent away already has nothing to close.
    pub fn tear(&mut self) {
        let shut = self.socket().shutdown(Shutdown::Write);
        assert!(shut.is_ok() || shut.is_err_and(|error| error.kind() == ErrorKind::NotConnected));
    }

    /// Writes this over and over until the peer has taken none of it for `limit`, or hangs up; how many bytes it took
    /// before.
    pub fn pour(&mut self, bytes: &[u8], times: usize, limit: Duration) -> usize {
        self.socket().set_write_timeout(Some(limit)).unwrap();
        for poured in 0..times {
            match self.try_send(bytes) {
                Ok(()) => {}
                // A full window, or the end of the login's time: what matters is how much was taken before.
                Err(_) => return poured * bytes.len(),
            }
        }
        times * bytes.len()
    }

    /// Ends TLS as one should, and goes on in the clear, as nobody may.
    #[track_caller]
    pub fn break_out(&mut self, bytes: &[u8]) {
        let Stream::Tls(tls) = &mut self.stream else { panic!("this is not TLS") };
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        tls.sock.write_all(bytes).unwrap();
    }

    /// Goes away with a RST.
    pub fn reset(self) {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn hear(&mut self) -> Result<(), End> {
        let mut bytes = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes),
            Stream::Tls(tls) => tls.read(&mut bytes),
        };
        let closed = |heard: &mut Vec<u8>| {
            let rest = String::from_utf8_lossy(heard).into_owned();
            heard.clear();
            Err(End::Closed(rest))
        };
        match read {
            Ok(0) => closed(&mut self.heard),
            Ok(count) => {
                self.heard.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                    closed(&mut self.heard)
                }
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(End::Silence),
                _ => Err(End::Failed(error.to_string())),
            },
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}
