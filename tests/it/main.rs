//! The integration tests: the built gateway between real clients and real servers.
//!
//! Everything they start lies under [`support`]; a file beside it is one subject, and a test in it one sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

mod support;

mod after_pop;
mod announced;
mod backends;
mod bad_backends;
mod check;
mod demo;
mod denials;
mod directory;
mod faults;
mod gate;
mod identity;
mod login;
mod machine;
mod patience;
mod support_works;
mod tls;
mod watched;
