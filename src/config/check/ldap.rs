//! One LDAP source: where it is, what is asked, and what its attributes mean.

use std::collections::HashMap;
use std::time::Duration;

use super::filter::{self, lets_aliases_in, naming_attributes, tell_domains_apart};
use super::item::Item;
use super::presets::{NONE, PRESETS, Preset};
use super::sheet::Fields;
use super::tls;
use super::values::{self, MILLISECOND, MINUTE, Reading};
use crate::config::{ClientTls, Ldap, LdapUrl, ReloadableSecret, Standing};

/// `served`: the domains whose users and recipients there are, as far as that is written. `has_users`: whether users log in.
pub(super) fn ldap(fields: &mut Fields<'_>, served: &[String], has_users: bool) -> Option<Ldap> {
    let presets = PRESETS.map(|preset| (preset.name, preset));
    let written = fields.take("preset");
    // What a preset that was misspelt would have given is not missing as well.
    let preset = written.as_ref().map_or(Some(NONE), |item| item.choice(&presets));
    let (urls, starttls) = servers(fields);
    let tls = verification(fields, &urls, starttls);
    let bind = bind(fields);
    let base = fields.need("base").and_then(|item| item.read(values::words(NAME_MAX)));
    let places = ["filter", "recipient_filter"].map(|key| fields.place_of(key));
    let filter = given(fields, "filter", preset, |preset| preset.filter, filter::filter);
    let recipient_filter = match fields.take("recipient_filter") {
        Some(item) => item.read(filter::filter),
        None => preset.and_then(|preset| preset.recipient_filter).map(str::to_owned).or_else(|| filter.clone()),
    };
    if served.len() > 1 {
        let [place, recipients] = places;
        let preset = preset.filter(|_| place.is_none()).map(|preset| preset.name);
        tell_domains_apart(fields, place, filter.as_deref(), preset, served);
        if recipients.is_some() {
            tell_domains_apart(fields, recipients, recipient_filter.as_deref(), None, served);
        }
    }
    let mut attributes = fields.section("attributes");
    let written = ["identity", "user"].map(|key| attributes.place_of(key).is_some());
    let host_attribute = given(&mut attributes, "host", preset, |preset| preset.host, attribute);
    let identity_attribute = optional(&mut attributes, "identity", preset.and_then(|preset| preset.identity));
    let user_attribute = optional(&mut attributes, "user", preset.and_then(|preset| preset.user));
    let services_attribute = optional(&mut attributes, "services", preset.and_then(|preset| preset.services));
    let routing_attribute =
        optional(&mut attributes, "routing_address", preset.and_then(|preset| preset.routing_address));
    let status_attribute = optional(&mut attributes, "status", preset.and_then(|preset| preset.status));
    // A key that is misspelt may be the one that is missing; one that is wrong is there.
    if has_users && preset.is_some() && attributes.is_all_taken() {
        let [has_identity, has_user] = written;
        if identity_attribute.is_none() && !has_identity {
            attributes.sheet.warn(&attributes.at("identity"), NO_IDENTITY);
        }
        if user_attribute.is_none() && !has_user {
            warn_of_aliases(&attributes, filter.as_deref());
        }
    }
    let (status, status_flags) = status(fields, preset, status_attribute.is_some());
    let timeout = fields.or("timeout", values::time(MILLISECOND, 5 * MINUTE), Duration::from_secs(4));
    let connections = fields.or("connections", values::whole(1, 64), 2);
    Some(Ldap {
        urls,
        starttls,
        tls,
        bind,
        base: base?,
        filter: filter?,
        recipient_filter: recipient_filter?,
        host_attribute: host_attribute?,
        identity_attribute,
        user_attribute,
        status_attribute,
        services_attribute,
        routing_attribute,
        status,
        status_flags,
        timeout,
        connections,
    })
}

// A directory's names have no limit of their own.
const NAME_MAX: usize = 2048;

fn servers(fields: &mut Fields<'_>) -> (Vec<LdapUrl>, bool) {
    let list = fields.need("urls").map(Item::one_or_more).unwrap_or_default();
    let urls: Vec<_> = list.iter().filter_map(|item| item.read(url)).collect();
    let Some(item) = fields.take("starttls") else { return (urls, false) };
    let starttls = item.read(values::truth).unwrap_or_default();
    if starttls && !urls.is_empty() && urls.iter().all(|url| url.ldaps) {
        item.fault("has nothing to upgrade: `ldaps://` is TLS from the first byte; leave it out, or write `ldap://`");
    }
    (urls, starttls)
}

fn url(text: &str) -> Reading<LdapUrl> {
    let wrong = || "is not a URL such as ldap://ldap1.example.com or ldaps://[2001:db8::1]:636".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (ldaps, standard_port) = match scheme.to_ascii_lowercase().as_str() {
        "ldap" => (false, 389),
        "ldaps" => (true, 636),
        _ => return Err(wrong()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let host = values::host(host).map_err(|_| wrong())?;
    let port = port.map(values::whole(1, 65_535)).transpose().map_err(|_| wrong())?;
    Ok(LdapUrl { ldaps, host, port: port.unwrap_or(standard_port) })
}

fn verification(fields: &mut Fields<'_>, urls: &[LdapUrl], starttls: bool) -> ClientTls {
    let Some(item) = fields.take("tls") else { return ClientTls::default() };
    if !starttls && !urls.is_empty() && urls.iter().all(|url| !url.ldaps) {
        item.fault("has no effect: nothing here speaks TLS without `starttls: true` or an `ldaps://` URL");
    }
    item.fields().map(|mut fields| tls::verification(&mut fields)).unwrap_or_default()
}

fn bind(fields: &mut Fields<'_>) -> Option<(String, ReloadableSecret)> {
    match (fields.take("bind_dn"), fields.take("bind_password")) {
        (Some(dn), Some(password)) => {
            let (dn, password) = (dn.read(values::words(NAME_MAX)), password.reloadable_secret(|_| true));
            Some((dn?, password?))
        }
        (Some(dn), None) => {
            dn.fault("needs `bind_password` beside it");
            None
        }
        (None, Some(password)) => {
            password.fault("needs `bind_dn` beside it");
            None
        }
        (None, None) => None,
    }
}

type FromPreset = fn(&Preset) -> Option<&'static str>;

/// What was written, else what the preset gives, else it is missing.
fn given(
    fields: &mut Fields<'_>,
    key: &'static str,
    preset: Option<Preset>,
    from: FromPreset,
    parse: fn(&str) -> Reading<String>,
) -> Option<String> {
    if let Some(item) = fields.take(key) {
        return item.read(parse);
    }
    let preset = preset?;
    let text = from(&preset);
    if text.is_none() {
        fields.missing(key, &format!("; preset {} does not give it", preset.name));
    }
    text.map(str::to_owned)
}

fn optional(fields: &mut Fields<'_>, key: &'static str, preset: Option<&'static str>) -> Option<String> {
    fields.take(key).map_or(preset.map(str::to_owned), |item| item.read(attribute))
}

/// An attribute description (RFC 4512 §2.5), loosely.
fn attribute(text: &str) -> Reading<String> {
    let is_ascii_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b';' | b'.'));
    if !is_ascii_word || !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Err("is not the name of an attribute".to_owned());
    }
    Ok(text.to_owned())
}

const NO_IDENTITY: &str = "is missing: users are known by their DN, such as `dn:0:uid=alice,ou=people,…`, in the log, in \
    `disable` and `kick`, and by other MTAs; name an attribute with one value that no other entry has, such as \
    `identity: mail`";

/// Where the back-end would be told any of several names of a user.
fn warn_of_aliases(attributes: &Fields<'_>, filter: Option<&str>) {
    let found_by = filter.map(naming_attributes).unwrap_or_default();
    if lets_aliases_in(&found_by) {
        let found_by: Vec<String> = found_by.into_iter().collect();
        attributes.sheet.warn(
            &attributes.at("user"),
            format!(
                "is missing: the filter finds a user by any of several names (of {}), and the back-end is told the one that was \
                 typed; name the attribute that holds the name there, such as `user: uid`",
                found_by.join(", ")
            ),
        );
    }
}

/// What values of the status mean, and what flags of one that is a number mean.
type Standings = (HashMap<String, Standing>, Vec<(i64, Standing)>);

/// `flag 2` or `flag 0x2`: not a value, but a mask of bits in a number.
fn flag(value: &str) -> Option<Reading<i64>> {
    let mask = value.strip_prefix("flag ")?.trim();
    let number = match mask.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => mask.parse(),
    };
    let wrong = || "is not a flag such as `flag 2` or `flag 0x2`".to_owned();
    Some(number.ok().filter(|mask| *mask > 0).ok_or_else(wrong))
}

fn status(fields: &mut Fields<'_>, preset: Option<Preset>, has_attribute: bool) -> Standings {
    let of_preset = preset.map(|preset| preset.standings).unwrap_or_default();
    let mut standings: HashMap<_, _> =
        of_preset.iter().map(|(value, standing)| ((*value).to_owned(), *standing)).collect();
    let written = fields.take("status");
    match &written {
        Some(item) if preset.is_some() && !has_attribute => {
            item.fault("says what values mean, but no attribute is named in `attributes.status`");
        }
        None if has_attribute && standings.is_empty() && preset.is_some() => {
            fields.missing("status", ": it says what the values of `attributes.status` mean, such as { locked: deny }");
        }
        _ => {}
    }
    let mut seen = Vec::new();
    for (value, item) in written.and_then(|item| item.fields()).map(|mut fields| fields.rest()).unwrap_or_default() {
        let Some(standing) = item.choice(&STANDINGS) else { continue };
        let value = match flag(&value.to_lowercase()) {
            None => value.to_lowercase(),
            Some(Ok(mask)) => format!("flag {mask}"),
            Some(Err(reason)) => {
                item.fault(reason);
                continue;
            }
        };
        if seen.contains(&value) {
            item.fault("is there twice: upper and lower case make no difference here");
        }
        standings.insert(value.clone(), standing);
        seen.push(value);
    }
    let flags = standings.extract_if(|value, _| value.starts_with("flag "));
    let flags = flags.filter_map(|(value, standing)| Some((flag(&value)?.ok()?, standing))).collect();
    (standings, flags)
}

const STANDINGS: [(&str, Standing); 3] =
    [("active", Standing::Active), ("deny", Standing::Deny), ("unavailable", Standing::Unavailable)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_a_positive_number() {
        for (text, mask) in [("flag 2", 2), ("flag 0x10", 16), ("flag  65536", 65_536)] {
            assert_eq!(flag(text), Some(Ok(mask)), "{text}");
        }
        for text in ["flag 0", "flag -1", "flag x", "flag ", "flag 0x"] {
            assert!(flag(text).is_some_and(|read| read.is_err()), "{text}");
        }
        assert_eq!(flag("flagged"), None);
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_perhaps_a_port() {
        let read = |text: &str| url(text).map(|url| (url.ldaps, url.host, url.port));
        for (text, ldaps, host, port) in [
            ("ldap://Ldap1.example.com", false, "ldap1.example.com", 389),
            ("ldaps://ldap1.example.com/", true, "ldap1.example.com", 636),
            ("LDAP://10.0.0.1:1389", false, "10.0.0.1", 1389),
            ("ldaps://[2001:db8::1]", true, "2001:db8::1", 636),
            ("ldap://[::1]:1389", false, "::1", 1389),
        ] {
            assert_eq!(read(text), Ok((ldaps, host.to_owned(), port)), "{text}");
        }
        for text in [
            "",
            "ldap1",
            "ldap:ldap1",
            "http://ldap1",
            "ldapi:///var/run",
            "ldap://",
            "ldap://a:",
            "ldap://a:0",
            "ldap://a:65536",
            "ldap://a/dc=x",
            "ldap://u:p@a",
            "ldap://::1",
            "ldap://[::1",
            "ldap://[::1]x",
            "ldap://a b",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
