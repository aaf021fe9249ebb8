//! The password of a master user at the back-ends is read again by SIGHUP, where it is a file.

use crate::support::dovecot::{MASTER, MASTER_PASSWORD};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Refusal};
use crate::support::{keeper, site};

#[test]
fn the_master_password_of_a_pool_is_rotated_without_a_restart() {
    let secret = keeper::folder("master").join("master");
    let write = |password: &str| std::fs::write(&secret, format!("{password}\n")).unwrap();
    write("yesterdays-password");
    let master = format!("{{ master: {{ user: {MASTER}, password: {{ file: \"{}\" }} }} }}", secret.display());
    let plan = site::shared().plan().service("login.check", "directory").set("backends.stores.login", &master);
    let gateway = Gateway::start(&plan);
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "ivan", "ivan-directory");
        mail.refused(&answer, Refusal::Misconfigured);
    }
    write(MASTER_PASSWORD);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["completed"], 1.0);
    gateway.logged(&["reloaded", "master password of pool stores (changed)"]);
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, "ivan", "ivan-directory");
        assert!(mail.is_in(&answer), "{mail:?}: {answer}");
        assert_eq!(mail.server_of(&mut client), "one");
    }
    assert!(!gateway.log().contains(MASTER_PASSWORD) && !gateway.log().contains("yesterdays-password"));
}
