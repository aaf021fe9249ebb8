//! One address, a network, or a range, as access lists and trusted peers are written.

use std::net::IpAddr;

/// The addresses from `first` to `last`, both included and of one family; IPv4-mapped IPv6 was made IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
}
