//! One token that every task of a process watches.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled when the process should drain and end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token that only [`Shutdown::start`] ends: for tests and for parts run inside another.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that SIGTERM or SIGINT ends. A second signal aborts the process, for whoever will not wait.
    ///
    /// # Errors
    /// The signal handlers could not be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let this = Self::new();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let token = this.clone();
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            tracing::info!("shutting down");
            token.start();
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
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
