//! Every header that is right, and every way in which one may be wrong.

use proptest::prelude::*;

use super::*;

fn ends(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((source.parse().expect(source), destination.parse().expect(destination)))
}

fn bad(parsed: Parsed) -> bool {
    matches!(parsed, Parsed::Bad(_))
}

/// Whole it is this header; cut anywhere it is the beginning of one; and what follows is left alone.
fn is_header(bytes: &[u8], client: Option<(SocketAddr, SocketAddr)>) {
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Parsed::More, "cut at {end} of {:?}", bytes.escape_ascii().to_string());
    }
    let used = bytes.len();
    for behind in [&b""[..], b"a LOGIN", b"\x16\x03\x01", b"\r\n", b"\x04\0\0", b"PROXY UNKNOWN\r\n", &[0; 5000]] {
        let heard = [bytes, behind].concat();
        assert_eq!(parse(&heard), Parsed::Header { client, used }, "{:?}", bytes.escape_ascii().to_string());
    }
}

/// Whole it is refused; and no cut of it is a header.
fn is_bad(bytes: &[u8]) {
    let shown = bytes.escape_ascii().to_string();
    assert!(bad(parse(bytes)), "{shown}: {:?}", parse(bytes));
    for end in 0..bytes.len() {
        assert!(!matches!(parse(&bytes[..end]), Parsed::Header { .. }), "cut at {end} of {shown}");
    }
}

fn v2_header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, payload].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short").to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// 192.0.2.1:1024 → 198.51.100.2:993.
const TCP4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 4, 0, 3, 225];

fn tcp6(source: &str, destination: &str) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().expect(text).octets();
    [&octets(source)[..], &octets(destination), &[4, 0, 3, 225]].concat()
}

#[test]
fn version_1_names_the_client() {
    let four = b"PROXY TCP4 192.0.2.1 198.51.100.2 1024 993\r\n";
    is_header(four, ends("192.0.2.1:1024", "198.51.100.2:993"));
    is_header(b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n", ends("[2001:db8::1]:65535", "[2001:db8::2]:0"));
    is_header(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n", ends("127.0.0.1:1", "127.0.0.1:25"));
    is_header(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ends("192.0.2.1:1", "[::1]:2"));
    let highest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe";
    let longest = format!("PROXY TCP6 {highest} {highest} 65535 65535\r\n");
    is_bad(longest.as_bytes()); // multicast
    let longest = longest.replace("TCP6 ffff", "TCP6 2fff");
    is_header(longest.as_bytes(), ends(&format!("[2{}]:65535", &highest[1..]), &format!("[{highest}]:65535")));
}

#[test]
fn version_1_may_be_unknown_whatever_follows_on_the_line() {
    is_header(b"PROXY UNKNOWN\r\n", None);
    is_header(b"PROXY UNKNOWN 192.0.2.1 198.51.100.2 +1 x\r\n", None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 16));
    assert_eq!(longest.len(), V1_MAX);
    is_header(longest.as_bytes(), None);
}

#[test]
fn version_1_has_its_end_within_107_bytes() {
    is_bad(format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 15)).as_bytes());
    is_bad(format!("PROXY UNKNOWN {}\r", "f".repeat(V1_MAX - 15)).as_bytes());
    is_bad(format!("PROXY UNKNOWN {}", "f".repeat(V1_MAX - 14)).as_bytes());
    is_bad(format!("PROXY UNKNOWN {}", "f".repeat(1 << 20)).as_bytes());
    let waits = format!("PROXY UNKNOWN {}", "f".repeat(V1_MAX - 15));
    assert_eq!(parse(waits.as_bytes()), Parsed::More);
}

#[test]
fn version_1_ends_with_cr_and_lf() {
    for line in ["PROXY TCP4 192.0.2.1 198.51.100.2 1024 993", "PROXY UNKNOWN"] {
        for end in ["\n", "\rx", "\r\r\n", "\n\r\n", "\0\r\n", "\r \n", "\n\n"] {
            is_bad(format!("{line}{end}").as_bytes());
        }
    }
    is_bad(b"PROXY TCP4 192.0.2.1 198.51.100.2 1024 993 \r\n");
}

#[test]
fn version_1_families_fit_the_addresses() {
    for line in [
        "TCP6 1.2.3.4 4.3.2.1 1 2",
        "TCP4 ::ffff:1.2.3.4 ::ffff:4.3.2.1 1 2",
        "TCP4 ::1 ::1 1 2",
        "TCP6 fc::1 4.3.2.1 1 2",
        "TCP6 4.3.2.1 fc::1 1 2",
        "TCP4 1.2.3.4 fc::1 1 2",
        "TCP5 1.2.3.4 4.3.2.1 1 2",
        "tcp4 1.2.3.4 4.3.2.1 1 2",
        "UDP4 1.2.3.4 4.3.2.1 1 2",
        "TCP 1.2.3.4 4.3.2.1 1 2",
        "UNKNOWNS",
        "unknown",
    ] {
        is_bad(format!("PROXY {line}\r\n").as_bytes());
    }
}

#[test]
fn version_1_ports_are_plain_numbers() {
    for port in ["123456", "65536", "0123", "00", "-1", "12a", "", "+1", "0x1", "1.0", "99999999999999999999"] {
        is_bad(format!("PROXY TCP4 1.2.3.4 4.3.2.1 {port} 25\r\n").as_bytes());
        is_bad(format!("PROXY TCP4 1.2.3.4 4.3.2.1 25 {port}\r\n").as_bytes());
    }
}

#[test]
fn version_1_addresses_are_plain() {
    for address in [
        "01.02.03.04",
        "1.2.3.04",
        "1.2.3.4%0d%0a",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "0x7f000001",
        "2130706433",
        "127.1",
        "localhost",
        "1.2.3.4:25",
        "[::1]",
        "fe80::1%eth0",
        "::1%1",
        "1.2.3.\u{664}",
        "1.2.3.4\0",
        "1.2.3.4\t",
    ] {
        for family in ["TCP4", "TCP6"] {
            is_bad(format!("PROXY {family} {address} 4.3.2.1 1 2\r\n").as_bytes());
            is_bad(format!("PROXY {family} 4.3.2.1 {address} 1 2\r\n").as_bytes());
            is_bad(format!("PROXY {family} {address} ::2 1 2\r\n").as_bytes());
        }
    }
}

#[test]
fn version_1_has_all_its_fields_and_no_more() {
    let fields = ["PROXY", "TCP4", "1.2.3.4", "4.3.2.1", "1", "25"];
    for count in 1..fields.len() {
        is_bad(format!("{}\r\n", fields[..count].join(" ")).as_bytes());
        is_bad(format!("{} \r\n", fields[..count].join(" ")).as_bytes());
    }
    for missing in 0..fields.len() {
        let mut some = fields.to_vec();
        some.remove(missing);
        is_bad(format!("{}\r\n", some.join(" ")).as_bytes());
    }
    is_bad(format!("{} 7\r\n", fields.join(" ")).as_bytes());
    is_bad(format!("{}\r\n", fields.join("  ")).as_bytes());
    is_bad(format!(" {}\r\n", fields.join(" ")).as_bytes());
    is_bad(b"proxy TCP4 1.2.3.4 4.3.2.1 1 25\r\n");
}

#[test]
fn what_cannot_be_a_header_is_refused_at_its_first_wrong_byte() {
    for heard in
        [&b"a"[..], b"\x16\x03\x01", b"EHLO", b"PROXX", b"PROXY\r", b"PROXYT", b"\r\n\r\n\0\r\nQUIX", b"\r\r", b"\n"]
    {
        is_bad(heard);
    }
    assert_eq!(parse(b""), Parsed::More);
    assert!(bad(parse(b"PROXY TCP4 \n")));
    assert!(bad(parse(b"PROXY TCP4 1.2.3.4\xff")));
}

#[test]
fn version_2_names_the_client() {
    is_header(&v2_header(0x21, 0x11, &TCP4), ends("192.0.2.1:1024", "198.51.100.2:993"));
    let six = tcp6("2001:db8::1", "2001:db8::2");
    is_header(&v2_header(0x21, 0x21, &six), ends("[2001:db8::1]:1024", "[2001:db8::2]:993"));
    let mapped = tcp6("::ffff:192.0.2.1", "::1");
    is_header(&v2_header(0x21, 0x21, &mapped), ends("192.0.2.1:1024", "[::1]:993"));
}

#[test]
fn version_2_may_speak_for_itself_or_not_know() {
    is_header(&v2_header(0x20, 0x00, &[]), None);
    is_header(&v2_header(0x20, 0x11, &TCP4), None);
    is_header(&v2_header(0x20, 0x11, &[]), None);
    is_header(&v2_header(0x20, 0x44, b"whatever"), None);
    is_header(&v2_header(0x21, 0x00, &[]), None);
    is_header(&v2_header(0x21, 0x00, b"what cannot be read is skipped"), None);
}

#[test]
fn version_2_has_its_signature_version_and_command() {
    for at in 0..V2_SIGNATURE.len() {
        let mut header = v2_header(0x21, 0x11, &TCP4);
        header[at] ^= 1;
        is_bad(&header);
        is_bad(&header[..=at]);
    }
    for command in (0..=0xff).filter(|command| !matches!(command, 0x20 | 0x21)) {
        let header = v2_header(command, 0x11, &TCP4);
        is_bad(&header);
        assert!(bad(parse(&header[..13])), "at once");
    }
}

#[test]
fn version_2_is_of_tcp() {
    let payload = [1; 216];
    for family in (0..=0xff).filter(|family| !matches!(family, 0x00 | 0x11 | 0x21)) {
        let header = v2_header(0x21, family, &payload);
        is_bad(&header);
        assert!(bad(parse(&header[..14])), "at once");
    }
}

#[test]
fn version_2_is_long_enough_for_its_addresses() {
    for length in 0..12 {
        is_bad(&v2_header(0x21, 0x11, &TCP4[..length]));
    }
    for length in [0, 12, 35] {
        is_bad(&v2_header(0x21, 0x21, &[1; 36][..length]));
    }
    assert!(bad(parse(&v2_header(0x21, 0x11, &[])[..16])));
}

#[test]
fn version_2_is_no_longer_than_4096_bytes() {
    let padded = |length: usize| v2_header(0x21, 0x11, &[&TCP4[..], &tlv(4, &vec![0; length - 31])].concat());
    assert_eq!(padded(4096).len(), 4096);
    is_header(&padded(4096), ends("192.0.2.1:1024", "198.51.100.2:993"));
    is_bad(&padded(4097));
    assert!(bad(parse(&padded(4097)[..16])), "what comes is not waited for");
    is_bad(&v2_header(0x20, 0x00, &[0; 65_535]));
    is_bad(&v2_header(0x21, 0x00, &[0; 4081]));
}

#[test]
fn version_2_tlvs_are_whole() {
    for tlvs in [&b"\x04"[..], b"\x04\0", b"\x04\0\x01", b"\x04\xff\xff", b"\x04\0\x05abcd", b"\x04\0\x01a\x04"] {
        is_bad(&v2_header(0x21, 0x11, &[&TCP4[..], tlvs].concat()));
    }
    let ssl = tlv(0x20, b"\x07\0\0\0\0\x21\0\x07TLSv1.3");
    let whole = [&TCP4[..], &ssl, &tlv(4, b""), &tlv(0xee, b"own"), &tlv(0x02, b"host")].concat();
    is_header(&v2_header(0x21, 0x11, &whole), ends("192.0.2.1:1024", "198.51.100.2:993"));
}

#[test]
fn version_2_tlvs_inside_the_one_of_tls_are_whole() {
    let with = |value: &[u8]| v2_header(0x21, 0x11, &[&TCP4[..], &tlv(0x20, value), &tlv(4, b"behind")].concat());
    let fixed = b"\x07\0\0\0\0";
    let inner = [tlv(0x21, b"TLSv1.3"), tlv(0x22, b""), tlv(0x23, b"TLS_AES_128_GCM_SHA256")].concat();
    for value in [&fixed[..], &[&fixed[..], &inner].concat()] {
        is_header(&with(value), ends("192.0.2.1:1024", "198.51.100.2:993"));
    }
    for value in [&b""[..], b"\x07\0\0\0"] {
        is_bad(&with(value));
    }
    for behind in [&b"\x21"[..], b"\x21\0", b"\x21\0\x08TLSv1.3", b"\x21\xff\xffTLSv1.3", b"\x21\0\x07TLSv1.3\x22"] {
        is_bad(&with(&[fixed, behind].concat()));
    }
}

/// The header with its checksum, which stands between two other TLVs.
fn checksummed() -> (Vec<u8>, usize) {
    let payload = [&TCP4[..], &tlv(4, b"before"), &tlv(3, &[0; 4]), &tlv(4, b"behind")].concat();
    let mut header = v2_header(0x21, 0x11, &payload);
    let at = V2_FIXED + 12 + 9 + 3;
    let checksum = crc32c::crc32c(&header).to_be_bytes();
    header[at..at + 4].copy_from_slice(&checksum);
    (header, at)
}

#[test]
fn version_2_checksums_are_verified() {
    let (header, at) = checksummed();
    is_header(&header, ends("192.0.2.1:1024", "198.51.100.2:993"));
    for wrong in (16..28).chain(at..at + 4).chain([header.len() - 1]) {
        let mut header = header.clone();
        header[wrong] ^= 0x40;
        is_bad(&header);
    }
}

#[test]
fn version_2_has_one_checksum_of_four_bytes() {
    for value in [&b""[..], b"abc", b"abcde"] {
        is_bad(&v2_header(0x21, 0x11, &[&TCP4[..], &tlv(3, value)].concat()));
    }
    let payload = [&TCP4[..], &tlv(3, &[0; 4]), &tlv(3, &[0; 4])].concat();
    let mut header = v2_header(0x21, 0x11, &payload);
    let checksum = crc32c::crc32c(&header).to_be_bytes();
    header[31..35].copy_from_slice(&checksum);
    is_bad(&header);
}

#[test]
fn a_known_checksum_is_that_of_castagnoli() {
    // RFC 3720 §B.4: 32 bytes of zeroes.
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn a_client_is_a_host() {
    for source in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.255"] {
        is_bad(format!("PROXY TCP4 {source} 4.3.2.1 1 2\r\n").as_bytes());
        is_bad(format!("PROXY TCP6 ::ffff:{source} ::1 1 2\r\n").as_bytes());
    }
    for source in ["::", "ff02::1"] {
        is_bad(format!("PROXY TCP6 {source} ::1 1 2\r\n").as_bytes());
        is_bad(&v2_header(0x21, 0x21, &tcp6(source, "::1")));
    }
}

proptest! {
    #[test]
    fn whatever_comes_the_answer_never_changes_back(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            prop::collection::vec(any::<u8>(), 0..64).prop_map(|tail| [V2_SIGNATURE, &[0x21, 0x11, 0], &tail].concat()),
            "[ -~]{0,100}".prop_map(|tail| format!("PROXY TCP4 {tail}\r\n").into_bytes()),
            "[0-9.: ]{0,60}".prop_map(|tail| format!("PROXY TCP6 {tail}\r\n").into_bytes()),
        ],
    ) {
        let mut settled = None;
        for end in 0..=bytes.len() {
            let parsed = parse(&bytes[..end]);
            match (&settled, &parsed) {
                (None, Parsed::More) => {}
                (None, _) => settled = Some(parsed),
                (Some(before), now) => prop_assert_eq!(before, now),
            }
        }
    }
}
