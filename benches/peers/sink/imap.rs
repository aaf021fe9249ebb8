//! IMAP as far as a gateway and the load need it. Message *n* is *n* octets long, so `FETCH` of any size is a number.

use std::io;

use crate::talk::Talk;

pub async fn talk(mut talk: Talk) -> io::Result<()> {
    talk.say(format!("* OK [{CAPABILITY}] sink\r\n")).await?;
    while let Some(line) = talk.line().await? {
        let mut words = line.split(|&letter| letter == b' ');
        let tag = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        let command = words.next().unwrap_or_default().to_ascii_uppercase();
        let yes = format!("{tag} OK done\r\n");
        match command.as_slice() {
            b"CAPABILITY" => talk.say(format!("* {CAPABILITY}\r\n{yes}")).await?,
            b"ID" => talk.say(format!("* ID NIL\r\n{yes}")).await?,
            b"LOGIN" => {
                literals(&mut talk, &line).await?;
                talk.say(format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE LITERAL+] logged in\r\n")).await?;
            }
            b"AUTHENTICATE" => {
                if words.nth(1).is_none() {
                    talk.say("+ \r\n").await?;
                    talk.line().await?;
                }
                talk.say(format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE LITERAL+] logged in\r\n")).await?;
            }
            b"IDLE" => {
                talk.say("+ idling\r\n").await?;
                talk.line().await?;
                talk.say(yes).await?;
            }
            b"FETCH" => {
                let octets = words.next().and_then(number).unwrap_or(0);
                talk.say(format!("* {octets} FETCH (BODY[] {{{octets}}}\r\n")).await?;
                talk.pour(octets).await?;
                talk.say(format!(")\r\n{yes}")).await?;
            }
            b"APPEND" => {
                literals(&mut talk, &line).await?;
                talk.say(yes).await?;
            }
            b"LOGOUT" => {
                talk.say(format!("* BYE\r\n{yes}")).await?;
                return talk.finish().await;
            }
            _ => talk.say(yes).await?,
        }
    }
    Ok(())
}

/// Takes the literals that the rest of a command consists of: nginx says user and password in them.
async fn literals(talk: &mut Talk, line: &[u8]) -> io::Result<()> {
    let mut announced = literal(line);
    while let Some((octets, waits)) = announced {
        if waits {
            talk.say("+ go on\r\n").await?;
        }
        talk.skip(octets).await?;
        announced = literal(&talk.line().await?.unwrap_or_default());
    }
    Ok(())
}

/// The octets that a line announces at its end, and whether the client waits for a word first.
fn literal(line: &[u8]) -> Option<(u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let inner = &inner[inner.iter().rposition(|&letter| letter == b'{')? + 1..];
    match inner.strip_suffix(b"+") {
        Some(inner) => Some((number(inner)?, false)),
        None => Some((number(inner)?, true)),
    }
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

const CAPABILITY: &str = "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN";
