//! A noisy neighbour: a process gets the processor in turns, as one whose CPU quota is used up in each period.

use std::time::Duration;

use rustix::process::Signal;
use simulations_cluster::Process;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How long a turn is.
const TURN: Duration = Duration::from_millis(50);

/// A process that is slowed down. Dropped, it runs freely.
#[derive(Debug)]
pub(super) struct Slow(JoinHandle<()>);

impl Slow {
    /// Gives it one turn of every `factor`, for `lasts` at most.
    pub(super) fn start(process: Process, factor: u32, lasts: Duration) -> Self {
        let signal = move |signal| process.signal(signal);
        Self(tokio::spawn(async move {
            let _ = timeout(lasts, throttle(TURN, factor, signal)).await;
        }))
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Until `signal` says that there is nobody to signal. However it ends, the last signal is SIGCONT.
async fn throttle(turn: Duration, factor: u32, signal: impl Fn(Signal) -> bool) {
    let process = Awake(signal);
    let mut period = interval(turn * factor);
    // After a delay of ours a turn is a turn, not two at once.
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        if !(process.0)(Signal::CONT) {
            return;
        }
        sleep(turn).await;
        if !(process.0)(Signal::STOP) {
            return;
        }
    }
}

/// Wakes when dropped.
struct Awake<S: Fn(Signal) -> bool>(S);

impl<S: Fn(Signal) -> bool> Drop for Awake<S> {
    fn drop(&mut self) {
        (self.0)(Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use parking_lot::Mutex;
    use tokio::sync::watch;

    use super::*;

    const SHORT: Duration = Duration::from_millis(2);
    const FACTOR: u32 = 5;

    /// What a process gets until so many signals reached it; then it ends, or the throttle is dropped.
    async fn signals(enough: usize, ends: bool) -> Vec<(Instant, Signal)> {
        let got = Mutex::new(Vec::new());
        let (tell, mut told) = watch::channel(0);
        let signal = |signal| {
            got.lock().push((Instant::now(), signal));
            tell.send_modify(|n| *n += 1);
            !ends || *tell.borrow() < enough
        };
        let told = async { drop(told.wait_for(|n| !ends && *n >= enough).await) };
        tokio::select! {
            () = throttle(SHORT, FACTOR, signal) => {}
            () = told => {}
        }
        got.into_inner()
    }

    #[tokio::test]
    async fn turns_alternate_and_the_last_word_is_to_go_on() {
        let got = signals(12, false).await;
        let (last, turns) = got.split_last().unwrap();
        assert_eq!(last.1, Signal::CONT);
        for pair in turns.chunks_exact(2) {
            assert_eq!((pair[0].1, pair[1].1), (Signal::CONT, Signal::STOP));
            assert!(pair[1].0 - pair[0].0 >= SHORT, "{turns:?}");
        }
        // Five periods and a turn, less what the first beginning was late.
        assert!(turns[11].0 - turns[0].0 >= SHORT * FACTOR * 4, "{turns:?}");
    }

    #[tokio::test]
    async fn a_process_that_ended_ends_it() {
        let got: Vec<Signal> = signals(4, true).await.into_iter().map(|(_, signal)| signal).collect();
        assert_eq!(got, [Signal::CONT, Signal::STOP, Signal::CONT, Signal::STOP, Signal::CONT]);
    }
}
