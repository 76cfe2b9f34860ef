//! Numbers as they are told to the HPA.

/// Thousandths, rounded to the nearest by the number's exact decimals. NaN, infinity and negative numbers are zero.
/// What does not fit is the largest integer; KEDA's quantity then wraps in the HPA.
///
/// Upstream: `pkg/scalers/scaler.go`, `quantityFromFloat64`.
#[must_use]
pub fn milli(value: f64) -> i64 {
    if !value.is_finite() || value < 0.0 {
        return 0;
    }
    format!("{value:.3}").replace('.', "").parse().unwrap_or(i64::MAX)
}
