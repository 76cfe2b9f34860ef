//! The pause before a watch tries again.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::watcher::ExponentialBackoff;

/// How late a change can be seen after the API server returns.
const PAUSE: Duration = Duration::from_millis(500);

/// Always the same pause. kube's own go up to 30 s, in which pods and replicas come and go unseen.
pub fn steady_pause() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(PAUSE).with_max_delay(PAUSE).without_max_times().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_ends_and_never_grows() {
        assert_eq!(steady_pause().take(100).filter(|pause| *pause == PAUSE).count(), 100);
    }
}
