//! Who may come in, and how many: the access list and the limits, alike on all three levels.

use super::item::Item;
use super::sheet::Fields;
use super::values;
use crate::config::address::{self, AddressRange};
use crate::config::{AccessRule, Limits};

/// `access`: the list of a level, empty when it was left out.
pub(super) fn rules(fields: &mut Fields<'_>) -> Vec<AccessRule> {
    let Some(list) = fields.take("access") else { return Vec::new() };
    list.items().iter().filter_map(rule).collect()
}

fn rule(item: &Item<'_>) -> Option<AccessRule> {
    let mut fields = item.fields()?;
    let (allow, deny, limits) = (fields.take("allow"), fields.take("deny"), fields.take("limits"));
    let (is_allow, from) = match (allow, deny) {
        (Some(from), None) => (true, from),
        (None, Some(from)) => (false, from),
        (Some(_), Some(_)) => {
            fields.fault("has both `allow` and `deny`; make two rules of it");
            return None;
        }
        (None, None) => {
            fields.fault("has neither `allow` nor `deny`");
            return None;
        }
    };
    if let (false, Some(limits)) = (is_allow, &limits) {
        limits.fault("has no meaning where nobody is let in; limits belong to `allow`");
        return None;
    }
    let limits = limits.and_then(|item| item.fields()).map(|mut fields| level(&mut fields));
    Some(AccessRule { allow: is_allow, from: addresses(from), limits })
}

/// One address, network or range, or a list of them.
pub(super) fn addresses(item: Item<'_>) -> Vec<AddressRange> {
    item.one_or_more().iter().filter_map(address).flatten().collect()
}

fn address(item: &Item<'_>) -> Option<Vec<AddressRange>> {
    let text = item.text()?;
    address::parse(text.as_str())
        .map_err(|problem| {
            if text.is_inline {
                item.fault(problem.to_string());
            } else {
                item.fault("the value is not an IP address, a network, a range, or any");
            }
        })
        .ok()
}

/// `limits` of a level that is not the global one.
pub(super) fn limits(fields: &mut Fields<'_>) -> Limits {
    level(&mut fields.section("limits"))
}

/// The global `limits`, and how IPv6 addresses are counted on every level.
pub(super) fn global_limits(root: &mut Fields<'_>) -> (Limits, u8) {
    let mut fields = root.section("limits");
    let ipv6_prefix = fields.or("ipv6_prefix", values::whole(32, 128), 64);
    (level(&mut fields), ipv6_prefix)
}

fn level(fields: &mut Fields<'_>) -> Limits {
    if let Some(item) = fields.take("ipv6_prefix") {
        item.fault("stands in the global `limits` only; it holds for every level");
    }
    let mut count = |key| fields.take(key)?.read(values::whole(1, u64::from(u32::MAX)));
    let (connections, connections_per_ip) = (count("connections"), count("connections_per_ip"));
    let mut rate = |key| fields.take(key)?.read(values::rate);
    let (rate, rate_per_ip) = (rate("rate"), rate("rate_per_ip"));
    Limits { connections, connections_per_ip, rate, rate_per_ip }
}
