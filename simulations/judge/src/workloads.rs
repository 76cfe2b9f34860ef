//! What replicas did, in figures: pure functions of step functions over time.
//!
//! Demand d is the fewest replicas that meet the SLO at the load of the moment, supply s the ready ones. The
//! elasticity metrics are the SPEC Research Group's (Herbst et al., arXiv 1604.03470): over a run of length T,
//!
//! ```text
//!  θ_U = 100/T Σ max(d−s, 0)/d Δt     θ_O = 100/T Σ max(s−d, 0)/d Δt      accuracy, by demand
//!  τ_U = 100/T Σ [s < d] Δt           τ_O = 100/T Σ [s > d] Δt            timeshare
//!  υ   = 100/T Σ [sgn Δs ≠ sgn Δd] Δt                                     instability, seconds as Δt
//! ```

use std::time::Duration;

use simulations_scenario::Scenario;

use crate::timeline::{Target, Timeline};

pub mod settling;

/// A value from a moment on, in order of time.
pub type Steps = Vec<(Duration, i32)>;

/// What a workload's replicas did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replicas {
    /// Wanted at the start.
    pub first: i32,
    /// Most wanted.
    pub most: i32,
    /// Wanted at the end.
    pub last: i32,
    /// Changes of wanted replicas.
    pub changes: u32,
    /// Changes of their direction.
    pub reversals: u32,
    /// Replicas that are wanted, or ready still, integrated: what is paid for, whether it works or not.
    pub replica_hours: f64,
}

/// The figures of a workload; none where it was never seen.
pub fn replicas(timeline: &Timeline, target: &Target) -> Option<Replicas> {
    let end = timeline.end();
    // What happens while the last answers are waited for is not the run's.
    let during = timeline.replicas(target).take_while(|(at, ..)| *at <= end);
    let mut wanted: Vec<i32> = during.map(|(_, wanted, _)| wanted).collect();
    wanted.dedup();
    let (first, last) = (*wanted.first()?, *wanted.last()?);
    let directions: Vec<bool> = wanted.windows(2).map(|w| w[1] > w[0]).collect();
    let reversals = directions.windows(2).filter(|d| d[0] != d[1]).count();
    Some(Replicas {
        first,
        most: wanted.iter().copied().max().unwrap_or(first),
        last,
        changes: u32::try_from(directions.len()).unwrap_or(u32::MAX),
        reversals: u32::try_from(reversals).unwrap_or(u32::MAX),
        replica_hours: integral_s(&paid(timeline, target), end) / 3600.0,
    })
}

/// Replicas that are paid for over time.
fn paid(timeline: &Timeline, target: &Target) -> Steps {
    timeline.replicas(target).map(|(at, wanted, ready)| (at, wanted.max(ready))).collect()
}

/// Ready replicas over time.
pub fn ready(timeline: &Timeline, target: &Target) -> Steps {
    timeline.replicas(target).map(|(at, _, ready)| (at, ready)).collect()
}

/// ∫ value dt up to `end`, in seconds. What was seen first held from the start.
fn integral_s(steps: &[(Duration, i32)], end: Duration) -> f64 {
    let mut sum = 0.0;
    for (i, (at, value)) in steps.iter().enumerate() {
        let from = if i == 0 { Duration::ZERO } else { *at };
        let to = steps.get(i + 1).map_or(end, |next| next.0).min(end);
        sum += f64::from(*value) * to.saturating_sub(from).as_secs_f64();
    }
    sum
}

fn at(steps: &[(Duration, i32)], moment: Duration) -> Option<i32> {
    let before = steps.iter().take_while(|(at, _)| *at <= moment).last();
    before.or(steps.first()).map(|(_, value)| *value)
}

/// The fewest replicas that carry the planned load, second by second, if each carries `sustains_rps`.
pub fn demand(planned_rps: &[f64], sustains_rps: f64) -> Steps {
    let step = |(second, rps): (u64, &f64)| {
        // Saturates; at least one replica serves the next request.
        (Duration::from_secs(second), ((rps / sustains_rps).ceil() as i32).max(1))
    };
    (0..).zip(planned_rps).map(step).collect()
}

/// The elasticity metrics, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elasticity {
    /// θ_U.
    pub under_accuracy: f64,
    /// θ_O.
    pub over_accuracy: f64,
    /// τ_U.
    pub under_timeshare: f64,
    /// τ_O.
    pub over_timeshare: f64,
    /// υ.
    pub instability: f64,
}

/// The elasticity of a service's replicas; none where `sustainsRps` is not given or nothing was seen.
pub fn elasticity_of(s: &Scenario, t: &Timeline, target: &Target) -> Option<Elasticity> {
    let sustains_rps = s.services.get(&target.1)?.sustains_rps?;
    // A run that was broken off was short.
    let length = t.mark("end").map_or(s.duration(), |end| end.min(s.duration()));
    elasticity(&demand(&s.planned_rps(&target.0, &target.1), sustains_rps), &ready(t, target), length)
}

/// Compares supply with demand at each whole second of `length`; none where there is nothing to compare.
pub fn elasticity(demand: &Steps, supply: &Steps, length: Duration) -> Option<Elasticity> {
    let seconds = length.as_secs();
    let mut e = Elasticity::default();
    let mut before: Option<(i32, i32)> = None;
    for second in 0..seconds {
        let moment = Duration::from_secs(second);
        let (d, s) = (at(demand, moment)?.max(1), at(supply, moment)?);
        let (missing, surplus) = (f64::from((d - s).max(0)), f64::from((s - d).max(0)));
        e.under_accuracy += missing / f64::from(d);
        e.over_accuracy += surplus / f64::from(d);
        e.under_timeshare += f64::from(u8::from(s < d));
        e.over_timeshare += f64::from(u8::from(s > d));
        if let Some((d0, s0)) = before {
            e.instability += f64::from(u8::from((s - s0).signum() != (d - d0).signum()));
        }
        before = Some((d, s));
    }
    before?;
    let share = 100.0 / seconds as f64;
    for figure in [&mut e.under_accuracy, &mut e.over_accuracy, &mut e.under_timeshare, &mut e.over_timeshare]
    {
        *figure *= share;
    }
    e.instability *= 100.0 / (seconds as f64 - 1.0).max(1.0);
    Some(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Event;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn changes_reversals_and_cost() {
        let target: Target = ("east".into(), "web".into());
        let mut t = Timeline::default();
        for (at, wanted, ready) in [(1, 2, 2), (10, 4, 2), (12, 4, 4), (20, 3, 3), (30, 5, 5)] {
            t.push(s(at), Event::Replicas { target: target.clone(), wanted, ready });
        }
        t.push(s(40), Event::Mark { name: "end".into(), planned: s(40) });
        t.push(s(41), Event::Replicas { target: target.clone(), wanted: 9, ready: 9 });
        let r = replicas(&t, &target).unwrap();
        assert_eq!((r.first, r.most, r.last, r.changes, r.reversals), (2, 5, 5, 3, 2));
        // 10 s of 2, 10 s of 4 that are wanted, 10 s of 3, 10 s of 5.
        assert!((r.replica_hours * 3600.0 - 140.0).abs() < 1e-9, "{r:?}");
        assert_eq!(replicas(&t, &("west".into(), "web".into())), None);
    }

    #[test]
    fn demand_follows_the_plan() {
        let planned_rps = [10.0, 10.0, 120.0, 120.0, 0.0];
        assert_eq!(demand(&planned_rps, 12.0).iter().map(|d| d.1).collect::<Vec<_>>(), [1, 1, 10, 10, 1]);
    }

    #[test]
    fn elasticity_of_a_step_that_is_met_late_and_left_late() {
        // Demand 2, 4 from 10 s, 2 from 20 s, over 30 s; supply follows 5 s later.
        let demand = vec![(s(0), 2), (s(10), 4), (s(20), 2)];
        let supply = vec![(s(0), 2), (s(15), 4), (s(25), 2)];
        let e = elasticity(&demand, &supply, s(30)).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        // Five seconds of half missing; five of twice too many.
        assert!(near(e.under_accuracy, 100.0 / 30.0 * 2.5), "{e:?}");
        assert!(near(e.over_accuracy, 100.0 / 30.0 * 5.0), "{e:?}");
        assert!(near(e.under_timeshare, 100.0 / 6.0) && near(e.over_timeshare, 100.0 / 6.0), "{e:?}");
        // Four seconds of 29 in which one moved and the other did not.
        assert!(near(e.instability, 400.0 / 29.0), "{e:?}");
        let perfect = elasticity(&demand, &demand, s(30)).unwrap();
        assert_eq!(perfect, Elasticity::default());
        assert_eq!(elasticity(&demand, &vec![], s(30)), None);
    }
}
