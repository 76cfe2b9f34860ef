//! Numbers as the formats and Go write them.

use super::NORMAL_NAN_BITS;

/// Reads a value as Go's `ParseFloat` does, less hexadecimal and underscores, which Prometheus refuses.
pub(super) fn parse(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_nan() {
        return Some(f64::from_bits(NORMAL_NAN_BITS));
    }
    // Go calls a number out of range an error where Rust rounds it to infinity.
    if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(value)
}

/// Writes a bucket bound or quantile as OpenMetrics wants it: shortest digits, never a bare integer
/// (`formatOpenMetricsFloat` in Prometheus `model/textparse`).
pub(super) fn openmetrics(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go's %g with the shortest digits turns to the scientific form outside these.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { plain + ".0" }
}
