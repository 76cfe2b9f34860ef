//! Did it hold? A pure function of the timeline.

use std::time::Duration;

use crate::timeline::{Event, PolicyState, Target, Timeline};

/// What must hold. Marks are names of phases and faults (`NAME`, `NAME ended`).
#[derive(Clone, Debug)]
pub enum Expectation {
    /// Ready replicas reach a bound within a time after a mark.
    Reaches {
        /// Cluster and workload.
        target: (&'static str, &'static str),
        /// The bound.
        bound: Bound,
        /// From here.
        after: &'static str,
        /// In this time.
        within: Duration,
    },
    /// No workload's wanted replicas were lowered between two marks.
    NeverLowered {
        /// From here.
        from: &'static str,
        /// To here.
        to: &'static str,
    },
    /// Between two marks the policy's value fell to at most `share` of what it was at the first, and the policy
    /// called its evidence insufficient: without this, [`Expectation::NeverLowered`] would prove nothing.
    Lied {
        /// Cluster and policy.
        policy: (&'static str, &'static str),
        /// From here.
        from: &'static str,
        /// To here.
        to: &'static str,
        /// Of the value at `from`.
        share: f64,
    },
    /// The policy called its evidence sufficient again within a time after a mark.
    Recovers {
        /// Cluster and policy.
        policy: (&'static str, &'static str),
        /// From here.
        after: &'static str,
        /// In this time.
        within: Duration,
    },
    /// A container was started again after a mark.
    Restarted {
        /// `cluster/pod prefix/container`.
        container: (&'static str, &'static str, &'static str),
        /// From here.
        after: &'static str,
        /// In this time.
        within: Duration,
    },
    /// At most this share of the requests failed.
    FailedShare {
        /// 0 is none.
        at_most: f64,
    },
    /// The load generator kept its own promise.
    ValidLoad,
}

/// A number of ready replicas.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// So many or more.
    AtLeast(i32),
    /// So many or fewer, wanted and ready.
    AtMost(i32),
}

/// One line of the verdict.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was asked.
    pub expectation: String,
    /// What was found.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

/// Judges every expectation.
pub fn judge(expectations: &[Expectation], timeline: &Timeline) -> Vec<Row> {
    expectations.iter().map(|e| row(e, timeline)).collect()
}

fn target((cluster, name): (&str, &str)) -> Target {
    (cluster.to_owned(), name.to_owned())
}

/// A row from what was asked and `Ok(found)` or `Err(found)`.
fn row(expectation: &Expectation, t: &Timeline) -> Row {
    let (asked, result) = match expectation {
        Expectation::Reaches { target: w, bound, after, within } => {
            let (word, n) = match bound {
                Bound::AtLeast(n) => ("at least", n),
                Bound::AtMost(n) => ("at most", n),
            };
            (
                format!("{}/{} reaches {word} {n} within {within:?} of {after:?}", w.0, w.1),
                reaches(t, &target(*w), *bound, after, *within),
            )
        }
        Expectation::NeverLowered { from, to } => {
            (format!("nothing is scaled down from {from:?} to {to:?}"), never_lowered(t, from, to))
        }
        Expectation::Lied { policy, from, to, share } => (
            format!(
                "{}/{} sees its value fall to {share} or less, and does not believe it",
                policy.0, policy.1
            ),
            lied(t, &target(*policy), from, to, *share),
        ),
        Expectation::Recovers { policy, after, within } => (
            format!("{}/{} trusts its evidence again within {within:?} of {after:?}", policy.0, policy.1),
            recovers(t, &target(*policy), after, *within),
        ),
        Expectation::Restarted { container, after, within } => {
            let (cluster, pod, name) = container;
            (
                format!("{cluster}/{pod}…/{name} is back within {within:?} of {after:?}"),
                restarted(t, &format!("{cluster}/{pod}"), &format!("/{name}"), after, *within),
            )
        }
        Expectation::FailedShare { at_most } => {
            (format!("at most {at_most} of all requests fail"), failed_share(t, *at_most))
        }
        Expectation::ValidLoad => ("the load generator was on time".to_owned(), valid_load(t)),
    };
    let held = result.is_ok();
    let found = result.unwrap_or_else(|f| f);
    Row { expectation: asked, found, held }
}

type Found = Result<String, String>;

fn mark(t: &Timeline, name: &str) -> Result<Duration, String> {
    t.mark(name).ok_or_else(|| format!("{name:?} never happened"))
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}

fn reaches(t: &Timeline, target: &Target, bound: Bound, after: &str, within: Duration) -> Found {
    let from = mark(t, after)?;
    let holds = |wanted: i32, ready: i32| match bound {
        Bound::AtLeast(n) => ready >= n,
        Bound::AtMost(n) => ready <= n && wanted <= n,
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

fn lied(t: &Timeline, policy: &Target, from: &str, to: &str, share: f64) -> Found {
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

fn totals(t: &Timeline) -> impl Iterator<Item = (&str, &simulations_load::recorder::Summary)> {
    t.events().iter().filter_map(|(_, e)| match e {
        Event::LoadTotal { cluster, summary } => Some((cluster.as_str(), summary)),
        _ => None,
    })
}

fn failed_share(t: &Timeline, at_most: f64) -> Found {
    let (mut planned, mut bad, mut causes) = (0, 0, Vec::new());
    for (cluster, s) in totals(t) {
        planned += s.planned;
        bad += s.failed + s.dropped;
        causes.extend(s.causes.iter().map(|(cause, n)| format!("{cluster}: {n} × {cause}")));
    }
    if planned == 0 {
        return Err("no request was planned".into());
    }
    let found = format!("{bad} of {planned} {}", causes.join(", "));
    if bad as f64 <= at_most * planned as f64 { Ok(found) } else { Err(found) }
}

fn valid_load(t: &Timeline) -> Found {
    let mut lags = Vec::new();
    for (cluster, s) in totals(t) {
        s.validity().map_err(|e| format!("{cluster}: {e}"))?;
        lags.push(format!("{cluster} p99 {:.1} ms", s.send_lag_p99_ms));
    }
    if lags.is_empty() { Err("no load ran".into()) } else { Ok(format!("send lag {}", lags.join(", "))) }
}

#[cfg(test)]
mod tests;
