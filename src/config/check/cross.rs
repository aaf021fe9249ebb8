//! Who checks a password: the one question that services, directory and back-ends must answer together.
//!
//! A wrong answer would let people in without a password, so it is refused here and not left to the session.

use super::backends::Pools;
use super::directory::Lives;
use super::services::Offer;
use super::sheet::{Place, Sheet};
use crate::config::{PasswordCheck, Service, Source};

/// `offers`: the services that listeners use.
pub(super) fn passwords(sheet: &Sheet, offers: &[&Offer], lives: &Lives, pools: &Pools) {
    let has_ldap = lives.has_ldap;
    // Where nobody logs in, nobody's password is checked.
    let offers: Vec<_> = offers.iter().copied().filter(|offer| !offer.service.mechanisms.is_empty()).collect();
    for offer in &offers {
        let Some(place) = &offer.check else { continue };
        if offer.service.check != PasswordCheck::Backend && !has_ldap {
            sheet.fault(place, "needs an `ldap` source in `directory.sources`: no other can check a password");
        }
        let is_replayed = offer.service.check == PasswordCheck::Backend && pools.masters.is_empty();
        for (_, place) in offer.mechanisms.iter().filter(|(mechanism, _)| !mechanism.carries_password() && !is_replayed)
        {
            sheet.fault(
                place,
                "needs `check: backend`, and `login: replay` in every pool: only a back-end can check a token",
            );
        }
    }
    let sources: Vec<_> = lives.directory.iter().flat_map(|directory| &directory.sources).collect();
    let is_nameless = |source: &Source| matches!(source, Source::Ldap(ldap) if ldap.user_attribute.is_none());
    let nameless = sources.iter().copied().any(is_nameless);
    for place in &pools.masters {
        master(sheet, &offers, place);
    }
    for (name, place) in &pools.by_word {
        by_word(sheet, &offers, place);
        if let Some(protocol) = led_to(name, &offers, &sources, pools) {
            sheet.fault(place, format!("xclient is for submission only, but the users of services.{protocol} would be led here; needs a pool of their own for them"));
        }
    }
    for place in pools.masters.iter().chain(pools.by_word.iter().map(|(_, place)| place)) {
        if nameless {
            sheet.fault(place, "a login without the user's password needs `attributes.user` in every `ldap` source: the name as the client gave it may be somebody else's than the entry that was checked");
        }
    }
}

/// Every service but the one that sends would find nobody there to take our word.
fn led_to(pool: &str, offers: &[&Offer], sources: &[&Source], pools: &Pools) -> Option<&'static str> {
    let is_named = sources.iter().any(|source| matches!(source, Source::Pool(name) if name == pool));
    let is_all_there_is = pools.by_word.len() == pools.names.len();
    let mut protocols = offers.iter().map(|offer| offer.service.protocol);
    let protocol = protocols.find(|protocol| !protocol.supports_xclient_login())?;
    (is_named || is_all_there_is).then(|| protocol.name())
}

fn by_word(sheet: &Sheet, offers: &[&Offer], place: &Place) {
    let services = unchecked(offers, |service| {
        service.protocol.supports_xclient_login() && service.check == PasswordCheck::Backend
    });
    if !services.is_empty() {
        sheet.fault(place, format!("xclient shows the back-end no password, so nobody would check it; needs `login: {{ check: directory }}` or `both` in {services}"));
    }
}

fn master(sheet: &Sheet, offers: &[&Offer], place: &Place) {
    let services = unchecked(offers, |service| service.check != PasswordCheck::Directory);
    if !services.is_empty() {
        sheet.fault(place, format!("a master login never shows the user's password to the back-end, so nobody would check it; needs `login: {{ check: directory }}` in {services}"));
    }
}

/// The services of which this is so, for a message; not those whose `check` is wrong in itself.
fn unchecked(offers: &[&Offer], is_unchecked: impl Fn(&Service) -> bool) -> String {
    let known = offers.iter().filter(|offer| offer.check.is_some() && is_unchecked(&offer.service));
    let names: Vec<_> = known.map(|offer| format!("services.{}", offer.service.protocol.name())).collect();
    names.join(" and ")
}
