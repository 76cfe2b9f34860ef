//! A run that a threshold with `abortOnFail` ended: which rows the part that ran decides. Pure.

use std::time::Duration;

use simulations_load::recorder::Recorder;
use simulations_scenario::{DELAY_ABORT_EVAL, Expectation, Scenario, Threshold};

use super::{Row, seconds};
use crate::threshold::judge;
use crate::timeline::Timeline;

/// A threshold that did not hold any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// Which of the scenario's.
    pub threshold: usize,
    /// When.
    pub at: Duration,
    /// What was found.
    pub found: String,
}

/// A load's figures so far, on one cluster; of one stage, or of the whole.
#[derive(Debug)]
pub struct SoFar<'a> {
    /// Cluster.
    pub cluster: &'a str,
    /// The service that it is sent to.
    pub to: &'a str,
    /// Stage, by when requests were due.
    pub stage: Option<&'a str>,
    /// Requests that ended.
    pub recorder: &'a Recorder,
}

/// The first threshold that ends the run now.
pub fn crossed(scenario: &Scenario, so_far: &[SoFar<'_>], now: Duration) -> Option<Crossed> {
    let marks = scenario.phase_marks();
    let begins = |t: &Threshold| match &t.stage {
        Some(stage) => marks.iter().find(|(name, _)| name == stage).map(|(_, at)| *at),
        None => Some(Duration::ZERO),
    };
    scenario.thresholds.iter().enumerate().filter(|(_, t)| t.abort_on_fail).find_map(|(i, t)| {
        let lasted = now.checked_sub(begins(t)?)?;
        if lasted < t.delay_abort_eval.unwrap_or(DELAY_ABORT_EVAL) {
            return None;
        }
        let mut all = Recorder::default();
        for part in so_far.iter().filter(|p| t.covers(p.cluster, p.to, p.stage)) {
            all.merge(part.recorder);
        }
        let s = all.summary();
        // What is under way has no latency yet.
        if s.completed + s.failed + s.dropped == 0 {
            return None;
        }
        let found = judge(&t.that, &all, lasted).err()?;
        Some(Crossed { threshold: i, at: now, found })
    })
}

/// The rows of [`super::judge`] where the run ended at `crossed`: those that what ran decides, and the others as not
/// reached.
pub fn broken_off(scenario: &Scenario, t: &Timeline, crossed: &Crossed, rows: Vec<Row>) -> Vec<Row> {
    let by = scenario.thresholds.get(crossed.threshold).map(ToString::to_string).unwrap_or_default();
    let lengths = || scenario.load.iter().flat_map(|l| l.phase_marks().into_iter().zip(l.stretches()));
    let ends = |stage: &str| {
        let of = lengths().find(|((name, _), _)| *name == stage);
        of.map(|((_, from), (_, lasts))| from.saturating_add(lasts))
    };
    let began = |t: &Timeline, mark: &str| t.mark(mark).is_some_and(|at| at <= crossed.at);
    let rows = rows.into_iter().enumerate().map(|(i, row)| {
        let decided = match scenario.expect.get(i) {
            Some(e) => is_decided(e, row.held, scenario, t, crossed.at),
            // What is said of faults and records is said of what ran.
            None if i >= scenario.expect.len() + scenario.thresholds.len() => true,
            None => {
                let threshold = i - scenario.expect.len();
                if threshold == crossed.threshold {
                    let found = format!("{} after {}, and ended the run", crossed.found, seconds(crossed.at));
                    return Row { held: false, found, ..row };
                }
                let of = scenario.thresholds.get(threshold);
                let stage = of.and_then(|t| t.stage.as_ref());
                // Of a stage that is over there is no more; else only what cannot be made good is decided.
                let over = stage.is_some_and(|stage| ends(stage).is_some_and(|end| end <= crossed.at));
                let begun = stage.is_none_or(|stage| began(t, stage));
                over || (begun && !row.held && of.is_some_and(|t| t.that.is_final_once_crossed()))
            }
        };
        if decided {
            return row;
        }
        Row {
            held: false,
            reached: false,
            found: format!("not reached: the run was broken off by {by}"),
            ..row
        }
    });
    rows.collect()
}

/// Whether nothing that could still have happened would change the row.
fn is_decided(e: &Expectation, held: bool, scenario: &Scenario, t: &Timeline, at: Duration) -> bool {
    // Marks that were made because it ended are no marks of the scenario: faults end, and the load.
    let made = |mark: &str| t.mark(mark).filter(|made| *made <= at && mark != "end");
    match e {
        Expectation::Reaches { after, within, .. }
        | Expectation::Recovers { after, within, .. }
        | Expectation::Restarted { after, within, .. } => {
            held || made(after).is_some_and(|mark| mark.saturating_add(*within) <= at)
        }
        Expectation::Doubts { from, to, .. }
        | Expectation::NeverBelow { from, to, .. }
        | Expectation::NeverLowered { from, to, .. } => made(from).is_some() && made(to).is_some(),
        // Until the next stage has begun, they may move on.
        Expectation::Overshoot { after, .. } | Expectation::Settles { after, .. } => {
            let stages = scenario.phase_marks();
            made(after).is_some_and(|mark| stages.iter().any(|(s, _)| made(s).is_some_and(|s| s > mark)))
        }
        Expectation::Reversals { .. }
        | Expectation::ReplicaHours { .. }
        | Expectation::SloViolations { .. }
        | Expectation::Elasticity { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use simulations_load::recorder::End;

    use super::*;
    use crate::timeline::Event;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scenario() -> Scenario {
        let text = "
name: s
clusters: [east]
services: {web: {}}
load: {to: web, stages: [{name: quiet, for: 10s, rate: 20}, {name: step, for: 20s, rate: 40}, {name: last, for: 9s, rate: 1}]}
thresholds:
- failed==0
- {that: p(95)<200, stage: step, abortOnFail: true, delayAbortEval: 4s}
- {that: failed<5, stage: last}
- {that: failed<90%, abortOnFail: true}
expect:
- reaches: {workload: east/web, atLeast: 2, after: quiet, within: 5s}
- reaches: {workload: east/web, atLeast: 9, after: quiet, within: 5s}
- reaches: {workload: east/web, atLeast: 9, after: step, within: 15s}
- neverLowered: {from: quiet, to: step}
- neverLowered: {from: quiet, to: end}
- settles: {workload: east/web, after: quiet, within: 5s}
- settles: {workload: east/web, after: step, within: 5s}
- reversals: {workload: east/web, atMost: 5}
";
        thanos_telemetry::cli::parse_yaml(text).unwrap()
    }

    fn recorder(latency_ms: u64) -> Recorder {
        let mut recorder = Recorder::default();
        recorder.sent(Duration::ZERO);
        recorder.ended(Duration::from_millis(latency_ms), End::Ok);
        recorder
    }

    #[test]
    fn a_threshold_ends_the_run_once_its_delay_has_passed_in_its_stage() {
        let (fast, slow, none) = (recorder(10), recorder(900), Recorder::default());
        let so_far = |step| {
            let part = |stage, recorder| SoFar { cluster: "east", to: "web", stage, recorder };
            [part(None, &slow), part(Some("quiet"), &slow), part(Some("step"), step)]
        };
        let scenario = scenario();
        for (step, now, want) in [
            (&slow, 13, None),
            (&slow, 14, Some(1)),
            (&fast, 20, None),
            // Nothing has ended yet.
            (&none, 20, None),
        ] {
            assert_eq!(crossed(&scenario, &so_far(step), s(now)).map(|c| c.threshold), want, "{now}");
        }
    }

    #[test]
    fn what_ran_decides_some_rows_and_the_others_were_not_reached() {
        let mark = |at, name: &str| Event::Mark { name: name.into(), planned: s(at) };
        let mut t = Timeline::default();
        let target = ("east".to_owned(), "web".to_owned());
        t.push(s(0), mark(0, "quiet"));
        t.push(s(1), Event::Replicas { target, wanted: 2, ready: 2 });
        t.push(s(10), mark(10, "step"));
        t.push(s(16), mark(16, "end"));
        let scenario = scenario();
        let crossed = Crossed { threshold: 1, at: s(15), found: "900 ms".into() };
        let rows = broken_off(&scenario, &t, &crossed, super::super::judge(&scenario, &t));
        let told: Vec<(bool, bool)> = rows.iter().map(|r| (r.held, r.reached)).collect();
        let (held, failed, not_reached) = ((true, true), (false, true), (false, false));
        let expectations = [held, failed, not_reached, held, not_reached, held, not_reached, not_reached];
        // No load was told of, so thresholds do not hold; a share may still come to hold.
        assert_eq!(told, [&expectations[..], &[failed, failed, not_reached, not_reached]].concat());
        assert_eq!(rows[9].found, "900 ms after 15.0 s, and ended the run");
        assert_eq!(rows[2].found, "not reached: the run was broken off by p(95)<200 in \"step\"");
    }
}
