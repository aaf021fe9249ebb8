//! What the tests stand on: servers, clients, certificates, ports, and the end of them all.
//!
//! A server that cannot be started fails its test and names the package; nothing is ever skipped.

pub mod browser;
pub mod certs;
pub mod client;
pub mod dovecot;
pub mod fake;
pub mod gateway;
pub mod grafana;
pub mod keeper;
pub mod mail;
pub mod plan;
pub mod ports;
pub mod postfix;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod redis;
pub mod replies;
pub mod site;
pub mod slapd;
pub mod slow;
pub mod smtp;
pub mod wait;
