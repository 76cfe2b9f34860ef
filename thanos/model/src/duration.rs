//! Prometheus' durations: `1h30m`, `15s`, `1d`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses what Prometheus' `model.ParseDuration` takes: units from large to small, each at most once.
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("not a duration: {text:?} (write for example 30s, 5m or 1h30m)");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        let at = UNITS[next_unit..].iter().position(|(u, _)| *u == unit).ok_or_else(bad)? + next_unit;
        next_unit = at + 1;
        let ms = number.checked_mul(UNITS[at].1).ok_or_else(bad)?;
        total_ms = total_ms.checked_add(ms).filter(|t| *t <= i64::MAX as u64 / 1_000_000).ok_or_else(bad)?;
        rest = &rest[letters..];
    }
    if next_unit == 0 { Err(bad()) } else { Ok(Duration::from_millis(total_ms)) }
}

/// The shortest exact form in whole milliseconds, as Prometheus prints it: weeks and years only when exact.
pub fn format_duration(d: Duration) -> String {
    let mut ms = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (unit, size) in UNITS {
        let exact_only = matches!(unit, "y" | "w");
        if ms < size || exact_only && !ms.is_multiple_of(size) {
            continue;
        }
        out.push_str(&format!("{}{unit}", ms / size));
        ms %= size;
    }
    out
}

/// `#[serde(with = "thanos_model::duration::serde_text")]` for a [`Duration`] field written in this form.
pub mod serde_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads `"30s"`.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(d)?).map_err(D::Error::custom)
    }

    /// Writes `"30s"`.
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::format_duration(*d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_refuses_what_prometheus_does() {
        for (text, ms) in [("0", 0), ("0s", 0), ("1h30m", 5_400_000), ("250ms", 250), ("1d", 86_400_000)] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "1", "s", "1s1h", "1s1s", "-1s", "1.5h", "1x", "9999999999999y", " 1s"] {
            assert!(parse_duration(text).unwrap_err().contains(&format!("{text:?}")));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in 0u64..10_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(d)).unwrap(), d);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse_duration(&text);
        }
    }
}
