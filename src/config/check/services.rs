//! The services: each protocol as it is offered.

use std::sync::Arc;
use std::time::Duration;

use super::access;
use super::sheet::{Fields, Place};
use super::values::{self, DAY, HOUR, MILLISECOND, Reading};
use crate::config::{Cleartext, PasswordCheck, Service, UserLimits};
use crate::proto::smtp::pipelining::UnauthorizedPipelining;
use crate::proto::smtp::text::BareNewline;
use crate::proto::{Mechanism, Protocol};

/// A service, and the places that the cross checks may have to point at.
pub(super) struct Offer {
    pub(super) service: Arc<Service>,
    /// Of `login.check`, written or not; `None` when what was written is not known.
    pub(super) check: Option<Place>,
    /// The mechanisms that were written.
    pub(super) mechanisms: Vec<(Mechanism, Place)>,
}

/// Every protocol; one that has no entry is offered with the defaults.
pub(super) fn services(root: &mut Fields<'_>) -> Vec<Offer> {
    let mut fields = root.section("services");
    Protocol::ALL.into_iter().map(|protocol| offer(protocol, &mut fields.section(protocol.name()))).collect()
}

fn offer(protocol: Protocol, fields: &mut Fields<'_>) -> Offer {
    let access = access::rules(fields);
    let limits = access::limits(fields);
    let login = login(protocol, &mut fields.section("login"));
    let mut errors = fields.section("errors");
    let count = || values::whole(1, 10_000);
    let mut timeouts = fields.section("timeouts");
    let bare_newline = bare_newline(protocol, fields);
    let unauthorized_pipelining = unauthorized_pipelining(protocol, fields);
    let user_limits = user_limits(&mut fields.section("user_limits"));
    let greeting = fields.or("greeting", greeting(protocol), "ready".to_owned());
    let service = Service {
        protocol,
        access,
        limits,
        mechanisms: login.offered.into(),
        cleartext: login.cleartext,
        check: login.check,
        bad_commands: errors.or("commands", count(), 10),
        failed_logins: errors.or("logins", count(), 3),
        login_timeout: timeouts.or("login", values::time(MILLISECOND, HOUR), Duration::from_secs(60)),
        idle_timeout: timeouts.or("idle", values::time(MILLISECOND, 7 * DAY), idle(protocol)),
        bare_newline,
        unauthorized_pipelining,
        user_limits,
        greeting: greeting.into(),
    };
    Offer { service: Arc::new(service), check: login.place, mechanisms: login.written }
}

fn user_limits(fields: &mut Fields<'_>) -> UserLimits {
    let mut most = |key| fields.take(key).and_then(|item| item.read(values::whole(1, u64::from(u32::MAX))));
    UserLimits { connections: most("connections"), connections_per_ip: most("connections_per_ip") }
}

struct Login {
    offered: Vec<Mechanism>,
    written: Vec<(Mechanism, Place)>,
    cleartext: Cleartext,
    check: PasswordCheck,
    place: Option<Place>,
}

/// RFC 3501 §5.4 asks for 30 minutes at least; RFC 5321 §4.5.3.2.7 for 5 between servers.
fn idle(protocol: Protocol) -> Duration {
    Duration::from_secs(60 * if protocol == Protocol::Smtp { 5 } else { 35 })
}

fn bare_newline(protocol: Protocol, fields: &mut Fields<'_>) -> BareNewline {
    let Some(item) = fields.take("bare_newline") else { return BareNewline::default() };
    if protocol != Protocol::Smtp {
        item.fault("belongs to smtp: in other services no message is read on its way");
    }
    item.choice(&BARE_NEWLINES).unwrap_or_default()
}

const BARE_NEWLINES: [(&str, BareNewline); 2] =
    [("reject", BareNewline::Reject), ("normalize", BareNewline::Normalize)];

fn unauthorized_pipelining(protocol: Protocol, fields: &mut Fields<'_>) -> UnauthorizedPipelining {
    let written = fields.take("unauthorized_pipelining");
    if protocol != Protocol::Smtp {
        if let Some(item) = written {
            item.fault("belongs to smtp: in other services the user's server judges what comes behind a login");
        }
        return UnauthorizedPipelining::Allow;
    }
    written.and_then(|item| item.choice(&UNAUTHORIZED_PIPELINING)).unwrap_or_default()
}

const UNAUTHORIZED_PIPELINING: [(&str, UnauthorizedPipelining); 2] =
    [("reject", UnauthorizedPipelining::Reject), ("allow", UnauthorizedPipelining::Allow)];

fn login(protocol: Protocol, fields: &mut Fields<'_>) -> Login {
    let written = mechanisms(fields);
    let offered = match (written.is_empty(), protocol) {
        // Other servers do not log in.
        (true, Protocol::Smtp) => Vec::new(),
        (true, _) => vec![Mechanism::Plain, Mechanism::Login],
        (false, _) => written.iter().map(|(mechanism, _)| *mechanism).collect(),
    };
    let cleartext = fields.take("cleartext").and_then(|item| item.choice(&CLEARTEXT)).unwrap_or_default();
    let check = fields.take("check");
    let (check, place) = match check {
        None => (Some(PasswordCheck::default()), fields.at("check")),
        Some(item) => (item.choice(&CHECKS), item.place),
    };
    let place = check.map(|_| place);
    Login { offered, written, cleartext, check: check.unwrap_or_default(), place }
}

fn mechanisms(fields: &mut Fields<'_>) -> Vec<(Mechanism, Place)> {
    let mut found: Vec<(Mechanism, Place)> = Vec::new();
    let Some(list) = fields.take("mechanisms") else { return found };
    for item in list.some_items() {
        let Some(mechanism) = item.choice(&MECHANISMS) else { continue };
        if found.iter().any(|(other, _)| *other == mechanism) {
            item.fault("stands in the list twice");
        } else {
            found.push((mechanism, item.place));
        }
    }
    found
}

const MECHANISMS: [(&str, Mechanism); 4] = [
    ("plain", Mechanism::Plain),
    ("login", Mechanism::Login),
    ("xoauth2", Mechanism::XOAuth2),
    ("oauthbearer", Mechanism::OAuthBearer),
];

const CLEARTEXT: [(&str, Cleartext); 3] =
    [("never", Cleartext::Never), ("loopback", Cleartext::Loopback), ("always", Cleartext::Always)];

const CHECKS: [(&str, PasswordCheck); 3] =
    [("backend", PasswordCheck::Backend), ("directory", PasswordCheck::Directory), ("both", PasswordCheck::Both)];

// A `[` first would be a response code of IMAP (RFC 3501 §7.1); `<…>` in POP3 would offer APOP (RFC 1939 §7).
fn greeting(protocol: Protocol) -> impl Fn(&str) -> Reading<String> {
    move |text| {
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let is_taken = match protocol {
            Protocol::Imap => text.starts_with('['),
            Protocol::Pop3 => text.contains('<'),
            Protocol::Submission | Protocol::Smtp => false,
        };
        match text {
            "" => Err("is empty".to_owned()),
            _ if !is_printable || text.len() > 200 => Err("is not printable ASCII of at most 200 bytes".to_owned()),
            _ if is_taken => Err(format!("has a meaning of its own in {}", protocol.name())),
            _ => Ok(text.to_owned()),
        }
    }
}
