//! Quantities: `1`, `1000m`, `1.5Gi`, `1e3`; one amount has one canonical spelling per family of suffixes.
//!
//! Source: kubernetes `apimachinery/pkg/api/resource` (format): the exponent is the largest that leaves a whole number,
//! a binary quantity below 1024 or with a fraction is written in decimals, and nothing is finer than a billionth.

use std::fmt;

/// What is said of text that is none.
pub(crate) const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Billionths in one.
const ONE: i128 = 1_000_000_000;
/// The largest amounts that are kept; more is cut to them.
const BINARY_MAX: i128 = (i64::MAX as i128) * ONE;
const DECIMAL_MAX: i128 = 10_i128.pow(36);
/// Leading digits that are kept: with the largest factor they still fit.
const BINARY_DIGITS: usize = 19;
const DECIMAL_DIGITS: usize = 36;

/// How a quantity was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// `Ki`, `Mi` …
    Binary,
    /// `m`, none, `k`, `M` …
    Decimal,
    /// `e3`.
    Exponent,
}

/// An amount, to a billionth, and how it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    billionths: i128,
    family: Family,
}

impl Quantity {
    /// Reads one; `None`: the text is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, suffix) = (rest.get(..end)?, rest.get(end..)?);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || whole.len() + fraction.len() == 0 {
            return None;
        }
        let (family, exponent) = read_suffix(suffix)?;
        let amount = scale(whole, fraction, family, exponent);
        Some(Self { billionths: if negative { -amount } else { amount }, family })
    }

    /// Rounded up to a thousandth, as resources of containers are.
    pub(crate) fn to_thousandths(self) -> Self {
        let step = ONE / 1000;
        let rest = self.billionths.rem_euclid(step);
        let billionths = if rest == 0 { self.billionths } else { self.billionths - rest + step };
        Self { billionths, ..self }
    }

    pub(crate) fn is_negative(self) -> bool {
        self.billionths < 0
    }

    pub(crate) fn is_zero(self) -> bool {
        self.billionths == 0
    }

    /// Whether it is a whole number of ones.
    pub(crate) fn is_whole(self) -> bool {
        self.billionths % ONE == 0
    }

    pub(crate) fn amount(self) -> i128 {
        self.billionths
    }
}

/// What a suffix stands for: a power of 1024, or of ten.
fn read_suffix(suffix: &str) -> Option<(Family, i32)> {
    let binary = |n: i32| Some((Family::Binary, n));
    let decimal = |n: i32| Some((Family::Decimal, n));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            Some((Family::Exponent, exponent))
        }
    }
}

/// `whole.fraction × base^exponent` in billionths, rounded up, cut to the most that is kept.
fn scale(whole: &str, fraction: &str, family: Family, exponent: i32) -> i128 {
    let (factor, most, kept) = match family {
        Family::Binary => (1024_i128.pow(exponent.unsigned_abs()), BINARY_MAX, BINARY_DIGITS),
        Family::Decimal | Family::Exponent => (1, DECIMAL_MAX, DECIMAL_DIGITS),
    };
    let digits: Vec<u8> =
        whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').map(|b| b - b'0').collect();
    let (head, tail) = digits.split_at(digits.len().min(kept));
    if head.is_empty() {
        return 0;
    }
    let mantissa = head.iter().fold(0_i128, |n, d| n * 10 + i128::from(*d)) * factor;
    let mut lost = tail.iter().any(|d| *d > 0);
    let len = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let shift = if family == Family::Binary { 0 } else { i64::from(exponent) };
    let power = shift.saturating_add(9).saturating_add(len(tail.len())).saturating_sub(len(fraction.len()));
    let ten = u32::try_from(power.unsigned_abs()).ok().and_then(|p| 10_i128.checked_pow(p));
    let amount = match (power >= 0, ten) {
        (true, ten) => ten.and_then(|ten| mantissa.checked_mul(ten)).unwrap_or(most),
        (false, Some(ten)) => {
            lost |= mantissa % ten != 0;
            mantissa / ten
        }
        (false, None) => {
            lost = true;
            0
        }
    };
    amount.saturating_add(i128::from(lost)).min(most)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.billionths;
        if amount == 0 {
            return f.write_str("0");
        }
        let small = amount.abs() < 1024 * ONE;
        if self.family == Family::Binary && !small && amount % ONE == 0 {
            let mut mantissa = amount / ONE;
            let mut suffix = "";
            for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
                if mantissa % 1024 != 0 {
                    break;
                }
                mantissa /= 1024;
                suffix = next;
            }
            return write!(f, "{mantissa}{suffix}");
        }
        let (mut mantissa, mut exponent) = (amount, -9);
        while mantissa % 1000 == 0 && (exponent < 18 || self.family == Family::Exponent) {
            mantissa /= 1000;
            exponent += 3;
        }
        if self.family == Family::Exponent {
            return if exponent == 0 { write!(f, "{mantissa}") } else { write!(f, "{mantissa}e{exponent}") };
        }
        let suffix = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            18 => "E",
            _ => "",
        };
        write!(f, "{mantissa}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_amount_has_one_spelling() {
        for (given, expected) in [
            ("1", "1"),
            ("1000m", "1"),
            ("1.0", "1"),
            ("+1", "1"),
            ("01", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("1500m", "1500m"),
            ("100m", "100m"),
            ("0.1", "100m"),
            ("1000", "1k"),
            ("1000k", "1M"),
            ("128974848", "128974848"),
            ("129M", "129M"),
            ("123Mi", "123Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.3Mi", "314572800m"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("1000e0", "1e3"),
            ("12e1", "120"),
            ("1e-3", "1e-3"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1", "-1"),
            ("-500m", "-500m"),
            ("0.0000000001", "1n"),
            ("1n", "1n"),
            ("100E", "100E"),
            ("1e21", "1e21"),
            ("1e99", "1e27"),
            ("1e-99", "1e-9"),
            ("99999999999999999999999999999999999999999999", "1000000000E"),
            ("16Ei", "9223372036854775807"),
            ("1Ei", "1Ei"),
        ] {
            let read = Quantity::parse(given).map(|q| q.to_string());
            assert_eq!(read.as_deref(), Some(expected), "{given}");
        }
        for wrong in
            ["", "1GiB", "1 Gi", "abc", "1.2.3", "-", ".", "1e", "1K", "Mi", "1mi", "1,5", "0x10", "1e3m"]
        {
            assert!(Quantity::parse(wrong).is_none(), "{wrong:?}");
        }
        let up = |text: &str| Quantity::parse(text).unwrap().to_thousandths().to_string();
        assert_eq!([up("1n"), up("1.0001"), up("-1n"), up("2")], ["1m", "1001m", "0", "2"]);
    }

    proptest! {
        #[test]
        fn spellings_stay_and_nothing_panics(text in "[+-]?[0-9.]{0,40}([eE][+-]?[0-9]{0,12}|[numkKMGTPE]i?|)") {
            if let Some(quantity) = Quantity::parse(&text) {
                let once = quantity.to_string();
                let again = Quantity::parse(&once).unwrap();
                prop_assert_eq!(again.amount(), quantity.amount());
                prop_assert_eq!(again.to_string(), once);
            }
        }
    }
}
