//! What the log says of a client that a balancer announced: the client's address, and the balancer's own beside it.

use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::site;
use crate::support::slapd::password;

const BALANCER: &str = "127.0.0.45";

#[test]
fn each_line_of_a_session_names_the_balancer_beside_the_client() {
    let plan = site::shared()
        .plan()
        .service("login.cleartext", "always")
        .listener("balanced", "imap", "none")
        .set("listeners.balanced.proxy_protocol", &format!("{{ from: [{BALANCER}] }}"));
    let gateway = Gateway::start(&plan);
    let mut client = gateway.connect_from(BALANCER, "balanced");
    client.send("PROXY TCP4 192.0.2.45 192.0.2.1 40000 143\r\n");
    client.expect("* OK ");
    // Refused by the gateway itself, which asks nobody about an empty password; by the server; and not at all.
    client.ask_for("e AUTHENTICATE PLAIN AGFsaWNlAA==", "e NO");
    assert!(Mail::Imap.try_login(&mut client, "alice", "wrong").contains(" NO "));
    assert!(Mail::Imap.is_in(&Mail::Imap.try_login(&mut client, "alice", &password("alice"))));
    drop(client);
    for words in [
        &["login denied", "stage=\"before login\""][..],
        &["login denied", "user=\"alice@example.org\""],
        &["logged in"],
        &["session ended"],
    ] {
        let line = gateway.logged(&[words, &["client=192.0.2.45:40000 "]].concat());
        assert!(line.contains(&format!(" via={BALANCER}:")), "{line}");
    }
    drop(Mail::Imap.session(&gateway, "bob"));
    let line = gateway.logged(&["session ended", "bob"]);
    assert!(!line.contains("via="), "nobody announced this one: {line}");
}
