//! `--at`: a time as people write it.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// Milliseconds since the Unix epoch of `text`: RFC 3339, seconds since the epoch, or how long ago it was.
///
/// # Errors
/// What may be written.
pub(super) fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    let seconds = |text: &str| text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000));
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return seconds(text).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let ago = thanos_model::parse_duration(text).map_err(|_| wrong())?;
    Ok(now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)))
}

fn wrong() -> String {
    "write a time as 2026-11-30T16:43:00Z, as seconds since 1970, or as how long ago it was, for example 5m"
        .to_owned()
}

/// How long something took or is ago, as precise as anybody reads it.
pub(super) fn span(ms: i64) -> String {
    let ms = ms.max(0).unsigned_abs();
    let rounded = if ms < 10_000 { ms / 100 * 100 } else { ms / 1_000 * 1_000 };
    thanos_model::format_duration(Duration::from_millis(rounded))
}

/// A time as told.
pub(super) fn time(at_ms: i64) -> String {
    crate::clock::timestamp(at_ms).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_three_ways() {
        let now_ms = 1_764_520_000_000;
        for (text, at_ms) in [
            ("2025-11-30T16:26:40Z", now_ms),
            ("2025-11-30T17:26:40.5+01:00", now_ms + 500),
            ("1764520000", now_ms),
            ("0", 0),
            ("5m", now_ms - 300_000),
            ("1h30m", now_ms - 5_400_000),
        ] {
            assert_eq!(parse(text, now_ms), Ok(at_ms), "{text}");
        }
        for text in ["", "yesterday", "-5m", "99999999999999999999", "9999999999999999999", "2025-11-30", "é"]
        {
            assert!(parse(text, now_ms).unwrap_err().contains("for example 5m"), "{text}");
        }
    }

    #[test]
    fn spans_are_as_precise_as_anybody_reads_them() {
        for (ms, text) in [(-5, "0s"), (1_234, "1s200ms"), (61_999, "1m1s")] {
            assert_eq!(span(ms), text);
        }
    }
}
