//! Which series have which label: ascending ids per name and value.

use std::collections::BTreeMap;
use std::sync::Arc;

use thanos_model::{Labels, MatchOp, Matcher};

/// A series' number in the head; numbers rise and are not used again.
pub(crate) type SeriesId = u64;

/// The inverted index.
#[derive(Debug, Default)]
pub(super) struct Postings {
    by_name: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<SeriesId>>>,
}

impl Postings {
    /// Adds a series whose id is larger than every id before.
    pub(super) fn add(&mut self, id: SeriesId, labels: &Labels) {
        for l in labels {
            self.by_name.entry(l.name.clone()).or_default().entry(l.value.clone()).or_default().push(id);
        }
    }

    /// Removes a series.
    pub(super) fn remove(&mut self, id: SeriesId, labels: &Labels) {
        for l in labels {
            let Some(values) = self.by_name.get_mut(&l.name) else { continue };
            let Some(ids) = values.get_mut(&l.value) else { continue };
            if let Ok(at) = ids.binary_search(&id) {
                ids.remove(at);
            }
            if ids.is_empty() {
                values.remove(&l.value);
            }
            if values.is_empty() {
                self.by_name.remove(&l.name);
            }
        }
    }

    /// Label names, ascending.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Values of `name`, ascending.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.get(name).into_iter().flat_map(BTreeMap::keys)
    }

    /// The ids that pass all matchers, ascending; `None` is "every series", which only matchers that also pass
    /// on an absent label can leave. Prometheus' `PostingsForMatchers`: intersect what must be there, then
    /// subtract what must not.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Selection {
        let mut must: Vec<Vec<SeriesId>> = Vec::new();
        let mut must_not: Vec<Vec<SeriesId>> = Vec::new();
        for m in matchers {
            if m.matches_empty() {
                must_not.push(self.union(m, false));
            } else {
                must.push(self.union(m, true));
            }
        }
        // The smallest first, so that every later step is over little.
        must.sort_by_key(Vec::len);
        let mut must = must.into_iter();
        let only = must.next().map(|mut ids| {
            for other in must {
                ids.retain(|id| other.binary_search(id).is_ok());
            }
            ids
        });
        Selection { only, must_not }
    }

    /// Ids whose value of the matcher's label does (or does not) match.
    fn union(&self, m: &Matcher, matching: bool) -> Vec<SeriesId> {
        let Some(values) = self.by_name.get(&m.name) else { return Vec::new() };
        if m.op == MatchOp::Equal && matching {
            return values.get(&m.value).cloned().unwrap_or_default();
        }
        let mut ids: Vec<SeriesId> = values
            .iter()
            .filter(|(v, _)| m.matches(v) == matching)
            .flat_map(|(_, ids)| ids)
            .copied()
            .collect();
        ids.sort_unstable();
        ids
    }
}

/// A set of ids, not yet applied to "all".
#[derive(Debug)]
pub(super) struct Selection {
    /// Candidates; `None` is every series.
    pub(super) only: Option<Vec<SeriesId>>,
    must_not: Vec<Vec<SeriesId>>,
}

impl Selection {
    /// Whether a candidate stays.
    pub(super) fn keeps(&self, id: SeriesId) -> bool {
        !self.must_not.iter().any(|ids| ids.binary_search(&id).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(u8, u8)]) -> Labels {
        Labels::from_pairs(pairs.iter().map(|(n, v)| (format!("l{n}"), format!("v{v}"))))
    }

    proptest! {
        /// The index answers what matching every series would.
        #[test]
        fn selects_what_a_scan_selects(
            series in prop::collection::vec(prop::collection::vec((0u8..3, 0u8..3), 0..4), 0..12),
            gone in prop::collection::vec(any::<bool>(), 12),
            matchers in prop::collection::vec((0u8..3, 0usize..4, "(v[0-3]|v0\\|v1|\\.\\*|)"), 0..4),
        ) {
            use MatchOp::*;
            let matchers: Vec<Matcher> = matchers
                .into_iter()
                .map(|(n, op, v)| {
                    Matcher::new(format!("l{n}"), [Equal, NotEqual, Regex, NotRegex][op], v).unwrap()
                })
                .collect();
            let all: Vec<Labels> = series.iter().map(|s| labels(s)).collect();
            let mut p = Postings::default();
            for (id, l) in all.iter().enumerate() {
                p.add(id as u64, l);
            }
            for (id, l) in all.iter().enumerate().filter(|(id, _)| gone[*id]) {
                p.remove(id as u64, l);
            }
            let alive = || (0..all.len() as u64).filter(|id| !gone[*id as usize]);
            let s = p.select(&matchers);
            let got: Vec<u64> = match &s.only {
                Some(ids) => ids.iter().copied().filter(|id| s.keeps(*id)).collect(),
                None => alive().filter(|id| s.keeps(*id)).collect(),
            };
            let want: Vec<u64> =
                alive().filter(|id| matchers.iter().all(|m| m.matches_labels(&all[*id as usize]))).collect();
            prop_assert_eq!(got, want);
        }
    }
}
