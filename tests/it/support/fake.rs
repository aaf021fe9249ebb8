//! A back-end that does what its script says, and remembers what it heard.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};

use super::certs::Leaf;
use super::mail::Mail;
use super::replies;

/// What the fake does next on a connection. Behind the last step it reads until the gateway closes.
#[derive(Clone)]
pub enum Step {
    /// Write this.
    Say(Vec<u8>),
    /// Write this, each byte in a segment of its own.
    Drip(Vec<u8>),
    /// Write this many times; the gateway may close meanwhile.
    Flood(Vec<u8>, usize),
    /// Read lines until one contains this, whatever its case; a gateway that closes first ends the script.
    Hear(&'static str),
    /// Greet, let everyone in, and agree with everything from here on.
    Serve(Mail),
    /// The same behind a greeting that was said already.
    Agree(Mail),
    /// Greet as a server that takes mail on port 25, and take all of it, but for these faults.
    Deliver(Vec<Fault>),
    /// Answer the line that was heard last; `{tag}` is its first word.
    Answer(&'static str),
    /// A TLS handshake as the server.
    Tls(Arc<rustls::ServerConfig>),
    /// Say close_notify inside TLS, and nothing more.
    CloseNotify,
    /// Go on once the test has come here as well.
    Wait(Arc<Barrier>),
    /// Close both ways.
    Close,
    /// Close with a RST.
    Reset,
    /// Say no more, and go on reading.
    HalfClose,
}

/// What a server that takes mail does in its own way, and in whose messages: it plays these steps in place of its
/// answer, and then goes on taking mail.
#[derive(Clone)]
pub struct Fault {
    /// In the sender's address.
    pub sender: &'static str,
    /// A command's verb; `TEXT` = a line behind DATA, `.` = the last of them.
    pub at: &'static str,
    /// Instead.
    pub then: Vec<Step>,
}

/// Shorthand for [`Step::Say`].
pub fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

/// Shorthand for [`Step::Hear`].
pub const fn hear(word: &'static str) -> Step {
    Step::Hear(word)
}

/// Shorthand for [`Step::Answer`].
pub const fn answer(text: &'static str) -> Step {
    Step::Answer(text)
}

/// A handshake that shows this certificate.
pub fn tls(leaf: &Leaf) -> Step {
    Step::Tls(leaf.server())
}

/// The fake back-end.
pub struct Fake {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    /// For the first connection, the second …; the last one goes on for all others.
    scripts: Vec<Vec<Step>>,
    connections: AtomicUsize,
    heard: Mutex<Vec<u8>>,
}

impl Fake {
    /// Plays the same script on every connection.
    pub fn start(script: Vec<Step>) -> Self {
        Self::start_with(vec![script])
    }

    /// Plays the first script on the first connection, and so on; the last on all that follow.
    pub fn start_with(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { scripts, connections: AtomicUsize::new(0), heard: Mutex::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { port, state }
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Everything it has heard on all connections, TLS taken off.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.state.heard()).into_owned()
    }

    /// Fails the test when a client's name or password, or a try to prove them, has come here.
    #[track_caller]
    pub fn heard_no_login(&self) {
        let heard = self.heard().to_uppercase();
        for word in ["LOGIN ", "AUTHENTICATE", "AUTH ", "USER ", "PASS ", "SECRET"] {
            assert!(!heard.contains(word), "{word:?} came to the back-end: {heard:?}");
        }
    }
}

impl State {
    fn heard(&self) -> MutexGuard<'_, Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let script = &self.scripts[number.min(self.scripts.len() - 1)];
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIFE)).unwrap();
        let mut line = Line { stream: Stream::Plain(stream), unread: Vec::new(), last: String::new() };
        for step in script {
            if line.play(step, self).is_err() {
                return;
            }
        }
        while line.hear(self).is_ok() {}
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

struct Line {
    stream: Stream,
    unread: Vec<u8>,
    last: String,
}

/// The gateway has gone, or the script wants us gone: either way the connection is over.
struct Over;

impl Line {
    fn play(&mut self, step: &Step, state: &State) -> Result<(), Over> {
        match step {
            Step::Say(bytes) => self.say(bytes),
            Step::Drip(bytes) => bytes.chunks(1).try_for_each(|byte| self.say(byte)),
            Step::Flood(bytes, times) => (0..*times).try_for_each(|_| self.say(bytes)),
            Step::Hear(word) => self.hear_line_with(word, state),
            Step::Answer(text) => {
                let tag = self.last.split(' ').next().unwrap_or_default();
                self.say(text.replace("{tag}", tag).as_bytes())
            }
            Step::Serve(mail) => {
                self.say(replies::greeting(*mail).as_bytes())?;
                self.play(&Step::Agree(*mail), state)
            }
            Step::Agree(mail) => loop {
                self.hear_line_with("", state)?;
                let reply = replies::reply(*mail, &self.last);
                self.say(reply.as_bytes())?;
            },
            Step::Deliver(faults) => self.deliver(faults, state),
            Step::Tls(config) => self.start_tls(config),
            Step::CloseNotify => {
                let Stream::Tls(tls) = &mut self.stream else { return Err(Over) };
                tls.conn.send_close_notify();
                tls.flush().map_err(|_| Over)
            }
            Step::Wait(barrier) => {
                barrier.wait();
                Ok(())
            }
            Step::Close => self.socket(|socket| socket.shutdown(Shutdown::Both)),
            Step::Reset => {
                self.socket(|socket| SockRef::from(socket).set_linger(Some(Duration::ZERO)))?;
                Err(Over)
            }
            Step::HalfClose => self.socket(|socket| socket.shutdown(Shutdown::Write)),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Stream::Gone => return Err(Over),
        }
        .map_err(|_| Over)
    }

    fn deliver(&mut self, faults: &[Fault], state: &State) -> Result<(), Over> {
        self.say(b"220 fake ESMTP\r\n")?;
        let (mut sender, mut is_text) = (String::new(), false);
        loop {
            self.hear_line_with("", state)?;
            let verb = match (is_text, self.last.as_str()) {
                (true, ".") => ".".to_owned(),
                (true, _) => "TEXT".to_owned(),
                (false, line) => line.split(' ').next().unwrap_or_default().to_uppercase(),
            };
            match verb.as_str() {
                "MAIL" => sender.clone_from(&self.last),
                "DATA" => is_text = true,
                "." => is_text = false,
                _ => {}
            }
            let is_meant = |fault: &&Fault| fault.at == verb && sender.contains(fault.sender);
            match faults.iter().find(is_meant) {
                Some(fault) => fault.then.iter().try_for_each(|step| self.play(step, state))?,
                None => self.say(replies::smtp(&verb).as_bytes())?,
            }
        }
    }

    fn hear_line_with(&mut self, word: &str, state: &State) -> Result<(), Over> {
        loop {
            while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                self.last = String::from_utf8_lossy(&line).trim_end().to_owned();
                if self.last.to_lowercase().contains(&word.to_lowercase()) {
                    return Ok(());
                }
            }
            self.hear(state)?;
        }
    }

    fn hear(&mut self, state: &State) -> Result<(), Over> {
        let mut bytes = [0; 4096];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes),
            Stream::Tls(tls) => tls.read(&mut bytes),
            Stream::Gone => return Err(Over),
        };
        match read {
            Ok(0) => Err(Over),
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                state.heard().extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Over),
        }
    }

    fn start_tls(&mut self, config: &Arc<rustls::ServerConfig>) -> Result<(), Over> {
        let Stream::Plain(mut stream) = std::mem::replace(&mut self.stream, Stream::Gone) else { return Err(Over) };
        let mut tls = ServerConnection::new(Arc::clone(config)).expect("a TLS server");
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|_| Over)?;
        }
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, stream)));
        Ok(())
    }

    fn socket(&self, act: impl FnOnce(&TcpStream) -> std::io::Result<()>) -> Result<(), Over> {
        match &self.stream {
            Stream::Plain(stream) => act(stream),
            Stream::Tls(tls) => act(&tls.sock),
            Stream::Gone => return Err(Over),
        }
        .map_err(|_| Over)
    }
}

/// A port where SYNs are dropped: its queue of connections is full and nobody takes them.
pub struct BlackHole {
    /// Where connecting hangs, on 127.0.0.1.
    pub port: u16,
    _listener: Socket,
    _full: Vec<Socket>,
}

impl BlackHole {
    /// Fills the queue.
    pub fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut full = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let taken = socket.connect_timeout(&address, Duration::from_millis(300)).is_ok();
            full.push(socket);
            if !taken {
                let port = address.as_socket().expect("an IP socket").port();
                return Self { port, _listener: listener, _full: full };
            }
            assert!(full.len() < 100, "the queue of connections never fills");
        }
    }
}

/// No connection of a fake lives longer without a byte.
const LIFE: Duration = Duration::from_secs(60);
