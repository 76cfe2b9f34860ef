//! Events go into the series that are drawn of them.

use std::collections::{BTreeMap, BTreeSet};

use super::decision;
use super::taken::Taken;
use super::{MarkMade, PolicyId, PolicyState, Run, Target, time, value};
use crate::record::{Decision, Event, LoadSecond, Policy, SloSecond, What};

/// Types of events that are named where they were passed over.
const NAMES_MAX: usize = 20;

impl Run {
    /// Takes events in order of time.
    pub(super) fn take_all(&mut self, events: Vec<Event>) {
        let mut taken = Vec::new();
        let mut passed_over: BTreeMap<String, usize> = BTreeMap::new();
        for event in events {
            let at_s = event.at_s;
            match event.what {
                What::Mark(m) => {
                    let planned_s = m.planned_s.map(time);
                    self.marks.push(MarkMade { name: m.name, planned_s, at_s });
                }
                What::Replicas(r) => {
                    let target = Target::new(&r.cluster, &r.kind, &r.workload);
                    let series = self.replicas.entry(target).or_default();
                    series.wanted.push((at_s, f64::from(r.wanted.unwrap_or_default())));
                    series.ready.push((at_s, f64::from(r.ready.unwrap_or_default())));
                }
                What::Policy(p) => self.take_policy(at_s, *p),
                What::Load(l) => self.take_load(at_s, *l),
                What::Decision(d) => taken.push(self.take_decision(at_s, *d)),
                What::Slo(s) => self.take_slo(s),
                What::Restart(r) => {
                    let count = r.count.map(|n| format!(" ({n} so far)")).unwrap_or_default();
                    self.restarts.push((at_s, format!("{} was started again{count}", r.container)));
                }
                What::Lacks(kind, field) => pass_over(&mut passed_over, format!("{kind} without {field}")),
                What::Unknown(kind) if kind.is_empty() => pass_over(&mut passed_over, "no type".to_owned()),
                What::Unknown(kind) => pass_over(&mut passed_over, format!("unknown type {kind}")),
            }
        }
        self.passed_over = passed_over.into_iter().collect();
        self.name_kinds(&taken);
        self.per_replica(&taken);
        self.entries = decision::entries(&self.replicas, &self.policies, taken, self.targets_told);
    }

    fn take_policy(&mut self, at_s: f64, p: Policy) {
        let id = PolicyId::new(&p.cluster, &p.namespace, &p.policy, (&p.target_kind, &p.target_name));
        let state = PolicyState {
            at_s,
            sufficient: p.sufficient,
            evidence: p.evidence,
            value: p.value.map(value),
            desired: p.desired,
            cause: p.cause,
        };
        self.policies.entry(id).or_default().states.push(state);
    }

    fn take_decision(&self, at_s: f64, d: Decision) -> Taken {
        let own_s = self.since_start_s(&d.time);
        Taken::new(d, at_s, own_s)
    }

    fn take_load(&mut self, at_s: f64, l: LoadSecond) {
        let series = self.loads.entry((l.cluster, l.load)).or_default();
        let f = l.figures;
        series.to = l.to;
        series.asked.push((at_s, value(l.rate_rps)));
        series.answered.push((at_s, value(f.completed as f64)));
        series.failed.push((at_s, value(f.failed as f64)));
        series.dropped.push((at_s, value(f.dropped as f64)));
        // A second in which nothing ended has no latency.
        if f.completed > 0 || f.failed > 0 {
            series.p50.push((at_s, value(f.latency_p50_ms)));
            series.p95.push((at_s, value(f.latency_p95_ms)));
            series.p99.push((at_s, value(f.latency_p99_ms)));
        }
    }

    fn take_slo(&mut self, s: SloSecond) {
        let slo = self.slos.entry((s.cluster, s.service)).or_default();
        slo.second(s.second.unwrap_or_default(), s.due, s.over, s.held.unwrap_or_default());
    }

    /// Replicas are told by name; where policies scale one kind of that name alone, it is that.
    fn name_kinds(&mut self, taken: &[Taken]) {
        let ids = self.policies.keys().chain(taken.iter().map(|t| &t.policy));
        let targets: BTreeSet<&Target> = ids.filter_map(|id| id.target.as_ref()).collect();
        let mut kinds: BTreeMap<(&str, &str), Vec<&Target>> = BTreeMap::new();
        for target in targets {
            kinds.entry((&target.cluster, &target.name)).or_default().push(target);
        }
        let plain: Vec<Target> = self.replicas.keys().filter(|t| t.kind.is_empty()).cloned().collect();
        for target in plain {
            if let Some([only]) =
                kinds.get(&(target.cluster.as_str(), target.name.as_str())).map(Vec::as_slice)
                && !self.replicas.contains_key(*only)
                && let Some(series) = self.replicas.remove(&target)
            {
                self.replicas.insert((*only).clone(), series);
            }
        }
    }

    /// What one replica is meant to carry, as the last decision of each policy says it.
    fn per_replica(&mut self, taken: &[Taken]) {
        for t in taken {
            let first = t.decided.metrics.first().filter(|m| m.target_type == "AverageValue");
            if let Some(target) = first.and_then(|m| m.target).filter(|t| *t > 0.0) {
                self.policies.entry(t.policy.clone()).or_default().per_replica = Some(value(target));
            }
        }
        if self.targets_told {
            return;
        }
        for policy in self.policies.values_mut().filter(|p| p.per_replica.is_none()) {
            policy.per_replica = policy.states.iter().rev().find_map(|s| target_of(&s.cause));
        }
    }
}

fn pass_over(all: &mut BTreeMap<String, usize>, what: String) {
    let full = all.len() >= NAMES_MAX && !all.contains_key(&what);
    *all.entry(if full { "others".to_owned() } else { what }).or_default() += 1;
}

/// The number in `… a replica against 12) …`: what one replica is meant to carry.
fn target_of(cause: &str) -> Option<f64> {
    let (_, rest) = cause.split_once(" a replica against ")?;
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    number.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_the_words() {
        let words = "requests above target: 61 (30.69 a replica against 12) asks for 6";
        assert_eq!(target_of(words), Some(12.0));
        assert_eq!(target_of("61 (30.69 a replica against 1e) asks"), Some(1.0));
        for none in ["", " a replica against ", "held", " a replica against 0)"] {
            assert_eq!(target_of(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_passed_over_is_counted_by_name_and_the_names_are_bounded() {
        let mut all = BTreeMap::new();
        for i in 0..1_000 {
            pass_over(&mut all, format!("unknown type {}", i % 100));
        }
        assert_eq!(all.len(), NAMES_MAX + 1);
        assert_eq!((all["unknown type 3"], all.values().sum::<usize>()), (10, 1_000));
    }
}
