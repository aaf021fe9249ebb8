//! POP3 as far as a gateway and the load need it. Message *n* is *n* octets long.

use std::io;

use crate::talk::Talk;

pub async fn talk(mut talk: Talk) -> io::Result<()> {
    talk.say("+OK sink\r\n").await?;
    while let Some(line) = talk.line().await? {
        let mut words = line.split(|&letter| letter == b' ');
        match words.next().unwrap_or_default().to_ascii_uppercase().as_slice() {
            b"CAPA" => talk.say("+OK\r\nUSER\r\nSASL PLAIN\r\nPIPELINING\r\n.\r\n").await?,
            b"AUTH" if words.nth(1).is_none() => {
                talk.say("+ \r\n").await?;
                talk.line().await?;
                talk.say("+OK\r\n").await?;
            }
            b"RETR" => {
                let octets = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok()).unwrap_or(0);
                talk.say(format!("+OK {octets} octets\r\n")).await?;
                talk.pour(octets).await?;
                talk.say("\r\n.\r\n").await?;
            }
            b"QUIT" => {
                talk.say("+OK bye\r\n").await?;
                return talk.finish().await;
            }
            _ => talk.say("+OK\r\n").await?,
        }
    }
    Ok(())
}
