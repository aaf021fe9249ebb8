//! The verbs of an administrator: who is on, who is known, and acts. All of them ask the running gateway.

use clap::Args;
use serde_json::{Value, json};

use super::remote::{Remote, part};
use super::say;
use super::table::{ago, bytes, shown, table};
use crate::directory::NameProblem;

/// Which sessions.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Of this protocol, such as imap.
    #[arg(long)]
    protocol: Option<String>,
    /// From this IP address.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// At this server.
    #[arg(long, value_name = "SERVER")]
    backend: Option<String>,
}

/// Whose sessions end.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Whom {
    /// All of this user.
    #[arg(value_name = "USER", value_parser = user_name)]
    name: Option<String>,
    /// One session, by its id.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The same as USER.
    #[arg(long, value_name = "NAME", value_parser = user_name)]
    user: Option<String>,
    /// All from this IP address.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// All at this server.
    #[arg(long, value_name = "SERVER")]
    backend: Option<String>,
}

/// A user's name as it was typed. An empty one would be none in the API's paths; what else is wrong with a name, the gateway
/// says.
pub(super) fn user_name(text: &str) -> Result<String, NameProblem> {
    if text.is_empty() { Err(NameProblem::Empty) } else { Ok(text.to_owned()) }
}

pub(super) fn who(remote: &Remote, which: &Which) -> anyhow::Result<()> {
    let wanted =
        [("user", &which.user), ("protocol", &which.protocol), ("client", &which.from), ("backend", &which.backend)];
    let wanted: String =
        wanted.iter().filter_map(|(key, value)| Some(format!("&{key}={}", part(value.as_ref()?)))).collect();
    let (mut sessions, mut cursor, mut partial) = (Vec::new(), String::new(), false);
    loop {
        let behind = if cursor.is_empty() { String::new() } else { format!("&cursor={}", part(&cursor)) };
        let mut page = remote.get(&format!("/sessions?limit=1000{behind}{wanted}"))?;
        partial |= at(&page, "partial") == true;
        let next = at(&page, "cursor").as_str().unwrap_or_default().to_owned();
        let before = sessions.len();
        if let Some(Value::Array(some)) = page.get_mut("sessions").map(Value::take) {
            sessions.extend(some);
        }
        if next.is_empty() || next == cursor || sessions.len() == before {
            break;
        }
        cursor = next;
    }
    if remote.json {
        return print_json(&json!({ "sessions": sessions, "partial": partial }));
    }
    let count = sessions.len();
    let note = if partial { PARTIAL } else { "" };
    say(&format!("{}{count} session{}{note}\n", on(&sessions), if count == 1 { "" } else { "s" }))
}

fn on(sessions: &[Value]) -> String {
    let has_nodes = sessions.iter().any(|one| !at(one, "node").is_null());
    let row = |one: &Value| {
        let tls = if at(one, "tls").is_null() { Value::Null } else { at(at(one, "tls"), "version").clone() };
        let times = [ago(at(one, "since")), ago(at(one, "moved"))];
        let sizes = [bytes(at(one, "up")), bytes(at(one, "down"))];
        let facts = [at(one, "id"), at(one, "user"), at(one, "protocol"), at(one, "client"), &tls, at(one, "backend")]
            .map(shown);
        let node = if has_nodes { vec![shown(at(one, "node"))] } else { Vec::new() };
        [facts.to_vec(), times.to_vec(), sizes.to_vec(), node].concat()
    };
    let head = ["ID", "USER", "PROTOCOL", "CLIENT", "TLS", "BACK-END", "SINCE", "IDLE", "UP", "DOWN", "NODE"];
    let head = if has_nodes { head.as_slice() } else { head.split_last().map_or(&[] as &[_], |(_, rest)| rest) };
    table(head, &sessions.iter().map(row).collect::<Vec<_>>())
}

/// What was done here, and what the other gateways were told.
fn dropped(done: &Value) -> String {
    let (here, nodes) = (shown(at(done, "dropped")), at(done, "nodes_told").as_u64().unwrap_or_default());
    let elsewhere = match (at(done, "partial") == true, nodes) {
        (true, _) => PARTIAL.to_owned(),
        (false, 0) => String::new(),
        (false, _) => {
            let count = shown(at(done, "dropped_elsewhere"));
            format!(" here, about {count} elsewhere ({nodes} other gateway{} told)", if nodes == 1 { "" } else { "s" })
        }
    };
    format!("sessions dropped: {here}{elsewhere}")
}

/// The user that was acted on, and the name that was typed where it is another one.
fn acted_on(done: &Value, typed: &str) -> String {
    match at(done, "user").as_str() {
        Some(user) if user != typed => format!("{} (typed: {typed})", shown(at(done, "user"))),
        // An older gateway says nothing of the kind.
        Some(_) | None => typed.to_owned(),
    }
}

/// What the operator must know besides, on a line of its own.
fn note(done: &Value) -> String {
    let note = at(done, "note");
    if note.is_null() { String::new() } else { format!("\nnote: {}", shown(note)) }
}

/// Behind what is of one gateway, though there may be others.
pub(super) const PARTIAL: &str = " (of this gateway only: the registry's store is away)";

pub(super) fn kick(remote: &Remote, whom: &Whom) -> anyhow::Result<()> {
    let user = whom.name.as_ref().or(whom.user.as_ref());
    let path = match (&whom.session, user, &whom.from, &whom.backend) {
        (Some(id), ..) => format!("/sessions/{}", part(id)),
        (_, Some(user), ..) => format!("/users/{}/sessions", part(user)),
        (_, _, Some(address), _) => format!("/addresses/{}/sessions", part(address)),
        (_, _, _, backend) => format!("/backends/{}/sessions", part(backend.as_deref().unwrap_or_default())),
    };
    let done = &remote.delete(&path)?;
    tell(remote, done, || match user {
        Some(user) => format!("{}: {}{}", acted_on(done, user), dropped(done), note(done)),
        None => dropped(done),
    })
}

/// Which protocol of a user is switched.
#[derive(Debug, Args)]
pub(super) struct Switch {
    /// The user's name.
    #[arg(value_parser = user_name)]
    user: String,
    /// One that users log in by: imap, pop3, or submission.
    protocol: String,
    /// Do it even when the directory does not answer, so that nobody can say whether there is such a user. `enable`: for
    /// exactly this name, without asking the directory.
    #[arg(long)]
    force: bool,
}

pub(super) fn switch(remote: &Remote, asked: &Switch, on: bool, now: bool) -> anyhow::Result<()> {
    let Switch { user, protocol, force } = asked;
    let path = format!("/users/{}/protocols/{}", part(user), part(protocol));
    let mut wish = json!({ "enabled": on, "now": now });
    // An older gateway knows no such key.
    if *force && let Some(wish) = wish.as_object_mut() {
        wish.insert("force".to_owned(), true.into());
    }
    let done = &remote.put(&path, &wish)?;
    tell(remote, done, || {
        let word = if on { "enabled" } else { "disabled" };
        let kept =
            if at(done, "kept") == true { "" } else { ", until the gateway restarts (registry.store is memory)" };
        let dropped = if now { format!("; {}", dropped(done)) } else { String::new() };
        format!("{protocol} is {word} for {}{kept}{dropped}{}", acted_on(done, user), note(done))
    })
}

pub(super) fn switched_off(remote: &Remote) -> anyhow::Result<()> {
    let off = &remote.get("/switches")?;
    tell(remote, off, || {
        let row = |one: &Value| {
            let protocols: Vec<String> = at(one, "protocols").as_array().into_iter().flatten().map(shown).collect();
            vec![shown(at(one, "user")), protocols.join(", "), shown(at(one, "alias_of"))]
        };
        let users = rows(at(off, "users"), row);
        let (count, plural) = (users.len(), if users.len() == 1 { "" } else { "s" });
        let kept = if at(off, "kept") == true { "" } else { ", until the gateway restarts (registry.store is memory)" };
        format!("{}{count} name{plural}{kept}", table(&["USER", "SWITCHED OFF", "ALIAS OF"], &users))
    })
}

pub(super) fn forget(remote: &Remote, name: &str) -> anyhow::Result<()> {
    let done = &remote.delete(&format!("/users/{}/route", part(name)))?;
    tell(remote, done, || {
        let here = if at(done, "forgotten") == true { "forgotten" } else { "nothing was remembered" };
        let elsewhere = match (at(done, "partial") == true, at(done, "nodes_told").as_u64().unwrap_or_default()) {
            (true, _) => PARTIAL.to_owned(),
            (false, 0) => String::new(),
            (false, nodes) => format!(", {nodes} other gateway{} told", if nodes == 1 { "" } else { "s" }),
        };
        let of = acted_on(done, name);
        format!("the route of {of}: {here}{elsewhere}; the next login asks the directory{}", note(done))
    })
}

pub(super) fn user(remote: &Remote, name: &str) -> anyhow::Result<()> {
    let one = &remote.get(&format!("/users/{}", part(name)))?;
    tell(remote, one, || {
        let is_nobody = at(at(one, "directory"), "answer") == "unknown";
        let switch = |each: &Value| {
            let (enabled, allowed) = (at(each, "enabled"), at(each, "allowed"));
            // Of a name that nobody has, only what was switched off for it says something.
            let enabled = if is_nobody && *enabled == true { &Value::Null } else { enabled };
            let allowed = if is_nobody { &Value::Null } else { allowed };
            vec![shown(at(each, "protocol")), yes(enabled), yes(allowed), ago(at(each, "last_login"))]
        };
        format!(
            "user           {}{}\ndirectory      {}\nlast address   {}\nfailed logins  {}\n\n{}\n{}{}\n{}",
            shown(at(one, "user")),
            if at(one, "partial") == true { PARTIAL } else { "" },
            directory_answer(at(one, "directory")),
            shown(at(one, "last_address")),
            failures(at(one, "failed_logins")),
            table(&["PROTOCOL", "ENABLED", "ALLOWED", "LAST LOGIN"], &rows(at(one, "protocols"), switch)),
            refused_logins(one),
            addresses(one),
            on(at(one, "sessions").as_array().map_or(&[], Vec::as_slice)).trim_end(),
        )
    })
}

pub(super) fn ips(remote: &Remote, name: &str) -> anyhow::Result<()> {
    let one = &remote.get(&format!("/users/{}", part(name)))?;
    if remote.json {
        return print_json(at(one, "addresses"));
    }
    let note = if at(one, "partial") == true { format!("{}\n", PARTIAL.trim_start()) } else { String::new() };
    say(&format!("{}{note}", addresses(one)))
}

/// What the directory says of a user, in one line.
fn directory_answer(answer: &Value) -> String {
    let problem = shown(at(answer, "problem"));
    let but = if at(answer, "problem").is_null() { String::new() } else { format!("; {problem}") };
    let said = match at(answer, "answer").as_str() {
        Some("known") => {
            let name = at(answer, "user");
            let name = if name.is_null() { String::new() } else { format!(" as {}", shown(name)) };
            format!("known at {}{name}, status {}{but}", shown(at(answer, "server")), shown(at(answer, "status")))
        }
        Some("unknown") => format!("there is no such user{but}"),
        Some("unusable") => format!("the entry cannot be used: {problem}"),
        Some(_) => format!("does not answer: {problem}"),
        None => return "-".to_owned(),
    };
    let since = at(answer, "since");
    let asked = if since.is_null() { String::new() } else { format!(", asked {} ago", ago(since)) };
    let stale = if at(answer, "stale") == true { " (stale: the directory is away)" } else { "" };
    format!("{said}{asked}{stale}")
}

/// Nothing where no login was refused.
fn refused_logins(user: &Value) -> String {
    let row = |one: &Value| {
        let facts = ["client", "protocol", "denial", "detail"].map(|key| shown(at(one, key)));
        [vec![ago(at(one, "at"))], facts.to_vec()].concat()
    };
    let refused = rows(at(user, "refused_logins"), row);
    let head = ["REFUSED", "CLIENT", "PROTOCOL", "DENIAL", "REASON"];
    if refused.is_empty() { String::new() } else { format!("{}\n", table(&head, &refused)) }
}

/// How many, and the last of them if there was one.
fn failures(failed: &Value) -> String {
    let count = shown(at(failed, "count"));
    if at(failed, "last_at").is_null() {
        return count;
    }
    format!("{count} (the last {} ago from {})", ago(at(failed, "last_at")), shown(at(failed, "last_address")))
}

fn addresses(user: &Value) -> String {
    let visit = |one: &Value| vec![shown(at(one, "address")), shown(at(one, "protocol")), ago(at(one, "at"))];
    table(&["ADDRESS", "PROTOCOL", "LAST LOGIN"], &rows(at(user, "addresses"), visit))
}

/// What an older gateway does not say is nothing.
pub(super) fn at<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

pub(super) fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

/// `-` where nobody can say.
fn yes(value: &Value) -> String {
    match value {
        Value::Null => "-",
        Value::Bool(true) => "yes",
        _ => "no",
    }
    .to_owned()
}

fn tell(remote: &Remote, answer: &Value, words: impl Fn() -> String) -> anyhow::Result<()> {
    if remote.json {
        return print_json(answer);
    }
    say(&format!("{}\n", words()))
}

pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    say(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
