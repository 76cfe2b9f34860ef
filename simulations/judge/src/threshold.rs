//! Judges conditions on the load's figures. A failed or unsent request counts as the longest latency that there is
//! where latencies are bounded above, and as none at all where they are bounded below: failing fast is no speed.

use std::time::Duration;

use simulations_load::recorder::Recorder;
use simulations_scenario::condition::{Figure, Operator};
use simulations_scenario::{Condition, REQUEST_TIMEOUT, Threshold};

use crate::timeline::{Event, Timeline};

/// Judges what `recorder` holds, which took `lasted`, with what was found.
///
/// # Errors
/// What was found instead; also where no request was due, because silence proves nothing.
pub fn judge(condition: &Condition, recorder: &Recorder, lasted: Duration) -> Result<String, String> {
    let s = recorder.summary();
    if s.planned == 0 {
        return Err("no request was due".into());
    }
    let bad = s.failed + s.dropped;
    let below = matches!(condition.operator, Operator::Greater | Operator::GreaterOrEqual);
    let failed_ms = if below { 0.0 } else { REQUEST_TIMEOUT.as_secs_f64() * 1000.0 };
    let latency = |share| ms(quantile_ms(recorder, share, s.completed, bad, failed_ms));
    let (value, found) = match condition.figure {
        Figure::Average => ms(mean_ms(recorder, s.completed, bad, failed_ms)),
        Figure::Minimum => latency(0.0),
        Figure::Maximum => latency(1.0),
        Figure::Percentile(share) => latency(share),
        Figure::Failed => (bad as f64, format!("{bad} of {}", s.planned)),
        Figure::FailedShare => {
            let share = bad as f64 / s.planned as f64;
            (share, format!("{:.3} % ({bad} of {})", share * 100.0, s.planned))
        }
        Figure::Count => (s.planned as f64, s.planned.to_string()),
        Figure::Rate => {
            let rate = recorder.answered_in_time() as f64 / lasted.as_secs_f64().max(f64::EPSILON);
            (rate, format!("{rate:.1} per second"))
        }
    };
    let mut causes: Vec<String> = s.causes.iter().map(|(cause, n)| format!("{n} × {cause}")).collect();
    if s.saturated > 0 {
        causes.push(format!("{} × not sent, as the service held every slot", s.saturated));
    }
    if s.own_failures > 0 {
        causes.push(format!("{} × not sent by the generator", s.own_failures));
    }
    let found = if causes.is_empty() { found } else { format!("{found}; {}", causes.join(", ")) };
    if condition.operator.holds(value, condition.value) { Ok(found) } else { Err(found) }
}

/// The latency that a share of all requests did not exceed, those that failed counted as `failed_ms`.
fn quantile_ms(recorder: &Recorder, share: f64, answered: u64, bad: u64, failed_ms: f64) -> f64 {
    let all = answered + bad;
    let rank = ((share * all as f64).ceil() as u64).clamp(1, all.max(1));
    // Those that failed stand at the end, or at the beginning.
    let rank = if failed_ms > 0.0 { Some(rank) } else { rank.checked_sub(bad) };
    match rank {
        Some(rank @ 1..) if rank <= answered => {
            // The middle of the rank's share, which no rounding takes to the next.
            recorder.answered_ms((rank as f64 - 0.5) / answered as f64).min(longest_ms())
        }
        _ => failed_ms,
    }
}

fn mean_ms(recorder: &Recorder, answered: u64, bad: u64, failed_ms: f64) -> f64 {
    let sum = recorder.answered_mean_ms() * answered as f64 + failed_ms * bad as f64;
    sum / ((answered + bad).max(1)) as f64
}

fn longest_ms() -> f64 {
    REQUEST_TIMEOUT.as_secs_f64() * 1000.0
}

fn ms(value: f64) -> (f64, String) {
    if value >= longest_ms() {
        return (value, format!("{value:.0} ms, as failed requests count"));
    }
    (value, format!("{value:.1} ms"))
}

/// Judges a threshold of a run, with what was found.
///
/// # Errors
/// As [`judge`].
pub fn threshold(t: &Threshold, timeline: &Timeline) -> Result<String, String> {
    let (all, lasted) = covered(t, timeline);
    judge(&t.that, &all, lasted)
}

/// The requests that a threshold is about, and how long they were sent.
fn covered(t: &Threshold, timeline: &Timeline) -> (Recorder, Duration) {
    let mut all = Recorder::default();
    let mut longest = Duration::ZERO;
    for (_, event) in timeline.events() {
        if let Event::LoadTotal { cluster, to, stage, lasted, recorder, .. } = event
            && t.covers(cluster, to, stage.as_deref())
        {
            all.merge(recorder);
            longest = longest.max(*lasted);
        }
    }
    (all, longest)
}

#[cfg(test)]
mod tests;
