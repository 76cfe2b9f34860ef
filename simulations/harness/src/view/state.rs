//! The newest of everything, and how it reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use simulations_judge::record::{FaultRecord, StageRecord, StartLine};
use simulations_judge::timeline::{Decided, Event, PolicyId, PolicyState, Target};
use simulations_load::generator::Progress;

use crate::view::text::Text;

/// Seconds of load that the live block draws.
const LATELY_S: usize = 30;

/// Cells of a workload's bar, and of the run's.
const BAR: usize = 40;

/// A fault without length is shown this long.
const MOMENT_S: f64 = 8.0;

/// Looks at what is new for which a change waits for the decision that made it.
const TOLD_WITHIN: u32 = 3;

/// What is known now.
#[derive(Debug, Default)]
pub(super) struct State {
    plan: StartLine,
    replicas: BTreeMap<Target, (i32, i32)>,
    policies: BTreeMap<PolicyId, PolicyState>,
    /// Changes of wanted replicas of which no decision has told yet, and how often that was asked.
    untold: Vec<(Target, i32, i32, u32)>,
    /// What decisions that were told of wrote, and how often that was asked.
    decided: Vec<(Target, i32, u32)>,
    /// By cluster and load.
    load: BTreeMap<(String, String), Progress>,
    /// Requests answered well in each of the last seconds.
    lately: BTreeMap<(String, String), VecDeque<u64>>,
    /// Faults that began, and those that ended.
    began: BTreeSet<String>,
    ended: BTreeSet<String>,
}

/// Stages by load, in order.
pub(super) fn loads(stages: &[StageRecord]) -> Vec<(&str, Vec<&StageRecord>)> {
    let mut loads: Vec<(&str, Vec<&StageRecord>)> = Vec::new();
    for stage in stages {
        match loads.iter_mut().find(|(load, _)| *load == stage.load) {
            Some((_, of)) => of.push(stage),
            None => loads.push((&stage.load, vec![stage])),
        }
    }
    loads
}

/// A stage in a few words.
pub(super) fn stage(s: &StageRecord) -> String {
    let recorded = s.points.iter().flatten().map(|p| p.rps);
    let rate = match (recorded.clone().reduce(f64::min), recorded.reduce(f64::max)) {
        (Some(least), Some(most)) => format!("recorded, {least:.1} to {most:.1}"),
        _ if s.from_rps == s.to_rps => s.from_rps.to_string(),
        _ => format!("{}..{}", s.from_rps, s.to_rps),
    };
    format!("{} {}s@{rate}", s.name, s.end_s - s.start_s)
}

impl State {
    pub(super) fn plan(&mut self, plan: StartLine) {
        self.plan = plan;
    }

    /// Changes that no decision told of in time: somebody else's.
    pub(super) fn overdue(&mut self) -> Vec<String> {
        self.decided.retain_mut(|(.., asked)| {
            *asked += 1;
            *asked <= TOLD_WITHIN
        });
        let mut lines = Vec::new();
        self.untold.retain_mut(|(target, from, to, asked)| {
            *asked += 1;
            if *asked > TOLD_WITHIN {
                lines.push(format!(
                    "{}/{}: {from} → {to} replicas, by no decision of a policy",
                    target.0, target.1
                ));
            }
            *asked <= TOLD_WITHIN
        });
        lines
    }

    /// A workload's change and the decision that made it are seen in either order: whichever comes second is told.
    fn changed(&mut self, target: &Target, from: i32, to: i32) {
        match self.decided.iter().position(|(t, wrote, _)| t == target && *wrote == to) {
            Some(i) => drop(self.decided.remove(i)),
            None => self.untold.push((target.clone(), from, to, 0)),
        }
    }

    fn decision(&mut self, policy: &PolicyId, d: &Decided) -> Option<String> {
        if !d.written {
            return None;
        }
        let target = policy.workload();
        match self.untold.iter().position(|(t, _, to, _)| *t == target && *to == d.to) {
            Some(i) => drop(self.untold.remove(i)),
            None => self.decided.push((target.clone(), d.to, 0)),
        }
        Some(format!("{}/{}: {} → {} replicas. {}", target.0, target.1, d.from, d.to, d.cause))
    }

    /// Keeps it; returns a line where it is worth one.
    pub(super) fn take(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Mark { name, .. } => {
                // A stage may be named like a fault's end.
                let fault =
                    name.strip_suffix(" ended").filter(|f| self.plan.faults.iter().any(|p| p.name == *f));
                match fault {
                    Some(fault) => self.ended.insert(fault.to_owned()),
                    None => self.began.insert(name.clone()),
                };
                Some(format!("── {name} ──"))
            }
            Event::Missed { fault, why } => {
                self.ended.insert(fault.clone());
                Some(format!("fault {fault:?} missed: {why}"))
            }
            Event::Late { what, how } => Some(format!("{what} {how}")),
            Event::Replicas { target, wanted, ready } => {
                let before = self.replicas.insert(target.clone(), (*wanted, *ready));
                if let Some((before, _)) = before.filter(|(w, _)| w != wanted) {
                    self.changed(target, before, *wanted);
                }
                None
            }
            Event::Decision { policy, decision } => self.decision(policy, decision),
            Event::Policy { policy, state } => {
                let before = self.policies.insert(policy.clone(), state.clone());
                let turned =
                    before.is_some_and(|b| b.sufficient.is_some() && b.sufficient != state.sufficient);
                let word = if state.sufficient == Some(true) { "trusts" } else { "does not trust" };
                turned.then(|| {
                    format!("{}/{} {word} its evidence: {}", policy.cluster, policy.name, state.evidence)
                })
            }
            Event::Load { cluster, load, progress, .. } => {
                let key = (cluster.clone(), load.clone());
                let lately = self.lately.entry(key.clone()).or_default();
                lately.push_back(progress.second.completed);
                if lately.len() > LATELY_S {
                    lately.pop_front();
                }
                self.load.insert(key, progress.clone());
                None
            }
            Event::Restart { container, count } => Some(format!("{container} started again ({count})")),
            Event::LoadTotal { .. } | Event::Sent { .. } | Event::Slo { .. } => None,
        }
    }

    pub(super) fn load_line(&self) -> String {
        let told: Vec<String> = self
            .load
            .iter()
            .map(|(key, p)| {
                let (s, name) = (&p.second, self.name(key));
                format!(
                    "{name} {:.0} rps, {} ok, {} failed, p50 {:.0} ms, p99 {:.0} ms",
                    p.rate_rps, s.completed, s.failed, s.latency_p50_ms, s.latency_p99_ms
                )
            })
            .collect();
        format!("load: {}", told.join(" | "))
    }

    /// The live block at a time of the run.
    pub(super) fn lines(&self, at: Duration) -> Vec<Text> {
        let at_s = at.as_secs_f64();
        let mut lines = vec![Text::new(), self.progress(at_s), self.faults(at_s)];
        lines.extend(self.load.iter().map(|(key, p)| self.load_of(key, p)));
        let most = self.replicas.values().map(|(w, r)| *w.max(r)).max().unwrap_or(0);
        for (target, replicas) in &self.replicas {
            let of = |(id, _): &(&PolicyId, &PolicyState)| id.workload() == *target;
            for (id, policy) in self.policies.iter().filter(of) {
                lines.extend(workload(id, *replicas, policy, most));
            }
        }
        lines
    }

    /// Where in the run this is.
    fn progress(&self, at_s: f64) -> Text {
        let all = self.plan.duration_s.max(f64::MIN_POSITIVE);
        let done = ((at_s / all).clamp(0.0, 1.0) * BAR as f64).round() as usize;
        let mut t = Text::new();
        t.bold(&format!("{} ", self.plan.scenario)).accent(&"━".repeat(done)).dim(&"─".repeat(BAR - done));
        t.plain(&format!(" {} of {}, ", clock(at_s), clock(all)));
        t.bold(&format!("{} left", clock((all - at_s).max(0.0))));
        for (load, stages) in loads(&self.plan.stages) {
            let Some(i) = stages.iter().rposition(|s| s.start_s <= at_s) else { continue };
            let many = self.plan.stages.len() > stages.len();
            t.plain(&if many {
                format!(" · {load}: ")
            } else {
                format!(" · stage {} of {}: ", i + 1, stages.len())
            });
            t.bold(stages.get(i).map_or("", |s| s.name.as_str()));
            if let Some(next) = stages.get(i + 1) {
                t.dim(&format!(", {} in {}", next.name, clock((next.start_s - at_s).max(0.0))));
            }
        }
        t
    }

    fn faults(&self, at_s: f64) -> Text {
        let mut t = Text::new();
        let on = |f: &&FaultRecord| {
            let moment = f.end_s <= f.start_s;
            self.began.contains(&f.name)
                && !self.ended.contains(&f.name)
                && !(moment && at_s > f.start_s + MOMENT_S)
        };
        let active: Vec<&FaultRecord> = self.plan.faults.iter().filter(on).collect();
        if active.is_empty() {
            let next = self.plan.faults.iter().filter(|f| !self.began.contains(&f.name));
            let next = next.min_by(|a, b| a.start_s.total_cmp(&b.start_s));
            let text = next.map_or("no fault".to_owned(), |f| {
                format!("no fault; {} in {}", f.name, clock((f.start_s - at_s).max(0.0)))
            });
            t.dim(&text);
        }
        for (i, f) in active.iter().enumerate() {
            t.plain(if i > 0 { " · " } else { "" }).bad(&format!("✗ {}", f.name));
            t.plain(&format!(" ({} {})", f.kind, f.target));
            if f.end_s > f.start_s {
                t.plain(&format!(", {} left", clock((f.end_s - at_s).max(0.0))));
            }
        }
        t
    }

    /// The cluster, and the load where there are several.
    fn name(&self, (cluster, load): &(String, String)) -> String {
        let several = self.load.keys().any(|(_, l)| l != load);
        if several { format!("{cluster}, {load}") } else { cluster.clone() }
    }

    fn load_of(&self, key: &(String, String), p: &Progress) -> Text {
        let s = &p.second;
        let mut t = Text::new();
        t.bold(&format!("{:<14} ", self.name(key))).plain(&format!("{:>5.0} rps ", p.rate_rps));
        t.good(&format!("{:>5} ok ", s.completed));
        let bad = s.failed.saturating_add(s.dropped);
        let text = format!("{bad:>4} failed ");
        if bad > 0 {
            t.bad(&text)
        } else {
            t.dim(&text)
        };
        t.plain(&format!("p50 {:>5.0} ms  p99 {:>5.0} ms  ", s.latency_p50_ms, s.latency_p99_ms));
        t.accent(&spark(self.lately.get(key).into_iter().flatten().copied()));
        t
    }
}

/// A workload's bar, its evidence, and why it is as large as it is.
fn workload(id: &PolicyId, (wanted, ready): (i32, i32), policy: &PolicyState, most: i32) -> [Text; 2] {
    let cells = |n: i32| match usize::try_from(most) {
        // More replicas than cells share them.
        Ok(most) if most > BAR => usize::try_from(n).unwrap_or(0) * BAR / most,
        _ => usize::try_from(n).unwrap_or(0),
    };
    let (up, wait) = (cells(ready), cells(wanted.max(ready)) - cells(ready));
    let mut bar = Text::new();
    bar.bold(&format!("{:<14} ", format!("{}/{}", id.cluster, id.target)));
    bar.plain(&format!("{ready:>3} of {wanted:<3} ready ")).good(&"█".repeat(up)).warn(&"░".repeat(wait));
    bar.plain(&" ".repeat(cells(most).saturating_sub(up + wait) + 2));
    match policy.sufficient {
        Some(true) => bar.good("✓ evidence suffices"),
        Some(false) => bar.warn("! evidence does not suffice"),
        None => bar.dim("? evidence not judged yet"),
    };
    let mut why = Text::new();
    why.plain(&" ".repeat(15));
    // A policy that is not named like what it scales is named.
    if id.name != id.target {
        why.dim(&format!("{}: ", id.name));
    }
    let doubt = policy.sufficient == Some(false) && !policy.evidence.is_empty();
    why.dim(if doubt { &policy.evidence } else { &policy.cause });
    [bar, why]
}

/// `1:05`, to the second.
fn clock(seconds: f64) -> String {
    let s = seconds.round() as u64;
    format!("{}:{:02}", s / 60, s % 60)
}

/// A line of blocks, the highest full.
fn spark(values: impl Iterator<Item = u64> + Clone) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().max().unwrap_or(0).max(1);
    values.map(|v| BLOCKS[((v as f64 / most as f64 * 7.0) as usize).min(7)]).collect()
}
