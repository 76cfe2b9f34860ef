//! Upstream's cases on a whole sync: `horizontal_test.go`.

use autoscaler_hpa::{Condition, Controller, HpaStatus, Inputs, Scale, Selected};

use crate::harness::cases::{NOW_MS, ago, each, same};
use crate::harness::syncs::{ConditionCase, MetricCase, Reconcile, Reconciled, Selection, StatusCase};

/// The status without messages, which are each side's own words.
fn told(status: &StatusCase) -> HpaStatus {
    let condition = |c: &ConditionCase| Condition {
        kind: c.kind,
        status: c.status,
        reason: c.reason.clone().into(),
        message: "".into(),
        transition_ms: ago(c.last_transition_age_seconds),
    };
    HpaStatus {
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        last_scale_ms: status.last_scale_age_seconds.map(ago),
        current_metrics: Vec::new(),
        conditions: status.conditions.iter().map(condition).collect(),
    }
}

type Metrics = Vec<Option<(String, Option<i64>, Option<i64>, Option<i32>)>>;

fn metrics(status: &StatusCase) -> Metrics {
    let metric = |metric: &Option<MetricCase>| {
        let MetricCase { kind, current } = metric.as_ref()?;
        let kind = kind.clone().filter(|kind| !kind.is_empty())?;
        Some((kind, current.value_milli, current.average_value_milli, current.average_utilization))
    };
    status.current_metrics.iter().map(metric).collect()
}

#[test]
fn whole_syncs() {
    each("reconcile.json", 68, |input: &Reconcile, expected: &Reconciled| {
        let (spec, scale, selection) = (input.spec(), input.scale(), input.selection());
        let (answers, all_used) = input.answers(&spec);
        let status = told(&input.status);
        let inputs = Inputs {
            now_ms: NOW_MS,
            spec: &spec,
            status: &status,
            scale: match &scale.error {
                Some(why) => Err(why.as_str()),
                None => {
                    Ok(Scale { spec_replicas: scale.spec_replicas, status_replicas: scale.status_replicas })
                }
            },
            pods: match &selection {
                Selection::Missing => Selected::Required,
                Selection::Unreadable => Selected::Invalid("a space"),
                Selection::Shared(other) => Selected::Ambiguous(other),
                Selection::Pods(pods) => Selected::Pods(pods),
            },
            answers: &answers,
        };
        let mut controller = Controller::with_state(input.config.settings(), input.state.state());
        let outputs = controller.sync(&inputs, |_| input.written());

        same(&outputs.write, &expected.write())?;
        let reasons: Vec<&str> = outputs.events.iter().map(|event| event.reason).collect();
        same(&reasons, &expected.events())?;
        same(&outputs.error.is_some(), &expected.error.is_some())?;
        let mut found = outputs.status.clone();
        let current: Metrics = std::mem::take(&mut found.current_metrics)
            .into_iter()
            .map(|metric| {
                let metric = metric?;
                let current = metric.current;
                Some((
                    metric.kind,
                    current.value_milli,
                    current.average_value_milli,
                    current.average_utilization,
                ))
            })
            .collect();
        for condition in &mut found.conditions {
            condition.message = "".into();
        }
        same(&found, &told(&expected.status))?;
        same(&current, &metrics(&expected.status))?;
        let changed = found != told(&input.status) || current != metrics(&input.status);
        same(&u32::from(changed), &expected.status_updates)?;
        same(controller.state(), &expected.state.state())?;
        same(&all_used, &true)
    });
}
