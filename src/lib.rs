//! Portcullis: a front-end IMAP and POP3 proxy gateway with LDAP routing.

pub mod config;
pub mod directory;
pub mod gate;
pub mod metrics;
pub mod proto;
pub mod secret;
pub mod wire;
