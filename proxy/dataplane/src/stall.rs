//! Streams of HTTP/2 whose other end takes nothing: the library asks their bodies for no more and waits for room, for
//! ever. A stream that waits so for too long is dropped, which resets it.
//!
//! ```text
//!  library ─ execute(stream) ─► task: poll the stream ─► it polls its body ─► the body notes what it gave
//!                                 └ a piece was given and no other asked for: the other end's turn
//! ```
//!
//! The stream and its body do not know of each other, but are polled by the same thread, one inside the other.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

/// Streams that wait at once, of all connections, beyond which none may wait for long: each may hold a window's bytes.
const WAITING_MAX: usize = 256;
/// How long they may then.
const HURRIED: Duration = Duration::from_millis(250);
/// And beyond so many not at all.
const WAITING_MOST: usize = 4 * WAITING_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gave {
    /// Was not asked.
    Unasked,
    /// A piece.
    Piece,
    /// The end, or nothing yet.
    Nothing,
}

thread_local! {
    static GAVE: Cell<Gave> = const { Cell::new(Gave::Unasked) };
}

/// What a body answered when it was polled.
pub(crate) fn note<T>(polled: &Poll<Option<T>>) {
    GAVE.set(if matches!(polled, Poll::Ready(Some(_))) { Gave::Piece } else { Gave::Nothing });
}

/// Runs streams, each for as long as its other end takes what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    limit: Duration,
    waiting: Arc<AtomicUsize>,
}

impl Streams {
    /// `limit`: how long an end may take nothing.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, waiting: Arc::default() }
    }

    fn limit(&self) -> Duration {
        match self.waiting.load(Ordering::Relaxed) {
            0..=WAITING_MAX => self.limit,
            n if n <= WAITING_MOST => HURRIED.min(self.limit),
            _ => Duration::ZERO,
        }
    }
}

/// Counts as waiting until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(watched(self.clone(), stream));
    }
}

async fn watched<F: Future>(streams: Streams, stream: F) {
    let mut stream = pin!(stream);
    let mut since: Option<(Instant, Waiting)> = None;
    let mut timer = pin!(None);
    poll_fn(|cx| {
        GAVE.set(Gave::Unasked);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match GAVE.get() {
            Gave::Unasked => {}
            Gave::Nothing => since = None,
            Gave::Piece => {
                streams.waiting.fetch_add(1, Ordering::Relaxed);
                since = Some((Instant::now(), Waiting(streams.waiting.clone())));
            }
        }
        let Some((since, _)) = &since else { return Poll::Pending };
        loop {
            let due = *since + streams.limit();
            if Instant::now() >= due {
                tracing::debug!("a client takes nothing of its stream");
                return Poll::Ready(());
            }
            // Looked at again in steps: how long may be waited depends on how many wait.
            let look = due.min(Instant::now() + HURRIED);
            if timer.is_none() {
                timer.set(Some(sleep_until(look)));
            }
            match timer.as_mut().as_pin_mut() {
                Some(timer) if timer.as_ref().is_elapsed() => {}
                Some(timer) => match timer.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => {}
                },
                None => return Poll::Pending,
            }
            timer.set(None);
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::oneshot;

    /// A stream that gives `pieces`, a second apart, and then waits for what never comes.
    async fn stream(pieces: u32, then: Gave, _alive: oneshot::Sender<()>) {
        for _ in 0..pieces {
            tokio::time::sleep(Duration::from_secs(1)).await;
            GAVE.set(Gave::Piece);
        }
        if then == Gave::Nothing {
            tokio::time::sleep(Duration::from_secs(1)).await;
            GAVE.set(Gave::Nothing);
        }
        pending::<()>().await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_takes_nothing_is_dropped() {
        let streams = Streams::new(Duration::from_secs(5));
        let start = Instant::now();
        let (alive, dropped) = oneshot::channel();
        streams.execute(stream(3, Gave::Piece, alive));
        dropped.await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 8);
        assert_eq!(streams.waiting.load(Ordering::Relaxed), 0);
        // Its own source is quiet: not its other end's fault.
        let (alive, mut dropped) = oneshot::channel();
        streams.execute(stream(3, Gave::Nothing, alive));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(dropped.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_may_not_for_long() {
        let streams = Streams::new(Duration::from_secs(60));
        let ends: Vec<_> = (0..WAITING_MAX + 10)
            .map(|_| {
                let (alive, dropped) = oneshot::channel();
                streams.execute(stream(1, Gave::Piece, alive));
                dropped
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(streams.waiting.load(Ordering::Relaxed) <= WAITING_MAX);
        drop(ends);
    }
}
