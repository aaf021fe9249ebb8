//! What is measured, of whom, and what must be reached.

use super::sample::{CLIENTS, STREAMS};
use super::scenarios::{Kind, Scenario, Size, Target};
use crate::gateways::Gateway;
use crate::load::{Language, Load, Tls, Work};
use Gateway::{Dovecot, Haproxy, Nginx, Perdition};
use Language::{Imap, Pop3, Submission};
use Target::{AtMost, Of, Unset};
use Tls::{Full, Resumed};
use Work::{Download, Login, Noop, Upload};

const fn cpu(name: &'static str, title: &'static str, sizes: &'static [Size], tls: Tls, target: Target) -> Scenario {
    Scenario::new(name, title, Kind::Cpu { language: Imap, sizes }, tls, target)
}

const fn login(name: &'static str, title: &'static str, language: Language) -> Scenario {
    Scenario::new(name, title, Kind::Cpu { language, sizes: LOGIN }, Tls::None, Unset)
}

const fn wait(name: &'static str, title: &'static str, tls: Tls, target: Target) -> Scenario {
    Scenario::new(name, title, Kind::Wait, tls, target)
}

const fn idle(name: &'static str, title: &'static str, tls: Tls, most: f64) -> Scenario {
    Scenario::new(name, title, Kind::Memory { silent: false }, tls, AtMost(most))
}

const fn silent(name: &'static str, title: &'static str, tls: Tls, most: f64) -> Scenario {
    Scenario::new(name, title, Kind::Memory { silent: true }, tls, AtMost(most))
}

const fn others(name: &'static str, title: &'static str, tls: Tls, watched: bool) -> Scenario {
    let load = Load::of(Download, STREAMS);
    Scenario::new(name, title, Kind::Others { load, watched }, tls, AtMost(1.1)).without(OURS_ONLY)
}

const OURS_ONLY: &[(Gateway, &str)] = &[(Nginx, ""), (Haproxy, ""), (Dovecot, ""), (Perdition, "")];
const NO_SUBMISSION: &[(Gateway, &str)] =
    &[(Dovecot, "its submission proxy is a package of its own"), (Perdition, "knows no submission")];
const NO_TLS_BEHIND: &[(Gateway, &str)] = &[(Nginx, "speaks no TLS to a mail back-end")];
const NOT_SO_MANY: &[(Gateway, &str)] = &[(Perdition, "has a process for each session")];

const NONE: Tls = Tls::None;

const LOGIN: &[Size] = &[Size::of("CPU", Login, CLIENTS)];
/// One at a time is what a quiet site has all day, and the dearest: the gateway wakes for each step.
const LOGINS: &[Size] = &[
    Size::of("CPU, 1 client", Login, 1),
    Size::of("CPU, 8 clients", Login, 8),
    Size::of("CPU, 32 clients", Login, 32),
];
const NOOPS: &[Size] = &[
    Size::of("CPU, 1 session", Noop, 1),
    Size::of("CPU, 4 sessions", Noop, 4),
    Size::of("CPU, 32 sessions", Noop, 32),
];
const DOWNLOADS: &[Size] = &[
    Size::with_messages("CPU, messages of 64 KiB", Download, 64 << 10),
    Size::with_messages("CPU, messages of 1 MiB", Download, 1 << 20),
    Size::with_messages("CPU, messages of 16 MiB", Download, 16 << 20),
];
const UPLOADS: &[Size] = &[
    Size::with_messages("CPU, messages of 64 KiB", Upload, 64 << 10),
    Size::with_messages("CPU, messages of 1 MiB", Upload, 1 << 20),
    Size::with_messages("CPU, messages of 16 MiB", Upload, 16 << 20),
];

pub static SCENARIOS: &[Scenario] = &[
    cpu("login-plain", "IMAP login + logout, plain", LOGINS, NONE, Of(Nginx, 0.75)),
    login("login-logged", "… and a line of log for each", Imap).with_logs().without(OURS_ONLY),
    login("login-workers", "… and four threads instead of one, on the one CPU", Imap)
        .with_workers(4)
        .without(OURS_ONLY),
    login("ldap-cached", "… and LDAP's answer remembered", Imap).remembering(100_000).without(OURS_ONLY),
    login("ldap-uncached", "… and LDAP asked each time", Imap).remembering(0).without(OURS_ONLY),
    cpu("login-tls", "IMAP login + logout, TLS 1.3, full handshake", LOGINS, Full, Of(Haproxy, 0.55)),
    cpu("login-resumed", "IMAP login + logout, TLS 1.3, resumed", LOGIN, Resumed, Unset),
    login("login-pop3", "POP3 login + QUIT, plain", Pop3),
    login("login-submission", "submission EHLO + AUTH + QUIT, plain", Submission).without(NO_SUBMISSION),
    cpu("noop-plain", "NOOP round trip, plain", NOOPS, NONE, Of(Nginx, 1.0)),
    cpu("noop-tls", "NOOP round trip, TLS to the client", NOOPS, Full, Of(Nginx, 0.85)),
    cpu("download-plain", "bulk download, plain", DOWNLOADS, NONE, Of(Haproxy, 0.55)),
    cpu("download-tls", "bulk download, TLS to the client", DOWNLOADS, Full, Of(Haproxy, 0.55)),
    cpu("upload-plain", "bulk upload, plain", UPLOADS, NONE, Of(Haproxy, 0.55)),
    cpu("upload-tls", "bulk upload, TLS to the client", UPLOADS, Full, Of(Haproxy, 0.55)),
    wait("wait-plain", "connect → logged in, loopback, plain", NONE, Unset),
    wait("wait-tls", "connect → logged in, loopback, TLS 1.3", Full, Of(Haproxy, 1.0)),
    Scenario::new("distant", "connect → logged in, 40 ms away, TLS 1.3", Kind::Distant, Full, AtMost(135.0)),
    idle("idle-plain", "idle session, plain", NONE, 2_000.0),
    idle("idle-tls", "idle session, TLS to the client", Full, 6_000.0),
    idle("idle-both", "idle session, TLS on both sides", Full, 11_000.0).with_tls_behind().without(NO_TLS_BEHIND),
    silent("silent-plain", "silent client before login, plain", NONE, 1_500.0),
    silent("silent-tls", "silent client before login, TLS", Full, 6_000.0),
    Scenario::new("held", "IMAP login + logout, plain, others held", Kind::Held, NONE, AtMost(1.1))
        .without(NOT_SO_MANY),
    others("others-plain", "bulk download, plain, others on", NONE, false),
    others("others-watched", "… and their list asked for once a second", NONE, true),
    others("others-tls", "bulk download, TLS to the client, others on", Full, false),
    Scenario::new("who", "`portcullis who`, others on", Kind::Who, NONE, AtMost(1_000.0)).without(OURS_ONLY),
];
