//! Pauses between failures of one watch. Clockless.

use std::time::Duration;

/// Kubernetes clients' own pauses go up to 30 s, in which pods come and go.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// Without a failure for so long after a pause, the next begins anew. A list that fails says "I begin" each time,
/// and one that fails on its last page brings objects each time; neither is a success.
const CALM: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub struct Pauses {
    last: Option<(Duration, Duration)>,
}

impl Pauses {
    /// How long to wait after a failure at `now`, since whatever start: twice as long as last time.
    pub fn failed(&mut self, now: Duration) -> Duration {
        let pause = match self.last {
            Some((at, pause)) if now.saturating_sub(at) < pause + CALM => LONGEST.min(pause * 2),
            _ => FIRST,
        };
        self.last = Some((now, pause));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_asked_less_and_less() {
        let (mut pauses, mut now, mut asked) = (Pauses::default(), Duration::ZERO, 0);
        while now < Duration::from_secs(20) {
            // It takes a while to fail.
            now += Duration::from_millis(50);
            now += pauses.failed(now);
            asked += 1;
        }
        assert!((10..=14).contains(&asked), "{asked}");
        assert_eq!(pauses.failed(now), LONGEST);
        assert_eq!(pauses.failed(now + LONGEST + CALM), FIRST);
    }
}
