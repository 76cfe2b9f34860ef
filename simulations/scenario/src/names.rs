//! Names that were meant.

/// `; did you mean …?`, where a known name is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let far = (name.chars().count() / 3).max(2);
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(name, k), k)).min()?;
    (near.0 <= far).then(|| format!("; did you mean `{}`?", near.1))
}
