//! Kubernetes quantities (`50`, `1.5k`, `200m`, `3Gi`) in integer thousandths, as the HPA computes with them.
//!
//! Rounded up to the next thousandth, like `resource.Quantity.MilliValue` (apimachinery `pkg/api/resource`).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest text that is read; Kubernetes' own canonical forms need under 30 characters.
const MAX_LEN: usize = 32;
/// What the schema lets through; the parser is stricter about sizes.
pub(crate) const PATTERN: &str =
    r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$";

/// A quantity as written. Reads strings and whole numbers, writes strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in thousandths, rounded up.
    ///
    /// # Errors
    /// A sentence that names the text: not a quantity, or beyond ±9.2e15.
    pub fn milli(&self) -> Result<i64, String> {
        parse_milli(&self.0)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a quantity such as \"50\", \"1500m\" or \"2k\"")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Quantity, E> {
                Ok(Quantity(v.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Quantity, E> {
                Ok(Quantity(v.to_string()))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Quantity, E> {
                Ok(Quantity(v.to_string()))
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "pattern": PATTERN })
    }
}

fn parse_milli(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is not a quantity; write for example \"50\", \"1500m\" or \"2k\"");
    let large = || format!("{text:?} is beyond what a quantity in thousandths can hold (9.2e15)");
    if text.len() > MAX_LEN {
        return Err(format!("a quantity of {} characters is longer than the limit of {MAX_LEN}", text.len()));
    }
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let number_len = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_len);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(bad());
    }
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| bad())?;
    let (binary, exponent) = suffix_scale(suffix).ok_or_else(bad)?;
    // digits · 2^binary · 10^shift thousandths.
    let shift = exponent + 3 - i32::try_from(fraction.len()).map_err(|_| bad())?;
    let scaled = digits.checked_mul(1i128 << binary).ok_or_else(large)?;
    let milli = if shift >= 0 {
        let factor = 10i128.checked_pow(shift.unsigned_abs()).ok_or_else(large)?;
        scaled.checked_mul(factor).ok_or_else(large)?
    } else {
        round_up(scaled, shift.unsigned_abs(), negative)
    };
    i64::try_from(if negative { -milli } else { milli }).map_err(|_| large())
}

/// `scaled / 10^places`, towards positive infinity once the sign is back on.
fn round_up(scaled: i128, places: u32, negative: bool) -> i128 {
    // More places than an i128 has digits: nothing is left but the rounding.
    let divisor = 10i128.checked_pow(places).unwrap_or(i128::MAX);
    let up = i128::from(!negative && scaled % divisor != 0);
    scaled / divisor + up
}

/// `(power of two, power of ten)`.
fn suffix_scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            return (-99..=99).contains(&exponent).then_some((0, exponent));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        for (text, milli) in [
            ("50", 50_000),
            ("0", 0),
            ("1.5", 1_500),
            (".5", 500),
            ("5.", 5_000),
            ("200m", 200),
            ("2k", 2_000_000),
            ("1Ki", 1_024_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("-1.5", -1_500),
            ("+3", 3_000),
            ("1u", 1),
            ("1n", 1),
            ("1000001u", 1_001),
            ("-1u", 0),
            ("0.00000000000000000001", 1),
        ] {
            assert_eq!(parse_milli(text), Ok(milli), "{text}");
        }
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in
            ["", ".", "m", "1.2.3", "1 ", "1kk", "1e", "1e100", "0x10", "one", "--1", "1Ei", "NaN", "Inf"]
        {
            assert!(parse_milli(text).is_err(), "{text}");
        }
        assert!(parse_milli("1E").unwrap_err().contains("beyond"));
        assert!(parse_milli(&"9".repeat(40)).unwrap_err().contains("longer"));
    }

    #[test]
    fn whole_numbers_in_yaml_are_quantities_too() {
        let read = |text: &str| serde_json::from_str::<Quantity>(text);
        assert_eq!(read("50").unwrap(), Quantity::from("50"));
        assert_eq!(read("\"50\"").unwrap(), Quantity::from("50"));
        assert!(read("0.5").unwrap_err().to_string().contains("a quantity such as"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_the_schema_lets_through_all_that_parses(text in "[-+0-9.eEkKMGTPimnu]{0,34}") {
            let fits_schema = regex::Regex::new(PATTERN).unwrap().is_match(&text);
            prop_assert!(parse_milli(&text).is_err() || fits_schema, "{text}");
        }
    }
}
