//! Submission as far as a gateway and the load need it.

use std::io;

use crate::talk::Talk;

pub async fn talk(mut talk: Talk) -> io::Result<()> {
    talk.say(GREETING).await?;
    while let Some(line) = talk.line().await? {
        let mut words = line.split(|&letter| letter == b' ');
        match words.next().unwrap_or_default().to_ascii_uppercase().as_slice() {
            b"EHLO" => talk.say(OFFERS).await?,
            b"XCLIENT" => talk.say(GREETING).await?,
            b"AUTH" => {
                if words.nth(1).is_none() {
                    talk.say("334 \r\n").await?;
                    talk.line().await?;
                }
                talk.say("235 2.7.0 logged in\r\n").await?;
            }
            b"DATA" => {
                talk.say("354 go on\r\n").await?;
                while talk.line().await?.is_some_and(|line| line != ".") {}
                talk.say("250 2.0.0 forgotten\r\n").await?;
            }
            b"QUIT" => {
                talk.say("221 2.0.0 bye\r\n").await?;
                return talk.finish().await;
            }
            _ => talk.say("250 2.0.0 fine\r\n").await?,
        }
    }
    Ok(())
}

const GREETING: &str = "220 sink.example.com ESMTP\r\n";
const OFFERS: &str = "250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 100000000\r\n\
                      250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n250 AUTH PLAIN LOGIN\r\n";
