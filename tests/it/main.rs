//! The integration tests: the built gateway between real clients and real servers.
//!
//! Everything they start lies under [`support`]; a file beside it is one subject, and a test in it one sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

mod support;

mod acted_on;
mod active_directory;
mod after_pop;
mod announced;
mod backends;
mod bad_backends;
mod bad_certificates;
mod before_login;
mod certificates;
mod check;
mod chunks;
mod crowd;
mod demo;
mod denials;
mod directory;
mod directory_state;
mod docker;
mod environment;
mod failover;
mod faults;
mod gate;
mod grafana;
mod handshakes;
mod hostile;
mod identity;
mod live;
mod lock_out;
mod login;
mod machine;
mod nodes;
mod nodes_store;
mod overview;
mod page;
mod page_http;
mod patience;
mod places;
mod port25;
mod port25_backends;
mod port25_busy;
mod port25_faults;
mod port25_hostile;
mod port25_pipelining;
mod process;
mod recipients;
mod refused;
mod relayed;
mod reload;
mod sending_after_pop;
mod server_state;
mod silent;
mod silent_servers;
mod smuggling;
mod storage;
mod store_file;
mod strangers;
mod strangers_postfix;
mod submission;
mod support_works;
mod ten_thousand;
mod tls;
mod tokens;
mod torn;
mod unknown_users;
mod watched;
mod who;
mod who_is_who;
