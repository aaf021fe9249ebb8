//! Every way of moving bytes, between real sockets: a long message, its end, a client that goes in the middle of it, and
//! the descriptors that are left.

use std::path::PathBuf;

use crate::support::client::Client;
use crate::support::fake::{Fake, Step, answer, hear, say};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::{replies, wait};

const MANNERS: [(&str, &str); 4] = [("auto", "32KiB"), ("auto", "1B"), ("always", "32KiB"), ("never", "1B")];

/// Lines that are all different.
fn message(lines: usize) -> String {
    (0..lines).map(|number| format!("{number:08} {}\r\n", "x".repeat(90))).collect()
}

fn library(message: &str) -> Fake {
    Fake::start(vec![
        say(replies::greeting(Mail::Imap)),
        hear(" id ("),
        answer("{tag} OK\r\n"),
        hear("l login"),
        answer("{tag} OK [CAPABILITY IMAP4rev1] in\r\n"),
        hear("fetch"),
        say(&format!("* 1 FETCH (BODY[] {{{}}}\r\n{message})\r\nf OK done\r\n", message.len())),
        hear("append"),
        hear("behind"),
        answer("{tag} OK heard\r\n"),
        Step::Close,
    ])
}

fn gateway(fake: &Fake, (splice, buffer): (&str, &str)) -> Gateway {
    let plan = Plan::before_one(fake.port, fake.port).service("login.cleartext", "always");
    Gateway::start_open(&plan.set("relay.splice", splice).set("relay.buffer", buffer))
}

fn logged_in(gateway: &Gateway) -> Client {
    let mut client = gateway.connect("imap");
    client.expect("* OK ");
    Mail::Imap.login(&mut client, "alice");
    client
}

#[test]
fn a_long_message_comes_and_one_goes_unchanged_and_counted_in_every_manner() {
    for manner in MANNERS {
        let message = message(if manner == ("never", "1B") { 500 } else { 20_000 });
        let fake = library(&message);
        let gateway = gateway(&fake, manner);
        let mut client = logged_in(&gateway);
        client.ask_for("f FETCH 1 BODY.PEEK[]", "* 1 FETCH ");
        let mut lines = client.lines_to("f OK");
        assert_eq!(lines.split_off(lines.len() - 2), [")", "f OK done"], "{manner:?}");
        assert!(lines.join("\r\n") + "\r\n" == message, "{manner:?}: {} lines came, not as they were", lines.len());
        client.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()));
        client.ask_for("b BEHIND", "b OK heard");
        assert_eq!(client.closed(), "");
        drop(client);
        gateway.is_calm();
        assert!(fake.heard().contains(&message), "{manner:?}: it went up unchanged");
        let counted = |way| gateway.metric("relayed_bytes_total", &["imap", way]);
        assert!(counted("up") > message.len() as f64 && counted("down") > message.len() as f64, "{manner:?}");
    }
}

/// What a process holds open of one kind: `pipe`, `socket`.
fn open(gateway: &Gateway, kind: &str) -> usize {
    let descriptors = PathBuf::from(format!("/proc/{}/fd", gateway.id())).read_dir().expect("it is still there");
    let targets = descriptors.flatten().filter_map(|entry| entry.path().read_link().ok());
    targets.filter(|target| target.to_string_lossy().starts_with(kind)).count()
}

#[test]
fn clients_that_go_in_the_middle_leave_no_pipe_open() {
    const CROWD: usize = 20;
    let message = message(100_000);
    let fake = library(&message);
    for manner in [MANNERS[0], MANNERS[2]] {
        let gateway = gateway(&fake, manner);
        let before = open(&gateway, "pipe:");
        let crowd: Vec<Client> = (0..CROWD)
            .map(|_| {
                let mut client = logged_in(&gateway);
                client.ask_for("f FETCH 1 BODY.PEEK[]", "* 1 FETCH ");
                client
            })
            .collect();
        // Nobody reads on: each of them has filled a pipe, or a part of one.
        wait::until_true("pipes with bytes in them", wait::SOON, || open(&gateway, "pipe:") > before + CROWD);
        for (number, client) in crowd.into_iter().enumerate() {
            if number % 2 == 0 { client.reset() } else { drop(client) }
        }
        gateway.is_calm();
        // Four a thread may wait to be used again, two descriptors each.
        let left = open(&gateway, "pipe:") - before;
        assert!(left <= 2 * 4 * 2, "{manner:?}: {left} descriptors");
    }
}

#[test]
fn without_descriptors_for_pipes_bytes_are_copied() {
    let message = message(20_000);
    let fake = library(&message);
    let plan = Plan::before_one(fake.port, fake.port).service("login.cleartext", "always");
    let mut gateway = Gateway::start_open(&plan.clone());
    // As many as are open now, the two of one session, and one: too few for a pipe.
    let limit = std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).expect("it is still there").count() + 3;
    gateway.terminate();
    assert!(gateway.wait(wait::SOON).success());
    let gateway = Gateway::start_with_descriptors(u32::try_from(limit).unwrap(), &plan.set("relay.splice", "always"));
    let mut client = logged_in(&gateway);
    client.ask_for("f FETCH 1 BODY.PEEK[]", "* 1 FETCH ");
    assert_eq!(client.lines_to("f OK").len(), 20_000 + 2);
}

#[test]
fn a_session_that_has_moved_much_inside_tls_is_as_small_as_before() {
    const SESSIONS: u64 = 40;
    let message = message(10_000);
    let fake = library(&message);
    let gateway = gateway(&fake, MANNERS[0]);
    let fetch = |client: &mut Client| {
        client.ask_for("f FETCH 1 BODY.PEEK[]", "* 1 FETCH ");
        client.lines_to("f OK");
    };
    // What is paid once is paid now.
    let mut first = Mail::Imap.session(&gateway, "alice");
    fetch(&mut first);
    let mut sessions: Vec<Client> = (0..SESSIONS).map(|_| Mail::Imap.session(&gateway, "alice")).collect();
    let before = gateway.memory();
    sessions.iter_mut().for_each(fetch);
    let each = gateway.memory().saturating_sub(before) / SESSIONS;
    assert!(each < 8 * 1024, "{each} bytes more each");
}
