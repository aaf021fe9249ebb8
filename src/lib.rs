//! Portcullis: a front-end IMAP and POP3 proxy gateway with LDAP routing.

pub mod admin;
pub mod backend;
pub mod cli;
pub mod config;
pub mod directory;
pub mod drain;
pub mod gate;
pub mod gateway;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod proto;
pub mod secret;
pub mod session;
pub mod wire;
pub mod worker;
