//! Fields as they come: null is nothing, and a number that does not fit is the nearest that does.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// Characters of a message about a record.
const LINE_CHARS_MAX: usize = 400;

pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Option::deserialize(d).map(Option::unwrap_or_default)
}

pub(super) fn real<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    real_or_none(d).map(Option::unwrap_or_default)
}

pub(super) fn real_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    let n: Option<Number> = Option::deserialize(d)?;
    Ok(n.and_then(|n| n.as_f64()).filter(|v| v.is_finite()))
}

pub(super) fn count<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    count_or_none(d).map(Option::unwrap_or_default)
}

pub(super) fn count_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::deserialize(d)?.as_ref().map(to_count))
}

pub(super) fn counts<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, u64>, D::Error> {
    let all: Option<BTreeMap<String, Option<Number>>> = Option::deserialize(d)?;
    let known = all.unwrap_or_default().into_iter();
    Ok(known.filter_map(|(name, n)| Some((name, to_count(&n?)))).collect())
}

pub(super) fn texts<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: Option<BTreeMap<String, Option<String>>> = Option::deserialize(d)?;
    Ok(all.unwrap_or_default().into_iter().map(|(name, text)| (name, text.unwrap_or_default())).collect())
}

pub(super) fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    whole_or_none(d).map(Option::unwrap_or_default)
}

pub(super) fn whole_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i32>, D::Error> {
    let n: Option<Number> = Option::deserialize(d)?;
    // A cast to an integer ends at its bounds.
    Ok(n.and_then(|n| n.as_f64()).map(|v| v as i32))
}

fn to_count(n: &Number) -> u64 {
    n.as_u64().unwrap_or_else(|| n.as_f64().unwrap_or_default() as u64)
}

/// One line that a terminal shows as it is.
pub(super) fn line(text: &str) -> String {
    let mut line: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LINE_CHARS_MAX).collect();
    if text.chars().nth(LINE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_the_nearest_that_can_be_counted_and_null_is_none() {
        let counted =
            [(json!(7), 7), (json!(-3), 0), (json!(2.9), 2), (json!(1e300), u64::MAX), (json!(null), 0)];
        for (value, found) in counted {
            assert_eq!(count(&value).unwrap(), found, "{value}");
        }
        for (value, found) in [(json!(1e12), i32::MAX), (json!(-1e12), i32::MIN), (json!(null), 0)] {
            assert_eq!(whole(&value).unwrap(), found, "{value}");
        }
        assert_eq!(count(json!(u64::MAX)).unwrap(), u64::MAX, "a seed is itself");
        assert_eq!(real_or_none(json!(null)).unwrap(), None);
        assert_eq!(counts(json!({"a": 1, "b": null})).unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        assert!(real(json!("six")).is_err() && count(json!([1])).is_err());
    }

    #[test]
    fn a_message_is_one_line_without_what_moves_a_cursor() {
        assert_eq!(line("a\n\u{1b}[2Jb"), "a\u{fffd}\u{fffd}[2Jb");
        assert_eq!(line(&"x".repeat(9_000)).chars().count(), LINE_CHARS_MAX + 1);
    }
}
