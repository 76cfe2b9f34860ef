//! Did the harness keep its own promises? A run that was not driven as planned says nothing, whatever its rows say.
//!
//! The service is judged by rows; here only the generator is: that it did not die, sent every request of the schedule,
//! had the means to, and was on time. A service that hangs fills every slot: that is in its rows.

use std::time::Duration;

use simulations_load::recorder::SEND_LAG_P99_MAX;
use simulations_scenario::{Condition, Scenario};

use crate::rows::{Found, Row};
use crate::timeline::{Event, Timeline};

/// What a late generator means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// The 99th percentile of (sent − planned) may be so much; with more the run is invalid.
    pub max: Duration,
    /// It is invalid only where lateness could have changed a row; else there is a warning.
    pub only_where_it_matters: bool,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { max: SEND_LAG_P99_MAX, only_where_it_matters: false }
    }
}

/// Whether the run was driven as planned.
#[derive(Clone, Debug)]
pub struct Validity {
    /// One on the generator, the last; before it one on the harness, where that did something late.
    pub rows: Vec<Row>,
    /// What is worth a word and no more.
    pub warnings: Vec<String>,
}

/// Of the requests of a whole load, one of a hundred may be later than the limit.
const SHARE_OF_ALL: f64 = 0.99;
/// A stage has fewer, and may not be sent late as a whole.
const SHARE_OF_STAGE: f64 = 0.95;
/// The load is not the planned one any more, whatever is judged on it.
const LAG_MAX_MS: f64 = 250.0;

/// Judges it, with the rows that a late generator could have spoiled.
pub fn judge(scenario: &Scenario, t: &Timeline, rows: &[Row], lateness: Lateness) -> Validity {
    let mut warnings = Vec::new();
    let found = sent_as_planned(t).and_then(|lags| match late(t, lateness.max) {
        None => Ok(lags),
        Some((why, worst_ms)) => {
            let harmless = lateness.only_where_it_matters
                && worst_ms <= LAG_MAX_MS
                && !on_latency(scenario, rows).any(|row| !row.held);
            if !harmless {
                return Err(why);
            }
            warnings.push(format!("{why}; no row failed that a late request could have failed"));
            Ok(lags)
        }
    });
    // The harness first: a generator's row is the last of a verdict.
    let harness =
        on_time(t).map(|found| Row::new("harness", "everything was done when it was planned", found));
    let generator = Row::new("generator", "the load was sent as planned", found);
    Validity { rows: harness.into_iter().chain([generator]).collect(), warnings }
}

/// What the harness did late, or not at all; none where there was nothing.
fn on_time(t: &Timeline) -> Option<Found> {
    let late = t.events().iter().filter_map(|(_, e)| match e {
        Event::Late { what, how } => Some(format!("{what} {how}")),
        _ => None,
    });
    let late: Vec<String> = late.collect();
    (!late.is_empty()).then(|| Err(late.join("; ")))
}

/// Rows that a request which was sent late could make fail; it makes none hold.
fn on_latency<'a>(s: &'a Scenario, rows: &'a [Row]) -> impl Iterator<Item = &'a Row> {
    let is_latency = |condition: &Condition| condition.latency_bound_ms().is_some();
    let thresholds = s.thresholds.iter().filter(move |t| is_latency(&t.that)).map(ToString::to_string);
    let slos = s.expect.iter().filter(|e| e.kind() == "sloViolations").map(ToString::to_string);
    let names: Vec<String> = thresholds.chain(slos).collect();
    rows.iter().filter(move |row| names.contains(&row.expectation))
}

/// Every request of the schedule was sent, or found the service holding every slot.
fn sent_as_planned(t: &Timeline) -> Found {
    let mut lags = Vec::new();
    for (_, event) in t.events() {
        let Event::LoadTotal { cluster, load, stage: None, recorder, .. } = event else { continue };
        let s = recorder.summary();
        let of = |(_, e): &&(_, Event)| matches!(e, Event::Sent { cluster: c, load: l, .. } if c == cluster && l == load);
        match t.events().iter().find(of) {
            Some((_, Event::Sent { broke: Some(why), .. })) => {
                return Err(format!("{cluster}, {load}: {why}"));
            }
            Some(_) => {}
            None => return Err(format!("{cluster}, {load}: nothing is known of what was sent")),
        }
        if s.own_failures > 0 {
            let causes: Vec<String> = s.own_causes.iter().map(|(why, n)| format!("{n} × {why}")).collect();
            let causes = causes.join(", ");
            return Err(format!(
                "{cluster}, {load}: the generator itself could not send all requests: {causes}"
            ));
        }
        lags.push(format!("{cluster}, {load}: p99 {:.1} ms", s.send_lag_p99_ms));
    }
    if lags.is_empty() { Err("no load ran".into()) } else { Ok(format!("send lag {}", lags.join("; "))) }
}

/// The worst of what was sent too late, in words and in milliseconds.
fn late(t: &Timeline, max: Duration) -> Option<(String, f64)> {
    let limit_ms = max.as_secs_f64() * 1000.0;
    let parts = t.events().iter().filter_map(|(_, e)| match e {
        Event::LoadTotal { cluster, load, stage, recorder, .. } => {
            let share = if stage.is_some() { SHARE_OF_STAGE } else { SHARE_OF_ALL };
            let lag_ms = recorder.send_lag_ms(share);
            let of = stage.as_ref().map(|s| format!(" in {s:?}")).unwrap_or_default();
            let percent = share * 100.0;
            let told = format!(
                "{cluster}, {load}{of}: the generator itself sent late (p{percent:.0} {lag_ms:.1} ms, limit {limit_ms:.0} ms)"
            );
            (lag_ms > limit_ms).then_some((told, lag_ms))
        }
        _ => None,
    });
    parts.max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests;
