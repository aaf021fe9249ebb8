//! `portcullis status`: the gateway, its directory and store, its certificates and its back-ends.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::admin::{PARTIAL, at, print_json, rows};
use super::remote::Remote;
use super::say;
use super::table::{ago, cut_for_terminal, shown, table, utc};
use crate::config::CertificateProblem;

pub(super) fn status(remote: &Remote) -> anyhow::Result<()> {
    let (status, servers) = (&remote.get("/status")?, &remote.get("/backends")?);
    if remote.json {
        return print_json(&json!({ "status": status, "backends": at(servers, "backends") }));
    }
    let count = |each: &Value| format!("{} {}", shown(at(each, "protocol")), shown(at(each, "sessions")));
    let sessions: Vec<String> = at(status, "sessions").as_array().into_iter().flatten().map(count).collect();
    let stopping = if at(status, "stopping") == true { ", stopping" } else { "" };
    let directory = directory(at(status, "directory"));
    let registry = match (at(status, "registry_up") == true, at(status, "registry_kept") == true) {
        (true, true) => "its store (registry.store) answers",
        (true, false) => "kept in memory, until a restart (registry.store is memory)",
        (false, _) => "its store (registry.store) does not answer",
    };
    let node = |each: &Value| format!("{} ({})", shown(at(each, "node")), shown(at(each, "sessions")));
    let nodes: Vec<String> = at(status, "nodes").as_array().into_iter().flatten().map(node).collect();
    let gateways = match (at(status, "partial") == true, nodes.len()) {
        (true, _) => format!("gateways   {}{PARTIAL}\n", nodes.join(", ")),
        (false, 0 | 1) => String::new(),
        (false, _) => format!("gateways   {}\n", nodes.join(", ")),
    };
    let server = |one: &Value| {
        let text = |key| shown(at(one, key));
        vec![text("name"), text("pool"), text("address"), how(one), text("connections"), text("max_connections")]
    };
    let line = |text: &String| format!("{}\n", cut_for_terminal(text));
    let reasons = at(servers, "backends").as_array().into_iter().flatten().flat_map(reasons);
    let reasons: String = reasons.map(|reason| line(&reason)).collect();
    let head = ["BACK-END", "POOL", "ADDRESS", "STATE", "CONNECTIONS", "LIMIT"];
    say(&format!(
        "{}, Portcullis {}{stopping}\nsessions   {}\n{gateways}directory  {directory}\nregistry   {registry}\n{}\n{}{}",
        shown(at(status, "hostname")),
        shown(at(status, "version")),
        sessions.join(", "),
        certificates(at(status, "certificates"), OffsetDateTime::now_utc()).as_ref().map(line).unwrap_or_default(),
        table(&head, &rows(at(servers, "backends"), server)),
        if reasons.is_empty() { String::new() } else { format!("\n{reasons}") },
    ))
}

/// The state of a back-end: by which protocols it is how, where it is not the same by all.
fn how(server: &Value) -> String {
    match at(server, "state").as_str() {
        Some("unknown") => return "not tried".to_owned(),
        Some("degraded" | "partly_tried") => {}
        _ => return shown(at(server, "state")),
    }
    let by = |state: &str, words: &str| {
        let protocols = at(server, "protocols").as_array().into_iter().flatten();
        let protocols = protocols.filter(|one| at(one, "state") == state).map(|one| shown(at(one, "protocol")));
        let protocols: Vec<_> = protocols.collect();
        (!protocols.is_empty()).then(|| format!("{} {words}", protocols.join(", ")))
    };
    let all = [by("down", "down"), by("up", "up"), by("unknown", "not tried")];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a back-end is down and since when: a line for each reason, with the protocols that have it.
fn reasons(server: &Value) -> Vec<String> {
    let protocols = at(server, "protocols").as_array().into_iter().flatten();
    let mut found: Vec<(&Value, Vec<&Value>)> = Vec::new();
    for one in protocols.filter(|one| at(one, "state") == "down") {
        let why = at(one, "problem");
        match found.iter_mut().find(|(known, _)| *known == why) {
            Some((_, with_it)) => with_it.push(one),
            None => found.push((why, vec![one])),
        }
    }
    let reason = |(why, with_it): &(&Value, Vec<&Value>)| {
        let names: Vec<_> = with_it.iter().map(|one| shown(at(one, "protocol"))).collect();
        let since = with_it.iter().map(|one| at(one, "since")).min_by_key(|since| since.as_u64());
        let since = since.filter(|since| !since.is_null());
        let since = since.map(|since| format!(" since {} ({} ago)", utc(since), ago(since))).unwrap_or_default();
        format!("{}: {} down{since}: {}", shown(at(server, "name")), names.join(", "), shown(why))
    };
    found.iter().map(reason).collect()
}

/// The certificates that have expired or will soon, the first of them first; `None` where there is none.
fn certificates(list: &Value, now: OffsetDateTime) -> Option<String> {
    let of = |one: &Value| {
        let end = OffsetDateTime::from_unix_timestamp(at(one, "expires").as_i64()?).ok()?;
        Some((end, format!("{} {}", shown(at(one, "file")), CertificateProblem::at_end(end, now)?)))
    };
    let mut soon: Vec<_> = list.as_array().into_iter().flatten().filter_map(of).collect();
    soon.sort();
    let more = soon.len().checked_sub(CERTIFICATES_SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| format!("; {more} more")).unwrap_or_default();
    let shown: Vec<_> = soon.into_iter().take(CERTIFICATES_SHOWN).map(|(_, text)| text).collect();
    (!shown.is_empty()).then(|| format!("tls        {}{more}", shown.join("; ")))
}

/// Its state, and one line a source where there are several and one of them does not answer.
fn directory(directory: &Value) -> String {
    let reach = |one: &Value| match at(one, "state").as_str() {
        Some("answers") => "answers".to_owned(),
        Some("away") => format!("away since {} ({} ago)", utc(at(one, "since")), ago(at(one, "since"))),
        Some("never_answered") => "never answered".to_owned(),
        _ => "-".to_owned(),
    };
    let why = |one: &Value| match at(one, "reason") {
        Value::Null => String::new(),
        reason => format!(": {}", shown(reason)),
    };
    let serving = match (at(directory, "state").as_str(), at(directory, "remembered_users").as_u64()) {
        (Some("away"), Some(1)) => ", serving 1 remembered user".to_owned(),
        (Some("away"), Some(count)) => format!(", serving {count} remembered users"),
        _ => String::new(),
    };
    let sources = at(directory, "sources").as_array().map_or(&[][..], Vec::as_slice);
    let listed = if sources.len() > 1 && at(directory, "state") != "answers" { sources } else { &[] };
    let line = |one: &Value| format!("\n           {} {}{}", shown(at(one, "source")), reach(one), why(one));
    format!("{}{serving}{}{}", reach(directory), why(directory), listed.iter().map(line).collect::<String>())
}

/// In one line.
const CERTIFICATES_SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_names_the_protocols_where_it_is_not_the_same_by_all() {
        let how = |state: &str, protocols: &[(&str, &str)]| {
            let protocol = |(protocol, state): &(&str, &str)| json!({ "protocol": protocol, "state": state });
            let protocols: Vec<_> = protocols.iter().map(protocol).collect();
            how(&json!({ "state": state, "protocols": protocols }))
        };
        let [up, down, unknown] = [("imap", "up"), ("pop3", "down"), ("smtp", "unknown")];
        assert_eq!(how("up", &[up]), "up");
        assert_eq!(how("down", &[down]), "down");
        assert_eq!(how("unknown", &[unknown]), "not tried");
        assert_eq!(how("partly_tried", &[up, unknown]), "imap up; smtp not tried");
        assert_eq!(how("degraded", &[up, down, unknown]), "pop3 down; imap up; smtp not tried");
        assert_eq!(how("degraded", &[down, ("imap", "down"), unknown]), "pop3, imap down; smtp not tried");
    }

    #[test]
    fn protocols_with_one_reason_share_a_line() {
        let one = |protocol: &str, since: Value, why: &str| json!({ "protocol": protocol, "state": "down", "since": since, "problem": why });
        let reasons = |protocols: &[Value]| reasons(&json!({ "name": "mail1", "protocols": protocols }));
        let up = json!({ "protocol": "smtp", "state": "up" });
        let said = reasons(&[one("imap", 20.into(), "no"), one("pop3", 10.into(), "no"), up.clone()]);
        assert_eq!(said.len(), 1);
        let rest = said[0].strip_prefix("mail1: imap, pop3 down since 1970-01-01T00:00:10Z (");
        assert!(rest.is_some_and(|rest| rest.ends_with(" ago): no")), "{said:?}");
        assert_eq!(reasons(&[one("imap", 20.into(), "no"), one("pop3", 10.into(), "never")]).len(), 2);
        assert_eq!(reasons(&[one("imap", Value::Null, "no")]), ["mail1: imap down: no"], "of an older gateway");
        assert_eq!(reasons(&[up]), [""; 0]);
    }

    #[test]
    fn certificates_are_told_of_when_they_expire_within_14_days() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_014_400).expect("a time");
        let said = |days: &[i64]| {
            let one = |day: &i64| json!({ "file": format!("{day}.pem"), "expires": 1_800_014_400 + day * 86_400 });
            certificates(&days.iter().map(one).collect::<Vec<_>>().into(), now)
        };
        assert_eq!(said(&[14, 90]), None);
        let two =
            "tls        -1.pem expired at 2027-01-14 12:00 UTC; 13.pem expires in 13 days, at 2027-01-28 12:00 UTC";
        assert_eq!(said(&[13, 90, -1]).as_deref(), Some(two));
        assert!(said(&[1, 2, 3, 4, 5]).is_some_and(|said| said.ends_with("; 2 more")));
        assert_eq!(certificates(&Value::Null, now), None, "of an older gateway");
    }
}
