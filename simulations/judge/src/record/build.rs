//! From a run to its record.

use std::time::Duration;

use jiff::Timestamp;
use simulations_load::recorder::Summary;
use simulations_load::schedule::Stage;
use simulations_scenario::{Fault, FaultKind, Load, Loaded, REQUEST_TIMEOUT, Scenario};
use thanos_model::{HttpUrl, http_url};

use super::identity::{digest, inputs};
use super::{
    CounterexampleRecord, DecisionMetric, ElasticityRecord, EventRecord, FORMAT, FaultRecord, Figures,
    JudgedWith, KeptRecord, LoadRecord, PointRecord, RowRecord, RunRecord, ScenarioText, StageRecord, What,
    WorkloadRecord,
};
use crate::counterexample;
use crate::rows::Row;
use crate::timeline::{DecidedMetric, Event, Target, Timeline};
use crate::verdict::Outcome;
use crate::workloads;

/// Corners of a recorded load that the record keeps.
const POINTS_MAX: usize = 400;

impl RunRecord {
    /// The record of a run.
    pub fn new(loaded: &Loaded, outcome: &Outcome) -> Self {
        let s = &loaded.scenario;
        let t = &outcome.timeline;
        let shown = |text: &str| without_secrets(s, text);
        Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: ScenarioText {
                name: s.name.clone(),
                description: s.description.clone(),
                file: loaded.file.clone(),
                text: shown(&loaded.text),
                set: loaded.set.iter().map(|(path, value)| (path.clone(), shown(value))).collect(),
                effective: shown(&loaded.effective.to_string()),
                digest: digest(loaded),
            },
            inputs: inputs(loaded),
            started_at: Timestamp::from_millisecond(t.started_ms).unwrap_or_default().to_string(),
            duration_s: t.end().as_secs_f64(),
            seed: s.seed,
            clusters: s.clusters.clone(),
            stages: stages(s),
            faults: s.faults.iter().map(fault).collect(),
            verdict: outcome.verdict,
            aborted_by: outcome.aborted_by.clone(),
            rows: outcome.rows.iter().map(row).collect(),
            warnings: outcome.warnings.clone(),
            judged_with: JudgedWith {
                max_send_lag_ms: outcome.lateness.max.as_secs_f64() * 1000.0,
                only_where_it_matters: outcome.lateness.only_where_it_matters,
            },
            loads: t.events().iter().filter_map(|(_, e)| load(e)).collect(),
            workloads: t.targets().iter().filter_map(|w| workload(s, t, w)).collect(),
            events: in_order(t.events().iter().filter_map(|(at, e)| event(*at, e)).collect()),
            counterexample: loaded.counterexample.as_ref().map(|c| CounterexampleRecord {
                name: c.name.clone(),
                why: c.why.clone(),
                rows: counterexample::judge(c, &outcome.rows).iter().map(row).collect(),
            }),
        }
    }
}

/// A text of the scenario's whose addresses have lost their passwords: records are shown around.
fn without_secrets(scenario: &Scenario, text: &str) -> String {
    let addresses = scenario.load.iter().filter_map(|load| load.series.as_ref()?.url.as_deref());
    addresses.fold(text.to_owned(), |text, url| {
        let secrets = HttpUrl::parse(url).map(|url| url.secrets()).unwrap_or_default();
        if secrets.is_empty() { text } else { text.replace(url, &http_url::without_secrets(url)) }
    })
}

/// A mark has its planned time, and is told when it is made.
fn in_order(mut events: Vec<EventRecord>) -> Vec<EventRecord> {
    events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    events
}

fn row(r: &Row) -> RowRecord {
    RowRecord {
        expectation: r.expectation.clone(),
        found: r.found.clone(),
        held: r.held,
        key: Some(r.key.clone()),
        reached: (!r.reached).then_some(false),
    }
}

/// A scenario's stages, load by load.
pub fn stages(s: &Scenario) -> Vec<StageRecord> {
    let of = |load: &Load| {
        let course = load.course();
        let mut start = Duration::ZERO;
        let stage = |(i, (name, lasts)): (usize, (&str, Duration))| {
            let (start_s, end_s) = (start.as_secs_f64(), (start + lasts).as_secs_f64());
            start += lasts;
            // A recorded load is one stage, however many it is played by.
            let (first, last) = match load.series {
                None => (course.get(i), course.get(i)),
                Some(_) => (course.first(), course.last()),
            };
            StageRecord {
                load: load.name().to_owned(),
                name: name.to_owned(),
                start_s,
                end_s,
                from_rps: first.map_or(0.0, |s| s.from_rps),
                to_rps: last.map_or(0.0, |s| s.to_rps),
                points: load.series.as_ref().map(|s| points(&s.stages)),
            }
        };
        load.stretches().into_iter().enumerate().map(stage).collect::<Vec<_>>()
    };
    s.load.iter().flat_map(of).collect()
}

/// The corners of a recorded load; of many, the least and the most of each of equal counts, so that peaks stay.
fn points(stages: &[Stage]) -> Vec<PointRecord> {
    let mut at = Duration::ZERO;
    let corner = |s: &Stage| {
        at = at.saturating_add(s.duration);
        PointRecord { at_s: at.as_secs_f64(), rps: s.to_rps }
    };
    let first = stages.first().map(|s| PointRecord { at_s: 0.0, rps: s.from_rps });
    let all: Vec<PointRecord> = first.into_iter().chain(stages.iter().map(corner)).collect();
    if all.len() <= POINTS_MAX {
        return all;
    }
    let mut kept = Vec::new();
    for few in all.chunks(all.len().div_ceil(POINTS_MAX / 2)) {
        let by_rate = |a: &&PointRecord, b: &&PointRecord| a.rps.total_cmp(&b.rps);
        let both = [few.iter().min_by(by_rate), few.iter().max_by(by_rate)];
        let mut both: Vec<PointRecord> = both.into_iter().flatten().copied().collect();
        both.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        both.dedup();
        kept.extend(both);
    }
    kept
}

/// A fault as it is planned.
pub fn fault(f: &Fault) -> FaultRecord {
    let kind = match f.kind {
        FaultKind::Kill => "kill",
        FaultKind::Pause => "pause",
        FaultKind::DropMetrics => "dropMetrics",
        FaultKind::Slow => "slow",
        FaultKind::Partition => "partition",
    };
    let target = match f.target() {
        Some(t) => format!("{}/{}/{}/{}", f.cluster, t.namespace, t.app, t.container),
        None if f.part.is_empty() => f.cluster.clone(),
        None => format!("{}/{}", f.cluster, f.part),
    };
    FaultRecord {
        name: f.name.clone(),
        kind: kind.to_owned(),
        target,
        start_s: f.at.as_secs_f64(),
        end_s: (f.at + f.lasts).as_secs_f64(),
    }
}

fn load(event: &Event) -> Option<LoadRecord> {
    let Event::LoadTotal { cluster, load, to, stage, recorder, .. } = event else { return None };
    Some(LoadRecord {
        cluster: cluster.clone(),
        load: load.clone(),
        to: to.clone(),
        stage: stage.clone(),
        figures: figures(&recorder.failures_as_slowest().summary()),
    })
}

/// Figures as they are recorded, of a summary in which what failed is slower than any latency.
pub fn figures(s: &Summary) -> Figures {
    // JSON has no infinity, and no request is waited for longer.
    let ms = |latency_ms: f64| latency_ms.min(REQUEST_TIMEOUT.as_secs_f64() * 1000.0);
    Figures {
        planned: s.planned,
        completed: s.completed,
        failed: s.failed,
        dropped: s.dropped,
        saturated: s.saturated,
        own_failures: s.own_failures,
        causes: s.causes.clone(),
        own_causes: s.own_causes.clone(),
        statuses: s.statuses.iter().map(|(status, n)| (status.to_string(), *n)).collect(),
        latency_p50_ms: ms(s.latency_p50_ms),
        latency_p95_ms: ms(s.latency_p95_ms),
        latency_p99_ms: ms(s.latency_p99_ms),
        latency_max_ms: ms(s.latency_max_ms),
        send_lag_p99_ms: s.send_lag_p99_ms,
    }
}

/// Only of workloads that a policy may scale, or that changed: the rest of a world says nothing.
fn workload(s: &Scenario, t: &Timeline, target: &Target) -> Option<WorkloadRecord> {
    let r = workloads::replicas(t, target)?;
    let (cluster, name) = target;
    let service = s.services.get(name);
    if service.is_none() && r.changes == 0 {
        return None;
    }
    let elasticity = workloads::elasticity_of(s, t, target);
    Some(WorkloadRecord {
        cluster: cluster.clone(),
        workload: name.clone(),
        first_wanted: r.first,
        most_wanted: r.most,
        last_wanted: r.last,
        changes: r.changes,
        reversals: r.reversals,
        replica_hours: r.replica_hours,
        sustains_rps: service.and_then(|s| s.sustains_rps),
        planned: service.and_then(|s| s.sustains_rps).map(|_| planned(&s.planned_rps(cluster, name))),
        slo: service.and_then(|s| Some(s.slo.as_ref()?.text().to_owned())),
        elasticity: elasticity.map(|e| ElasticityRecord {
            under_accuracy_percent: e.under_accuracy,
            over_accuracy_percent: e.over_accuracy,
            under_timeshare_percent: e.under_timeshare,
            over_timeshare_percent: e.over_timeshare,
            instability_percent: e.instability,
        }),
    })
}

/// A rate for each second as steps: one where it changes.
fn planned(by_second: &[f64]) -> Vec<PointRecord> {
    let step = |(second, rps): (u32, &f64)| PointRecord { at_s: f64::from(second), rps: *rps };
    let mut steps: Vec<PointRecord> = (0..).zip(by_second).map(step).collect();
    steps.dedup_by(|next, before| next.rps == before.rps);
    steps
}

/// As it is recorded; what is told only at the end is none.
pub fn event(at: Duration, event: &Event) -> Option<EventRecord> {
    let what = match event.clone() {
        Event::Mark { name, planned } => What::Mark { name, planned_s: Some(planned.as_secs_f64()) },
        Event::Missed { fault, why } => What::Missed { fault, why },
        Event::Late { what, how } => What::Late { what, how },
        Event::Replicas { target: (cluster, workload), wanted, ready } => {
            What::Replicas { cluster, workload, wanted, ready }
        }
        Event::Policy { policy: p, state: s } => What::Policy {
            cluster: p.cluster,
            policy: p.name,
            namespace: p.namespace,
            target_kind: p.kind,
            target_name: p.target,
            sufficient: s.sufficient,
            evidence: s.evidence,
            // JSON has no NaN; a value that is none is none.
            value: s.value.filter(|v| v.is_finite()),
            newest: s.newest.filter(|v| v.is_finite()),
            value_sufficient: s.value_sufficient,
            desired: s.desired,
            proposal: s.proposal,
            cause: s.cause,
            limits: s.limits,
        },
        Event::Load { cluster, load, to, progress } => {
            What::Load { cluster, load, to, rate_rps: progress.rate_rps, figures: figures(&progress.second) }
        }
        Event::Decision { policy: p, decision: d } => What::Decision {
            cluster: p.cluster,
            policy: p.name,
            namespace: p.namespace,
            target_kind: p.kind,
            target_name: p.target,
            time: d.time,
            from: d.from,
            to: d.to,
            written: d.written,
            reason: d.cause,
            limits: d.limits,
            digest: d.digest,
            record: d.record.as_ref().map(|r| r.path.clone()),
            kept: d.record.map(|r| KeptRecord {
                replays: r.replays,
                sufficient: r.sufficient,
                asked: r.asked,
            }),
            metrics: d.metrics.into_iter().map(decision_metric).collect(),
        },
        Event::Slo { cluster, service, second: s } => {
            What::Slo { cluster, service, second: s.second, due: s.due, over: s.over, held: s.held }
        }
        Event::Restart { container, count } => What::Restart { container, count },
        Event::LoadTotal { .. } | Event::Sent { .. } => return None,
    };
    Some(EventRecord { at_s: at.as_secs_f64(), what })
}

fn decision_metric(m: DecidedMetric) -> DecisionMetric {
    DecisionMetric {
        name: m.name,
        value: m.value.filter(|v| v.is_finite()),
        target: m.target.filter(|v| v.is_finite()),
        target_type: m.target_type,
        age_s: m.age.map(|a| a.as_secs_f64()),
        sufficient: m.sufficient,
        proposal: m.proposal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_rate_is_recorded_where_it_changes() {
        let steps = planned(&[5.0, 5.0, 7.5, 5.0, 5.0]);
        assert_eq!(
            steps.iter().map(|p| (p.at_s, p.rps)).collect::<Vec<_>>(),
            [(0.0, 5.0), (2.0, 7.5), (3.0, 5.0)]
        );
        assert_eq!(planned(&[]), []);
    }

    #[test]
    fn passwords_of_addresses_are_not_kept() {
        let url = "http://me:hunter2@p:9090/x?token=hunter3";
        let text = format!(
            "name: a\nclusters: [east]\nservices: {{web: {{}}}}\nload:\n  name: users\n  to: web\n  series: {{url: \
             '{url}', query: up, from: 2026-01-01T00:00:00Z, to: 2026-01-01T01:00:00Z, step: 15s}}\n"
        );
        let loaded =
            simulations_scenario::parse("t.yaml", &text, &Default::default(), &|_| Err("no".into())).unwrap();
        for text in [loaded.text.clone(), loaded.effective.to_string()] {
            assert!(text.contains("hunter2"));
            let shown = without_secrets(&loaded.scenario, &text);
            assert!(shown.contains("http://p:9090/x?token=…") && !shown.contains("hunter"), "{shown}");
        }
        assert_eq!(without_secrets(&loaded.scenario, "name: a"), "name: a");
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_peak() {
        let stage = |i: u64| Stage {
            duration: Duration::from_secs(1),
            from_rps: 1.0,
            to_rps: if i == 7_777 { 99.0 } else { 1.0 },
        };
        let all: Vec<Stage> = (0..10_000).map(stage).collect();
        let kept = points(&all);
        assert!(kept.len() <= POINTS_MAX && kept.is_sorted_by(|a, b| a.at_s < b.at_s), "{}", kept.len());
        assert!(kept.contains(&PointRecord { at_s: 7_778.0, rps: 99.0 }));
        assert_eq!(points(&all[..3]).len(), 4);
    }
}
