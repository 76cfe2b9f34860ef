//! A float that survives JSON, bit for bit.
//!
//! JSON has no NaN and no infinities, and parsers differ in the last digit. A record must give back what
//! went in, so a [`Float`] is written as text, as the Prometheus API does: `"12.5"`, `"NaN"`, `"+Inf"`.

use std::fmt;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 64-bit float with one NaN, compared by its bits and written to JSON as text.
#[derive(Clone, Copy)]
pub struct Float(f64);

impl Float {
    /// Wraps `value`; every NaN becomes the same NaN, so that equal inputs have equal records.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() { f64::NAN } else { value })
    }

    /// The float.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

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

impl From<f64> for Float {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl fmt::Debug for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else if self.0 != 0.0 && !(1e-5..1e16).contains(&self.0.abs()) {
            // The shortest digits that read back as the same bits, without three hundred zeros.
            write!(f, "{:e}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text: \"12.5\", \"NaN\", \"+Inf\" or \"-Inf\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Float, E> {
                text.parse().map(Float::new).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_json_bit_for_bit() {
        for value in
            [0.0, -0.0, 0.1, 1e300, 5e-324, f64::MAX, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
        {
            let text = serde_json::to_string(&Float::new(value)).unwrap();
            let back: Float = serde_json::from_str(&text).unwrap();
            assert_eq!(back, Float::new(value), "{text}");
        }
        assert_eq!(serde_json::to_string(&Float::new(f64::INFINITY)).unwrap(), "\"+Inf\"");
        assert!(serde_json::from_str::<Float>("\"twelve\"").is_err());
        assert!(serde_json::from_str::<Float>("12.5").is_err());
    }

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

    #[test]
    fn has_one_nan() {
        assert_eq!(Float::new(-f64::NAN), Float::new(f64::from_bits(0x7ff8_0000_0000_0042)));
    }
}
