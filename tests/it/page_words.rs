//! Words of the page that an operator could misread.

use crate::page_http::{OPS, ask, plan, sign_in};
use crate::support::gateway::Gateway;

#[test]
fn a_limit_is_called_a_limit_and_a_page_that_does_not_exist_is_not_found() {
    let gateway = Gateway::start(&plan());
    let ops = sign_in(&gateway, OPS);
    let backends = ask(&gateway, "GET", "/backends", &ops, "").body;
    assert!(backends.contains(">Limit</th>") && !backends.contains(">Most<"), "{backends}");
    let nowhere = ask(&gateway, "GET", "/nowhere", &ops, "");
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.body.contains("<h1>Page not found</h1>"), "{}", nowhere.body);
    let user = ask(&gateway, "GET", "/user?name=alice", &ops, "").body;
    assert!(user.contains(">Recent addresses</h2>"), "{user}");
}

#[test]
fn to_disable_a_protocol_and_to_kick_its_sessions_too_are_two_buttons() {
    let gateway = Gateway::start(&plan());
    let user = ask(&gateway, "GET", "/user?name=alice", &sign_in(&gateway, OPS), "").body;
    for button in [
        "<button type=\"submit\" aria-label=\"Disable POP3\">Disable</button>",
        "<button type=\"submit\" class=\"drop\" name=\"now\" value=\"yes\" \
         aria-label=\"Disable POP3 and kick its sessions\">Disable and kick</button>",
    ] {
        assert!(user.contains(button), "{button} is not in {user}");
    }
    assert!(!user.contains("type=\"checkbox\""), "{user}");
}
