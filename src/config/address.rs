//! One address, a network, or a range, as access lists and trusted peers are written.
//!
//! It stands apart because every list of addresses in the file reads alike, and because "which address is this?" has
//! one answer here: an IPv4 client on an IPv6 socket (`::ffff:192.0.2.1`) is the IPv4 client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The addresses from `first` to `last`, both included and of one family; IPv4-mapped IPv6 was made IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
}

impl AddressRange {
    /// Whether the address is one of these; it may come as IPv4-mapped IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // `IpAddr` orders every IPv4 address before every IPv6 one, so a foreign family is never between the two.
        (self.first..=self.last).contains(&canonical(address))
    }
}

/// What is wrong with the text of an address; the message is for the operator who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// Neither IPv4 nor IPv6.
    #[error("`{0}` is not an IP address")]
    NotAnAddress(String),
    /// What follows `/` is no prefix length of this family.
    #[error("`/{length}` is not a prefix length: expected /0 to /{max}")]
    NotAPrefix {
        /// As written.
        length: String,
        /// 32 or 128.
        max: u8,
    },
    /// The address is inside the network, not its start; one of the two was not meant.
    #[error("host bits set in `{written}`: the network is {network}, the address alone is {address}")]
    HostBitsSet {
        /// As written.
        written: String,
        /// What the prefix length says.
        network: IpNet,
        /// What the address says.
        address: IpAddr,
    },
    /// The range ends before it starts.
    #[error("the range is backwards: {first} comes after {last}")]
    Backwards {
        /// What stands first.
        first: IpAddr,
        /// What stands last.
        last: IpAddr,
    },
    /// IPv4 on one end and IPv6 on the other.
    #[error("the families differ: {first} and {last} cannot be the two ends of one range")]
    FamiliesDiffer {
        /// What stands first.
        first: IpAddr,
        /// What stands last.
        last: IpAddr,
    },
}

/// Reads `10.0.0.1`, `10.0.0.0/8`, `192.0.2.10-192.0.2.99`, the same in IPv6, or `any`; never an empty list.
///
/// # Errors
/// The one thing that is wrong with the text.
pub fn parse(text: &str) -> Result<Vec<AddressRange>, AddressProblem> {
    let text = text.trim();
    if text == "any" {
        return Ok(ANY.to_vec());
    }
    let range = if let Some((address, length)) = text.split_once('/') {
        network(text, address, length)?
    } else if let Some((first, last)) = text.split_once('-') {
        range(single(first.trim())?, single(last.trim())?)?
    } else {
        let address = canonical(single(text)?);
        AddressRange { first: address, last: address }
    };
    Ok(vec![range])
}

/// The address itself: IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) becomes the IPv4 address that it carries.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

// The standard parser takes no leading zeros (octal in some minds), no scope ids and no short forms of IPv4.
fn single(text: &str) -> Result<IpAddr, AddressProblem> {
    text.parse().map_err(|_| AddressProblem::NotAnAddress(text.to_owned()))
}

fn network(written: &str, address: &str, length: &str) -> Result<AddressRange, AddressProblem> {
    let address = single(address)?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let network = Some(length)
        // `u8::from_str` would take `+8`.
        .filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|length| length.parse().ok())
        .and_then(|length| IpNet::new(address, length).ok())
        .ok_or_else(|| AddressProblem::NotAPrefix { length: length.to_owned(), max })?;
    if network.network() != address {
        return Err(AddressProblem::HostBitsSet { written: written.to_owned(), network: network.trunc(), address });
    }
    let (first, last) = (network.network(), network.broadcast());
    // `::ffff:10.0.0.0/104` is 10.0.0.0/8. A shorter prefix, such as `::/0`, also holds true IPv6: it stays IPv6.
    let inside_mapped = canonical(first).is_ipv4() && canonical(last).is_ipv4();
    if inside_mapped { range(first, last) } else { Ok(AddressRange { first, last }) }
}

fn range(first: IpAddr, last: IpAddr) -> Result<AddressRange, AddressProblem> {
    let (first, last) = (canonical(first), canonical(last));
    if first.is_ipv4() != last.is_ipv4() {
        return Err(AddressProblem::FamiliesDiffer { first, last });
    }
    if first > last {
        return Err(AddressProblem::Backwards { first, last });
    }
    Ok(AddressRange { first, last })
}

const ANY: [AddressRange; 2] = [
    AddressRange { first: IpAddr::V4(Ipv4Addr::UNSPECIFIED), last: IpAddr::V4(Ipv4Addr::BROADCAST) },
    AddressRange { first: IpAddr::V6(Ipv6Addr::UNSPECIFIED), last: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)) },
];

/// As whom a client is counted: one IPv6 user has a whole prefix, and may come from any address in it.
#[must_use]
pub fn counted_as(client: IpAddr, ipv6_prefix: u8) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let ranges = parse(text).expect(text);
        assert_eq!(ranges.len(), 1, "{text}");
        (ranges[0].first.to_string(), ranges[0].last.to_string())
    }

    #[test]
    fn an_address_a_network_and_a_range_say_what_they_hold() {
        for (text, first, last) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
            (" 10.0.0.1 ", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("192.0.2.10-192.0.2.99", "192.0.2.10", "192.0.2.99"),
            ("192.0.2.10 - 192.0.2.10", "192.0.2.10", "192.0.2.10"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::1-2001:db8::ff", "2001:db8::1", "2001:db8::ff"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255"),
            ("::ffff:10.0.0.1-10.0.0.9", "10.0.0.1", "10.0.0.9"),
        ] {
            assert_eq!(one(text), (first.to_owned(), last.to_owned()), "{text}");
        }
    }

    #[test]
    fn any_is_every_address_of_both_families() {
        let any = parse("any").expect("any");
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let address = address.parse().expect(address);
            assert_eq!(any.iter().filter(|range| range.contains(address)).count(), 1, "{address}");
        }
    }

    #[test]
    fn both_ends_are_inside_and_their_neighbours_are_not() {
        let range = parse("192.0.2.10-192.0.2.99").expect("range")[0];
        for (address, inside) in [
            ("192.0.2.9", false),
            ("192.0.2.10", true),
            ("192.0.2.99", true),
            ("192.0.2.100", false),
            ("::ffff:192.0.2.10", true),
            ("::192.0.2.10", false),
        ] {
            assert_eq!(range.contains(address.parse().expect(address)), inside, "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (text, words) in [
            ("", "`` is not an IP address"),
            ("example.com", "`example.com` is not an IP address"),
            ("010.0.0.1", "not an IP address"),
            ("10.0.0", "not an IP address"),
            ("fe80::1%eth0", "not an IP address"),
            ("[::1]", "not an IP address"),
            ("10.0.0.1-", "`` is not an IP address"),
            ("1.1.1.1-2.2.2.2-3.3.3.3", "`2.2.2.2-3.3.3.3` is not an IP address"),
            ("10.0.0.0/33", "`/33` is not a prefix length: expected /0 to /32"),
            ("::/129", "expected /0 to /128"),
            ("10.0.0.0/", "`/` is not a prefix length"),
            ("10.0.0.0/+8", "`/+8` is not a prefix length"),
            ("10.0.0.0/255.0.0.0", "`/255.0.0.0` is not a prefix length"),
            ("10.0.0.1/8", "host bits set in `10.0.0.1/8`: the network is 10.0.0.0/8, the address alone is 10.0.0.1"),
            ("2001:db8::1/64", "the network is 2001:db8::/64"),
            ("192.0.2.99-192.0.2.10", "the range is backwards: 192.0.2.99 comes after 192.0.2.10"),
            ("192.0.2.1-2001:db8::1", "the families differ"),
            ("ANY", "not an IP address"),
        ] {
            let problem = parse(text).expect_err(text).to_string();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
