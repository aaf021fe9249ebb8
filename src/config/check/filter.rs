//! LDAP filters as they are written: whether one can be asked, and whether it tells domains apart.

use std::collections::BTreeSet;

use super::sheet::{Fields, Place};
use super::values::Reading;

/// A filter template: `{user}`, `{local}`, `{account}` and `{domain}` stand where a value may stand, and one of them does.
pub(super) fn filter(text: &str) -> Reading<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or("has a `{` without its `}`")?;
        if !["user", "local", "account", "domain"].contains(&name) {
            return Err(format!(
                "has a placeholder {{{name}}}; there are {{user}}, {{local}}, {{account}} and {{domain}}"
            ));
        }
        // An escape is right in a value only, so a placeholder in the place of an attribute is found out.
        filled.extend([before, "x\\2ax"]);
        rest = after;
    }
    if filled.is_empty() {
        return Err(
            "has none of {user}, {local}, {account} and {domain}: it would find the same entry for everyone".to_owned()
        );
    }
    filled.push_str(rest);
    if rest.contains('}') || !text.starts_with('(') || ldap3::parse_filter(&filled).is_err() {
        return Err("is not a filter as in RFC 4515, such as (mail={user})".to_owned());
    }
    Ok(text.to_owned())
}

/// Warns of a filter that does not tell `served` domains apart; `preset`: whose it is, if it was not written.
pub(super) fn tell_domains_apart(
    fields: &Fields<'_>,
    place: Option<Place>,
    filter: Option<&str>,
    preset: Option<&str>,
    served: &[String],
) {
    let Some(filter) = filter.filter(|filter| !tells_domains_apart(filter)) else { return };
    let whose = preset.map_or(String::new(), |preset| format!(" of preset {preset} ({filter})"));
    let (one, other) = (served.first().map_or("", String::as_str), served.get(1).map_or("", String::as_str));
    let place = place.unwrap_or_else(|| fields.at("filter"));
    fields.sheet.warn(
        &place,
        format!(
            "the filter{whose} finds entries without their domain, and several domains are served: alice@{one} and alice@{other} are the same entry; write {{user}}, or {{domain}} beside {{local}}, in every alternative"
        ),
    );
}

/// Whether every entry that a filter finds has something to do with the domain that was asked for. The filter is right.
fn tells_domains_apart(filter: &str) -> bool {
    let inner = filter.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(filter);
    let (operator, rest) = inner.split_at_checked(1).unwrap_or_default();
    match operator {
        "&" => parts(rest).iter().any(|part| tells_domains_apart(part)),
        "|" => parts(rest).iter().all(|part| tells_domains_apart(part)),
        "!" => false,
        _ => inner.contains("{user}") || inner.contains("{domain}"),
    }
}

/// The attributes by each of which a filter finds an entry, in lower case; the filter is right. One that has to match
/// besides another adds no name to those of the other.
pub(super) fn naming_attributes(filter: &str) -> BTreeSet<String> {
    let inner = filter.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(filter);
    let (operator, rest) = inner.split_at_checked(1).unwrap_or_default();
    let inside = || parts(rest).into_iter().map(naming_attributes);
    match operator {
        "&" => inside().filter(|names| !names.is_empty()).min_by_key(BTreeSet::len).unwrap_or_default(),
        "|" => inside().flatten().collect(),
        "!" => BTreeSet::new(),
        _ => {
            let (attribute, value) = inner.split_once('=').unwrap_or_default();
            let names_a_user = ["{user}", "{local}", "{account}"].iter().any(|name| value.contains(name));
            let attribute = attribute.trim_end_matches(['~', '<', '>', ':']).to_ascii_lowercase();
            names_a_user.then_some(attribute).into_iter().collect()
        }
    }
}

/// Whether users of these attributes have several names: there are several attributes, or one that holds aliases in the
/// schemas of the presets.
pub(super) fn lets_aliases_in(attributes: &BTreeSet<String>) -> bool {
    attributes.len() > 1 || attributes.iter().any(|attribute| ALIASES.contains(&attribute.as_str()))
}

const ALIASES: [&str; 6] =
    ["maillocaladdress", "mailalternateaddress", "mailequivalentaddress", "alias", "proxyaddresses", "zimbramailalias"];

/// The filters that stand side by side in a list of filters.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'(' if depth == 0 => (depth, start) = (1, at),
            b'(' => depth += 1,
            b')' if depth == 1 => {
                depth = 0;
                parts.extend(list.get(start..=at));
            }
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_placeholders_in_the_place_of_values() {
        for text in [
            "(mail={user})",
            "(&(objectClass=inetLocalMailRecipient)(|(mail={user})(uid={local})))",
            "(&(uid={local})(associatedDomain={domain}))",
            "(proxyAddresses=smtp:{user})",
            "(!(mail=*{user}))",
        ] {
            assert_eq!(filter(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "(",
            "(mail=alice)",
            "mail={user}",
            "(mail={user}",
            "(mail={user}))",
            "(mail={users})",
            "(mail={})",
            "(mail={user)",
            "(mail=user})",
            "({user}=x)",
            "(cn:{user}:=x)",
            "({user})",
            "{user}",
            "(mail={user})}",
            "(&(mail={user}){local})",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_lets_aliases_in_when_a_user_has_several_names_in_it() {
        let lets_in = |text: &str| lets_aliases_in(&naming_attributes(text));
        for text in [
            "(|(mail={user})(uid={local}))",
            "(&(objectClass=x)(|(mail={user})(alias={user})))",
            "(mailLocalAddress={user})",
            "(&(status=active)(proxyAddresses=smtp:{user}))",
            "(|(uid={local})(&(cn={account})(o={domain})))",
        ] {
            assert!(lets_in(text), "{text}");
        }
        for text in [
            "(mail={user})",
            "(&(uid={local})(associatedDomain={domain}))",
            "(&(uid={local})(|(mail={user})(mailAlternateAddress={user})))",
            "(|(uid={local})(UID={user}))",
            "(&(mail={user})(!(alias={user})))",
        ] {
            assert!(!lets_in(text), "{text}");
        }
    }

    #[test]
    fn a_filter_tells_domains_apart_when_each_alternative_does() {
        for text in [
            "(mail={user})",
            "(&(objectClass=x)(|(mail={user})(&(uid={local})(o={domain}))))",
            "(&(|(!(status=*))(status=active))(mail={user}))",
            "(& (uid={local}) (o={domain}) )",
            "(mail={local}@{domain})",
            "(&(mail={user})(uid=\\28{local}))",
        ] {
            assert!(tells_domains_apart(text), "{text}");
        }
        for text in [
            "(uid={local})",
            "(|(mail={user})(uid={local}))",
            "(&(objectClass=x)(|(mail={user})(sAMAccountName={account})))",
            "(&(objectClass=x)(!(mail={user}))(uid={local}))",
            "(|(mail={user})(objectClass=x))",
        ] {
            assert!(!tells_domains_apart(text), "{text}");
        }
    }
}
