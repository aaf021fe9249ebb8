//! Servers that take their time over a wrong password, and none over a right one: back-ends of three protocols, and a
//! real slapd behind a proxy that holds its refusals back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;

/// A back-end at three ports of 127.0.0.1; every password that ends in `-secret` is right.
pub struct SlowStore {
    pub imap: u16,
    pub pop3: u16,
    pub submission: u16,
    waiting: Arc<AtomicUsize>,
}

impl SlowStore {
    /// A wrong password is refused after this time.
    pub fn start(delay: Duration) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let serve = |talk: fn(&mut Talk) -> Option<()>| {
            let waiting = Arc::clone(&waiting);
            listen(move |stream| {
                let reader = BufReader::new(stream.try_clone().unwrap());
                let _ = talk(&mut Talk { reader, stream, delay, waiting: Arc::clone(&waiting) });
            })
        };
        let (imap, pop3, submission) = (serve(talk_imap), serve(talk_pop3), serve(talk_submission));
        Self { imap, pop3, submission, waiting }
    }

    /// How many wrong passwords wait for their refusal.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

/// A slapd whose refusals of a bind come late.
pub struct SlowDirectory {
    pub port: u16,
}

impl SlowDirectory {
    /// In front of the slapd at this port.
    pub fn before(slapd: u16, delay: Duration) -> Self {
        let port = listen(move |stream| {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, slapd)).unwrap();
            let (mut up, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let _ = pass_answers(server, stream, delay);
        });
        Self { port }
    }
}

/// Each message of the server; a refused bind (RFC 4511 §4.2.2) waits.
fn pass_answers(mut server: TcpStream, mut client: TcpStream, delay: Duration) -> std::io::Result<()> {
    loop {
        let mut message = vec![0; 2];
        server.read_exact(&mut message)?;
        let mut length = usize::from(message[1]);
        if length > 127 {
            let mut more = vec![0; length & 127];
            server.read_exact(&mut more)?;
            length = more.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            message.extend(more);
        }
        let mut content = vec![0; length];
        server.read_exact(&mut content)?;
        // INTEGER id, then the operation: [APPLICATION 1] { ENUMERATED resultCode …
        let operation = content.get(2 + usize::from(content[1])..).unwrap_or_default();
        if operation.first() == Some(&0x61) && operation.get(4) != Some(&0) {
            thread::sleep(delay);
        }
        message.extend(content);
        client.write_all(&message)?;
    }
}

struct Talk {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    delay: Duration,
    waiting: Arc<AtomicUsize>,
}

impl Talk {
    fn say(&mut self, text: &str) -> Option<()> {
        self.stream.write_all(text.as_bytes()).ok()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }

    /// Whether a password is right; a wrong one has waited.
    fn is_right(&mut self, given: &str) -> bool {
        let is_right = given.contains("-secret");
        if !is_right {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            thread::sleep(self.delay);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        is_right
    }
}

fn talk_imap(talk: &mut Talk) -> Option<()> {
    talk.say("* OK [CAPABILITY IMAP4rev1 LOGIN] ready\r\n")?;
    loop {
        let line = talk.line()?;
        let tag = line.split(' ').next().unwrap_or_default().to_owned();
        let is_login = line.to_uppercase().contains(" LOGIN ");
        if is_login && !talk.is_right(&line) {
            talk.say(&format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n"))?;
        } else {
            talk.say(&format!("{tag} OK done\r\n"))?;
        }
    }
}

fn talk_pop3(talk: &mut Talk) -> Option<()> {
    talk.say("+OK ready\r\n")?;
    loop {
        let line = talk.line()?;
        if line.to_uppercase().starts_with("PASS ") && !talk.is_right(&line) {
            talk.say("-ERR [AUTH] no\r\n")?;
        } else {
            talk.say("+OK\r\n")?;
        }
    }
}

fn talk_submission(talk: &mut Talk) -> Option<()> {
    talk.say("220 slow.example.org ESMTP\r\n")?;
    loop {
        let line = talk.line()?;
        match line.to_uppercase().split(' ').next() {
            Some("EHLO") => talk.say("250-slow.example.org\r\n250 AUTH PLAIN\r\n")?,
            Some("AUTH") => {
                let response = line.rsplit(' ').next().unwrap_or_default();
                let given = base64::engine::general_purpose::STANDARD.decode(response).unwrap_or_default();
                let is_right = talk.is_right(&String::from_utf8_lossy(&given));
                talk.say(if is_right { "235 2.7.0 yes\r\n" } else { "535 5.7.8 no\r\n" })?;
            }
            _ => talk.say("250 2.0.0 ok\r\n")?,
        }
    }
}

/// A thread a connection.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                serve(stream);
            });
        }
    });
    port
}
