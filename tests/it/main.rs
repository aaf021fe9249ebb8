//! The integration tests: the built gateway between real clients and real servers.
//!
//! Everything they start lies under [`support`]; a file beside it is one subject, and a test in it one sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

mod support;

mod after_pop;
mod announced;
mod backends;
mod bad_backends;
mod bad_certificates;
mod check;
mod crowd;
mod demo;
mod denials;
mod directory;
mod faults;
mod gate;
mod hostile;
mod identity;
mod live;
mod login;
mod machine;
mod page;
mod page_http;
mod patience;
mod strangers;
mod submission;
mod support_works;
mod tls;
mod torn;
mod watched;
