//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

/// How long anything here may take to become true.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks until the answer is there, and returns it. An error is asked again; the last one is shown at the deadline.
/// # Panics
/// After [`DEADLINE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(why) => assert!(start.elapsed() < DEADLINE, "in vain for {DEADLINE:?}: {what}: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
