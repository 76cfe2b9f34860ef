//! Durations as Go writes them: `15.04s`, `1m0s`. A `metav1.Duration` is one.

/// Longest text that is read.
const LEN_MAX: usize = 40;

/// Milliseconds of a duration, towards zero; `None` for anything but a duration that is not negative.
///
/// ```
/// use autoscaler_pods::duration::parse_ms;
/// assert_eq!(parse_ms("1m0.5s"), Some(60_500));
/// assert_eq!(parse_ms("15"), None);
/// ```
///
/// Upstream: Go's `time.ParseDuration`.
#[must_use]
pub fn parse_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    if text.is_empty() || text.len() > LEN_MAX {
        return None;
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) =
            after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let unit_ms = match unit {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit_ms;
        rest = after;
    }
    // Past what a float tells apart by a millisecond, and far past any window.
    (sum < 9e15).then_some(sum as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_gos() {
        for (text, ms) in [
            ("15.04s", Some(15_040)),
            ("1m0s", Some(60_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("250ms", Some(250)),
            ("10µs", Some(0)),
            ("0s", Some(0)),
            ("0", Some(0)),
            ("", None),
            ("15", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("1..5s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_ms(text), ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-0-9.nuµmsh ]{0,44}") {
            prop_assert!(parse_ms(&text).is_none_or(|ms| ms >= 0));
        }
    }
}
