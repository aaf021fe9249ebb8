//! Clients that leave, pour or cheat around a login; and what a back-end hears of them, which is nothing.
//!
//! C, D and I numbers are those of the catalogue of hostile input that the project started from.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::fake::{Fake, Step, answer, hear, say};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::{replies, site};

/// Its back-end has all the time of the world.
fn plan(fake: &Fake) -> Plan {
    Plan::before_one(fake.port, fake.port)
        .set("backends.stores.login_timeout", "60s")
        .service("login.cleartext", "always")
}

/// A login in one write, and what follows it.
fn login(mail: Mail, behind: &str) -> String {
    match mail {
        Mail::Imap => format!("l LOGIN alice alice-secret\r\n{behind}"),
        Mail::Pop3 => format!("USER alice\r\nPASS alice-secret\r\n{behind}"),
    }
}

/// Scripts of a back-end that never answers a login: it does not greet, or it greets and no more.
fn silences(mail: Mail) -> [Vec<Step>; 2] {
    [vec![], vec![say(replies::greeting(mail))]]
}

/// The script of a back-end that refuses a login in its own words, and would agree with anything behind it.
fn refuses(mail: Mail) -> Vec<Step> {
    let mut script = vec![say(replies::greeting(mail))];
    script.extend(match mail {
        Mail::Imap => [hear(" id ("), answer("{tag} OK\r\n"), hear("l login"), answer("{tag} NO go away\r\n")],
        Mail::Pop3 => [hear("user"), answer("+OK\r\n"), hear("pass"), answer("-ERR go away\r\n")],
    });
    script.push(Step::Agree(mail));
    script
}

#[test]
fn who_leaves_while_a_login_is_looked_after_frees_the_back_end_at_once_c74() {
    for (mail, script) in BOTH.into_iter().flat_map(|mail| silences(mail).map(|script| (mail, script))) {
        let fake = Fake::start(script);
        let gateway = Gateway::start(&plan(&fake));
        let [mut plain, mut secured] = [gateway.connect(mail.name()), mail.open(&gateway)];
        plain.expect(mail.ok());
        let mut hasty = gateway.connect(mail.name());
        hasty.expect(mail.ok());
        for (client, behind) in [(&mut plain, ""), (&mut secured, ""), (&mut hasty, "x NOOP\r\n")] {
            client.send(login(mail, behind));
        }
        gateway.metric_becomes("backend_connections", &[], 3.0);
        let start = Instant::now();
        [plain, secured, hasty].into_iter().for_each(Client::reset);
        gateway.metric_becomes("backend_connections", &[], 0.0);
        assert!(start.elapsed() < Duration::from_secs(5), "{mail:?}: freed after {:?}", start.elapsed());
        gateway.is_calm();
    }
}

#[test]
fn a_back_end_that_never_answers_costs_no_more_than_the_login_deadline() {
    for (mail, script) in BOTH.into_iter().flat_map(|mail| silences(mail).map(|script| (mail, script))) {
        let gateway = Gateway::start(&plan(&Fake::start(script)).service("timeouts", "{ login: 1s }"));
        let start = Instant::now();
        let mut client = gateway.connect(mail.name());
        client.expect(mail.ok());
        let answer = mail.try_login(&mut client, "alice", "alice-secret");
        mail.refused(&answer, Refusal::Unavailable);
        let took = start.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_millis(2500), "{mail:?}: {took:?}");
        drop(client);
        gateway.is_calm();
    }
}

#[test]
fn what_was_pipelined_behind_a_login_never_reaches_the_back_end_that_refused_it_c71_and_d07() {
    let cases = [
        (Mail::Imap, "m SELECT INBOX\r\nn STORE 1 +FLAGS (\\Deleted)\r\n", "L LOGIN "),
        (Mail::Pop3, "DELE 1\r\nSTAT\r\n", "PASS alice-secret"),
    ];
    for (mail, behind, last) in cases {
        let fake = Fake::start(refuses(mail));
        let gateway = Gateway::start(&plan(&fake));
        let mut client = mail.open(&gateway);
        client.send(login(mail, behind));
        if mail == Mail::Imap {
            mail.refused(&client.line(), Refusal::BadCredentials);
            client.expect("m BAD");
            client.expect("n BAD");
        } else {
            client.expect("+OK");
            mail.refused(&client.line(), Refusal::BadCredentials);
            client.expect("-ERR");
            client.expect("-ERR");
        }
        drop(client);
        gateway.is_calm();
        let heard = fake.heard();
        assert!(heard.lines().last().is_some_and(|line| line.starts_with(last)), "{mail:?}: {heard:?}");
        assert_eq!(fake.connections(), 1);
    }
}

#[test]
fn fifty_megabytes_behind_a_login_wait_in_the_kernel_c73() {
    const MEGABYTE: usize = 1024 * 1024;
    for mail in BOTH {
        let fake = Fake::start(vec![say(replies::greeting(mail))]);
        let gateway = Gateway::start(&plan(&fake).service("timeouts", "{ login: 10s }"));
        let mut plain = gateway.connect(mail.name());
        plain.expect(mail.ok());
        for mut client in [plain, mail.open(&gateway)] {
            let before = gateway.memory();
            client.send(login(mail, ""));
            let took = client.pour(&b"x NOOP\r\n".repeat(8192), 800, Duration::from_secs(1));
            assert!(took < 30 * MEGABYTE, "{mail:?}: it took {took} bytes");
            let grown = gateway.memory_at_its_peak().saturating_sub(before);
            assert!(grown < 4 * MEGABYTE as u64, "{mail:?}: {grown} bytes more");
        }
        assert!(!fake.heard().contains("NOOP"), "the back-end heard what nobody may say yet");
        gateway.is_calm();
    }
}

#[test]
fn a_goodbye_before_the_login_is_none_of_the_back_ends_business_d13() {
    for mail in BOTH {
        let fake = Fake::start(vec![Step::Serve(mail)]);
        let gateway = Gateway::start(&plan(&fake));
        for mut client in [mail.open(&gateway), mail.open_starttls(&gateway)] {
            match mail {
                Mail::Imap => {
                    client.ask_for("o LOGOUT", "* BYE ");
                    client.expect("o OK");
                }
                Mail::Pop3 => {
                    client.ask_for("USER alice", "+OK");
                    client.ask_for("QUIT", "+OK");
                }
            }
            assert_eq!(client.closed(), "");
        }
        gateway.is_calm();
        assert!(gateway.metric("backend_connects_total", &[]) < 0.5);
        assert_eq!(fake.connections(), 0);
    }
}

#[test]
fn a_password_that_only_the_directory_takes_is_wrong_and_the_log_names_who_said_so_i14() {
    for mail in BOTH {
        let fake = Fake::start(refuses(mail));
        let plan = site::shared()
            .plan()
            .service("login.check", "both")
            .set("backends.stores.servers", "[{ name: one.stores.example.org, address: 127.0.0.1 }]")
            .set("backends.stores.ports", &format!("{{ imap: {0}, pop3: {0} }}", fake.port));
        let gateway = Gateway::start(&plan);
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, "alice", "wrong");
        mail.refused(&answer, Refusal::BadCredentials);
        assert_eq!(fake.connections(), 0, "the directory said no first");
        let answer = mail.try_login(&mut client, "alice", "alice-secret");
        mail.refused(&answer, Refusal::BadCredentials);
        assert_eq!(fake.connections(), 1);
        gateway.logged(&["login denied", "alice", "one.stores.example.org", "bad_credentials"]);
        drop(client);
        gateway.is_calm();
    }
}
