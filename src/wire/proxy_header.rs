//! The PROXY protocol, as a load balancer in front of us speaks it: who is the client really?
//!
//! Versions 1 and 2 of HAProxy's specification (`proxy-protocol.txt`), read strictly: what is refused here would
//! otherwise decide whose address is trusted, counted and blocked. It is pure; who may send a header, and how long one
//! may take, is the caller's business. The grammar is crate `ppp`'s; the borders and what it is lenient about are ours.

use std::net::{IpAddr, SocketAddr};

use ppp::v1::Addresses as V1;
use ppp::v2::{Addresses as V2, PROTOCOL_PREFIX as V2_SIGNATURE};

use crate::config::address::canonical;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, or nothing yet: hear more, and parse all of it again.
    More,
    /// A header.
    Header {
        /// Where the client comes from, and where it reached the balancer, IPv4-mapped IPv6 made IPv4. `None` = the
        /// balancer speaks for itself (a health check), or does not know: the connection's own ends are meant.
        client: Option<(SocketAddr, SocketAddr)>,
        /// How many bytes it has; those behind it belong to the mail protocol, or to TLS.
        used: usize,
    },
    /// No header, nor the beginning of one; the words are for the log.
    Bad(&'static str),
}

/// Reads the header at the start of `heard`. More than [`MAX`] bytes are never needed for an answer.
#[must_use]
pub fn parse(heard: &[u8]) -> Parsed {
    let begins = |with: &[u8]| heard.iter().zip(with).all(|(heard, with)| heard == with);
    let parsed = if begins(V2_SIGNATURE) {
        v2(heard)
    } else if begins(V1_PREFIX) {
        v1(heard)
    } else {
        Err("not a PROXY header")
    };
    match parsed {
        Ok(None) => Parsed::More,
        Ok(Some((client, used))) => Parsed::Header { client, used },
        Err(why) => Parsed::Bad(why),
    }
}

/// `None` = more is needed.
type Found = Result<Option<(Option<Ends>, usize)>, &'static str>;

/// Source and destination.
type Ends = (SocketAddr, SocketAddr);

fn v1(heard: &[u8]) -> Found {
    let line = heard.get(..V1_MAX).unwrap_or(heard);
    // ppp reads on to a CR that may never come, and takes whatever bytes stand before it.
    let Some(end) = line.iter().position(|byte| !matches!(byte, b' '..=b'~')) else {
        return if heard.len() < V1_MAX { Ok(None) } else { Err("no end of line in 107 bytes") };
    };
    match line.get(end..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([b'\r']) if heard.len() < V1_MAX => return Ok(None),
        _ => return Err("a byte that cannot be in a version 1 header"),
    }
    let used = end + 2;
    let line = heard.get(..used).and_then(|line| std::str::from_utf8(line).ok()).ok_or("not text")?;
    // `u16::from_str`, which ppp asks, would take a port of `+25`.
    if line.starts_with("PROXY TCP") && line.contains('+') {
        return Err("a port with a sign");
    }
    let header = ppp::v1::Header::try_from(line).map_err(|_| "malformed version 1 header")?;
    let client = match header.addresses {
        V1::Unknown => None,
        V1::Tcp4(ends) => Some(client(
            (ends.source_address.into(), ends.source_port),
            (ends.destination_address.into(), ends.destination_port),
        )?),
        V1::Tcp6(ends) => Some(client(
            (ends.source_address.into(), ends.source_port),
            (ends.destination_address.into(), ends.destination_port),
        )?),
    };
    Ok(Some((client, used)))
}

/// Each byte is judged as soon as it is there: who sends nonsense is not waited for.
fn v2(heard: &[u8]) -> Found {
    let Some((_, rest)) = heard.split_at_checked(V2_SIGNATURE.len()) else { return Ok(None) };
    let Some((command, rest)) = rest.split_first() else { return Ok(None) };
    let speaks_for_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err("unknown version or command"),
    };
    let Some((family, rest)) = rest.split_first() else { return Ok(None) };
    let (addressed, least) = match family {
        // LOCAL: "the receiver must … discard the protocol block including the family which is ignored".
        _ if speaks_for_itself => (false, 0),
        0x00 => (false, 0),
        0x11 => (true, 12),
        0x21 => (true, 36),
        0x12 | 0x22 => return Err("datagrams"),
        0x31 | 0x32 => return Err("a UNIX socket"),
        _ => return Err("unknown family or transport"),
    };
    let Some(&[high, low]) = rest.get(..2) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let used = V2_FIXED + length;
    if length < least {
        return Err("too short for its addresses");
    }
    if used > MAX {
        return Err("longer than 4096 bytes");
    }
    match heard.get(..used) {
        None => Ok(None),
        Some(_) if !addressed => Ok(Some((None, used))),
        Some(header) => Ok(Some((Some(v2_client(header)?), used))),
    }
}

fn v2_client(bytes: &[u8]) -> Result<Ends, &'static str> {
    let header = ppp::v2::Header::try_from(bytes).map_err(|_| "malformed version 2 header")?;
    let mut at = V2_FIXED + header.addresses.len();
    let mut checked = false;
    for tlv in header.tlvs() {
        let tlv = tlv.map_err(|_| "a truncated TLV")?;
        let value = at + V2_TLV_FIXED;
        at = value + tlv.value.len();
        if tlv.kind == ppp::v2::Type::CRC32C as u8 {
            if std::mem::replace(&mut checked, true) {
                return Err("two checksums");
            }
            verify(bytes, value, &tlv.value)?;
        }
        if tlv.kind == ppp::v2::Type::SSL as u8 {
            is_whole_ssl(&tlv.value)?;
        }
    }
    match header.addresses {
        V2::IPv4(ends) => client(
            (ends.source_address.into(), ends.source_port),
            (ends.destination_address.into(), ends.destination_port),
        ),
        V2::IPv6(ends) => client(
            (ends.source_address.into(), ends.source_port),
            (ends.destination_address.into(), ends.destination_port),
        ),
        V2::Unspecified | V2::Unix(_) => Err("no addresses"),
    }
}

/// A byte of flags, four of the verification's result, and TLVs that fill the rest (section 2.2.6 of the specification).
/// Nothing of it is used here, but a balancer that counts wrongly in it may do so elsewhere.
fn is_whole_ssl(value: &[u8]) -> Result<(), &'static str> {
    let (_, mut tlvs) = value.split_at_checked(V2_SSL_FIXED).ok_or("a truncated TLV of TLS")?;
    while let [_, high, low, rest @ ..] = tlvs {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        tlvs = rest.get(length..).ok_or("a truncated TLV of TLS")?;
    }
    if tlvs.is_empty() { Ok(()) } else { Err("a truncated TLV of TLS") }
}

/// The checksum is that of the whole header with the checksum's own four bytes at zero.
fn verify(header: &[u8], at: usize, value: &[u8]) -> Result<(), &'static str> {
    let told = u32::from_be_bytes(value.try_into().map_err(|_| "a checksum that is not of 4 bytes")?);
    let (before, behind) = header.split_at_checked(at).ok_or("a truncated TLV")?;
    let behind = behind.get(value.len()..).unwrap_or_default();
    let zeroed = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    if crc32c::crc32c_append(zeroed, behind) == told { Ok(()) } else { Err("a wrong checksum") }
}

/// A TCP connection comes from one host: what cannot be one is refused, not counted as one.
fn client(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Result<Ends, &'static str> {
    let [source, destination] = [source, destination].map(|(address, port)| SocketAddr::new(canonical(address), port));
    let no_host = match source.ip() {
        IpAddr::V4(address) => address.is_unspecified() || address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unspecified() || address.is_multicast(),
    };
    if no_host { Err("a source that is no host") } else { Ok((source, destination)) }
}

/// The longest header of any version that is read.
pub const MAX: usize = 4096;
const V1_PREFIX: &[u8] = b"PROXY ";
/// "a 108-byte buffer is always enough to store all the line and a trailing zero".
const V1_MAX: usize = 107;
const V2_FIXED: usize = 16;
const V2_TLV_FIXED: usize = 3;
const V2_SSL_FIXED: usize = 5;

#[cfg(test)]
mod tests;
