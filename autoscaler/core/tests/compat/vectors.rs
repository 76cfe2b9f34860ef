//! Upstream's own cases: one metric at a time, and whole syncs.

use std::collections::BTreeSet;

use autoscaler_core::{Behavior, Float, History, Pods, Recommendation, Rules};
use autoscaler_hpa::{ConditionStatus, HpaSpec, State};

use crate::express::{Sync, decided, input};
use crate::harness::calculations::{Calculated, Calculation};
use crate::harness::cases::{NOW_MS, PodCase, each, each_named, same};
use crate::harness::syncs::{Reconcile, Reconciled, Selection};

#[test]
fn replicas_of_one_metric() {
    each("replica_calc.json", 60, |case: &Calculation, expected: &Calculated| {
        let own = |tolerance: f64| Rules { tolerance: Some(Float::new(tolerance)), ..Default::default() };
        let spec = HpaSpec {
            min_replicas: Some(0),
            max_replicas: i32::MAX,
            metrics: vec![case.spec()],
            behavior: Some(Behavior {
                scale_up: Some(own(case.tolerance_up)),
                scale_down: Some(own(case.tolerance_down)),
            }),
        };
        // Each function is given only the one that it looks at.
        let current = case.current_replicas.or(case.status_replicas).unwrap_or(1);
        let express = Sync {
            now_ms: NOW_MS,
            spec: &spec,
            settings: &case.periods.settings(),
            scale: (current, case.status_replicas.unwrap_or(current)),
            pods: Pods::of(case.pods.iter().map(PodCase::pod).collect()),
            answers: &[case.metric_call.answer()],
        };
        let decision = decided(&input(&express, History::default())?)?;
        let verdict = &decision.metrics[0];
        let found = verdict.proposal.map(|replicas| (replicas, verdict.value.map(|value| value.get())));
        let expected = match &expected.error {
            Some(_) => None,
            None => {
                let milli = expected.usage_milli.unwrap_or_default() as f64 / 1000.0;
                let shown = expected.utilization.map_or(milli, f64::from);
                Some((expected.replicas.unwrap_or_default(), Some(shown)))
            }
        };
        same(&found, &expected)
    });
}

/// What upstream remembers, as we do.
fn history(state: State) -> History {
    let recommended = state.recommendations;
    History {
        recommendations: recommended.map(|all| all.into_iter().map(Recommendation::from).collect()),
        scale_up_events: state.scale_up_events,
        scale_down_events: state.scale_down_events,
        ..History::default()
    }
}

/// Cases that say nothing to a decision, each with the reason.
const NOT_OURS: &[(&str, &str)] = &[
    ("reconcile/TestConditionFailedGetScale", "without a scale nobody is asked to decide"),
    ("reconcile/TestConditionInvalidSourceType", "a metric of no type"),
    ("reconcile/TestScaleUpBothMetricsEmpty", "a metric of no type"),
    ("reconcile/TestScaleUpRCImmediately", "a metric of no type"),
    (
        "reconcile/TestConfigurableTolerance/No_scaling_because_the_configurable_tolerance_is_ignored_as_the_feature_gate_is_disabled",
        "a feature gate of before 1.35",
    ),
];

#[test]
fn whole_syncs() {
    let mut left = BTreeSet::new();
    let left_out = std::cell::RefCell::new(&mut left);
    each_named("reconcile.json", 68, |id, case: &Reconcile, expected: &Reconciled| {
        let scale = case.scale();
        if scale.error.is_some() {
            // Without a scale nobody is asked to decide.
            left_out.borrow_mut().insert(id.to_owned());
            return Ok(());
        }
        let spec = case.spec();
        let (answers, _) = case.answers(&spec);
        let express = Sync {
            now_ms: NOW_MS,
            spec: &spec,
            settings: &case.config.settings(),
            scale: (scale.spec_replicas, scale.status_replicas),
            pods: match case.selection() {
                Selection::Missing => Pods::SelectorMissing,
                Selection::Unreadable => Pods::SelectorInvalid("a space".to_owned()),
                Selection::Shared(other) => Pods::SelectorAmbiguous(other),
                Selection::Pods(pods) => Pods::of(pods),
            },
            answers: &answers,
        };
        let input = match input(&express, history(case.state.state())) {
            Ok(input) => input,
            Err(_) => {
                left_out.borrow_mut().insert(id.to_owned());
                return Ok(());
            }
        };
        let decision = decided(&input)?;
        same(&decision.write, &expected.write())?;
        let conditions = decision.conditions(&input);
        for condition in &expected.status.conditions {
            let kind = format!("{:?}", condition.kind);
            let Some(found) = conditions.iter().find(|found| found.kind.to_string() == kind) else {
                continue;
            };
            // What upstream says after the write is the writer's to say.
            if ["SucceededRescale", "FailedUpdateScale"].contains(&condition.reason.as_str()) {
                continue;
            }
            let reason = condition.reason.replace("FailedGetObject", "FailedGetExternal");
            let holds = condition.status == ConditionStatus::True;
            same(&(found.status, found.reason.as_str()), &(holds, reason.as_str()))?;
        }
        let failed = expected.events().contains(&"FailedComputeMetricsReplicas");
        same(&decision.failed_to_compute(), &failed)?;
        let mut after = decision.history.clone();
        if let Some(to) = decision.write.filter(|_| case.written().is_ok()) {
            after.record_written(&input.policy, NOW_MS, input.scale.spec_replicas, to);
            same(&to, &expected.status.desired_replicas)?;
        }
        let remembered = history(expected.state.state());
        same(&after.recommendations, &remembered.recommendations)?;
        same(&after.scale_up_events, &remembered.scale_up_events)?;
        same(&after.scale_down_events, &remembered.scale_down_events)
    });
    let known: BTreeSet<String> = NOT_OURS.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert!(left.is_empty() || left == known, "left out without a reason: {left:?}");
}
