//! What the log says of a connection that the gate refuses.

use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::ports;

#[test]
fn the_line_names_listener_and_client_as_the_line_of_a_session_does() {
    let nobody = ports::free();
    let gateway = Gateway::start(
        &Plan::before_one(nobody, nobody)
            .set("listeners.imap.address", "\"[::ffff:127.0.0.1]:{imap}\"")
            .set("access", "[ { deny: [127.0.0.31] } ]"),
    );
    let mut session = gateway.connect("imap");
    session.ask_for("a LOGOUT", "* OK ");
    drop(session);
    let mut refused = gateway.connect_from("127.0.0.31", "imap");
    refused.expect("* BYE ");
    let listener = |line: &str| line.split("listener=").nth(1).map(|rest| rest.split('"').nth(1).map(str::to_owned));
    let refusal = gateway.logged(&["connection refused", "client=127.0.0.31:"]);
    let ended = gateway.logged(&["session ended", "client=127.0.0.1:"]);
    assert!(refusal.contains("listener=\"imap "), "{refusal}");
    assert_eq!(listener(&refusal), listener(&ended));
}
