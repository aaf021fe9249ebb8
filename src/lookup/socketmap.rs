//! socketmap_table(5), as Postfix and Sendmail ask: a netstring `name SP key`, answered by a netstring.
//!
//! The name of the map is the asker's affair: every one of them is the same map.

use bytes::{Buf, BytesMut};

use super::{Answer, Heard, Language};

/// See the module; between requests there is nothing to remember.
pub(super) struct Socketmap;

impl Language for Socketmap {
    fn hear(&mut self, heard: &mut BytesMut) -> Heard {
        match netstring(heard) {
            Err(problem) => Heard::Last(b"", problem),
            Ok(None) => Heard::More,
            Ok(Some(query)) => match memchr::memchr(b' ', &query) {
                None => Heard::Reply(b"18:PERM no map's name,"),
                Some(space) => {
                    let key = query.get(space + 1..).unwrap_or_default();
                    // MTAs also ask for host names and for the first bytes of an address; they have not logged in.
                    let address = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
                    address.map_or(Heard::Reply(NOT_FOUND), Heard::Question)
                }
            },
        }
    }

    fn answer(&mut self, answer: &Answer<'_>, say: &mut Vec<u8>) -> bool {
        match answer {
            Answer::User(user) => say.extend_from_slice(format!("{}:OK {user},", user.len() + 3).as_bytes()),
            Answer::Nobody => say.extend_from_slice(NOT_FOUND),
            Answer::Later => say.extend_from_slice(b"46:TEMP the user of this address may not send now,"),
            Answer::Away => say.extend_from_slice(b"25:TEMP the registry is away,"),
        }
        true
    }
}

/// `LENGTH:BYTES,` once it is whole; what is none leaves no border at which to go on.
fn netstring(heard: &mut BytesMut) -> Result<Option<BytesMut>, &'static str> {
    let digits = heard.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match heard.get(digits) {
        _ if digits > DIGITS_MAX => return Err("the query is too long"),
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err("no netstring"),
    }
    let length: usize =
        heard.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).ok_or("no netstring")?;
    if length > QUERY_MAX {
        return Err("the query is too long");
    }
    match heard.get(digits + 1 + length) {
        None => Ok(None),
        Some(b',') => {
            heard.advance(digits + 1);
            let query = heard.split_to(length);
            heard.advance(1);
            Ok(Some(query))
        }
        Some(_) => Err("no netstring"),
    }
}

const NOT_FOUND: &[u8] = b"9:NOTFOUND ,";
/// Postfix's own limit.
const QUERY_MAX: usize = 10_000;
const DIGITS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::cut::{conversation, random_input};

    fn talk(text: &str) -> String {
        conversation(&|| Box::new(Socketmap), text.as_bytes())
    }

    fn ask(query: &str) -> String {
        format!("{}:{query},", query.len())
    }

    #[test]
    fn a_covered_address_is_its_users() {
        assert_eq!(talk(&ask("after-pop 192.0.2.1")), "(192.0.2.1)8:OK alice,");
        assert_eq!(talk(&ask("x 192.0.2.2")), "(192.0.2.2)9:NOTFOUND ,");
        assert_eq!(talk(&ask("x 192.0.2.8")), "(192.0.2.8)46:TEMP the user of this address may not send now,");
        assert_eq!(talk(&ask("x 192.0.2.9")), "(192.0.2.9)25:TEMP the registry is away,");
        assert_eq!(talk(&(ask("x 192.0.2.2") + &ask("y ::1"))), "(192.0.2.2)9:NOTFOUND ,(::1)9:NOTFOUND ,");
    }

    #[test]
    fn what_is_no_address_is_not_found() {
        for key in ["mail.example.com", "192.0.2", "192", "", " 192.0.2.1", "192.0.2.1 ", "\u{e4}"] {
            assert_eq!(talk(&ask(&format!("x {key}"))), "9:NOTFOUND ,", "{key:?}");
        }
        assert_eq!(talk(&(ask("192.0.2.1") + &ask("x y"))), "18:PERM no map's name,9:NOTFOUND ,");
    }

    #[test]
    fn what_is_no_netstring_gets_no_answer() {
        for text in [":", "a", "-1:x,", " 3:x y,", "3:x yz", "3:x y\n", "GET / HTTP/1.1\r\n"] {
            assert_eq!(talk(text), "(bad no netstring)", "{text:?}");
        }
        assert_eq!(talk("100000:"), "(bad the query is too long)");
        assert_eq!(talk("10001:"), "(bad the query is too long)");
        assert_eq!(talk(&ask(&format!("x {}", "y".repeat(QUERY_MAX - 2)))), "9:NOTFOUND ,");
    }

    #[test]
    fn our_own_netstrings_have_the_right_length() {
        for reply in [
            "18:PERM no map's name,",
            "9:NOTFOUND ,",
            "25:TEMP the registry is away,",
            "46:TEMP the user of this address may not send now,",
        ] {
            let (length, rest) = reply.split_once(':').expect("a netstring");
            assert_eq!(length.parse(), Ok(rest.len() - 1), "{reply}");
        }
    }

    #[test]
    fn random_input_is_survived() {
        random_input(&|| Box::new(Socketmap), &[b"11:x 192.0.2.1,", b"3:", b",", b"x "]);
    }
}
