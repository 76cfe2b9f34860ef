//! Which server the triggers ask: a controller asks one.

use std::collections::BTreeMap;

use crate::note::Note;
use crate::read::Read;

/// Finds the server that most metrics ask, and tells the metrics that ask another. Gives its address without
/// credentials.
pub(crate) fn settle(read: &mut [Read]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for metric in read.iter().flat_map(|r| &r.draft).flat_map(|d| &d.metrics) {
        if let Some(server) = &metric.server {
            *counts.entry(bare(server)).or_default() += 1;
        }
    }
    let (querier, _) = counts.into_iter().rev().max_by_key(|(_, n)| *n)?;
    for r in read {
        let Some(draft) = &r.draft else { continue };
        for metric in &draft.metrics {
            let Some(server) = metric.server.as_deref().map(bare).filter(|server| *server != querier) else {
                continue;
            };
            r.notes.push(Note::lost(
                format!("{}.metadata.serverAddress", metric.field),
                format!("{server}, while others ask {querier}: a controller asks one querier"),
                "point --query-url at one that has both, or run a second controller for these",
            ));
        }
    }
    Some(querier)
}

/// An address as it may be shown: without user, password, query and fragment, and without a slash at its end.
fn bare(address: &str) -> String {
    let plain = address.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = plain.split_once("://").map_or(("", plain), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.trim_end_matches('/');
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (address, shown) in [
            ("http://prometheus:9090/", "http://prometheus:9090"),
            ("https://user:pa@ss@host/prom/?token=x#y", "https://host/prom"),
            ("user:pass@host:9090", "host:9090"),
            ("", ""),
        ] {
            assert_eq!(bare(address), shown);
        }
    }
}
