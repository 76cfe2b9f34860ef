//! Wall time, which is whoever's who runs the controller. Deadlines and fences go by tokio's clock, which nobody sets.

use k8s_openapi::jiff::Timestamp;

/// Wall time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> i64;
}

/// The machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        Timestamp::now().as_millisecond()
    }
}

/// A wall time as the API has it.
pub(crate) fn timestamp(wall_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
