//! xtext: any bytes as printable ASCII (RFC 3461 §4).

use std::fmt::Write as _;

/// What is not plain ASCII, and `+`, `=` and space, as `+` and two hexadecimal digits.
pub(super) fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "+{byte:02X}");
            }
        }
    }
    text
}

/// Whether this is xtext of printable ASCII: somebody will decode it, and take a control character for what it does.
pub(super) fn is_text(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_fit = match byte {
            b'+' => match (bytes.next(), bytes.next()) {
                // Two upper-case digits from 20 to 7E.
                (Some(b'2'..=b'6'), Some(b'0'..=b'9' | b'A'..=b'F')) => true,
                (Some(b'7'), Some(b'0'..=b'9' | b'A'..=b'E')) => true,
                _ => false,
            },
            b'=' => false,
            _ => byte.is_ascii_graphic(),
        };
        if !is_fit {
            return false;
        }
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_written_raw() {
        for (value, text) in [
            ("alice@example.com", "alice@example.com"),
            ("a b", "a+20b"),
            ("a+b", "a+2Bb"),
            ("a=b", "a+3Db"),
            ("ü", "+C3+BC"),
            ("x\r\nQUIT", "x+0D+0AQUIT"),
            ("\0\x7f\t", "+00+7F+09"),
            ("[IPv6:::1]", "[IPv6:::1]"),
        ] {
            assert_eq!(encode(value), text);
        }
    }

    #[test]
    fn only_printable_text_is_taken() {
        for good in ["x", "a+20b", "a+2Bb+3D", "+7E", "<a@b>"] {
            assert!(is_text(good), "{good}");
        }
        for bad in
            ["", "+", "+2", "a+00b", "+0A", "+0D+0A", "+1F", "+7F", "+80", "+C3+BC", "+2b", "+GG", "a=b", "a b", "\x07"]
        {
            assert!(!is_text(bad), "{bad}");
        }
    }
}
