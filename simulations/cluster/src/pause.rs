//! The pause before a watch tries again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// How late a change can be seen after the API server returns.
const PAUSE: Duration = Duration::from_millis(500);

/// Always the same pause. kube's own go up to 30 s, in which pods and replicas come and go unseen.
#[derive(Clone, Copy, Debug)]
pub struct SteadyPause;

impl Iterator for SteadyPause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(PAUSE)
    }
}

impl Backoff for SteadyPause {
    fn reset(&mut self) {}
}
