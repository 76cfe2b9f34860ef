//! JSON bodies: as values, with a note of each key that an object has twice.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Doubled keys that are told; what is behind them is no news.
const DUPLICATES_MAX: usize = 32;

/// The value, in which the last of a doubled key counts, and the paths of such keys.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<(Value, Vec<String>)> {
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { path: &mut String::new(), duplicates: &mut duplicates };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates))
}

struct Seed<'a> {
    path: &'a mut String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        let len = self.path.len();
        loop {
            self.path.push_str(&format!("[{}]", out.len()));
            let item = items.next_element_seed(Seed { path: self.path, duplicates: self.duplicates })?;
            self.path.truncate(len);
            match item {
                Some(item) => out.push(item),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        let len = self.path.len();
        while let Some(key) = fields.next_key::<String>()? {
            if len > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if out.contains_key(&key) && self.duplicates.len() < DUPLICATES_MAX {
                self.duplicates.push(self.path.clone());
            }
            let value = fields.next_value_seed(Seed { path: self.path, duplicates: self.duplicates })?;
            self.path.truncate(len);
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_keys_are_noted_and_values_read_as_ever() {
        for (text, duplicates) in [
            (
                r#"{"a": 1, "b": [1, {"c": null, "d": 1.5e3}], "e": {"f": "x\u00e4", "g": true, "h": -7}}"#,
                vec![],
            ),
            (r#"{"data": {"a": "1", "a": "2"}}"#, vec!["data.a"]),
            (
                r#"{"a": [{"b": 1}, {"b": 1, "b": 2, "c": {"d": 1, "d": 1}}], "a": 3}"#,
                vec!["a[1].b", "a[1].c.d", "a"],
            ),
            ("[]", vec![]),
            ("18446744073709551615", vec![]),
        ] {
            let (value, found) = parse(text.as_bytes()).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
            assert_eq!(found, duplicates, "{text}");
        }
        for wrong in ["", "{", r#"{"a" 1}"#, "1 2", "nul"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
        let deep = "[".repeat(10_000);
        assert!(parse(deep.as_bytes()).is_err(), "nesting is bounded");
    }
}
