//! Compares every sync of a run with what we decide from the same inputs.

use std::collections::BTreeMap;

use autoscaler_core::{Cause, Decision, History, Input, Pods};
use autoscaler_hpa::{HpaSpec, MetricSpec, Pod};

use crate::express::{Sync, decided, input};
use crate::harness::lines::{self, Run, Scenario, answers, pods};
use crate::harness::wire::{ms, spec};

/// What came of comparing.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Decisions that were compared.
    pub(crate) syncs: u64,
    /// Of these, writes.
    pub(crate) writes: u64,
    /// Scenarios that we have no words for, by what it is.
    pub(crate) inexpressible: BTreeMap<String, u64>,
    /// One line for each scenario that differs, which ends there.
    pub(crate) differences: Vec<String>,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.syncs += other.syncs;
        self.writes += other.writes;
        for (what, count) in other.inexpressible {
            *self.inexpressible.entry(what).or_default() += count;
        }
        self.differences.extend(other.differences);
    }
}

/// Judges one line of each.
pub(crate) fn judge(scenario: &str, run: &str) -> Verdict {
    let scenario: Scenario = serde_json::from_str(scenario).expect("a scenario");
    let run: Run = serde_json::from_str(run).expect("a run");
    let mut verdict = Verdict::default();
    let specs: Vec<HpaSpec> = run.specs.iter().map(spec).collect();
    let resources = scenario.resources();
    let settings = scenario.settings();
    let mut history = History::default();
    let mut known: Vec<Pod> = Vec::new();
    for sync in &run.syncs {
        if sync.started {
            history = History::default();
        }
        if let Some(lines) = &sync.pods {
            known = pods(lines, &resources);
        }
        // Without a scale nobody is asked to decide.
        let Some(scale) = sync.scale else { continue };
        let spec = &specs[sync.spec];
        let express = Sync {
            now_ms: ms(sync.t),
            spec,
            settings: &settings,
            scale,
            pods: match sync.selector.as_deref() {
                None => Pods::of(known.clone()),
                Some("") => Pods::SelectorMissing,
                Some(text) if text.contains(' ') => Pods::SelectorInvalid("a space".to_owned()),
                Some(_) => Pods::of(Vec::new()),
            },
            answers: &answers(&sync.metrics, &spec.metrics, &resources.containers),
        };
        let input = match input(&express, history.clone()) {
            Ok(input) => input,
            Err(what) => {
                *verdict.inexpressible.entry(what).or_default() += 1;
                break;
            }
        };
        let found = match decided(&input) {
            Ok(decision) => {
                history = decision.history.clone();
                if let Some(to) = decision.write.filter(|_| sync.write_error.is_none()) {
                    history.record_written(&input.policy, input.now_ms, scale.0, to);
                }
                verdict.writes += u64::from(decision.write.is_some());
                differences(sync, &input, &decision, &spec.metrics)
            }
            Err(why) => vec![why],
        };
        verdict.syncs += 1;
        if !found.is_empty() {
            verdict.differences.push(format!("{} t={}: {}", run.id, sync.t, found.join("; ")));
            break;
        }
    }
    verdict
}

fn differences(
    sync: &lines::Sync,
    input: &Input,
    decision: &Decision,
    metrics: &[MetricSpec],
) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |field: &str, here: String, real: String| {
        if here != real {
            found.push(format!("{field} {here}, real {real}"));
        }
    };
    let proposal = match decision.cause {
        Cause::Metric { replicas, .. } => Some(replicas),
        _ => None,
    };
    same("proposal", format!("{proposal:?}"), format!("{:?}", sync.proposal.map(|p| p.max(0))));
    same("write", format!("{:?}", decision.write), format!("{:?}", sync.write));
    let conditions = decision.conditions(input);
    for (kind, status, reason, _) in sync.conditions.iter().flatten() {
        let Some(here) = conditions.iter().find(|c| c.kind.to_string() == *kind) else { continue };
        // What upstream says after the write is the writer's to say.
        if reason == "SucceededRescale" || reason == "FailedUpdateScale" {
            continue;
        }
        let of_object = metrics.iter().any(|metric| matches!(metric, MetricSpec::Object { .. }));
        let real =
            if of_object { reason.replace("FailedGetObject", "FailedGetExternal") } else { reason.clone() };
        let status = status == "True";
        same(kind, format!("{} {}", here.status, here.reason), format!("{status} {real}"));
    }
    let failed = sync.events.iter().any(|(_, reason, _)| reason == "FailedComputeMetricsReplicas");
    same("failed", decision.failed_to_compute().to_string(), failed.to_string());
    let here: Vec<Option<f64>> =
        decision.metrics.iter().map(|v| v.proposal.and(v.value).map(|value| value.get())).collect();
    let real = sync.current_metrics.iter().map(|metric| {
        let (_, value, average, utilization) = metric.as_ref()?;
        let milli = value.or(*average).unwrap_or_default();
        Some(utilization.map_or(milli as f64 / 1000.0, f64::from))
    });
    let real: Vec<Option<f64>> = real.collect();
    // Where upstream did not ask, it has no list, and ours has nothing in it.
    if !real.is_empty() {
        same("values", format!("{here:?}"), format!("{real:?}"));
    }
    found
}
