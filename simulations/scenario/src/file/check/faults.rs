//! Faults: parts that exist, lengths that fit, and no two that undo each other.

use super::Checker;
use crate::fault::{Fault, FaultKind, Lane};
use crate::platform::PLATFORM;

/// What [`Fault::factor`] may be.
const FACTORS: std::ops::RangeInclusive<u32> = 2..=100;

impl Checker<'_> {
    pub(super) fn faults(&mut self) {
        let s = self.scenario;
        let length = s.duration();
        for (i, f) in s.faults.iter().enumerate() {
            let at = |field: &str| format!("faults[{i}].{field}");
            self.cluster(&at("cluster"), &f.cluster);
            if f.at.checked_add(f.lasts).is_none_or(|end| end >= length) {
                self.wrong(at("at"), format!("begins or ends after the load, which is over at {length:?}"));
            }
            match (f.ends(), f.lasts.is_zero()) {
                (true, true) => self.wrong(at("for"), "say how long, for example `for: 10s`"),
                (false, false) => self.wrong(at("for"), "a kill has no length"),
                _ => {}
            }
            match f.factor {
                Some(_) if f.kind != FaultKind::Slow => {
                    self.wrong(at("factor"), "is of a `slow` fault; the others have none");
                }
                Some(factor) if !FACTORS.contains(&factor) => {
                    let (from, to) = FACTORS.into_inner();
                    self.wrong(at("factor"), format!("is from {from} to {to}, not {factor}"));
                }
                _ => {}
            }
            let undone = s.faults.iter().take(i).find(|other| undo_each_other(other, f));
            if let Some(other) = undone {
                let message = format!(
                    "overlaps {:?}, and the end of one would wake what the other stopped; let one end before the \
                     other begins",
                    other.name
                );
                self.wrong(at("at"), message);
            }
            self.part(i, f);
        }
    }

    fn part(&mut self, i: usize, f: &Fault) {
        let s = self.scenario;
        let at = |field: &str| format!("faults[{i}].{field}");
        match f.kind {
            FaultKind::DropMetrics => {
                if !f.part.is_empty() {
                    self.wrong(at("part"), "dropMetrics is of the whole cluster");
                }
            }
            FaultKind::Partition => {
                if s.clusters.len() < 2 {
                    self.wrong(at("kind"), "a partition needs another cluster to be cut off from");
                }
                if !f.part.is_empty() {
                    let lanes = Lane::ALL.map(Lane::name);
                    self.known(&at("part"), "way between clusters", &f.part, lanes.into_iter());
                }
            }
            FaultKind::Kill | FaultKind::Pause | FaultKind::Slow => {
                let global = PLATFORM.iter().any(|p| p.first_cluster_only && p.name == f.part);
                if global && s.clusters.first() != Some(&f.cluster) {
                    let first = s.clusters.first().map_or("", String::as_str);
                    self.wrong(at("cluster"), format!("the {} is in the first cluster, {first}", f.part));
                }
                let services = s.services.keys().flat_map(|n| [n.clone(), format!("{n}/proxy")]);
                let parts: Vec<String> = services.chain(PLATFORM.iter().map(|p| p.name.to_owned())).collect();
                self.known(&at("part"), "part", &f.part, parts.iter().map(String::as_str));
            }
        }
    }
}

/// Whether both stop and wake the same process at one time. A kill wakes nothing, and cuts are counted.
fn undo_each_other(a: &Fault, b: &Fault) -> bool {
    let stops = |f: &Fault| f.ends() && f.target().is_some();
    let end = |f: &Fault| f.at.saturating_add(f.lasts);
    stops(a)
        && stops(b)
        && (&a.cluster, a.target()) == (&b.cluster, b.target())
        && a.at < end(b)
        && b.at < end(a)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::file::parse;

    fn faults(clusters: &str, faults: &str) -> Result<(), String> {
        let text = format!(
            "name: small\nclusters: [{clusters}]\nservices: {{web: {{}}}}\nload: {{to: web, stages: [{{name: all, for: 60s, \
             rate: 1}}]}}\nfaults:\n{faults}\n"
        );
        let none = |_: &str| Err("no such file".to_owned());
        parse("small.yaml", &text, &BTreeMap::new(), &none).map(drop)
    }

    #[test]
    fn sound_ones_are_taken() {
        for (clusters, list) in [
            ("a", "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web}"),
            ("a", "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web/proxy, factor: 100}"),
            ("a, b", "- {name: x, at: 1s, for: 5s, kind: partition, cluster: b}"),
            ("a, b", "- {name: x, at: 1s, for: 5s, kind: partition, cluster: a, part: receive}"),
            // One after the other, another cluster, another container, a kill, and cuts.
            (
                "a, b",
                "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web}
- {name: second, at: 6s, for: 5s, kind: pause, cluster: a, part: web}
- {name: z, at: 1s, for: 5s, kind: slow, cluster: b, part: web}
- {name: p, at: 1s, for: 5s, kind: pause, cluster: a, part: web/proxy}
- {name: k, at: 2s, kind: kill, cluster: a, part: web}
- {name: c, at: 1s, for: 5s, kind: partition, cluster: a}
- {name: d, at: 2s, for: 5s, kind: partition, cluster: b}",
            ),
        ] {
            assert_eq!(faults(clusters, list), Ok(()), "{list}");
        }
    }

    #[test]
    fn wrong_ones_are_named_with_field_and_cure() {
        for (clusters, list, wants) in [
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: pause, cluster: a, part: web, factor: 3}",
                &["small.yaml:6: faults[0].factor: is of a `slow` fault"][..],
            ),
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web, factor: 1}",
                &["faults[0].factor: is from 2 to 100, not 1"],
            ),
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web, factor: 101}",
                &["faults[0].factor: is from 2 to 100, not 101"],
            ),
            ("a", "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a}", &["faults[0].part: no part \"\""]),
            ("a", "- {name: x, at: 1s, kind: slow, cluster: a, part: web}", &["faults[0].for: say how long"]),
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: partition, cluster: a}",
                &["faults[0].kind: a partition needs another cluster"],
            ),
            (
                "a, b",
                "- {name: x, at: 1s, for: 5s, kind: partition, cluster: b, part: recieve}",
                &["faults[0].part: no way between clusters", "did you mean `receive`?"],
            ),
            (
                "a, b",
                "- {name: x, at: 1s, for: 5s, kind: slow, cluster: b, part: query}",
                &["faults[0].cluster: the query is in the first cluster, a"],
            ),
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: slow, cluster: a, part: web}
- {name: second, at: 5s, for: 5s, kind: pause, cluster: a, part: web}",
                &["small.yaml:7: faults[1].at: overlaps \"x\""],
            ),
            (
                "a",
                "- {name: x, at: 1s, for: 5s, kind: dropMetrics, cluster: a}
- {name: second, at: 5s, for: 5s, kind: slow, cluster: a, part: scrape}",
                &["faults[1].at: overlaps \"x\""],
            ),
        ] {
            let error = faults(clusters, list).unwrap_err();
            for want in wants {
                assert!(error.contains(want), "{list}: {want:?} is not in: {error}");
            }
        }
    }
}
