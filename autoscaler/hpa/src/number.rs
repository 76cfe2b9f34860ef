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
    fn has_one_nan() {
        assert_eq!(Float::new(-f64::NAN), Float::new(f64::from_bits(0x7ff8_0000_0000_0042)));
    }
}
