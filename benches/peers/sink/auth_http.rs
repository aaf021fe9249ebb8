//! nginx mail knows no directory: it asks an HTTP server, for each login, where the user lives.

use std::io;

use tokio::net::TcpStream;

use crate::talk::Talk;

/// Everybody lives here, on the address that was asked.
#[derive(Clone, Copy)]
pub struct Answer {
    pub imap: u16,
    pub pop3: u16,
    pub smtp: u16,
}

impl Answer {
    pub async fn give(self, stream: TcpStream) -> io::Result<()> {
        let here = stream.local_addr()?.ip();
        let mut talk = Talk::over(stream);
        let mut port = self.imap;
        while let Some(line) = talk.line().await?.filter(|line| !line.is_empty()) {
            match line.strip_prefix(b"Auth-Protocol: ") {
                Some(b"pop3") => port = self.pop3,
                Some(b"smtp") => port = self.smtp,
                _ => {}
            }
        }
        let answer = format!("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: {here}\r\nAuth-Port: {port}\r\n\r\n");
        talk.say(answer).await?;
        talk.finish().await
    }
}
