//! A row for every expectation and every threshold: what was asked, what was found, and whether it held.

use std::time::Duration;

use simulations_scenario::{Expectation, Percent, Scenario, SloShare};

use crate::slo::Violations;
use crate::threshold::threshold;
use crate::timeline::{Event, PolicyState, Target, Timeline};
use crate::workloads::{self, settling};

mod broken_off;
mod lowering;

pub use broken_off::{Crossed, SoFar, broken_off, crossed};

/// One line of the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is an instance of: an expectation's key, or a threshold's condition.
    pub key: String,
    /// What was asked.
    pub expectation: String,
    /// What was found.
    pub found: String,
    /// Whether it held.
    pub held: bool,
    /// Whether the run went on long enough to judge it; what was not reached did not hold.
    pub reached: bool,
}

impl Row {
    /// From what was found: `Ok` if it held.
    pub fn new(key: impl Into<String>, expectation: impl Into<String>, result: Found) -> Self {
        let (key, expectation, held) = (key.into(), expectation.into(), result.is_ok());
        Self { key, expectation, found: result.unwrap_or_else(|f| f), held, reached: true }
    }

    /// Whether `name` means it: by its key, or in full.
    pub fn is_named(&self, name: &str) -> bool {
        self.key == name || self.expectation == name
    }
}

/// What was found: `Ok` if it is as it should be.
pub type Found = Result<String, String>;

/// Judges every expectation, then every threshold, then every fault and record of the run.
pub fn judge(scenario: &Scenario, timeline: &Timeline) -> Vec<Row> {
    let expected =
        scenario.expect.iter().map(|e| Row::new(e.kind(), e.to_string(), expectation(e, scenario, timeline)));
    let bounded =
        scenario.thresholds.iter().map(|t| Row::new(t.that.text(), t.to_string(), threshold(t, timeline)));
    expected.chain(bounded).chain(faults(timeline)).chain(records(timeline)).collect()
}

fn expectation(expectation: &Expectation, s: &Scenario, t: &Timeline) -> Found {
    match expectation {
        Expectation::Reaches { workload, at_least, at_most, after, within } => {
            reaches(t, &workload.target(), *at_least, *at_most, after, *within)
        }
        Expectation::NeverBelow { workload, at_least, from, to } => {
            never_below(t, &workload.target(), *at_least, from, to)
        }
        Expectation::NeverLowered { from, to, unless } => lowering::never(t, from, to, *unless),
        Expectation::Doubts { policy, from, to, share: Some(share) } => {
            lied_to(t, &policy.target(), from, to, *share)
        }
        Expectation::Doubts { policy, from, to, share: None } => doubts(t, &policy.target(), from, to),
        Expectation::Recovers { policy, after, within } => recovers(t, &policy.target(), after, *within),
        Expectation::Restarted { container: c, after, within } => {
            let prefix = format!("{}/{}", c.cluster, c.pod);
            restarted(t, &prefix, &format!("/{}", c.container), after, *within)
        }
        Expectation::Reversals { workload, at_most } => {
            let r = workloads::replicas(t, &workload.target()).ok_or("never seen")?;
            bounded(r.reversals <= *at_most, format!("{} times", r.reversals))
        }
        Expectation::ReplicaHours { workload, at_most } => {
            let r = workloads::replicas(t, &workload.target()).ok_or("never seen")?;
            bounded(r.replica_hours <= *at_most, format!("{:.3}", r.replica_hours))
        }
        Expectation::Overshoot { workload, after, at_most } => {
            overshoot(s, t, &workload.target(), after, *at_most)
        }
        Expectation::Settles { workload, after, within } => settles(s, t, &workload.target(), after, *within),
        Expectation::SloViolations { service, at_most, of } => {
            slo_violations(t, service, *at_most, of.unwrap_or_default())
        }
        Expectation::Elasticity { workload, theta_u, theta_o, tau_u, tau_o, upsilon } => {
            elasticity(s, t, &workload.target(), [theta_u, theta_o, tau_u, tau_o, upsilon])
        }
    }
}

/// A fault that did not happen is one that the rows say nothing of.
fn faults(t: &Timeline) -> Vec<Row> {
    let missed = t.events().iter().filter_map(|(_, e)| match e {
        Event::Missed { fault, why } => {
            Some(Row::new("fault", format!("fault {fault:?} hit something"), Err(why.clone())))
        }
        _ => None,
    });
    missed.collect()
}

/// Every decision's record is there, and gives the same decision again; no row where nothing was decided.
fn records(t: &Timeline) -> Option<Row> {
    let taken = t.events().iter().filter_map(|(_, e)| match e {
        Event::Decision { policy, decision } => Some((policy, decision)),
        _ => None,
    });
    let (mut decisions, mut wrong) = (0, None);
    for (policy, d) in taken {
        decisions += 1;
        match &d.record {
            Some(record) if record.replays => {}
            other => {
                let what = if other.is_some() { "gives another decision" } else { "was not kept" };
                wrong = wrong.or(Some(format!(
                    "{}/{}, {} to {} at {}: its record {what} ({})",
                    policy.cluster, policy.name, d.from, d.to, d.time, d.digest
                )));
            }
        }
    }
    let found = match wrong {
        None => Ok(format!("{decisions} decisions")),
        Some(why) => Err(why),
    };
    (decisions > 0).then(|| Row::new("records", "every decision follows again from its record", found))
}

fn bounded(held: bool, found: String) -> Found {
    if held { Ok(found) } else { Err(found) }
}

fn mark(t: &Timeline, name: &str) -> Result<Duration, String> {
    t.mark(name).ok_or_else(|| format!("{name:?} never happened"))
}

/// A stretch between two marks as they were made; a fault's may have come later than it was planned.
fn span(t: &Timeline, from: &str, to: &str) -> Result<(Duration, Duration), String> {
    let (begins, ends) = (mark(t, from)?, mark(t, to)?);
    if begins >= ends {
        return Err(format!(
            "{to:?}, at {}, did not come after {from:?}, at {}",
            seconds(ends),
            seconds(begins)
        ));
    }
    Ok((begins, ends))
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}

/// What was so at a moment, then what came after it until another.
fn from_to<'a, T: Copy + 'a>(
    states: impl Iterator<Item = (Duration, T)> + 'a,
    from: Duration,
    to: Duration,
) -> impl Iterator<Item = (Duration, T)> + 'a {
    let mut before = None;
    let mut during = Vec::new();
    for (at, state) in states {
        if at <= from {
            before = Some((from, state));
        } else if at <= to {
            during.push((at, state));
        }
    }
    before.into_iter().chain(during)
}

fn reaches(
    t: &Timeline,
    target: &Target,
    at_least: Option<i32>,
    at_most: Option<i32>,
    after: &str,
    within: Duration,
) -> Found {
    let from = mark(t, after)?;
    let holds = |wanted: i32, ready: i32| {
        at_least.is_none_or(|n| ready >= n) && at_most.is_none_or(|n| ready <= n && wanted <= n)
    };
    let states = t.replicas(target).map(|(at, wanted, ready)| (at, (wanted, ready)));
    let mut last = None;
    for (at, (wanted, ready)) in from_to(states, from, t.end()) {
        last = Some((wanted, ready));
        if holds(wanted, ready) {
            let took = at - from;
            return bounded(took <= within, format!("{ready} ready after {}", seconds(took)));
        }
    }
    Err(last.map_or("never seen".into(), |(w, r)| format!("never; {w} wanted and {r} ready at the end")))
}

fn never_below(t: &Timeline, target: &Target, at_least: i32, from: &str, to: &str) -> Found {
    let (from, to) = span(t, from, to)?;
    let ready = t.replicas(target).map(|(at, _, ready)| (at, ready));
    match from_to(ready, from, to).min_by_key(|(_, ready)| *ready) {
        None => Err("never seen".into()),
        Some((at, n)) => bounded(n >= at_least, format!("lowest {n}, after {}", seconds(at - from))),
    }
}

fn doubts(t: &Timeline, policy: &Target, from: &str, to: &str) -> Found {
    let (from, to) = span(t, from, to)?;
    let doubted = from_to(t.policy(policy), from, to).find(|(_, s)| s.sufficient == Some(false));
    doubted
        .map(|(at, s)| format!("after {}: \"{}\"", seconds(at - from), s.evidence))
        .ok_or_else(|| "never in doubt".to_owned())
}

fn lied_to(t: &Timeline, policy: &Target, from: &str, to: &str, share: f64) -> Found {
    let (from, to) = span(t, from, to)?;
    let at_start = t.policy(policy).take_while(|(at, _)| *at <= from).filter_map(|(_, s)| s.value).last();
    let Some(at_start) = at_start.filter(|v| *v > 0.0) else {
        return Err("the policy had no value before".into());
    };
    let during: Vec<&PolicyState> = from_to(t.policy(policy), from, to).map(|(_, s)| s).collect();
    // The newest value is what it saw; what counts for it may stand still meanwhile.
    let saw = |s: &PolicyState| s.newest.or(s.value);
    let lowest = during.iter().filter_map(|s| saw(s)).fold(f64::INFINITY, f64::min);
    let is_low = |v: f64| v <= at_start * share;
    let fell = |s: &&&PolicyState| saw(s).is_some_and(is_low);
    // What it does not know of is worth no doubt; what it believed, it believed.
    let believed = |s: &&PolicyState| s.value_sufficient == Some(true) && s.value.is_some_and(is_low);
    if let Some(value) = during.iter().copied().find(believed).and_then(|s| s.value) {
        return Err(format!("the value fell from {at_start:.1} to {value:.1} and the policy believed it"));
    }
    match during.iter().filter(fell).find(|s| s.value_sufficient == Some(false)) {
        Some(s) => Ok(format!("{at_start:.1} fell to {lowest:.1}; \"{}\"", s.evidence)),
        None if lowest.is_finite() => Err(format!("the value went from {at_start:.1} to {lowest:.1} only")),
        None => Err(format!("the value was {at_start:.1}, and none after that")),
    }
}

fn recovers(t: &Timeline, policy: &Target, after: &str, within: Duration) -> Found {
    let from = mark(t, after)?;
    let end = t.end();
    let states: Vec<(Duration, bool)> =
        from_to(t.policy(policy), from, end).filter_map(|(at, s)| Some((at, s.sufficient?))).collect();
    let limit = from.saturating_add(within);
    let doubted = states.iter().position(|(at, trusts)| !trusts && *at <= limit);
    let Some(doubted) = doubted else {
        return Err("never in doubt, so there is nothing that it recovered from".into());
    };
    let marks: Vec<Duration> = t.marks().map(|(_, at)| at).chain([end]).collect();
    let lasts = |i: usize| {
        let at = states[i].0;
        let next = marks.iter().copied().filter(|m| *m > at).min().unwrap_or(end);
        !states[i..].iter().take_while(|(s, _)| *s < next).any(|(_, trusts)| !trusts)
    };
    let back = (doubted..states.len()).find(|i| states[*i].1 && lasts(*i));
    match back.map(|i| states[i].0 - from) {
        Some(took) if took <= within => Ok(format!("after {}", seconds(took))),
        Some(took) => Err(format!("only after {}", seconds(took))),
        None => Err("never".into()),
    }
}

fn restarted(t: &Timeline, prefix: &str, suffix: &str, after: &str, within: Duration) -> Found {
    let from = mark(t, after)?;
    let end = t.end();
    let back = t.events().iter().find_map(|(at, e)| match e {
        Event::Restart { container, .. }
            if (from..=end).contains(at) && container.starts_with(prefix) && container.ends_with(suffix) =>
        {
            Some(*at - from)
        }
        _ => None,
    });
    match back {
        Some(took) if took <= within => Ok(format!("after {}", seconds(took))),
        Some(took) => Err(format!("only after {}", seconds(took))),
        None => Err("never".into()),
    }
}

fn overshoot(s: &Scenario, t: &Timeline, target: &Target, after: &str, at_most: Percent) -> Found {
    let span = settling::span(s, t, after).ok_or_else(|| format!("{after:?} never happened"))?;
    let o = settling::overshoot(&settling::wanted(t, target), span).ok_or("never seen")?;
    let found = format!("{:.0} %: {} wanted on the way to {}", o.percent(), o.extreme, o.settled);
    bounded(o.percent() <= at_most.0, found)
}

fn settles(s: &Scenario, t: &Timeline, target: &Target, after: &str, within: Duration) -> Found {
    let span = settling::span(s, t, after).ok_or_else(|| format!("{after:?} never happened"))?;
    let replicas: Vec<(Duration, i32, i32)> = t.replicas(target).collect();
    match settling::settled_at(&replicas, span) {
        None => Err("never seen".into()),
        Some(Ok(settled)) => {
            let took = settled.at.saturating_sub(span.0);
            bounded(took <= within, format!("at {} after {}", settled.replicas, seconds(took)))
        }
        Some(Err((wanted, ready))) => {
            Err(format!("never: {wanted} wanted and {ready} ready at the end of its stretch"))
        }
    }
}

fn slo_violations(t: &Timeline, service: &str, at_most: Percent, of: SloShare) -> Found {
    let v = Violations::of(t, service).ok_or("no request was due")?;
    let found = format!(
        "{:.1} % of the seconds ({} of {}), {:.2} % of the requests ({} of {})",
        v.seconds_percent(),
        v.bad_seconds,
        v.seconds,
        v.requests_percent(),
        v.bad_requests,
        v.requests
    );
    let judged = match of {
        SloShare::Seconds => v.seconds_percent(),
        SloShare::Requests => v.requests_percent(),
    };
    bounded(judged <= at_most.0, found)
}

fn elasticity(s: &Scenario, t: &Timeline, target: &Target, limits: [&Option<Percent>; 5]) -> Found {
    let e = workloads::elasticity_of(s, t, target).ok_or("no demand or no replicas to compare")?;
    let figures = [
        ("θ_U", e.under_accuracy),
        ("θ_O", e.over_accuracy),
        ("τ_U", e.under_timeshare),
        ("τ_O", e.over_timeshare),
        ("υ", e.instability),
    ];
    let held = figures.iter().zip(limits).all(|((_, v), limit)| limit.is_none_or(|l| *v <= l.0));
    let found: Vec<String> = figures.iter().map(|(name, v)| format!("{name} {v:.1} %")).collect();
    bounded(held, found.join(", "))
}

#[cfg(test)]
mod tests;
