//! A place in a foreign object, and what can be read there: nothing is indexed, nothing is trusted to be of a type.

use serde_json::Value;

use crate::note::Note;

/// A value with its path from the object's root. `null` is absent.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// Another value that stands for a field, for example an annotation that holds JSON.
    pub(crate) fn standing_at(value: &'a Value, path: &str) -> Self {
        Self { value, path: path.to_owned() }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a field that may be absent.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn field(&self, name: &str) -> Option<At<'a>> {
        let value = self.value.get(name).filter(|v| !v.is_null())?;
        Some(At { value, path: self.path_of(name) })
    }

    /// The entries of a list; none of anything else.
    pub(crate) fn items(&self) -> Vec<At<'a>> {
        let entries = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        entries
            .iter()
            .enumerate()
            .map(|(i, value)| At { value, path: format!("{}[{i}]", self.path) })
            .collect()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(crate) fn is_mapping(&self) -> bool {
        self.value.is_object()
    }

    /// The names of a mapping's fields that are not null.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.filter(|(_, v)| !v.is_null()).map(|(k, _)| k.as_str())
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// A string, or a number or a truth value as text: people forget the quotes.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(match number.as_f64() {
                // Never with an exponent that a quantity would read as something else.
                Some(float) if number.is_f64() => float.to_string(),
                _ => number.to_string(),
            }),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// A whole number within bounds; anything else is told.
    pub(crate) fn within(&self, min: i32, max: i32, notes: &mut Vec<Note>) -> Option<i32> {
        let number = self.whole().and_then(|n| i32::try_from(n).ok()).filter(|n| (min..=max).contains(n));
        if number.is_none() {
            let limit =
                if max == i32::MAX { format!("of at least {min}") } else { format!("from {min} to {max}") };
            notes.push(self.wrong(&format!("a whole number {limit}")));
        }
        number
    }

    /// One of several words; anything else is told.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)], notes: &mut Vec<Note>) -> Option<T> {
        let text = self.text().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            notes.push(self.wrong(&known.join(" or ")));
        }
        found
    }

    /// Tells every field that is not among `known`.
    pub(crate) fn tell_unknown(&self, known: &[&str], notes: &mut Vec<Note>) {
        for name in self.names().filter(|name| !known.contains(name)) {
            notes.push(Note::lost(self.path_of(name), "is an unknown field", "correct its name, or drop it"));
        }
    }

    /// A note that this is not what it should be.
    pub(crate) fn wrong(&self, wanted: &str) -> Note {
        let shown = match self.value {
            Value::Object(_) => "a mapping".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            other => other.to_string(),
        };
        Note::lost(self.path.clone(), format!("{shown} is left out"), format!("write {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_there_or_null_or_of_another_type_is_absent() {
        let value = json!({"a": null, "b": [1, "x"], "c": 2.5, "d": true, "e": 1e3});
        let root = At::root(&value);
        assert!(root.field("a").is_none() && root.field("z").is_none());
        let b = root.field("b").unwrap();
        assert_eq!(b.items()[1].path(), "b[1]");
        assert!(b.field("c").is_none() && b.scalar().is_none() && root.items().is_empty());
        let text = |name: &str| root.field(name).unwrap().scalar().unwrap();
        assert_eq!((text("c"), text("d"), text("e")), ("2.5".into(), "true".into(), "1000".into()));
    }
}
