//! Certificates that expire: said at the start, at a reload and by a metric, long before clients say it.

use std::time::{Duration, SystemTime};

use crate::support::certs::{Leaf, certs};
use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::Mail;
use crate::support::{keeper, site};

fn days_from_now(days: u64) -> f64 {
    let then = SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60);
    then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

fn copy(leaf: &Leaf, to: [&std::path::Path; 2]) {
    std::fs::copy(&leaf.certificate, to[0]).unwrap();
    std::fs::copy(&leaf.key, to[1]).unwrap();
}

#[test]
fn a_certificate_that_expires_is_told_of_at_the_start_at_a_reload_and_by_a_metric() {
    let folder = keeper::folder("expiring");
    let files = [folder.join("mail.pem"), folder.join("mail.key")];
    let to = [files[0].as_path(), files[1].as_path()];
    copy(&certs().dated([-80, 10]), to);
    let shown = format!("[{{ certificate: \"{}\", key: \"{}\" }}]", to[0].display(), to[1].display());
    let gateway = Gateway::start(&site::shared().plan().set("tls.certificates", &shown));
    let warning = ["WARN", "tls.certificates[0].certificate", "mail.pem expires in 9 days, at "];
    gateway.logged(&warning);
    let label = format!("certificate=\"{}\"", to[0].display());
    let expires_in = |days: u64| {
        let expiry = gateway.metric("certificate_expiry_timestamp_seconds", &[&label]);
        (expiry - days_from_now(days)).abs() < 6.0 * 60.0 * 60.0
    };
    assert!(expires_in(10), "{}", gateway.http("/metrics"));
    let checked = portcullis(&["check", gateway.file().to_str().unwrap()]);
    assert!(checked.code == Some(0) && checked.out.contains("mail.pem expires in 9 days"), "{checked:?}");
    assert!(checked.out.contains("good, with "), "{checked:?}");
    let status = || portcullis(&["status", "--admin", &format!("http://{}", gateway.address("admin"))]).fine();
    let told = format!("\ntls        {} expires in 9 days, at ", to[0].display());
    assert!(status().contains(&told), "{}", status());
    assert_eq!(portcullis(&["check", "--strict", gateway.file().to_str().unwrap()]).code, Some(1));

    copy(&certs().dated([-1, 90]), to);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["completed"], 1.0);
    assert!(expires_in(90), "the new one is shown:\n{}", gateway.http("/metrics"));
    assert!(!status().contains("\ntls "), "{}", status());

    // One that has expired is not taken over: what is there is valid.
    copy(&certs().dated([-90, -1]), to);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["failed"], 1.0);
    let line = gateway.logged(&["ERROR", "tls.certificates[0].certificate", "mail.pem expired at "]);
    assert!(line.contains("the former certificate stays in use"), "{line}");
    assert!(expires_in(90), "{}", gateway.http("/metrics"));

    std::fs::write(to[0], "no certificate").unwrap();
    let before = gateway.metric("certificate_expiry_timestamp_seconds", &[&label]);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["failed"], 2.0);
    let after = gateway.metric("certificate_expiry_timestamp_seconds", &[&label]);
    assert!((before - after).abs() < 0.5, "the one that is still shown");
}

#[test]
fn an_expired_certificate_is_better_than_one_that_expired_before() {
    let folder = keeper::folder("expired");
    let files = [folder.join("mail.pem"), folder.join("mail.key")];
    let to = [files[0].as_path(), files[1].as_path()];
    copy(&certs().dated([-90, -10]), to);
    let shown = format!("[{{ certificate: \"{}\", key: \"{}\" }}]", to[0].display(), to[1].display());
    // At a start there is nothing better.
    let gateway = Gateway::start(&site::shared().plan().set("tls.certificates", &shown));
    gateway.logged(&["WARN", "mail.pem expired at "]);
    let label = format!("certificate=\"{}\"", to[0].display());
    let expiry = || gateway.metric("certificate_expiry_timestamp_seconds", &[&label]);
    let before = expiry();
    copy(&certs().dated([-90, -1]), to);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["completed"], 1.0);
    assert!(
        expiry() - before > 8.0 * 24.0 * 60.0 * 60.0,
        "it is taken over, with the warning that it had at the start"
    );
}

#[test]
fn a_certificate_that_does_not_cover_the_host_name_is_told_of() {
    let gateway = Gateway::start(&site::shared().plan().set("hostname", "gate.example.com"));
    gateway.logged(&["WARN", "no certificate of `tls.certificates` covers gate.example.com", "mail.example.org"]);
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_not_taken_over_and_one_line_says_so() {
    let folder = keeper::folder("mismatch");
    let [one, two] =
        ["one", "two"].map(|name| [folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))]);
    let renew = |days: [i64; 2]| {
        [&one, &two].into_iter().for_each(|files| copy(&certs().dated(days), [&files[0], &files[1]]));
    };
    renew([-1, 90]);
    let entry = |files: &[std::path::PathBuf; 2]| {
        format!("{{ certificate: \"{}\", key: \"{}\" }}", files[0].display(), files[1].display())
    };
    let plan = site::shared().plan();
    let gateway = Gateway::start(&plan.set("tls.certificates", &format!("[{}, {}]", entry(&one), entry(&two))));

    // The key of the first is still the former one; what was put beside it is out of date on top of that.
    std::fs::copy(&certs().dated([-90, -1]).certificate, &one[0]).unwrap();
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["failed"], 1.0);
    let line = gateway.logged(&["ERROR", "reload: a certificate was not taken over"]);
    let words = format!(
        "tls.certificates[0].key: the key in {} does not belong to the certificate in {}; the former certificate stays in use",
        one[1].display(),
        one[0].display()
    );
    assert!(line.contains(&words) && line.contains(&format!("{}:", gateway.file().display())), "{line}");
    let line = gateway.logged(&["WARN", "reload failed in part: tls.certificates[0].key could not be taken over"]);
    assert!(line.contains("read=\"certificates (1 of 2)\"") && line.contains("outcome=\"failed\""), "{line}");
    let log = gateway.log();
    assert!(!log.contains("expired at") && !log.contains("KeyMismatch") && !log.contains(" reloaded;"), "{log}");
    assert_eq!(log.matches("does not belong").count(), 1, "{log}");
    drop(Mail::Imap.session(&gateway, "alice"));

    std::fs::write(&two[1], "no key").unwrap();
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["failed"], 2.0);
    let failed = "reload failed: tls.certificates[0].key, tls.certificates[1].key could not be taken over";
    gateway.logged(&["WARN", failed, "read=\"nothing\""]);
    gateway.logged(&["ERROR", "two.key holds no PEM private key"]);

    renew([-1, 80]);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["completed"], 1.0);
    gateway.logged(&["INFO", "reloaded; the configuration itself is read at a start only", "read=\"certificates\""]);
}
