//! STARTTLS behind a login that came without TLS: it is the back-end that answers.

use crate::submission::{login, plan};
use crate::support::certs::certs;
use crate::support::gateway::Gateway;
use crate::support::postfix::shared;
use crate::support::site;
use crate::support::slapd::password;
use crate::support::smtp::hello;

#[test]
fn a_starttls_after_a_login_in_the_clear_is_answered_by_the_back_end() {
    let plan = plan(site::shared(), shared()).set("services.submission.login.cleartext", "always");
    let tls = format!("{{ mode: starttls, ca: \"{}\" }}", certs().ca_file.display());
    for (plan, answer) in [
        (plan.clone().set("backends.stores.tls", &tls), "554 5.5.1 Error: TLS already active"),
        (plan, "220 2.0.0 Ready to start TLS"),
    ] {
        let gateway = Gateway::start(&plan);
        let mut client = gateway.connect("submission");
        client.expect("220 ");
        hello(&mut client);
        assert!(login(&mut client, "bob", &password("bob")).starts_with("235 "));
        client.ask_for("STARTTLS", answer);
        drop(client);
        gateway.is_calm();
    }
}
