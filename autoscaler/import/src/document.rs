//! From files to objects: documents, lists, and what is not ours to read.

use serde_json::Value;

/// Most objects of one run.
pub const MAX_OBJECTS: usize = 10_000;
/// Lists in lists, before it looks like a trap.
const MAX_DEPTH: usize = 4;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hpa,
    ScaledObject,
    /// A relative that has no place in a policy; why, and what to do.
    Other(&'static str, &'static str),
}

/// One object, and where it was found.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// File and document, counted from one.
    pub(crate) at: String,
    pub(crate) kind: Kind,
    pub(crate) value: Value,
}

/// All autoscalers of all files; documents of other kinds are left alone.
///
/// # Errors
/// A line that names the file: no YAML, or more objects than [`MAX_OBJECTS`].
pub(crate) fn objects(files: &[(String, String)]) -> Result<Vec<Object>, String> {
    let mut found = Vec::new();
    for (file, text) in files {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|e| unreadable(file, text, &e.to_string()))?;
        for (i, document) in documents.into_iter().enumerate() {
            collect(document, &format!("{file}:{}", i + 1), 0, &mut found);
            if found.len() > MAX_OBJECTS {
                return Err(format!(
                    "{file}: more than {MAX_OBJECTS} autoscalers; import them in several runs"
                ));
            }
        }
    }
    Ok(found)
}

fn unreadable(file: &str, text: &str, error: &str) -> String {
    let first = error.lines().next().unwrap_or_default();
    // What the reader's caller could set is nothing for people.
    let first = first.split_once(", set DuplicateKeyPolicy").map_or(first, |(what, _)| what);
    let cure = if text.contains("{{") {
        "it looks like a template, so render it first (helm template …)"
    } else {
        "correct the syntax"
    };
    format!("{file}: not YAML: {first}; {cure}")
}

fn collect(mut document: Value, at: &str, depth: usize, found: &mut Vec<Object>) {
    let word = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, version) = (word("kind"), word("apiVersion"));
    if let Some(entry) = kind.strip_suffix("List")
        && let Some(items) = document.get_mut("items").and_then(Value::as_array_mut)
    {
        for (i, mut item) in std::mem::take(items).into_iter().enumerate() {
            if found.len() > MAX_OBJECTS || depth >= MAX_DEPTH {
                return;
            }
            // Entries of a typed list leave their own type out.
            if let Some(fields) = item.as_object_mut().filter(|_| !entry.is_empty()) {
                fields.entry("kind").or_insert_with(|| entry.into());
                fields.entry("apiVersion").or_insert_with(|| version.as_str().into());
            }
            collect(item, &format!("{at}/items[{i}]"), depth + 1, found);
        }
        return;
    }
    if let Some(kind) = known(&kind, &version) {
        found.push(Object { at: at.to_owned(), kind, value: document });
    }
}

fn known(kind: &str, version: &str) -> Option<Kind> {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Some(match (group, kind) {
        ("autoscaling", "HorizontalPodAutoscaler") => Kind::Hpa,
        ("keda.sh", "ScaledObject") => Kind::ScaledObject,
        ("keda.k8s.io", "ScaledObject") => Kind::Other("is of KEDA 1", "write it for keda.sh/v1alpha1 first"),
        ("keda.sh", "ScaledJob") => Kind::Other("starts Jobs; a policy sets replicas", "keep KEDA for it"),
        ("http.keda.sh", "HTTPScaledObject") => Kind::Other(
            "holds requests while nothing runs; a policy has at least one replica",
            "query the requests instead",
        ),
        _ => return None,
    })
}
