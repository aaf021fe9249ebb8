//! Lines and octets over a byte stream, for both ends of the bench: the load and the sink.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Whatever bytes come and go on: TCP, or TLS over it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One end of a conversation. It keeps no buffer while nothing is heard.
pub struct Talk {
    stream: Box<dyn Duplex>,
    heard: BytesMut,
}

impl Talk {
    pub fn over(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), heard: BytesMut::new() }
    }

    /// The next line without its end; `None` when the other side has finished.
    pub async fn line(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.heard) {
                let line = self.heard.split_to(end + 1).freeze();
                return Ok(Some(line.slice(..end - usize::from(end > 0 && line[end - 1] == b'\r'))));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads as many octets and forgets them.
    pub async fn skip(&mut self, mut octets: u64) -> io::Result<()> {
        let heard = usize::try_from(octets).unwrap_or(usize::MAX).min(self.heard.len());
        self.heard.advance(heard);
        octets -= heard as u64;
        let mut scratch = Vec::new();
        while octets > 0 {
            scratch.resize(usize::try_from(octets).unwrap_or(usize::MAX).min(SCRATCH), 0);
            let read = self.stream.read(&mut scratch).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            octets -= read as u64;
        }
        Ok(())
    }

    /// Reads until the other side has finished. Whoever ends TLS without a goodbye has finished too.
    pub async fn drain(&mut self) -> io::Result<()> {
        loop {
            self.heard.clear();
            match self.fill().await {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub async fn say(&mut self, words: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(words.as_ref()).await?;
        self.stream.flush().await
    }

    /// Says as many octets that mean nothing.
    pub async fn pour(&mut self, mut octets: u64) -> io::Result<()> {
        while octets > 0 {
            let part = usize::try_from(octets).unwrap_or(usize::MAX).min(SCRATCH);
            self.stream.write_all(&BLOCK[..part]).await?;
            octets -= part as u64;
        }
        self.stream.flush().await
    }

    /// Says no more.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.heard.is_empty() {
            self.heard = BytesMut::new();
        }
        // Read through the stack, so that thousands of silent ones hold nothing.
        let mut scratch = [0; 1024];
        let read = self.stream.read(&mut scratch).await?;
        self.heard.extend_from_slice(&scratch[..read]);
        Ok(read)
    }
}

const SCRATCH: usize = 128 * 1024;
static BLOCK: [u8; SCRATCH] = [b'x'; SCRATCH];
