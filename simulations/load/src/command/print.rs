//! The result of a run, as text and as JSON. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::generator::{Account, State};
use crate::recorder::{Recorder, Summary};

/// What a run leaves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// `complete`, `interrupted` or `died`.
    state: &'static str,
    /// Why the figures say nothing of the service, where it is so.
    invalid: Option<String>,
    /// What part ran, of an interrupted run.
    #[serde(skip)]
    part: Option<String>,
    /// Arrivals of the schedule up to where the run ended.
    scheduled: u64,
    /// Seconds of the load that were played, and planned.
    ran_s: f64,
    length_s: f64,
    #[serde(flatten)]
    figures: Summary,
    /// Percentiles with failed and dropped requests as slower than any answer; null where they reach those.
    failures_as_slowest: Slowest,
    /// Each stage by when its requests were due.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Slowest {
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageReport {
    stage: String,
    #[serde(flatten)]
    figures: Summary,
}

impl Slowest {
    fn of(recorder: &Recorder) -> Self {
        let slowest = recorder.failures_as_slowest();
        let at = |share| Some(slowest.latency_ms(share)).filter(|ms| ms.is_finite());
        Self { latency_p50_ms: at(0.5), latency_p95_ms: at(0.95), latency_p99_ms: at(0.99) }
    }
}

impl Report {
    pub(super) fn new(account: &Account, total: &Recorder, stages: &[(String, &Recorder)]) -> Self {
        let state = match account.state {
            State::Complete => "complete",
            State::Interrupted => "interrupted",
            State::Died(_) => "died",
        };
        let figures = total.summary();
        let stage = |(stage, recorder): &(String, &Recorder)| StageReport {
            stage: stage.clone(),
            figures: recorder.summary(),
        };
        Self {
            state,
            invalid: account
                .validity()
                .and_then(|()| figures.validity())
                .and_then(|()| super::each_in_time(stages))
                .err(),
            part: account.interrupted(),
            scheduled: account.scheduled,
            ran_s: account.ran.as_secs_f64(),
            length_s: account.length.as_secs_f64(),
            failures_as_slowest: Slowest::of(total),
            figures,
            stages: stages.iter().map(stage).collect(),
        }
    }

    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    pub(super) fn text(&self) -> String {
        let mut t = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut t);
        t
    }

    fn write(&self, t: &mut String) -> std::fmt::Result {
        let s = &self.figures;
        if let Some(part) = &self.part {
            writeln!(t, "{part}")?;
        }
        if let Some(why) = &self.invalid {
            writeln!(t, "{why}")?;
        }
        if self.scheduled == s.planned {
            writeln!(t, "planned    {}", s.planned)?;
        } else {
            writeln!(t, "planned    {} of {} that the schedule holds", s.planned, self.scheduled)?;
        }
        writeln!(
            t,
            "completed  {}{}",
            s.completed,
            if s.retried > 0 { format!(" ({} retried)", s.retried) } else { String::new() }
        )?;
        writeln!(t, "failed     {}{}", s.failed, causes(&s.causes))?;
        let saturated = match s.saturated {
            0 => String::new(),
            n => format!("  {n} × the service held every slot"),
        };
        writeln!(t, "dropped    {}{saturated}{}", s.dropped, causes(&s.own_causes))?;
        writeln!(t, "statuses   {}", statuses(&s.statuses))?;
        writeln!(t, "received   {} bytes of bodies", s.received_bytes)?;
        writeln!(
            t,
            "latency    p50 {:.1} ms  p95 {:.1} ms  p99 {:.1} ms  max {:.1} ms (from the planned time{})",
            s.latency_p50_ms,
            s.latency_p95_ms,
            s.latency_p99_ms,
            s.latency_max_ms,
            if s.failed > 0 { ", failures included" } else { "" }
        )?;
        if s.failed + s.dropped > 0 {
            let f = &self.failures_as_slowest;
            let ms = |ms: Option<f64>| ms.map_or("never".to_owned(), |ms| format!("{ms:.1} ms"));
            let (p50, p95, p99) = (ms(f.latency_p50_ms), ms(f.latency_p95_ms), ms(f.latency_p99_ms));
            writeln!(t, "           p50 {p50}  p95 {p95}  p99 {p99} until answered well")?;
        }
        writeln!(t, "send lag   p99 {:.2} ms", s.send_lag_p99_ms)?;
        for StageReport { stage, figures: s } in &self.stages {
            writeln!(
                t,
                "{stage:<20} planned {}  completed {}  failed {}  dropped {}  p50 {:.1} ms  p95 {:.1} ms  p99 {:.1} ms  \
                 lag p99 {:.2} ms",
                s.planned,
                s.completed,
                s.failed,
                s.dropped,
                s.latency_p50_ms,
                s.latency_p95_ms,
                s.latency_p99_ms,
                s.send_lag_p99_ms
            )?;
        }
        Ok(())
    }
}

fn causes(causes: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = causes.iter().map(|(cause, n)| format!("{n} × {cause}")).collect();
    if each.is_empty() { String::new() } else { format!("  {}", each.join(", ")) }
}

fn statuses(statuses: &BTreeMap<u16, u64>) -> String {
    let each: Vec<String> = statuses.iter().map(|(status, n)| format!("{n} × {status}")).collect();
    if each.is_empty() { "none".into() } else { each.join(", ") }
}
