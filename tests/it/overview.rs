//! The first page: what is wrong, the parts of the gateway, the last hour; and what a page does when the gateway is lost.

use crate::live::with_tokens;
use crate::page::{OPS, open, pictures, row, signed_in};
use crate::page_http::{ask, sign_in};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::site::Site;
use crate::support::{ports, site};

#[test]
fn the_first_page_shows_the_parts_and_the_last_hour() {
    let gateway = Gateway::start(&with_tokens(site::shared().plan()));
    let browser = signed_in(&gateway, OPS);
    browser.click("nav a[href='/']");
    browser.shows("Nothing is wrong");
    browser.run("window.neverReloaded = true");
    let _held = [open(Mail::Imap, "127.0.0.131", &gateway, "alice"), open(Mail::Pop3, "127.0.0.132", &gateway, "bob")];
    Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "bob", "wrong");
    let figure = |plot: &str| browser.run(&format!("return document.querySelector('#plot-{plot} .figure').innerText"));
    for (plot, expected) in [("logins", "2"), ("refusals", "1"), ("sessions", "2")] {
        browser.becomes(&format!("{expected} {plot}"), || figure(plot) == expected);
        let path = browser.run(&format!("return document.querySelector('#plot-{plot} path').getAttribute('d')"));
        assert!(path.as_str().is_some_and(|path| path.starts_with("M59 24v-24.0")), "{plot}: {path}");
    }
    for part in ["directory", "store", "back-ends", "certificates", "workers"] {
        // Nobody has tried the first server by POP3, so nobody can say that it is up.
        let class = if part == "back-ends" { "none" } else { "up" };
        let found = browser.run(&format!("return document.querySelectorAll('#part-{part} .state.{class}').length"));
        assert_eq!(found, 1, "{part} in {}", browser.text());
    }
    browser.shows("1 up, 1 not tried by every protocol yet");
    assert_eq!(browser.run("return window.neverReloaded"), true);
    pictures(&browser, "overview");
    browser.click("#by-protocol a[href*='pop3']");
    assert!(row(&browser, "127.0.0.132").contains("bob"));
}

#[test]
fn what_is_wrong_is_said_in_one_line_each() {
    let mut site = Site::start();
    let nobody = ports::free();
    let plan = with_tokens(site.plan()).set("backends.stores.ports", &format!("{{ imap: {nobody}, pop3: {nobody} }}"));
    let gateway = Gateway::start(&plan.set("directory.cache", "{ stale: 0s }"));
    let ops = sign_in(&gateway, OPS);
    let page = || ask(&gateway, "GET", "/", &ops, "").body;
    assert!(page().contains("Nothing is wrong"));
    Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", "alice-secret");
    let wrong = page();
    assert!(wrong.contains("one.stores.example.org") && wrong.contains("does not answer"), "{wrong}");
    assert!(!wrong.contains("Nothing is wrong") && !wrong.contains("two.stores.example.org"), "{wrong}");
    site.slapd.kill();
    Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "bob", "bob-secret");
    let wrong = page();
    assert!(wrong.contains("The directory is away since ") && wrong.contains("state down"), "{wrong}");
}

#[test]
fn a_page_whose_gateway_does_not_answer_is_dim_and_its_buttons_do_nothing() {
    let mut gateway = Gateway::start(&with_tokens(site::shared().plan()));
    let browser = signed_in(&gateway, OPS);
    let _held = open(Mail::Imap, "127.0.0.133", &gateway, "alice");
    row(&browser, "127.0.0.133");
    let opacity = || browser.run("return getComputedStyle(document.querySelector('#list')).opacity");
    let is_inert = || browser.run("return document.querySelector('button.drop').closest('[inert]') !== null");
    assert_eq!((opacity(), is_inert()), ("1".into(), false.into()));
    // A gateway that answers again.
    browser.run("document.querySelector('button.drop').focus(); window.trueFetch = fetch; window.fetch = () => Promise.reject(new Error())");
    browser.shows("No answer since ");
    assert!(opacity().as_str().is_some_and(|opacity| opacity.starts_with("0.")), "{}", opacity());
    assert_eq!(is_inert(), true);
    browser.run("window.fetch = window.trueFetch");
    browser.shows("Live");
    assert_eq!((opacity(), is_inert()), ("1".into(), false.into()));
    assert_eq!(browser.run("return document.activeElement === document.querySelector('button.drop')"), true);

    gateway.kill();
    browser.shows("No answer since ");
    let state = browser.run("return document.querySelector('#state').innerText");
    let time = state.as_str().and_then(|state| state.strip_prefix("No answer since ")?.strip_suffix(" UTC"));
    let is_a_time =
        |time: &str| time.len() == 8 && time.split(':').all(|part| part.len() == 2 && part.parse::<u8>().is_ok());
    assert!(time.is_some_and(is_a_time), "one clock, UTC: {state}");
    assert_eq!(is_inert(), true);
    let is_out_of_reach = "const button = document.querySelector('button.drop'), place = button.getBoundingClientRect();\
         const hit = document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2);\
         button.focus(); return !button.contains(hit) && document.activeElement !== button";
    assert_eq!(browser.run(is_out_of_reach), true, "neither the pointer nor the keyboard gets at it");
    pictures(&browser, "lost");
}

#[test]
fn on_a_small_screen_a_session_takes_little_height() {
    let gateway = Gateway::start(&with_tokens(site::shared().plan()));
    let browser = signed_in(&gateway, OPS);
    let _held = [open(Mail::Imap, "127.0.0.134", &gateway, "alice"), open(Mail::Pop3, "127.0.0.135", &gateway, "bob")];
    row(&browser, "127.0.0.135");
    browser.looks(400, 900, false);
    let height = browser.run("return document.querySelector('tbody tr').getBoundingClientRect().height");
    assert!(height.as_f64().is_some_and(|height| height <= 78.0), "it was 155 pixels, and is {height}");
}
