//! One token that every task of a process watches.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Signals this close together are one wish: `timeout` signals its child and then the group that it is in, and a
/// terminal's Ctrl-C reaches a process both by its group and through whoever passes it on.
const ONE_WISH: Duration = Duration::from_secs(1);

/// Cancelled when the process should drain and end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token that only [`Shutdown::start`] ends: for tests and for parts run inside another.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that SIGTERM or SIGINT ends. Another signal a second later or more aborts the process, for whoever
    /// will not wait.
    ///
    /// # Errors
    /// The signal handlers could not be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let this = Self::new();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let token = this.clone();
        tokio::spawn(async move {
            let mut poll_next = |cx: &mut Context<'_>| match (term.poll_recv(cx), int.poll_recv(cx)) {
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                _ => Poll::Ready(()),
            };
            poll_fn(&mut poll_next).await;
            tracing::info!("shutting down");
            token.start();
            asked_again(poll_next).await;
            tracing::warn!("second signal, stopping at once");
            #[expect(clippy::disallowed_methods, reason = "the user asked twice")]
            std::process::exit(130);
        });
        Ok(this)
    }

    /// Asks everything to end.
    pub fn start(&self) {
        self.0.cancel();
    }

    /// Whether the end has been asked for.
    pub fn is_started(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when the end is asked for.
    pub async fn started(&self) {
        self.0.cancelled().await;
    }

    /// An owned future, as servers take for their graceful end.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.clone().cancelled_owned()
    }

    /// A token that ends with this one and can be ended alone.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

/// Resolves with the first signal that is a wish of its own; called right after the one before.
async fn asked_again(mut poll_next: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let first = Instant::now();
    loop {
        poll_fn(&mut poll_next).await;
        if first.elapsed() >= ONE_WISH {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn signals_within_a_second_are_one_wish() {
        for (signals_ms, expected_ms) in [
            (vec![1], None),
            (vec![0, 1, 999], None),
            (vec![1, 1000], Some(1000)),
            (vec![400, 800, 1200], Some(1200)),
            (vec![5000], Some(5000)),
        ] {
            let began = Instant::now();
            let (sender, mut signals) = tokio::sync::mpsc::channel(8);
            let times = signals_ms.clone();
            tokio::spawn(async move {
                for at in times {
                    tokio::time::sleep_until(began + Duration::from_millis(at)).await;
                    sender.send(()).await.unwrap();
                }
                std::future::pending::<()>().await;
            });
            let asked = asked_again(|cx| signals.poll_recv(cx).map(drop));
            let stopped = tokio::time::timeout(Duration::from_secs(60), asked).await;
            let at = stopped.is_ok().then(|| began.elapsed().as_millis());
            assert_eq!(at, expected_ms, "{signals_ms:?}");
        }
    }
}
