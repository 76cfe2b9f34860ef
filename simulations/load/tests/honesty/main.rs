//! Whether the generator's figures can be believed: against an independent generator, against a stall that a
//! closed loop does not see, and against a rate that it cannot send itself.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod independent;
mod omission;
mod overload;
mod server;

use std::time::Duration;

use http::Uri;
use simulations_load::generator::Plan;
use simulations_load::schedule::Arrivals;
use tokio::sync::watch;

/// Timings are judged, so one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A plan of one stage against one address.
fn plan(target: Uri, stage: &str) -> Plan {
    let (_, targets) = watch::channel(vec![target]);
    Plan {
        stages: vec![stage.parse().unwrap()],
        stretches: vec![],
        arrivals: Arrivals::Even,
        seed: 1,
        targets,
        timeout: Duration::from_secs(10),
        max_in_flight: 10_000,
        by_second: false,
    }
}
