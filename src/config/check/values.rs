//! Small values from text: times, rates, numbers, hosts.
//!
//! The reason of a failure is a predicate ("is not a port"); who reads puts the value in front of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::Rate;

/// A value, or what is wrong with the text.
pub(super) type Reading<T> = Result<T, String>;

/// A time from `min` to `max`, such as `500ms`, `30s`, `15m`, `1h`, `1d`.
pub(super) fn time(min: Duration, max: Duration) -> impl Fn(&str) -> Reading<Duration> {
    move |text| {
        let time = duration(text)?;
        if time < min {
            return Err(format!("is too short; at least {}", spelled(min)));
        }
        if time > max {
            return Err(format!("is too long; at most {}", spelled(max)));
        }
        Ok(time)
    }
}

fn duration(text: &str) -> Reading<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits).unwrap_or_default();
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, millis)| count.parse::<u64>().ok()?.checked_mul(*millis))
        .map(Duration::from_millis)
        .ok_or_else(|| "is not a time such as 500ms, 30s, 15m, 1h or 1d".to_owned())
}

fn spelled(time: Duration) -> String {
    let millis = time.as_millis();
    let unit =
        UNITS.iter().rev().find(|(_, unit)| millis >= u128::from(*unit) && millis.is_multiple_of(u128::from(*unit)));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", millis / u128::from(*unit)))
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `COUNT/INTERVAL`, such as `120/1m`.
pub(super) fn rate(text: &str) -> Reading<Rate> {
    let (count, interval) = text.split_once('/').ok_or("is not a rate such as 120/1m")?;
    let count = whole(1, u64::from(u32::MAX))(count).map_err(|_| "is not a rate such as 120/1m: the count is wrong")?;
    let interval = time(MILLISECOND, DAY)(interval)
        .map_err(|reason| format!("is not a rate such as 120/1m: its interval {reason}"))?;
    Ok(Rate { count, interval })
}

/// A whole number from `min` to `max`, in decimal; no leading zero, which some take for octal.
pub(super) fn whole<T: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(&str) -> Reading<T> {
    move |text| {
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let number = text.parse().ok().filter(|number| is_decimal && (min..=max).contains(number));
        let number: Option<T> = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("is not a whole number from {min} to {max}"))
    }
}

/// A number of bytes from `min` to `max`, such as `1B`, `32KiB`, `1MiB`.
pub(super) fn size(min: u32, max: u32) -> impl Fn(&str) -> Reading<u32> {
    move |text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at_checked(digits).unwrap_or_default();
        let bytes = SIZES
            .iter()
            .find(|(name, _)| *name == unit)
            .and_then(|(_, bytes)| count.parse::<u32>().ok()?.checked_mul(*bytes))
            .ok_or_else(|| "is not a size such as 512B, 32KiB or 1MiB".to_owned())?;
        let is_fit = (min..=max).contains(&bytes);
        is_fit.then_some(bytes).ok_or_else(|| format!("is not a size from {min}B to {}MiB", max / 1024 / 1024))
    }
}

const SIZES: [(&str, u32); 3] = [("B", 1), ("KiB", 1024), ("MiB", 1024 * 1024)];

/// `true` or `false`.
pub(super) fn truth(text: &str) -> Reading<bool> {
    text.parse().map_err(|_| "is neither true nor false".to_owned())
}

/// An address to listen on.
pub(super) fn bound_address(text: &str) -> Reading<SocketAddr> {
    text.parse().map_err(|_| "is not an address with a port, such as 192.0.2.1:143 or \"[::]:143\"".to_owned())
}

/// An address without a port.
pub(super) fn ip(text: &str) -> Reading<IpAddr> {
    text.parse().map_err(|_| "is not an IP address".to_owned())
}

/// A host's name, in lower case, or an IP address; no port.
pub(super) fn host(text: &str) -> Reading<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    domain(text).map_err(|_| match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => {
            "has a port, which belongs in `ports` of the pool, such as `ports: { imap: 1143 }`".to_owned()
        }
        _ => "is not a host name or an IP address".to_owned(),
    })
}

/// A DNS name, in lower case (RFC 1123 §2.1, and the underscore that containers like).
pub(super) fn domain(text: &str) -> Reading<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // The last label of a name is never a number: `10.0.0.300` is an address gone wrong.
    let ends_in_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if text.len() <= 253 && text.split('.').all(is_label) && !ends_in_number {
        return Ok(text.to_ascii_lowercase());
    }
    Err("is not a domain name".to_owned())
}

/// Text that is not empty, without control characters, of at most so many bytes.
pub(super) fn words(max: usize) -> impl Fn(&str) -> Reading<String> {
    move |text| match text {
        "" => Err("is empty".to_owned()),
        _ if text.len() > max => Err(format!("is longer than {max} bytes")),
        _ if text.chars().any(char::is_control) => Err("has control characters in it".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_stay_between_their_bounds() {
        let read = time(MILLISECOND, HOUR);
        for (text, millis) in
            [("1ms", 1), ("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("1h", 3_600_000), ("060s", 60_000)]
        {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(time(MILLISECOND, DAY)("1d"), Ok(DAY));
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "5 s",
            "5S",
            "5sec",
            "1h30m",
            "99999999999999999999d",
            "18446744073709551615d",
            "é",
            "5é",
        ] {
            assert!(read(text).is_err_and(|reason| reason.contains("not a time")), "{text}");
        }
        assert_eq!(read("0s"), Err("is too short; at least 1ms".to_owned()));
        assert_eq!(read("3601s"), Err("is too long; at most 1h".to_owned()));
        assert_eq!(read("60m"), Ok(HOUR));
    }

    #[test]
    fn a_size_has_a_unit_and_stays_between_its_bounds() {
        let read = size(1, 1024 * 1024);
        for (text, bytes) in [("1B", 1), ("512B", 512), ("32KiB", 32 * 1024), ("1MiB", 1024 * 1024)] {
            assert_eq!(read(text), Ok(bytes), "{text}");
        }
        for text in ["", "1", "B", "-1B", "1kb", "1 KiB", "1.5KiB", "4194304KiB", "99999999999B"] {
            assert!(read(text).is_err_and(|reason| reason.contains("not a size such as")), "{text}");
        }
        for text in ["0B", "1048577B", "2MiB"] {
            assert!(read(text).is_err_and(|reason| reason.contains("from 1B to 1MiB")), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_count_and_an_interval() {
        assert_eq!(rate("120/1m"), Ok(Rate { count: 120, interval: MINUTE }));
        assert_eq!(rate("1/1ms"), Ok(Rate { count: 1, interval: MILLISECOND }));
        for text in ["", "120", "/", "0/1m", "120/", "120/0s", "120/m", "120/2d", "1/1m/1m", "5000000000/1m"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_decimal() {
        let read = whole::<u32>(0, 100);
        assert_eq!((read("0"), read("100")), (Ok(0), Ok(100)));
        for text in ["", "101", "-1", "+1", "01", "1.0", "0x1", "1_0", " 1", "99999999999999999999"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(whole::<u16>(1, 65_535)("0").is_err());
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, host_) in [
            ("Mail1.Example.COM", "mail1.example.com"),
            ("localhost", "localhost"),
            ("mail_1", "mail_1"),
            ("10.0.0.1", "10.0.0.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("3com.example", "3com.example"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(host_), "{text}");
        }
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a b",
            "10.0.0.300",
            "1.2",
            "*.a",
            "mail:143",
            "[::1]",
            "ä.example",
            &long,
            "a\n",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
        assert!(host("mail:143").is_err_and(|reason| reason.contains("port")));
    }
}
