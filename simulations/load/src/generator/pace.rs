//! The pacer: waits for each planned time and hands the request over. Never waits for the executor.

use std::time::{Duration, Instant};

use thanos_telemetry::Shutdown;
use tokio::sync::mpsc;

use super::Shared;
use crate::recorder::NotSent;
use crate::schedule::Schedule;

/// The pacer wakes no more often than this; what falls due meanwhile goes together, late by less. At high rates
/// a wake for every request would cost the core more than the request.
const PACE: Duration = Duration::from_micros(100);

/// What a pacer did.
#[derive(Debug)]
pub(super) struct Paced {
    pub(super) how: How,
    /// The first arrival that it did not hand over, and how many it did.
    pub(super) first_left: Option<Duration>,
    pub(super) handed_over: u64,
    /// When it ended, from the start.
    pub(super) at: Duration,
}

/// Why it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The schedule holds no more.
    Complete,
    /// It was asked to.
    Interrupted,
    /// Nobody takes requests any more.
    NobodyTakes,
}

pub(super) fn pace(
    schedule: Schedule,
    started: Instant,
    due: &mpsc::Sender<Duration>,
    shared: &Shared,
    shutdown: &Shutdown,
) -> Paced {
    wake_on_time();
    let mut handed_over = 0;
    let left = |how, first_left, handed_over| Paced { how, first_left, handed_over, at: started.elapsed() };
    for planned in schedule {
        loop {
            let now = started.elapsed();
            if shutdown.is_started() {
                return left(How::Interrupted, Some(planned), handed_over);
            }
            let Some(wait) = planned.checked_sub(now).filter(|w| !w.is_zero()) else { break };
            if due.is_closed() {
                return left(How::NobodyTakes, Some(planned), handed_over);
            }
            #[expect(clippy::disallowed_methods, reason = "this thread exists to wait")]
            std::thread::sleep(wait.clamp(PACE, Duration::from_millis(100)));
        }
        match due.try_send(planned) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                shared.not_sent(planned, NotSent::Own("the generator was too slow to take it over"));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return left(How::NobodyTakes, Some(planned), handed_over);
            }
        }
        handed_over += 1;
    }
    left(How::Complete, None, handed_over)
}

/// The kernel may wake a thread 50 µs late to wake several at once; this one says that it minds.
fn wake_on_time() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
        tracing::debug!(%error, "the pacer's timers stay coarse");
    }
}
