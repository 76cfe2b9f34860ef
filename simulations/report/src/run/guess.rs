//! What may have made a step, for records that do not say what their policies scale. Whoever shows it says that it is
//! guessed.

use std::collections::BTreeMap;

use super::explain::{OpenStep, Step, Written, explain};
use super::subject::{PolicyId, Target};
use super::taken::{Guess, Taken};
use super::{PolicySeries, PolicyState};

/// A policy's status says what it wants a moment after the replicas changed, or shortly before.
const STATE_WITHIN_S: f64 = 2.0;

/// Steps and decisions that may belong together, by index.
#[derive(Default)]
struct Group {
    steps: Vec<usize>,
    written: Vec<Written>,
}

/// For each step: the decision of its cluster with its numbers at its time, of the policy with the workload's name
/// first; else what the policy of that name said then, if it wanted just that.
pub(super) fn guesses(
    steps: &[OpenStep],
    taken: &[Taken],
    policies: &BTreeMap<PolicyId, PolicySeries>,
) -> Vec<Option<Guess>> {
    if taken.is_empty() {
        return steps.iter().map(|(target, step)| by_state(target, step, policies)).collect();
    }
    let mut out: Vec<Option<Guess>> = vec![None; steps.len()];
    let mut used = vec![false; taken.len()];
    for named_alike in [true, false] {
        let mut groups: BTreeMap<(&str, &str), Group> = BTreeMap::new();
        for (i, (target, _)) in steps.iter().enumerate().filter(|(i, _)| out.get(*i) == Some(&None)) {
            let name = if named_alike { target.name.as_str() } else { "" };
            groups.entry((target.cluster.as_str(), name)).or_default().steps.push(i);
        }
        for (i, t) in taken.iter().enumerate().filter(|(i, _)| used.get(*i) == Some(&false)) {
            let name = if named_alike { t.policy.name.as_str() } else { "" };
            if let Some(group) = groups.get_mut(&(t.policy.cluster.as_str(), name)) {
                group.written.extend(t.written(i));
            }
        }
        for Group { steps: mut of, written } in groups.into_values() {
            let at_s = |i: &usize| steps.get(*i).map_or(0.0, |s| s.1.at_s);
            of.sort_by(|a, b| at_s(a).total_cmp(&at_s(b)));
            let own: Vec<Step> = of.iter().filter_map(|i| Some(steps.get(*i)?.1)).collect();
            for (step, made_by) in of.into_iter().zip(explain(&own, written)) {
                let Some(t) = made_by.last().and_then(|i| taken.get(*i)) else { continue };
                if let Some(guess) = out.get_mut(step) {
                    let reason = t.decided.reason.clone();
                    *guess = Some(Guess { policy: t.policy.full_name(), reason });
                }
                for i in made_by {
                    used.get_mut(i).into_iter().for_each(|u| *u = true);
                }
            }
        }
    }
    out
}

/// The state nearest to a step that wants just what it led to.
fn by_state(target: &Target, step: &Step, policies: &BTreeMap<PolicyId, PolicySeries>) -> Option<Guess> {
    let id = PolicyId { cluster: target.cluster.clone(), name: target.name.clone(), ..PolicyId::default() };
    let states = &policies.get(&id)?.states;
    let distance = |s: &&PolicyState| (s.at_s - step.at_s).abs();
    let first = states.partition_point(|s| s.at_s < step.at_s - STATE_WITHIN_S);
    let near = states.iter().skip(first).take_while(|s| s.at_s <= step.at_s + STATE_WITHIN_S);
    let nearest =
        near.filter(|s| s.desired == Some(step.to)).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    Some(Guess { policy: id.name, reason: nearest.cause.clone() })
}
