//! Faults: parts that exist, and lengths that fit.

use super::Checker;
use crate::scenario::{FaultKind, PLATFORM};

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
            if f.kind == FaultKind::DropMetrics {
                if !f.part.is_empty() {
                    self.wrong(at("part"), "dropMetrics is of the whole cluster");
                }
                continue;
            }
            let global = ["query", "autoscaler"].contains(&f.part.as_str());
            if global && s.clusters.first() != Some(&f.cluster) {
                let first = s.clusters.first().map_or("", String::as_str);
                self.wrong(at("cluster"), format!("the {} is in the first cluster, {first}", f.part));
            }
            let services = s.services.keys().flat_map(|n| [n.clone(), format!("{n}/proxy")]);
            let parts: Vec<String> = services.chain(PLATFORM.iter().map(|(n, _)| (*n).to_owned())).collect();
            self.known(&at("part"), "part", &f.part, parts.iter().map(String::as_str));
        }
    }
}
