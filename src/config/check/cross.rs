//! Who checks a password: the one question that services, directory and back-ends must answer together.
//!
//! A wrong answer would let people in without a password, so it is refused here and not left to the session.

use super::backends::Pools;
use super::directory::Lives;
use super::services::Offer;
use super::sheet::{Place, Sheet};
use crate::config::{PasswordCheck, Source};

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
    let sources = lives.directory.iter().flat_map(|directory| &directory.sources);
    let is_nameless = |source: &Source| matches!(source, Source::Ldap(ldap) if ldap.user_attribute.is_none());
    let nameless = sources.into_iter().any(is_nameless);
    for place in &pools.masters {
        master(sheet, &offers, place);
        if nameless {
            sheet.fault(place, "a master login needs `attributes.user` in every `ldap` source: the name as the client gave it may be somebody else's than the entry that was checked");
        }
    }
}

fn master(sheet: &Sheet, offers: &[&Offer], place: &Place) {
    let unchecked =
        offers.iter().filter(|offer| offer.check.is_some() && offer.service.check != PasswordCheck::Directory);
    let unchecked: Vec<_> = unchecked.map(|offer| format!("services.{}", offer.service.protocol.name())).collect();
    if !unchecked.is_empty() {
        let services = unchecked.join(" and ");
        sheet.fault(place, format!("a master login never shows the user's password to the back-end, so nobody would check it; needs `login: {{ check: directory }}` in {services}"));
    }
}
