//! Keeps the served certificate fresh: settles the Secret, tells the readers, shows what they trust by now.

use std::time::Duration;

use tokio::sync::watch;

use crate::{Bundle, CertError, Publisher, SecretStore, Served};

/// Longest time between two looks: others renew too, and manifests are applied over what was published.
const LOOK: Duration = Duration::from_secs(30);
/// Pause after a failed look.
const AGAIN: Duration = Duration::from_secs(2);

/// What one process does about its certificate.
pub struct Keeper {
    /// Where certificates are kept.
    pub secret: SecretStore,
    /// Who is told whom to trust.
    pub readers: Vec<Publisher>,
    /// Where they are shown.
    pub served: Served,
    /// Whether the last look went well, for a readiness probe.
    pub settled: watch::Sender<bool>,
}

impl Keeper {
    /// Looks for ever; `now_ms` is the wall clock in milliseconds since the Unix epoch.
    pub async fn run(self, now_ms: impl Fn() -> i64) {
        let mut failing = false;
        loop {
            let pause = match self.look(now_ms()).await {
                Ok(until_ms) => {
                    failing = false;
                    self.settled.send_replace(true);
                    let until = u64::try_from(until_ms.saturating_sub(now_ms())).unwrap_or(0);
                    Duration::from_millis(until).clamp(Duration::from_millis(100), self.longest())
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "certificates cannot be kept; what is served stays");
                    }
                    failing = true;
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Others learn of a renewal in a fraction of what is allowed for it.
    fn longest(&self) -> Duration {
        LOOK.min(self.secret.overlap() / 4).max(Duration::from_millis(100))
    }

    /// One look; says when something falls due, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The API server refuses or does not answer; what is shown stays, unless that is nothing or has expired.
    pub async fn look(&self, now_ms: i64) -> Result<i64, CertError> {
        let (mut bundle, until_ms) = self.secret.settle(now_ms).await?;
        let mut told = Ok(());
        for reader in &self.readers {
            // One that is not there keeps no other from being told.
            match reader.publish(&self.secret).await {
                Ok(newer) => bundle = newer,
                Err(e) => told = Err(e),
            }
        }
        // Better shown before everybody trusts it than nothing at all.
        if told.is_ok() || !self.served.is_set() || self.is_over(now_ms) {
            self.show(&bundle)?;
        }
        told.map(|()| until_ms)
    }

    fn is_over(&self, now_ms: i64) -> bool {
        let shown = self.served.leaf_der().map(Into::into);
        let shown = shown.and_then(|der| crate::Certificate::from_der("served", der).ok());
        shown.is_none_or(|c| now_ms >= c.not_after_ms)
    }

    fn show(&self, bundle: &Bundle) -> Result<(), CertError> {
        if self.served.leaf_der().as_deref() == Some(bundle.leaf().der().as_ref()) {
            return Ok(());
        }
        self.served.set(bundle.serving())?;
        tracing::info!(names = bundle.leaf().names.join(","), "a new certificate is served");
        Ok(())
    }
}
