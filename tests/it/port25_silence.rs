//! A sender who has named a recipient holds a place at its server: where places run short, not for long.

use std::time::Duration;

use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::smtp::{begin, open, plan_before_one};

#[test]
fn where_places_run_short_a_silent_sender_is_sent_away_long_before_its_idle_time() {
    let fake = Fake::start(vec![Step::Deliver(vec![])]);
    let plan = plan_before_one(fake.port)
        .set("backends.stores.max_connections", "2")
        .set("services.smtp.timeouts", "{ idle: 10m }");
    let gateway = Gateway::start(&plan);
    let mut silent = open(&gateway);
    begin(&mut silent, "silent", "alice");
    // After thirty seconds.
    silent.patience(Duration::from_secs(120));
    silent.expect("421 ");
    silent.closed();
    gateway.metric_becomes("backend_connections", &[], 0.0);
    begin(&mut open(&gateway), "next", "alice");
}
