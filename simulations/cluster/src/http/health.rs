//! Whether the server is well, and a few figures.

use std::fmt::Write as _;

use crate::store::Store;

/// What is looked at: that the server answers is all that there is.
const CHECKS: &[&str] = &["ping"];

/// The answer at `/livez`, `/readyz` or `/healthz`, or below them.
pub(super) fn answer(path: &str, verbose: bool) -> Option<String> {
    let mut segments = path.trim_matches('/').split('/');
    let all = segments.next().filter(|s| matches!(*s, "livez" | "readyz" | "healthz"))?;
    match (segments.next(), segments.next()) {
        (None, _) if verbose => {
            let lines: String = CHECKS.iter().map(|check| format!("[+]{check} ok\n")).collect();
            Some(format!("{lines}{all} check passed\n"))
        }
        (None, _) => Some("ok".to_owned()),
        (Some(check), None) if CHECKS.contains(&check) => Some("ok".to_owned()),
        _ => None,
    }
}

/// How many objects there are, as the original counts them.
pub(super) fn metrics(store: &Store) -> String {
    let mut out = String::from(
        "# HELP apiserver_storage_objects Number of stored objects, by resource.\n\
         # TYPE apiserver_storage_objects gauge\n",
    );
    for (collection, count) in store.counts() {
        // Writing into memory cannot fail.
        let _ = writeln!(out, "apiserver_storage_objects{{resource=\"{collection}\"}} {count}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_told_in_short_and_at_length() {
        assert_eq!(answer("/readyz", false).as_deref(), Some("ok"));
        assert_eq!(answer("/livez/", true).as_deref(), Some("[+]ping ok\nlivez check passed\n"));
        assert_eq!(answer("/healthz/ping", false).as_deref(), Some("ok"));
        assert_eq!(answer("/readyz/nothing", false), None);
        assert_eq!(answer("/api", false), None);
    }
}
