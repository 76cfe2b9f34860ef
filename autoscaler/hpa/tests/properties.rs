//! What holds for any input, sensible or not.

use std::sync::Arc;

use autoscaler_hpa::behavior::{Behavior, RateKind, RatePolicy, Rules, SelectPolicy};
use autoscaler_hpa::{
    Answer, ConditionStatus, Container, Controller, Float, HpaSpec, HpaStatus, Inputs, MetricIdentifier,
    MetricSpec, MetricTarget, MetricTargetType, ObjectReference, Pod, PodPhase, PodResources, ReadyCondition,
    Sample, Scale, Selected, Settings,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), -3i64..=3, any::<i64>(), 0i64..=10_000]
}

fn replicas() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0i32..=20, 1 => any::<i32>()]
}

fn target() -> impl Strategy<Value = MetricTarget> {
    use MetricTargetType::{AverageValue, Utilization, Value};
    let kind = prop::sample::select(vec![Value, AverageValue, Utilization]);
    (kind, option::of(number()), option::of(number()), option::of(replicas())).prop_map(
        |(kind, value_milli, average_value_milli, average_utilization)| MetricTarget {
            kind,
            value_milli,
            average_value_milli,
            average_utilization,
        },
    )
}

fn metric() -> impl Strategy<Value = MetricSpec> {
    (0..6, target()).prop_map(|(kind, target)| {
        let (name, metric) = ("cpu".to_owned(), MetricIdentifier::from("depth"));
        match kind {
            0 => MetricSpec::Resource { name, target },
            1 => MetricSpec::ContainerResource { name, container: "app".to_owned(), target },
            2 => MetricSpec::Pods { metric, target },
            3 => MetricSpec::Object { metric, described_object: ObjectReference::default(), target },
            4 => MetricSpec::External { metric, target },
            _ => MetricSpec::Unknown { kind: name },
        }
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let sample = (0..6, number(), number(), number()).prop_map(|(pod, value_milli, at_ms, window_ms)| {
        Sample { pod: format!("pod-{pod}"), value_milli, at_ms, window_ms }
    });
    prop_oneof![
        3 => vec(sample, 0..6).prop_map(Answer::Pods),
        1 => number().prop_map(Answer::Object),
        1 => vec(number(), 0..4).prop_map(Answer::External),
        1 => Just(Answer::Failed("timeout".to_owned())),
    ]
}

fn pod() -> impl Strategy<Value = Pod> {
    use ConditionStatus::{False, True, Unknown};
    use PodPhase::{Failed, Pending, Running, Succeeded};
    let phase = prop::sample::select(vec![Pending, Running, Running, Succeeded, Failed, PodPhase::Unknown]);
    let ready = (prop::sample::select(vec![True, False, Unknown]), number())
        .prop_map(|(status, transition_ms)| ReadyCondition { status, transition_ms });
    (0..6, phase, any::<bool>(), option::of(number()), option::of(ready), option::of(number())).prop_map(
        |(n, phase, deleting, start_ms, ready, request)| {
            let requests_milli = request.map(|milli| ("cpu".to_owned(), milli)).into_iter().collect();
            let containers = vec![Container { name: "app".to_owned(), requests_milli }];
            let resources = Arc::new(PodResources { containers, ..PodResources::default() });
            Pod { name: format!("pod-{n}"), phase, deleting, start_ms, ready, resources }
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    use SelectPolicy::{Disabled, Max, Min};
    let policy = (any::<bool>(), replicas(), replicas()).prop_map(|(pods, value, period_seconds)| {
        RatePolicy { kind: if pods { RateKind::Pods } else { RateKind::Percent }, value, period_seconds }
    });
    let select = prop::sample::select(vec![Max, Min, Disabled]);
    (option::of(replicas()), option::of(select), option::of(vec(policy, 0..3)), option::of(any::<f64>()))
        .prop_map(|(stabilization_window_seconds, select_policy, policies, tolerance)| Rules {
            stabilization_window_seconds,
            select_policy,
            policies,
            tolerance: tolerance.map(Float::new),
        })
}

fn spec() -> impl Strategy<Value = HpaSpec> {
    let behavior = (option::of(rules()), option::of(rules()))
        .prop_map(|(scale_up, scale_down)| Behavior { scale_up, scale_down });
    (option::of(replicas()), replicas(), vec(metric(), 0..4), option::of(behavior)).prop_map(
        |(min_replicas, max_replicas, metrics, behavior)| HpaSpec {
            min_replicas,
            max_replicas,
            metrics,
            behavior,
        },
    )
}

/// One sync's inputs, owned.
#[derive(Debug, Clone)]
struct Seen {
    now_ms: i64,
    spec: HpaSpec,
    scale: Option<Scale>,
    pods: Vec<Pod>,
    answers: Vec<Answer>,
    written: bool,
}

fn seen() -> impl Strategy<Value = Seen> {
    let scale = (replicas(), replicas())
        .prop_map(|(spec_replicas, status_replicas)| Scale { spec_replicas, status_replicas });
    let scale = prop_oneof![9 => scale.prop_map(Some), 1 => Just(None)];
    (number(), spec(), scale, vec(pod(), 0..6), vec(answer(), 0..4), any::<bool>()).prop_map(
        |(now_ms, spec, scale, pods, answers, written)| Seen { now_ms, spec, scale, pods, answers, written },
    )
}

impl Seen {
    fn inputs<'a>(&'a self, status: &'a HpaStatus) -> Inputs<'a> {
        Inputs {
            now_ms: self.now_ms,
            spec: &self.spec,
            status,
            scale: self.scale.ok_or("gone"),
            pods: Selected::Pods(&self.pods),
            answers: &self.answers,
        }
    }

    fn result(&self) -> Result<(), String> {
        if self.written { Ok(()) } else { Err("denied".to_owned()) }
    }
}

/// Equal, where floats that are NaN equal themselves.
fn same<T: std::fmt::Debug>(a: &T, b: &T) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    /// No input panics; the same inputs give the same outputs and state; begin and finish are a sync.
    #[test]
    fn syncs_are_total_and_deterministic(all in vec(seen(), 1..8)) {
        let (mut one, mut two) = (Controller::new(Settings::default()), Controller::new(Settings::default()));
        let mut status = HpaStatus::default();
        for seen in &all {
            let inputs = seen.inputs(&status);
            let outputs = one.sync(&inputs, |_| seen.result());
            let pending = two.begin(&inputs);
            let again = two.finish(pending, seen.result());
            prop_assert!(same(&outputs, &again));
            prop_assert!(same(&one, &two));
            prop_assert_eq!(outputs.status_changed, outputs.status != status);
            status = outputs.status;
        }
    }

    /// Within bounds that make sense, what is written is within them, unless a factor of two does not fit 32 bits.
    #[test]
    fn what_is_written_is_within_bounds_or_towards_them(
        mut seen in seen(), min in 0i32..=20, more in 0i32..=20, current in 0i32..=1_000_000,
    ) {
        let max = min.saturating_add(more).max(1);
        (seen.spec.min_replicas, seen.spec.max_replicas) = (Some(min), max);
        seen.scale = seen.scale.map(|scale| Scale { spec_replicas: current, ..scale });
        let status = HpaStatus::default();
        let outputs = Controller::default().sync(&seen.inputs(&status), |_| seen.result());
        if let Some(write) = outputs.write {
            prop_assert_ne!(write, current);
            prop_assert!((min..=max).contains(&write), "{write} is not within {min}..={max}");
        }
    }

    /// Lists grow by one a sync at most, and stop once everything in them is too old.
    #[test]
    fn memory_is_bounded(all in vec(seen(), 1..40)) {
        let mut controller = Controller::default();
        let (mut status, mut before) = (HpaStatus::default(), 1);
        for (n, seen) in all.iter().enumerate() {
            let seen = Seen { now_ms: i64::try_from(n).expect("few") * 4_000_000_000_000, ..seen.clone() };
            status = controller.sync(&seen.inputs(&status), |_| seen.result()).status;
            let state = controller.state();
            let held = state.recommendations.as_ref().map_or(0, Vec::len).max(1);
            prop_assert!(held <= before + 1);
            before = held;
            // The oldest slot is free again, whatever the window.
            prop_assert!(held <= 2, "{held} recommendations");
            prop_assert!(state.scale_up_events.len() <= 1 && state.scale_down_events.len() <= 1);
        }
    }
}
