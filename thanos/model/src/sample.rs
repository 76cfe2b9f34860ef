//! One observation: a time and a float or a histogram.

use std::sync::Arc;

use crate::{FloatHistogram, TimestampMs};

/// The NaN that says "this series ended here" (Prometheus `model/value/value.go`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a float.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the staleness marker; other NaNs are ordinary values.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// A sample's value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A plain number.
    Float(f64),
    /// A native histogram, shared because windows overlap.
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    /// Whether this is a staleness marker. A histogram is stale when its sum is.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(v) => is_stale(*v),
            Self::Histogram(h) => is_stale(h.sum),
        }
    }

    /// The number, where it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(v) => Some(*v),
            Self::Histogram(_) => None,
        }
    }
}

/// Equal bits, so that NaN equals itself: tests and deduplication compare what is stored.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            _ => false,
        }
    }
}

/// A timestamped value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub t_ms: TimestampMs,
    /// The value.
    pub value: Value,
}

impl Sample {
    /// A float sample.
    pub fn float(t_ms: TimestampMs, v: f64) -> Self {
        Self { t_ms, value: Value::Float(v) }
    }

    /// A histogram sample.
    pub fn histogram(t_ms: TimestampMs, h: impl Into<Arc<FloatHistogram>>) -> Self {
        Self { t_ms, value: Value::Histogram(h.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(stale_nan()));
        assert!(!is_stale(f64::NAN));
        assert!(Value::Float(stale_nan()).is_stale());
        assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
    }
}
