//! What was decided, when, and why: decisions as they were recorded, and the steps of replicas that each made.

use std::collections::BTreeMap;

use super::explain::{OpenStep, Step, explain};
use super::subject::{PolicyId, Subject, Target};
use super::taken::{Decided, Guess, Taken};
use super::{PolicySeries, ReplicaSeries, guess};

/// A row of what happened to replicas and to trust.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) at_s: f64,
    pub(crate) subject: Subject,
    /// Empty for a step that no decision explains.
    pub(crate) policy: String,
    pub(crate) fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// A policy decided.
    Decided(Box<Decided>),
    /// Wanted replicas changed, and no recorded decision says why.
    Step { from: i32, to: i32, guess: Option<Guess> },
    /// The evidence began or ceased to suffice.
    Trust { sufficient: bool, evidence: String, value: Option<f64> },
    /// A policy gave a new cause, in a record that holds no decisions.
    Said { cause: String, evidence: String, value: Option<f64> },
}

impl Fact {
    /// One word; a class of the page's style.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Step { from, to, .. } => direction(*from, *to),
            Self::Decided(d) if d.changes() => direction(d.from, d.to),
            Self::Decided(_) | Self::Said { .. } => "says",
            Self::Trust { sufficient: true, .. } => "trusts",
            Self::Trust { sufficient: false, .. } => "doubts",
        }
    }

    /// One sign, so that colour is never alone.
    pub(crate) fn sign(&self) -> &'static str {
        match (self, self.word()) {
            // Hollow: nobody is known to have made it.
            (Self::Step { .. }, "up") => "△",
            (Self::Step { .. }, _) => "▽",
            (_, "up") => "▲",
            (_, "down") => "▼",
            (_, "trusts") => "●",
            (_, "doubts") => "○",
            _ => "◇",
        }
    }
}

fn direction(from: i32, to: i32) -> &'static str {
    if to > from { "up" } else { "down" }
}

/// Everything that was decided, and every step that no decision explains, in order of time.
pub(super) fn entries(
    replicas: &BTreeMap<Target, ReplicaSeries>,
    policies: &BTreeMap<PolicyId, PolicySeries>,
    mut taken: Vec<Taken>,
    targets_told: bool,
) -> Vec<Entry> {
    let (seen, open) = steps_and_decisions(replicas, &taken);
    for (i, at_s) in seen {
        if let Some(t) = taken.get_mut(i) {
            t.decided.seen_s = Some(at_s);
        }
    }
    let guesses = if targets_told { Vec::new() } else { guess::guesses(&open, &taken, policies) };
    let guesses = guesses.into_iter().chain(std::iter::repeat(None));
    let step = |((target, step), guess): (OpenStep, Option<Guess>)| Entry {
        at_s: step.at_s,
        subject: Subject::Workload(target),
        policy: String::new(),
        fact: Fact::Step { from: step.from, to: step.to, guess },
    };
    let mut entries: Vec<Entry> = open.into_iter().zip(guesses).map(step).collect();
    for (id, series) in policies {
        judged(id, series, taken.is_empty(), &mut entries);
    }
    entries.extend(taken.into_iter().map(|t| Entry {
        at_s: t.at_s,
        subject: t.policy.subject(),
        policy: t.policy.full_name(),
        fact: Fact::Decided(Box::new(t.decided)),
    }));
    entries.sort_by(|a, b| a.at_s.total_cmp(&b.at_s).then_with(|| a.subject.cmp(&b.subject)));
    entries
}

/// A decision's index, and when its step was seen.
type Seen = (usize, f64);

/// Decisions of which the steps were seen, and the steps that are of none.
fn steps_and_decisions(
    replicas: &BTreeMap<Target, ReplicaSeries>,
    taken: &[Taken],
) -> (Vec<Seen>, Vec<OpenStep>) {
    let mut by_name: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (i, t) in taken.iter().enumerate() {
        if let Some(target) = &t.policy.target {
            by_name.entry((&target.cluster, &target.name)).or_default().push(i);
        }
    }
    let (mut seen, mut open) = (Vec::new(), Vec::new());
    for (target, series) in replicas {
        let own = by_name.get(&(target.cluster.as_str(), target.name.as_str())).into_iter().flatten();
        let written = own.filter_map(|i| {
            let of = taken.get(*i)?;
            of.policy.target.as_ref().filter(|t| target.covers(t))?;
            of.written(*i)
        });
        let steps = steps(series);
        let made = explain(&steps, written.collect());
        for (step, made_by) in steps.into_iter().zip(made) {
            if made_by.is_empty() {
                open.push((target.clone(), step));
            }
            seen.extend(made_by.into_iter().map(|i| (i, step.at_s)));
        }
    }
    (seen, open)
}

fn steps(series: &ReplicaSeries) -> Vec<Step> {
    let step = |pair: &[(f64, f64)]| match pair {
        [(_, from), (at_s, to)] if from != to => {
            Some(Step { at_s: *at_s, from: *from as i32, to: *to as i32 })
        }
        _ => None,
    };
    series.wanted.windows(2).filter_map(step).collect()
}

/// When a policy's evidence began or ceased to suffice; and, where no decisions were recorded, each cause that it gave.
fn judged(id: &PolicyId, series: &PolicySeries, causes: bool, entries: &mut Vec<Entry>) {
    let entry = |at_s, fact| Entry { at_s, subject: id.subject(), policy: id.full_name(), fact };
    let (mut trusted, mut cause) = (None, "");
    for s in &series.states {
        if let Some(sufficient) = s.sufficient.filter(|_| s.sufficient != trusted) {
            let (evidence, value) = (s.evidence.clone(), s.value);
            entries.push(entry(s.at_s, Fact::Trust { sufficient, evidence, value }));
        }
        if causes && !s.cause.is_empty() && s.cause != cause {
            let (evidence, value) = (s.evidence.clone(), s.value);
            entries.push(entry(s.at_s, Fact::Said { cause: s.cause.clone(), evidence, value }));
        }
        (trusted, cause) = (s.sufficient, s.cause.as_str());
    }
}
