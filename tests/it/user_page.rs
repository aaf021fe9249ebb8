//! What the page of a user tells an operator who is called by that user.

use crate::page_http::{OPS, ask, plan, sign_in};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;

#[test]
fn the_page_of_a_user_shows_what_the_directory_says_and_why_logins_were_refused() {
    let gateway = Gateway::start(&plan());
    let ops = sign_in(&gateway, OPS);
    let page = |name: &str| ask(&gateway, "GET", &format!("/user?name={name}"), &ops, "").body;
    Mail::Imap.try_login(&mut Mail::Imap.open_from("127.0.0.87", &gateway), "bob", "wrong");
    let bob = page("bob");
    for words in [
        "<p class=\"state up\">Known</p>",
        "<dt>Server</dt><dd>two.stores.example.org</dd>",
        "<dt>Status</dt><dd>active</dd>",
        "<dt>Name there</dt><dd>bob</dd>",
        "<dt>Asked</dt><dd><time ",
        "<a href=\"/address?ip=127.0.0.87\">127.0.0.87</a>",
        "<small>bad_credentials</small>",
    ] {
        assert!(bob.contains(words), "{words} is not in {bob}");
    }
    let carol = page("carol");
    assert!(carol.contains("<dt>Status</dt><dd>may not log in</dd>"), "{carol}");
    let nosuch = page("nosuch");
    assert!(
        nosuch.contains("<p class=\"state down\">No such user</p>") && !nosuch.contains("<dt>Server</dt>"),
        "{nosuch}"
    );
}
