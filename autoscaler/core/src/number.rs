//! Numbers in sentences, and the float of records, which is `autoscaler-hpa`'s: its behaviour is in them too.

pub use autoscaler_hpa::Float;

/// For sentences: at most four significant digits, whole numbers whole. Never to compute with.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return Float::new(value).to_string();
    }
    if !(1e-5..1e16).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    // `{:.3e}` rounds to four digits and knows the exponent after rounding: 9999.6 is 1.000e4.
    let scientific = format!("{value:.3e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    let decimals = usize::try_from(3 - exponent).unwrap_or(0);
    let rounded = scientific.parse().unwrap_or(value);
    let text = format!("{rounded:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// For sentences: milliseconds as seconds with at most one decimal.
pub(crate) fn seconds(ms: i64) -> String {
    let tenths = i128::from(ms) / 100;
    let (sign, tenths) = if tenths < 0 { ("-", -tenths) } else { ("", tenths) };
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{sign}{whole}s"),
        (whole, tenth) => format!("{sign}{whole}.{tenth}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_four_significant_digits() {
        for (value, text) in [
            (61.379094773693424, "61.38"),
            (30.69, "30.69"),
            (400.0, "400"),
            (12.0, "12"),
            (0.05, "0.05"),
            (-1.5, "-1.5"),
            (0.123_456, "0.1235"),
            (9_999.6, "10000"),
            (123_456.0, "123500"),
            (99.996, "100"),
            (0.0, "0"),
            (1.234_56e300, "1.235e300"),
            (f64::MIN_POSITIVE, "2.225e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn seconds_are_short() {
        for (ms, text) in
            [(0, "0s"), (999, "0.9s"), (20_000, "20s"), (-1_500, "-1.5s"), (i64::MIN, "-9223372036854775.8s")]
        {
            assert_eq!(seconds(ms), text);
        }
    }
}
