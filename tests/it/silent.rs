//! Connections that say nothing: they hold a place on the admin side or at a look-up only as long as nobody needs it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::after_pop::{Desk, nobody, policy};
use crate::live;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::{ports, wait};

fn gateway() -> (Desk, Gateway) {
    let back_end = ports::free();
    let (desk, plan) = Desk::of(live::with_tokens(Plan::before_one(back_end, back_end)));
    (desk, Gateway::start(&plan))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    stream
}

fn crowd(address: SocketAddr, say: &[u8]) -> Vec<TcpStream> {
    let one = || {
        let mut stream = connect(address);
        // One that was evicted already may not take it.
        let _ = stream.write_all(say);
        stream
    };
    (0..300).map(|_| one()).collect()
}

fn lookup(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A question and the first bytes of its answer.
#[track_caller]
fn ask(stream: &mut TcpStream, question: &str, answer: &str) {
    stream.write_all(question.as_bytes()).unwrap();
    let mut heard = vec![0; answer.len()];
    stream.read_exact(&mut heard).unwrap_or_else(|error| panic!("no answer to {question:?}: {error}"));
    assert_eq!(String::from_utf8_lossy(&heard), answer);
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WELL: &str = "HTTP/1.1 200 OK\r\n";

/// Until the other side closes.
#[track_caller]
fn is_closed(stream: &mut TcpStream) {
    let mut heard = Vec::new();
    let ended = stream.read_to_end(&mut heard);
    let is_reset = ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
    assert!(ended.is_ok() || is_reset, "{ended:?}");
}

#[test]
fn three_hundred_silent_connections_keep_nobody_from_the_admin_side() {
    let (_desk, gateway) = gateway();
    let address = gateway.address("admin");
    // Nothing at all; a part of a head; a head whose body does not come; a question, answered, and no other.
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100";
    let unfinished = format!("POST /sign-in HTTP/1.1\r\nHost: localhost\r\n{form}\r\n\r\ntoken=");
    for say in ["", "GET /healthz HTTP/1.1\r\nHost:", &unfinished, HEALTH] {
        let evicted = || gateway.metric("admin_refusals_total", &["evicted"]);
        let before = evicted();
        let silent = crowd(address, say.as_bytes());
        // More than the table holds, so some have gone; the rest does not keep anybody out.
        assert!(evicted() > before + 40.0, "{say:?}");
        let mut asker = connect(address);
        ask(&mut asker, HEALTH, WELL);
        assert!(gateway.http("/metrics").starts_with(WELL), "{say:?}");
        drop(silent);
    }
}

#[test]
fn who_asks_is_not_evicted_by_who_is_silent() {
    let (desk, gateway) = gateway();
    let mut asker = connect(gateway.address("admin"));
    ask(&mut asker, HEALTH, WELL);
    let mut postfix = connect(lookup(desk.policy));
    ask(&mut postfix, &policy("192.0.2.1"), "action=DUNNO\n\n");
    let _silent = [crowd(gateway.address("admin"), b""), crowd(lookup(desk.policy), b"request=")];
    let evicted = || gateway.metric("admin_refusals_total", &["evicted"]);
    let full = || gateway.metric("lookups_total", &["policy", "full"]);
    wait::until_true("both to be full", wait::SOON, || evicted() > 40.0 && full() > 40.0);
    let mut rest = [0; 4096];
    // The rest of the first answer.
    assert!(asker.read(&mut rest).unwrap() > 0);
    ask(&mut asker, HEALTH, WELL);
    ask(&mut postfix, &policy("192.0.2.1"), "action=DUNNO\n\n");
}

#[test]
fn two_hundred_and_fifty_six_silent_connections_do_not_shut_out_an_mta() {
    let (desk, gateway) = gateway();
    let asked = policy("192.0.2.1");
    let socketmap = "19:after-pop 192.0.2.1,";
    for (port, protocol, question) in [
        (desk.policy, "policy", asked.as_str()),
        (desk.socketmap, "socketmap", socketmap),
        (desk.whoson, "whoson", "QUERY 192.0.2.1\r\n\r\n"),
    ] {
        for say in ["", question] {
            let full = || gateway.metric("lookups_total", &[protocol, "full"]);
            let before = full();
            let silent = crowd(lookup(port), say.as_bytes());
            wait::until_true("the table to be full", wait::SOON, || full() > before + 40.0);
            assert_eq!(desk.ask("192.0.2.2"), nobody(), "{protocol} {say:?}");
            drop(silent);
        }
    }
}

#[test]
fn a_connection_that_says_nothing_at_first_is_closed_long_before_one_that_has_asked() {
    let (desk, gateway) = gateway();
    let admin = gateway.address("admin");
    let mut silent = [admin, lookup(desk.policy), lookup(desk.socketmap), lookup(desk.whoson)].map(connect);
    let mut asker = connect(lookup(desk.policy));
    ask(&mut asker, &policy("192.0.2.1"), "action=DUNNO\n\n");
    // Five seconds; the others have a hundred at least.
    silent.iter_mut().for_each(is_closed);
    asker.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    assert!(asker.read(&mut [0]).is_err(), "not closed");
    asker.set_read_timeout(Some(wait::SOON)).unwrap();
    ask(&mut asker, &policy("192.0.2.1"), "action=DUNNO\n\n");
}
