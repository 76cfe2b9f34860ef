//! The part of JSONPath that printer columns use: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="x")]`.

use serde_json::Value;

/// The first value at a path; nothing for a path that cannot be read.
pub(super) fn first<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = vec![object];
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = split_bracket(after)?;
            at = at.into_iter().flat_map(|v| select(v, inside)).collect();
            rest = after;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            if after.starts_with('[') {
                rest = after;
                continue;
            }
            let end = field_end(after);
            let key = after.get(..end)?.replace("\\.", ".");
            if key.is_empty() {
                return None;
            }
            at = at.into_iter().filter_map(|v| v.get(&key)).collect();
            rest = after.get(end..)?;
        }
    }
    at.into_iter().next()
}

/// Up to the next dot that is not escaped, or bracket.
fn field_end(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            '\\' => escaped = true,
            '.' | '[' if !escaped => return i,
            _ => escaped = false,
        }
    }
    text.len()
}

/// To the closing bracket, minding quotes.
fn split_bracket(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (None, ']') => return Some((text.get(..i)?, text.get(i + 1..)?)),
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

fn select<'a>(value: &'a Value, inside: &str) -> Vec<&'a Value> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let inside = inside.trim();
    if inside == "*" {
        return items.iter().collect();
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        let Some((field, wanted)) = filter.split_once("==") else { return Vec::new() };
        let field = field.trim().trim_start_matches("@.");
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        return items.iter().filter(|item| item.get(field).and_then(Value::as_str) == Some(wanted)).collect();
    }
    if let Ok(index) = inside.parse::<i64>() {
        let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let index = if index < 0 { len.saturating_add(index) } else { index };
        return usize::try_from(index).ok().and_then(|i| items.get(i)).into_iter().collect();
    }
    value.get(inside.trim_matches(['"', '\''])).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_values() {
        let object = json!({"spec": {"a.b": 1, "n": 2}, "status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Other", "status": "x"}], "list": [[1], 2]}});
        for (path, expected) in [
            (".spec.n", Some(json!(2))),
            (".spec['a.b']", Some(json!(1))),
            (r".spec.a\.b", Some(json!(1))),
            (r#".status.conditions[?(@.type=="Other")].status"#, Some(json!("x"))),
            (r#".status.conditions[?(@.type=='Gone')].status"#, None),
            (".status.conditions[*].type", Some(json!("Ready"))),
            (".status.list[0][0]", Some(json!(1))),
            (".status.list[-1]", Some(json!(2))),
            (".status.list[9]", None),
            (".spec..n", None),
            (".spec[", None),
            ("[", None),
            (".spec.n.x", None),
        ] {
            assert_eq!(first(&object, path), expected.as_ref(), "{path}");
        }
    }
}
