//! What was decided, when, and why: from the changes of replicas and of the policies' words.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, PolicySeries, PolicyState, ReplicaSeries};

/// Replicas change first; the policy's status says why a moment later, or shortly before.
const REASON_WITHIN_S: f64 = 2.0;

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) at_s: f64,
    /// Cluster and workload, or policy.
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    /// The policy's cause in its own words.
    pub(crate) reason: String,
    /// What it held of its evidence then.
    pub(crate) evidence: String,
    /// The metric's value then.
    pub(crate) value: Option<f64>,
}

/// What kind it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Wanted replicas changed.
    Scale { from: f64, to: f64 },
    /// The evidence began or ceased to suffice.
    Trust(bool),
    /// The policy gave a new cause and nothing changed.
    Said,
}

impl Kind {
    /// One word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Scale { from, to } if to > from => "up",
            Self::Scale { .. } => "down",
            Self::Trust(true) => "trusts",
            Self::Trust(false) => "doubts",
            Self::Said => "says",
        }
    }

    /// One sign, so that colour is never alone.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Scale { from, to } if to > from => "▲",
            Self::Scale { .. } => "▼",
            Self::Trust(true) => "●",
            Self::Trust(false) => "○",
            Self::Said => "◇",
        }
    }
}

/// Every decision, in order of time.
pub(super) fn decisions(
    replicas: &BTreeMap<Key, ReplicaSeries>,
    policies: &BTreeMap<Key, PolicySeries>,
) -> Vec<Decision> {
    let mut all = Vec::new();
    for (key, series) in replicas {
        let states = policies.get(key).map(|p| p.states.as_slice()).unwrap_or_default();
        for pair in series.wanted.windows(2) {
            let [(_, from), (at_s, to)] = pair else { continue };
            if from != to {
                let state = reason(states, *at_s, *to);
                all.push(decision(*at_s, key, Kind::Scale { from: *from, to: *to }, state));
            }
        }
    }
    // Causes that a change of replicas has already told.
    let told: BTreeSet<(Key, String)> = all.iter().map(|d| (d.key.clone(), d.reason.clone())).collect();
    for (key, policy) in policies {
        let mut before: Option<&PolicyState> = None;
        for state in &policy.states {
            let changed = before.is_none_or(|b| b.sufficient != state.sufficient);
            if let Some(sufficient) = state.sufficient.filter(|_| changed) {
                all.push(decision(state.at_s, key, Kind::Trust(sufficient), Some(state)));
            } else if !state.cause.is_empty()
                && before.is_none_or(|b| b.cause != state.cause)
                && !told.contains(&(key.clone(), state.cause.clone()))
            {
                all.push(decision(state.at_s, key, Kind::Said, Some(state)));
            }
            before = Some(state);
        }
    }
    all.sort_by(|a, b| a.at_s.total_cmp(&b.at_s).then_with(|| a.key.cmp(&b.key)));
    all
}

fn decision(at_s: f64, key: &Key, kind: Kind, state: Option<&PolicyState>) -> Decision {
    Decision {
        at_s,
        key: key.clone(),
        kind,
        reason: state.map(|s| s.cause.clone()).unwrap_or_default(),
        evidence: state.map(|s| s.evidence.clone()).unwrap_or_default(),
        value: state.and_then(|s| s.value),
    }
}

/// The state that explains a change to `to`: the nearest that wants just that, else the last before it.
fn reason(states: &[PolicyState], at_s: f64, to: f64) -> Option<&PolicyState> {
    let distance = |s: &&PolicyState| (s.at_s - at_s).abs();
    let first = states.partition_point(|s| s.at_s < at_s - REASON_WITHIN_S);
    let end = states.partition_point(|s| s.at_s <= at_s + REASON_WITHIN_S);
    let near = states.get(first..end).unwrap_or_default();
    let wanted = near.iter().filter(|s| s.desired.is_some_and(|d| f64::from(d) == to));
    wanted.min_by(|a, b| distance(a).total_cmp(&distance(b))).or_else(|| {
        let before = states.partition_point(|s| s.at_s <= at_s);
        before.checked_sub(1).and_then(|i| states.get(i))
    })
}

/// The number in `… a replica against 12) …`: what one replica is meant to carry.
pub(super) fn target_of(cause: &str) -> Option<f64> {
    let (_, rest) = cause.split_once(" a replica against ")?;
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    number.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(at_s: f64, desired: i32, cause: &str) -> PolicyState {
        let (sufficient, evidence) = (Some(true), "fresh".to_owned());
        PolicyState {
            at_s,
            sufficient,
            evidence,
            value: None,
            desired: Some(desired),
            cause: cause.to_owned(),
        }
    }

    #[test]
    fn the_reason_is_the_nearest_state_that_wants_just_that() {
        let states = [state(10.0, 6, "six"), state(11.1, 9, "nine"), state(12.1, 13, "thirteen")];
        for (at_s, to, cause) in [
            (10.9, 9.0, Some("nine")),
            (9.9, 6.0, Some("six")),
            (30.0, 4.0, Some("thirteen")),
            (1.0, 4.0, None),
        ] {
            assert_eq!(reason(&states, at_s, to).map(|s| s.cause.as_str()), cause, "{at_s}");
        }
    }

    #[test]
    fn a_target_is_read_from_the_words() {
        assert_eq!(
            target_of("requests above target: 61 (30.69 a replica against 12) asks for 6"),
            Some(12.0)
        );
        assert_eq!(target_of("61 (30.69 a replica against 1e) asks"), Some(1.0));
        for none in ["", " a replica against ", "held", " a replica against 0)"] {
            assert_eq!(target_of(none), None, "{none}");
        }
    }
}
