//! The servers of a pool, and the hosts that the directory may name besides them.
//!
//! It stands apart because of what makes it safe: a name means one server, whoever says it, and no pattern lets the
//! directory send a password to just any host.

use std::collections::HashMap;

use super::item::Item;
use super::sheet::Fields;
use super::values::{self, Reading};
use crate::config::Server;

/// Every name that the directory can say, and who has it.
#[derive(Default)]
pub(super) struct Named(HashMap<String, String>);

impl Named {
    pub(super) fn pool(&mut self, name: &str, item: &Item<'_>) {
        self.claim(name, item);
    }

    fn claim(&mut self, name: &str, item: &Item<'_>) {
        match self.0.get(name) {
            Some(path) => item.fault(format!("`{name}` is also {path}; the directory could not tell them apart")),
            None => {
                self.0.insert(name.to_owned(), item.place.path.clone());
            }
        }
    }
}

/// `servers` and `match`; at least one of the two.
pub(super) fn members(fields: &mut Fields<'_>, named: &mut Named) -> (Vec<Server>, Vec<String>) {
    let (list, patterns) = (fields.take("servers"), fields.take("match"));
    if list.is_none() && patterns.is_none() {
        fields.missing("servers", ", and there is no `match` in its place");
    }
    let servers = list.map(|list| list.some_items()).unwrap_or_default();
    let patterns = patterns.map(Item::one_or_more).unwrap_or_default();
    let servers = servers.iter().filter_map(|item| server(item, named)).collect();
    let patterns = patterns.iter().filter_map(|item| {
        let pattern = item.read(pattern)?;
        named.claim(&pattern, item);
        Some(pattern)
    });
    (servers, patterns.collect())
}

fn server(item: &Item<'_>, named: &mut Named) -> Option<Server> {
    if !item.is_map() {
        let name = item.read(values::host)?;
        named.claim(&name, item);
        return Some(Server { address: name.clone(), name, weight: 1 });
    }
    let mut fields = item.fields()?;
    let name_item = fields.need("name");
    let name = name_item.as_ref().and_then(|item| item.read(values::host));
    if let (Some(item), Some(name)) = (&name_item, &name) {
        named.claim(name, item);
    }
    let address = fields.take("address").map(|item| item.read(values::host));
    let weight = fields.or("weight", values::whole(1, 1_000), 1);
    let name = name?;
    Some(Server { address: address.unwrap_or_else(|| Some(name.clone()))?, name, weight })
}

/// `*.stores.example.com`, or a whole name, in lower case.
fn pattern(text: &str) -> Reading<String> {
    let Some(suffix) = text.strip_prefix("*.") else {
        return match text {
            "*" => Err("would let the directory name any host".to_owned()),
            _ => values::host(text)
                .map_err(|_| "is not a host name or a pattern such as *.stores.example.com".to_owned()),
        };
    };
    let suffix = values::domain(suffix)
        .map_err(|_| "is not a host name or a pattern such as *.stores.example.com".to_owned())?;
    Ok(format!("*.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_star_and_a_domain_or_a_whole_name() {
        for (text, read) in [
            ("*.Stores.example.com", "*.stores.example.com"),
            ("*.internal", "*.internal"),
            ("mail1.example.com", "mail1.example.com"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(pattern(text).as_deref(), Ok(read));
        }
        for text in [
            "",
            "*",
            "*.",
            "**",
            "*.*",
            "a*.example.com",
            "mail.*.com",
            "*.10.0.0.1",
            "*example.com",
            ".example.com",
            "*.a.*",
        ] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }
}
