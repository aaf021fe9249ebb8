//! Servers that die and the gateway being stopped, in the middle of sessions: nothing hangs past its deadline, and
//! nobody who is not concerned notices.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::site::{self, Site};
use crate::support::slapd::password;
use crate::support::wait;

/// A session that is relayed, and proof that it still is.
#[track_caller]
fn lives(mail: Mail, client: &mut Client) {
    match mail {
        Mail::Imap => drop(client.ask_for("v NOOP", "v OK")),
        Mail::Pop3 => drop(client.ask_for("NOOP", "+OK")),
    }
}

#[test]
fn a_dead_back_end_ends_its_own_sessions_and_no_other() {
    let mut site = Site::start();
    let gateway = Gateway::start(&site.plan());
    let mut lost = BOTH.map(|mail| mail.session(&gateway, "alice"));
    let mut kept = BOTH.map(|mail| (mail, mail.session(&gateway, "bob")));
    site.one.kill();
    for client in &mut lost {
        let last_words = client.closed();
        assert!(last_words.is_empty() || last_words.starts_with("* BYE "), "{last_words:?}");
    }
    for (mail, client) in &mut kept {
        lives(*mail, client);
        assert_eq!(mail.server_of(client), "two");
    }
    gateway.metric_becomes("sessions", &[], 2.0);
}

#[test]
fn a_dead_directory_ends_no_session_and_its_return_is_noticed() {
    let mut site = Site::start();
    let gateway = Gateway::start(&site.plan().set("directory.cache", "{ entries: 0 }"));
    let mut sessions = BOTH.map(|mail| (mail, mail.session(&gateway, "alice")));
    site.slapd.kill();
    for (mail, client) in &mut sessions {
        lives(*mail, client);
        let answer = mail.try_login(&mut mail.open(&gateway), "bob", &password("bob"));
        mail.refused(&answer, Refusal::Unavailable);
    }
    site.slapd.restart();
    for (mail, client) in &mut sessions {
        lives(*mail, client);
        mail.session(&gateway, "bob");
    }
}

#[test]
fn a_frozen_directory_is_given_up_on_in_time_and_comes_back() {
    let site = Site::start();
    let plan = site.plan().set("directory.cache", "{ entries: 0 }").set("directory.sources.ldap.timeout", "1s");
    let gateway = Gateway::start(&plan);
    let mut session = Mail::Imap.session(&gateway, "alice");
    site.slapd.freeze();
    for mail in BOTH {
        let start = Instant::now();
        let answer = mail.try_login(&mut mail.open(&gateway), "bob", &password("bob"));
        mail.refused(&answer, Refusal::Unavailable);
        assert!(start.elapsed() < Duration::from_secs(5), "answered after {:?}", start.elapsed());
    }
    lives(Mail::Imap, &mut session);
    site.slapd.thaw();
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "bob")), "two");
    }
}

#[test]
fn when_stopped_it_takes_leave_of_who_has_not_logged_in_and_lets_the_others_finish() {
    let site = site::shared();
    let mut gateway = Gateway::start(&site.plan().set("shutdown.grace", "30s"));
    let mut sessions = BOTH.map(|mail| (mail, mail.session(&gateway, "alice")));
    let mut strangers = BOTH.map(|mail| (mail, mail.open(&gateway)));
    gateway.terminate();
    for (mail, client) in &mut strangers {
        let last_words = client.closed();
        assert!(last_words.is_empty() || last_words.starts_with(mail.turned_away()), "{last_words:?}");
    }
    assert!(strangers.iter().all(|(mail, _)| TcpStream::connect(gateway.address(mail.name())).is_err()));
    for (mail, client) in &mut sessions {
        lives(*mail, client);
        assert_eq!(mail.server_of(client), "one");
    }
    let [(_, imap), (_, pop3)] = &mut sessions;
    imap.ask_for("o LOGOUT", "* BYE ");
    pop3.ask_for("QUIT", "+OK");
    assert!(gateway.wait(Duration::from_secs(10)).success(), "with the last session, long before the grace is over");
    gateway.logged(&["INFO", "stopped; every session had ended"]);
}

#[test]
fn when_stopped_it_cuts_what_is_left_after_the_grace() {
    let site = site::shared();
    let mut gateway = Gateway::start(&site.plan().set("shutdown.grace", "1s"));
    let mut sessions = BOTH.map(|mail| mail.session(&gateway, "bob"));
    let start = Instant::now();
    gateway.terminate();
    gateway.wait(Duration::from_secs(8));
    assert!(start.elapsed() >= Duration::from_millis(900), "the grace was kept, {:?}", start.elapsed());
    for client in &mut sessions {
        client.closed();
    }
    gateway.logged(&["stopped; the sessions that were still open were cut", "sessions_cut=2"]);
}

#[test]
fn a_client_that_vanishes_leaves_nothing_behind() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        mail.session(&gateway, "alice").reset();
        drop(mail.session(&gateway, "alice"));
        mail.open(&gateway).reset();
    }
    gateway.metric_becomes("sessions", &[], 0.0);
    gateway.metric_becomes("connections", &[], 0.0);
    gateway.metric_becomes("backend_connections", &[], 0.0);
}

#[test]
fn a_client_that_says_no_more_still_hears_the_end() {
    let gateway = Gateway::start(&site::shared().plan());
    let mut imap = Mail::Imap.session(&gateway, "alice");
    imap.send("f EXAMINE INBOX\r\no LOGOUT\r\n");
    imap.half_close();
    imap.lines_to("o OK");
    imap.closed();
    let mut pop3 = Mail::Pop3.session(&gateway, "bob");
    pop3.send("RETR 1\r\nQUIT\r\n");
    pop3.half_close();
    pop3.lines_to("+OK Logging out");
    pop3.closed();
}

#[test]
fn after_all_that_a_hundred_logins_at_once_work() {
    let gateway = Gateway::start(&site::shared().plan());
    let sessions: Vec<_> = (0..100)
        .map(|number| {
            let (mail, user) = (BOTH[number % 2], ["alice", "bob", "erin"][number % 3]);
            (mail, user, mail.open(&gateway))
        })
        .collect();
    std::thread::scope(|scope| {
        for (mail, user, mut client) in sessions {
            scope.spawn(move || {
                mail.login(&mut client, user);
                assert_eq!(mail.server_of(&mut client), if user == "alice" { "one" } else { "two" });
            });
        }
    });
    wait::until_true("the end of all sessions", wait::SOON, || gateway.metric("connections", &[]) < 0.5);
}
