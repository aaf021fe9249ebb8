//! The page at `/` in a real browser, over real sessions.

use base64::Engine;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::{Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::redis::Redis;
use crate::support::{keeper, postfix, site, wait};

pub const OPS: &str = "ops-ops-ops-ops-ops";
const VIEW: &str = "view-view-view-view";

fn with_tokens(plan: Plan) -> Plan {
    let tokens = format!("[{{ name: ops, token: {OPS}, may: admin }}, {{ name: view, token: {VIEW}, may: read }}]");
    plan.set("admin.tokens", &tokens)
}

/// In front of real servers for all three protocols.
fn gateway() -> Gateway {
    Gateway::start(&plan())
}

fn plan() -> Plan {
    let (site, pair) = (site::shared(), postfix::shared());
    let (imap, pop3, submission) = (site.one.ports.imap, site.one.ports.pop3, pair.ports.submission);
    with_tokens(site.plan())
        .set("backends.stores.ports", &format!("{{ imap: {imap}, pop3: {pop3}, submission: {submission} }}"))
        .set("services.submission.login.mechanisms", "[plain, login]")
        .listener("submissions", "submission", "implicit")
}

/// Where the page is.
fn page(gateway: &Gateway, path: &str) -> String {
    format!("http://{}{path}", gateway.address("admin"))
}

#[track_caller]
pub fn signed_in(gateway: &Gateway, token: &str) -> Browser {
    let browser = Browser::start();
    browser.looks(1280, 800, false);
    browser.go(&page(gateway, "/"));
    browser.write("#token", token);
    browser.click("button[type=submit]");
    browser.shows("Sign out");
    browser.go(&page(gateway, "/sessions"));
    browser
}

#[track_caller]
pub fn open(mail: Mail, source: &str, gateway: &Gateway, user: &str) -> Client {
    let mut client = mail.open_from(source, gateway);
    mail.login(&mut client, user);
    client
}

#[track_caller]
fn submits(source: &str, gateway: &Gateway, user: &str) -> Client {
    let mut client = gateway.connect_from(source, "submissions").tls();
    client.expect("220 ");
    client.send("EHLO client.example.org\r\n");
    client.lines_to("250 ");
    let secret = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{user}-secret"));
    client.ask_for(&format!("AUTH PLAIN {secret}"), "235 ");
    client
}

/// The text of the row of a table in which these words are.
#[track_caller]
pub fn row(browser: &Browser, words: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('tbody tr')].map(row => row.innerText).find(text => text.includes({words:?})) || ''"
    );
    wait::until(&format!("a row with {words}"), wait::SOON, || {
        browser.run(&script).as_str().map(ToOwned::to_owned).filter(|text| !text.is_empty())
    })
}

/// Nothing was asked of anybody else, and the browser has nothing to complain about.
#[track_caller]
fn is_at_home(browser: &Browser, gateway: &Gateway) {
    let home = page(gateway, "/");
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.starts_with(&home)), "the browser's log has no requests");
    let foreign: Vec<_> = requests.iter().filter(|url| !url.starts_with(&home)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    // That nobody has signed in is an answer with an error's status.
    let complaints: Vec<_> = browser.complaints().into_iter().filter(|words| !words.contains("401 (Unau")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// Pictures at both widths, light and dark, for who wants to look; and nothing sticks out at the side.
#[track_caller]
pub fn pictures(browser: &Browser, name: &str) {
    let folder = std::env::var("PORTCULLIS_PICTURES").map_or_else(|_| keeper::folder("pictures"), Into::into);
    for (width, height) in [(1280, 800), (400, 900)] {
        for dark in [false, true] {
            browser.looks(width, height, dark);
            let shade = if dark { "dark" } else { "light" };
            browser.picture(&folder.join(format!("{name}-{width}-{shade}.png")));
        }
        let out = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(out.as_i64().expect("a number") <= 0, "{name} at {width}: {out} pixels stick out");
    }
    browser.looks(1280, 800, false);
}

#[test]
fn an_operator_sees_who_is_on_and_acts() {
    let gateway = gateway();
    let browser = Browser::start();
    browser.looks(1280, 800, false);
    browser.go(&page(&gateway, "/"));
    browser.write("#token", "wrong-wrong-wrong-wrong");
    browser.click("button[type=submit]");
    browser.shows("Unknown token.");
    pictures(&browser, "sign-in");
    browser.write("#token", OPS);
    browser.click("button[type=submit]");
    browser.shows("Nothing is wrong");
    pictures(&browser, "overview-at-first");
    browser.click("nav a[href='/sessions']");
    browser.shows("Nobody is logged in.");
    pictures(&browser, "nobody");

    browser.run("window.neverReloaded = true");
    let mut imap = open(Mail::Imap, "127.0.0.91", &gateway, "alice");
    let _pop3 = open(Mail::Pop3, "127.0.0.92", &gateway, "bob");
    let _smtp = submits("127.0.0.93", &gateway, "bob");
    for words in [
        ["alice@example.org", "IMAP", "127.0.0.91:", "TLS 1.3", "one.stores.example.org"],
        ["bob@example.org", "POP3", "127.0.0.92:", "TLS 1.3", "two.stores.example.org"],
        ["bob@example.org", "Submission", "127.0.0.93:", "TLS 1.3", "two.stores.example.org"],
    ] {
        let row = row(&browser, words[2]);
        assert!(words.iter().all(|word| row.contains(word)), "{words:?} in {row}");
    }
    assert_eq!(browser.run("return document.querySelector('#tabs').innerText"), "All 3\nIMAP 1\nPOP3 1\nSubmission 1");
    assert_eq!(browser.run("return window.neverReloaded"), true, "they appeared by themselves");
    pictures(&browser, "sessions");

    browser.run("document.querySelector('button[aria-label*=\"IMAP session of alice\"]').focus()");
    browser.run("window.held = document.activeElement");
    imap.ask_for("n NOOP", "n OK");
    let _more = open(Mail::Imap, "127.0.0.94", &gateway, "alice");
    row(&browser, "127.0.0.94:");
    assert_eq!(browser.run("return window.held === document.activeElement"), true, "the focus stays where it was");
    browser.click("button[aria-label*='IMAP session of alice@example.org from 127.0.0.91']");
    browser.shows("1 session dropped.");
    assert!(imap.line().starts_with("* BYE "));
    browser.shows_no("127.0.0.91:");
    gateway.logged(&["administrator", "by=\"ops\"", "act=\"drop\"", "of=\"session\"", "count=1"]);
    is_at_home(&browser, &gateway);
}

#[test]
fn an_operator_switches_a_protocol_off_and_sees_where_a_user_was() {
    let gateway = gateway();
    let browser = signed_in(&gateway, OPS);
    let mut refused = Mail::Imap.open_from("127.0.0.98", &gateway);
    Mail::Imap.try_login(&mut refused, "bob", "wrong");
    let mut imap = open(Mail::Imap, "127.0.0.95", &gateway, "bob");
    let mut pop3 = open(Mail::Pop3, "127.0.0.96", &gateway, "bob");
    row(&browser, "127.0.0.96:");
    browser.click("td.user a");
    browser.shows("Recent addresses");
    for (address, protocol) in [("127.0.0.95", "IMAP"), ("127.0.0.96", "POP3")] {
        assert!(row(&browser, address).contains(protocol));
    }
    browser.shows("1 failed login, the last");
    pictures(&browser, "user");

    browser.click("button[aria-label='Disable POP3']");
    browser.shows("POP3 is disabled for bob@example.org");
    let mut client = Mail::Pop3.open(&gateway);
    let answer = Mail::Pop3.try_login(&mut client, "bob", "bob-secret");
    Mail::Pop3.refused(&answer, Refusal::Policy);
    pop3.ask_for("NOOP", "+OK");
    drop(Mail::Imap.session(&gateway, "bob"));
    gateway.logged(&["administrator", "by=\"ops\"", "act=\"disable\"", "bob@example.org", "protocol=\"pop3\""]);
    pictures(&browser, "user-disabled");
    browser.click("button[aria-label='Enable POP3']");
    browser.shows("POP3 is enabled for bob@example.org");
    drop(Mail::Pop3.session(&gateway, "bob"));

    browser.click("button.drop");
    browser.shows("Drop 2 sessions of bob@example.org?");
    imap.ask_for("n NOOP", "n OK");
    pictures(&browser, "confirm");
    browser.click("button.drop.strong");
    browser.shows("2 sessions dropped.");
    assert!(imap.line().starts_with("* BYE "));
    browser.go(&page(&gateway, "/backends"));
    assert!(row(&browser, "two.stores.example.org").contains("up"));
    pictures(&browser, "backends");
    is_at_home(&browser, &gateway);
}

#[test]
fn a_list_is_filtered_while_one_types_and_sorted_by_its_headings() {
    let gateway = gateway();
    let browser = signed_in(&gateway, VIEW);
    let _held = [
        open(Mail::Imap, "127.0.0.101", &gateway, "alice"),
        open(Mail::Imap, "127.0.0.102", &gateway, "bob"),
        open(Mail::Pop3, "127.0.0.103", &gateway, "alice"),
    ];
    let users = "return [...document.querySelectorAll('td.client a')].map(cell => cell.innerText.slice(-3)).join()";
    wait::until_true("three rows", wait::SOON, || browser.run(users) == "101,103,102");
    browser.click("thead th:nth-child(3) a");
    assert_eq!(browser.run(users), "101,102,103");
    browser.click("thead th:nth-child(3) a");
    assert_eq!(browser.run(users), "103,102,101");
    browser.write("#q", "ALICE");
    wait::until_true("alice's rows", wait::SOON, || browser.run(users) == "103,101");
    browser.click("#tabs a:nth-child(3)");
    assert_eq!(browser.run(users), "103");
    assert!(browser.run("return location.search").as_str().expect("text").contains("protocol=pop3&q=ALICE"));
    browser.write("#q", "x");
    browser.shows("No session matches.");
    assert_eq!(browser.run("return document.querySelectorAll('button.drop').length"), 0, "who may read sees no act");
    browser.run("document.activeElement.blur()");
    browser.write("body", "/");
    assert_eq!(browser.run("return document.activeElement.id"), "q");
    rests_while_it_is_hidden(&browser);
    browser.click("#pause");
    browser.shows("Paused");
    is_at_home(&browser, &gateway);
}

#[track_caller]
fn rests_while_it_is_hidden(browser: &Browser) {
    browser.run("window.asked = 0; const ask = fetch; window.fetch = (...how) => { asked++; return ask(...how); };");
    let turn = |hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); asked = 0;\
             for (const _ of [1, 2, 3]) document.dispatchEvent(new Event('visibilitychange'));"
        ));
        browser.run("return asked")
    };
    assert_eq!(turn(true), 0);
    assert_ne!(turn(false), 0, "who comes back sees at once what is new");
    assert_eq!(turn(true), 0);
    assert_ne!(turn(false), 0);
}

#[test]
fn an_operator_sees_the_sessions_of_two_gateways_and_drops_one_of_the_other() {
    let redis = Redis::start();
    let [one, two] = [(); 2].map(|()| Gateway::start(&redis.keeps(plan())));
    let browser = signed_in(&one, OPS);
    browser.shows("Nobody is logged in.");
    browser.run("window.neverReloaded = true");
    let mut here = open(Mail::Imap, "127.0.0.124", &one, "alice");
    let mut there = open(Mail::Pop3, "127.0.0.125", &two, "bob");
    for (address, gateway) in [("127.0.0.124:", &one), ("127.0.0.125:", &two)] {
        let name = format!("mail.example.org/{}", gateway.id());
        assert!(row(&browser, address).contains(&name), "{name} in {}", row(&browser, address));
    }
    assert_eq!(browser.run("return document.querySelector('#tabs').innerText"), "All 2\nIMAP 1\nPOP3 1\nSubmission 0");
    assert_eq!(browser.run("return window.neverReloaded"), true, "they appeared by themselves");
    pictures(&browser, "gateways");
    browser.click("thead th:nth-child(10) a");
    assert!(browser.run("return location.search").as_str().expect("text").contains("sort=gateway"));
    browser.click("button[aria-label*='POP3 session of bob@example.org from 127.0.0.125']");
    browser.shows("1 session dropped at another gateway.");
    there.closed();
    browser.shows_no("127.0.0.125:");
    here.ask_for("n NOOP", "n OK");
    two.logged(&["administrator", "by=\"ops\"", "from=\"another gateway\"", "of=\"session\"", "count=1"]);
    is_at_home(&browser, &one);
}

#[test]
fn a_name_that_would_be_a_script_is_a_name() {
    let everyone = Fake::start(vec![Step::Serve(Mail::Imap)]);
    let gateway = Gateway::start(&with_tokens(Plan::before_one(everyone.port, everyone.port)));
    let long = format!("{}@example.org", "l".repeat(255 - "@example.org".len()));
    let hostile = ["<script>alert(1)</script>", "<img/src=x/onerror=alert(1)>", "{{7*7}}'onfocus='alert(1)", &long];
    let enter = |user: &&str| {
        let mut client = Mail::Imap.open(&gateway);
        assert!(Mail::Imap.is_in(&Mail::Imap.try_login(&mut client, user, "secret")), "{user}");
        client
    };
    let mut held: Vec<Client> = hostile.iter().chain(&hostile).map(enter).collect();
    let browser = signed_in(&gateway, OPS);
    let is_harmless = || {
        assert_eq!(browser.dialogue(), None);
        assert_eq!(browser.run("return document.querySelectorAll('main script, main img, [onfocus]').length"), 0);
    };
    for user in hostile {
        row(&browser, user);
    }
    is_harmless();
    pictures(&browser, "hostile");
    for user in hostile {
        // The server ends a session that says nothing for long, which a slow machine needs for less than this.
        held.iter_mut().for_each(|client| client.send("n NOOP\r\n"));
        browser.go(&page(&gateway, "/sessions"));
        browser.write("#q", user);
        browser.shows("2 sessions");
        browser.click("td.user a");
        browser.shows("Recent addresses");
        assert!(browser.text().contains(user), "{user}");
        is_harmless();
        browser.click(".acts button.drop");
        browser.shows("Drop 2 sessions of");
        is_harmless();
    }
    pictures(&browser, "hostile-confirm");
    browser.go(&page(&gateway, "/address?ip=127.0.0.1"));
    browser.shows("<script>alert(1)</script>@example.org");
    is_harmless();
    pictures(&browser, "address");
    is_at_home(&browser, &gateway);
}
