//! What a client says, in each of the three languages.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::way::Way;
use crate::talk::Talk;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Language {
    Imap,
    Pop3,
    Submission,
}

impl Language {
    /// The greeting is heard.
    pub async fn greeted(self, talk: &mut Talk) -> Result<()> {
        let expected = match self {
            Self::Imap => "* OK",
            Self::Pop3 => "+OK",
            Self::Submission => "220",
        };
        expect(talk, expected, expected).await
    }

    /// From the greeting to the login's yes.
    pub async fn log_in(self, talk: &mut Talk) -> Result<()> {
        self.greeted(talk).await?;
        let user = Way::user();
        match self {
            Self::Imap => ask(talk, &format!("a LOGIN {user} secret\r\n"), "a ", "a OK").await,
            Self::Pop3 => {
                ask(talk, &format!("USER {user}\r\n"), "", "+OK").await?;
                ask(talk, "PASS secret\r\n", "", "+OK").await
            }
            Self::Submission => {
                ask(talk, "EHLO client.example.com\r\n", "250 ", "250 ").await?;
                let plain = BASE64_STANDARD.encode(format!("\0{user}\0secret"));
                ask(talk, &format!("AUTH PLAIN {plain}\r\n"), "", "235").await
            }
        }
    }

    /// Ends politely, and waits until the other side has.
    pub async fn log_out(self, talk: &mut Talk) -> Result<()> {
        match self {
            Self::Imap => ask(talk, "z LOGOUT\r\n", "z ", "z OK").await?,
            Self::Pop3 => ask(talk, "QUIT\r\n", "", "+OK").await?,
            Self::Submission => ask(talk, "QUIT\r\n", "", "221").await?,
        }
        Ok(talk.drain().await?)
    }

    /// The shortest round trip there is.
    pub async fn noop(self, talk: &mut Talk) -> Result<()> {
        match self {
            Self::Imap => ask(talk, "n NOOP\r\n", "n ", "n OK").await,
            Self::Pop3 => ask(talk, "NOOP\r\n", "", "+OK").await,
            Self::Submission => ask(talk, "NOOP\r\n", "", "250").await,
        }
    }
}

/// Waits for news that will not come.
pub async fn idle(talk: &mut Talk) -> Result<()> {
    ask(talk, "i IDLE\r\n", "+", "+").await
}

/// Fetches as many octets.
pub async fn download(talk: &mut Talk, octets: u64) -> Result<()> {
    talk.say(format!("f FETCH {octets} BODY[]\r\n")).await?;
    expect(talk, "* ", "* ").await?;
    talk.skip(octets).await?;
    expect(talk, "f ", "f OK").await
}

/// Stores as many.
pub async fn upload(talk: &mut Talk, octets: u64) -> Result<()> {
    ask(talk, &format!("u APPEND INBOX {{{octets}}}\r\n"), "+", "+").await?;
    talk.pour(octets).await?;
    ask(talk, "\r\n", "u ", "u OK").await
}

async fn ask(talk: &mut Talk, words: &str, last: &str, expected: &str) -> Result<()> {
    talk.say(words).await?;
    expect(talk, last, expected).await
}

/// Reads up to a line that begins with `last`, which must begin with `expected`.
async fn expect(talk: &mut Talk, last: &str, expected: &str) -> Result<()> {
    loop {
        let line = talk.line().await?.with_context(|| format!("closed instead of {expected:?}"))?;
        if line.starts_with(last.as_bytes()) {
            let shown = String::from_utf8_lossy(&line);
            ensure!(line.starts_with(expected.as_bytes()), "{shown:?} instead of {expected:?}");
            return Ok(());
        }
        if line.starts_with(b"* BYE") && last != "z " {
            bail!("{:?} instead of {expected:?}", String::from_utf8_lossy(&line));
        }
    }
}
