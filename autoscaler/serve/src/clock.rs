//! The wall clock, in milliseconds since the Unix epoch.

use k8s_openapi::jiff::Timestamp;

pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
