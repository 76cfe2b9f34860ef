//! Did it hold? A pure function of the timeline.

use std::time::Duration;

use crate::scenario::{Percent, Scenario};
use crate::slo::Violations;
use crate::timeline::{Event, PolicyState, Target, Timeline};
use crate::workloads::{self, settling};

mod broken_off;
mod expectation;

pub use broken_off::{Crossed, SoFar, broken_off, crossed};
pub use expectation::{ContainerPlace, Expectation, Place, SloShare};

/// One line of the verdict.
#[derive(Clone, Debug)]
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
    fn new(key: impl Into<String>, expectation: String, result: Found) -> Self {
        let held = result.is_ok();
        Self { key: key.into(), expectation, found: result.unwrap_or_else(|f| f), held, reached: true }
    }

    /// Whether `name` means it: by its key, or in full.
    pub fn is_named(&self, name: &str) -> bool {
        self.key == name || self.expectation == name
    }
}

/// Judges every expectation, then every threshold.
pub fn judge(scenario: &Scenario, timeline: &Timeline) -> Vec<Row> {
    let expected = scenario.expect.iter().map(|e| row(e, scenario, timeline));
    let bounded =
        scenario.thresholds.iter().map(|t| Row::new(t.that.text(), t.to_string(), t.judge(timeline)));
    expected.chain(bounded).collect()
}

/// Judges the load generator: if it did not keep its own promise, no other row says anything.
pub fn judge_generator(timeline: &Timeline) -> Row {
    Row::new("generator", "the load generator was on time".to_owned(), valid_load(timeline))
}

/// A row from what was asked and `Ok(found)` or `Err(found)`.
fn row(expectation: &Expectation, s: &Scenario, t: &Timeline) -> Row {
    let (asked, result) = match expectation {
        Expectation::Reaches { workload, at_least, at_most, after, within } => {
            let bounds = [at_least.map(|n| format!("at least {n}")), at_most.map(|n| format!("at most {n}"))];
            let bounds: Vec<String> = bounds.into_iter().flatten().collect();
            (
                format!("{workload} reaches {} within {within:?} of {after:?}", bounds.join(" and ")),
                reaches(t, &workload.target(), *at_least, *at_most, after, *within),
            )
        }
        Expectation::NeverBelow { workload, at_least, from, to } => (
            format!("{workload} has {at_least} ready or more from {from:?} to {to:?}"),
            never_below(t, &workload.target(), *at_least, from, to),
        ),
        Expectation::NeverLowered { from, to } => {
            (format!("nothing is scaled down from {from:?} to {to:?}"), never_lowered(t, from, to))
        }
        Expectation::Doubts { policy, from, to, share: Some(share) } => (
            format!("{policy} sees its value at {share} or less, and does not believe it"),
            lied_to(t, &policy.target(), from, to, *share),
        ),
        Expectation::Doubts { policy, from, to, share: None } => (
            format!("{policy} does not trust its evidence at some time from {from:?} to {to:?}"),
            doubts(t, &policy.target(), from, to),
        ),
        Expectation::Recovers { policy, after, within } => (
            format!("{policy} trusts its evidence again within {within:?} of {after:?}"),
            recovers(t, &policy.target(), after, *within),
        ),
        Expectation::Restarted { container: c, after, within } => {
            let prefix = format!("{}/{}", c.cluster, c.pod);
            (
                format!("{prefix}…/{} is back within {within:?} of {after:?}", c.container),
                restarted(t, &prefix, &format!("/{}", c.container), after, *within),
            )
        }
        Expectation::Reversals { workload, at_most } => {
            let asked = format!("{workload} changes direction at most {at_most} times");
            let found = workloads::replicas(t, &workload.target()).ok_or("never seen".to_owned());
            (asked, found.and_then(|r| bounded(r.reversals <= *at_most, format!("{} times", r.reversals))))
        }
        Expectation::ReplicaHours { workload, at_most } => {
            let asked = format!("{workload} costs at most {at_most} replica-hours");
            let found = workloads::replicas(t, &workload.target()).ok_or("never seen".to_owned());
            let told = |hours: f64| bounded(hours <= *at_most, format!("{hours:.3}"));
            (asked, found.and_then(|r| told(r.replica_hours)))
        }
        Expectation::Overshoot { workload, after, at_most } => (
            format!("{workload} overshoots by at most {at_most} after {after:?}"),
            overshoot(s, t, &workload.target(), after, *at_most),
        ),
        Expectation::Settles { workload, after, within } => (
            format!("{workload} settles within {within:?} of {after:?}"),
            settles(s, t, &workload.target(), after, *within),
        ),
        Expectation::SloViolations { service, at_most, of } => {
            let of = of.unwrap_or_default();
            let asked = format!("the slo of {service} is violated in at most {at_most} of the {of}");
            (asked, slo_violations(t, service, *at_most, of))
        }
        Expectation::Elasticity { workload, theta_u, theta_o, tau_u, tau_o, upsilon } => {
            let limits = [theta_u, theta_o, tau_u, tau_o, upsilon];
            let asked = ["θ_U", "θ_O", "τ_U", "τ_O", "υ"].into_iter().zip(limits);
            let asked: Vec<String> =
                asked.filter_map(|(name, limit)| limit.map(|l| format!("{name} ≤ {l}"))).collect();
            (format!("{workload} has {}", asked.join(", ")), elasticity(s, t, &workload.target(), limits))
        }
    };
    Row::new(expectation.kind(), asked, result)
}

fn bounded(held: bool, found: String) -> Found {
    if held { Ok(found) } else { Err(found) }
}

type Found = Result<String, String>;

fn mark(t: &Timeline, name: &str) -> Result<Duration, String> {
    t.mark(name).ok_or_else(|| format!("{name:?} never happened"))
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
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
    let mut last = None;
    for (at, wanted, ready) in t.replicas(target) {
        last = Some((wanted, ready));
        // What holds at the mark already was reached before it: look from the mark on.
        if at >= from && holds(wanted, ready) {
            let took = at - from;
            let found = format!("{ready} ready after {}", seconds(took));
            return if took <= within { Ok(found) } else { Err(found) };
        }
    }
    Err(last.map_or("never seen".into(), |(w, r)| format!("never; {w} wanted and {r} ready at the end")))
}

fn never_below(t: &Timeline, target: &Target, at_least: i32, from: &str, to: &str) -> Found {
    let (from, to) = (mark(t, from)?, mark(t, to)?);
    let at_start = t.replicas(target).take_while(|(at, ..)| *at <= from).last();
    let during = t.replicas(target).filter(|(at, ..)| (from..=to).contains(at));
    // What was so at the first mark counts there.
    let ready = at_start.map(|(_, _, ready)| (from, ready)).into_iter();
    let lowest = ready.chain(during.map(|(at, _, ready)| (at, ready))).min_by_key(|(_, ready)| *ready);
    match lowest {
        None => Err("never seen".into()),
        Some((at, n)) => bounded(n >= at_least, format!("lowest {n}, after {}", seconds(at - from))),
    }
}

fn never_lowered(t: &Timeline, from: &str, to: &str) -> Found {
    let (from, to) = (mark(t, from)?, mark(t, to)?);
    let mut watched = 0;
    for target in t.targets() {
        let mut before: Option<i32> = None;
        for (at, wanted, _) in t.replicas(&target) {
            if let Some(b) = before.filter(|b| wanted < *b && (from..=to).contains(&at)) {
                let since = seconds(at - from);
                return Err(format!("{}/{} went from {b} to {wanted} after {since}", target.0, target.1));
            }
            before = Some(wanted);
        }
        watched += 1;
    }
    if watched == 0 {
        Err("no workload was watched".into())
    } else {
        Ok(format!("{watched} workloads held or rose"))
    }
}

fn doubts(t: &Timeline, policy: &Target, from: &str, to: &str) -> Found {
    let (from, to) = (mark(t, from)?, mark(t, to)?);
    let doubted = t.policy(policy).find(|(at, s)| (from..=to).contains(at) && s.sufficient == Some(false));
    doubted
        .map(|(at, s)| format!("after {}: \"{}\"", seconds(at - from), s.evidence))
        .ok_or_else(|| "never in doubt".to_owned())
}

fn lied_to(t: &Timeline, policy: &Target, from: &str, to: &str, share: f64) -> Found {
    let (from, to) = (mark(t, from)?, mark(t, to)?);
    let at_start = t.policy(policy).take_while(|(at, _)| *at <= from).filter_map(|(_, s)| s.value).last();
    let Some(at_start) = at_start.filter(|v| *v > 0.0) else {
        return Err("the policy had no value before".into());
    };
    let during = || t.policy(policy).filter(|(at, _)| (from..=to).contains(at)).map(|(_, s)| s);
    let lowest = during().filter_map(|s| s.value).fold(f64::INFINITY, f64::min);
    let doubted: Option<&PolicyState> = during().find(|s| s.sufficient == Some(false));
    match doubted {
        _ if lowest > at_start * share => {
            Err(format!("the value went from {at_start:.1} to {lowest:.1} only"))
        }
        None => Err(format!("the value fell from {at_start:.1} to {lowest:.1} and the policy believed it")),
        Some(s) => Ok(format!("{at_start:.1} fell to {lowest:.1}; \"{}\"", s.evidence)),
    }
}

fn recovers(t: &Timeline, policy: &Target, after: &str, within: Duration) -> Found {
    let from = mark(t, after)?;
    let back = t.policy(policy).find(|(at, s)| *at >= from && s.sufficient == Some(true));
    match back.map(|(at, _)| at - from) {
        Some(took) if took <= within => Ok(format!("after {}", seconds(took))),
        Some(took) => Err(format!("only after {}", seconds(took))),
        None => Err("never".into()),
    }
}

fn restarted(t: &Timeline, prefix: &str, suffix: &str, after: &str, within: Duration) -> Found {
    let from = mark(t, after)?;
    let back = t.events().iter().find_map(|(at, e)| match e {
        Event::Restart { container, .. }
            if *at >= from && container.starts_with(prefix) && container.ends_with(suffix) =>
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
            let found = format!("at {} after {}", settled.replicas, seconds(took));
            if took <= within { Ok(found) } else { Err(found) }
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

fn valid_load(t: &Timeline) -> Found {
    let mut lags = Vec::new();
    for (_, event) in t.events() {
        let Event::LoadTotal { cluster, load, stage: None, recorder, .. } = event else { continue };
        let s = recorder.summary();
        s.validity().map_err(|e| format!("{cluster}, {load}: {e}"))?;
        lags.push(format!("{cluster}, {load}: p99 {:.1} ms", s.send_lag_p99_ms));
    }
    if lags.is_empty() { Err("no load ran".into()) } else { Ok(format!("send lag {}", lags.join("; "))) }
}

#[cfg(test)]
mod tests;
