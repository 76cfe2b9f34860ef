//! Metrics of pods: what they ask for, and what may not lower.

use std::sync::Arc;

use autoscaler_core::pods::{ConditionStatus, Container, PodPhase, PodResources, ReadyCondition};
use autoscaler_core::{
    ClusterSamples, Decision, EvidenceSpec, FailureKind, Fallback, FallbackBehavior, Input, MetricKind,
    MetricSpec, Observation, Pod, Pods, Reading, Record, Sample, Samples, SelectorSamples, Settled, Target,
    canonical_json, decide, explain, replay,
};
use proptest::prelude::*;

use crate::build::{NOW_MS, input};

const MAX_AGE_MS: i64 = 60_000;
const REQUEST_MILLI: i64 = 1_000;
/// Percent of the request that is aimed at.
const TARGET: i32 = 50;

fn pod(index: usize) -> Pod {
    let requests_milli = [("cpu", REQUEST_MILLI), ("memory", 1 << 40)].map(|(k, v)| (k.to_owned(), v)).into();
    let containers = vec![Container { name: "app".to_owned(), requests_milli }];
    Pod {
        name: format!("web-{index}"),
        phase: PodPhase::Running,
        deleting: false,
        start_ms: Some(NOW_MS - 3_600_000),
        ready: Some(ReadyCondition { status: ConditionStatus::True, transition_ms: NOW_MS - 3_590_000 }),
        resources: Arc::new(PodResources { containers, ..PodResources::default() }),
    }
}

fn sample(index: usize, value_milli: i64) -> Sample {
    Sample { pod: format!("web-{index}"), value_milli, at_ms: NOW_MS - 10_000, window_ms: 15_000 }
}

/// CPU, or whatever else, of pods that are alike and have been ready for long.
struct Case {
    pods: Vec<Pod>,
    samples: Vec<Sample>,
    spec: MetricSpec,
    current: i32,
}

impl Case {
    fn cpu(pods: usize, each_milli: i64) -> Self {
        Self {
            pods: (0..pods).map(pod).collect(),
            samples: (0..pods).map(|index| sample(index, each_milli)).collect(),
            spec: MetricSpec {
                name: "cpu".into(),
                revision: 0,
                kind: MetricKind::Resource { resource: "cpu".into() },
                target: Target::Utilization { average_utilization: TARGET },
                evidence: EvidenceSpec { max_age_ms: MAX_AGE_MS, ..EvidenceSpec::default() },
                fallback: None,
                activation_milli: 0,
            },
            current: pods as i32,
        }
    }

    fn input(&self) -> Input {
        let observation = Observation {
            name: self.spec.name.clone(),
            newest: Reading::Pods(self.samples.clone()),
            settled: None,
            samples: Samples::Timeless,
            starts: Vec::new(),
            warnings: Vec::new(),
            incomplete: None,
        };
        let mut input = input(self.current, vec![(self.spec.clone(), observation)]);
        input.pods = Some(Pods::of(self.pods.clone()));
        input.scale.ready_replicas = self.pods.iter().filter(|pod| pod.is_ready()).count() as i32;
        watched(&mut input);
        input
    }

    fn decide(&self) -> Decision {
        decided(&self.input())
    }
}

/// As many pods were ready for an hour.
fn watched(input: &mut Input) {
    let before = Input { now_ms: NOW_MS - 3_600_000, ..input.clone() };
    input.history.ready = decide(&before).history.ready;
}

/// Decides, and holds the decision to its record.
fn decided(input: &Input) -> Decision {
    let decision = decide(input);
    let record = canonical_json(&Record::new(input.clone(), decision.clone())).expect("JSON");
    let replayed = replay(&record).expect("a record");
    assert!(replayed.identical && replayed.input == *input, "its record replays otherwise");
    decision
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    decision.metrics[0].evidence.doubts().iter().map(|doubt| doubt.reason()).collect()
}

#[test]
fn sound_values_of_all_pods_raise_and_lower_as_upstream_does() {
    for (each_milli, wanted) in [(1_000, 8), (500, 4), (540, 4), (560, 5), (460, 4), (100, 1), (260, 3)] {
        let decision = Case::cpu(4, each_milli).decide();
        assert_eq!((decision.desired_replicas, reasons(&decision)), (wanted, vec![]), "{each_milli}");
    }
    let text = explain(&Case::cpu(4, 1_000).input(), &Case::cpu(4, 1_000).decide());
    assert!(text[0].contains("cpu above target: 100 % of requests against 50 % asks for 8"), "{text:?}");
}

#[test]
fn of_one_container_and_of_an_average_as_well() {
    let mut case = Case::cpu(4, 900);
    case.spec.kind = MetricKind::ContainerResource { resource: "cpu".into(), container: "app".into() };
    assert_eq!(case.decide().desired_replicas, 8);
    case.spec.target = Target::AverageValue { average_value_milli: 300 };
    let decision = case.decide();
    assert_eq!((decision.metrics[0].proposal, decision.desired_replicas), (Some(12), 8));
    let cause = decision.cause(&case.input());
    assert!(cause.contains("0.9 a pod against 0.3 asks for 12"), "{cause}");
    case.spec.kind = MetricKind::ContainerResource { resource: "cpu".into(), container: "mesh".into() };
    case.spec.target = Target::Utilization { average_utilization: TARGET };
    let decision = case.decide();
    assert_eq!((decision.desired_replicas, reasons(&decision)), (4, vec!["PodsUnknown"]));
    let cause = decision.cause(&case.input());
    assert!(cause.contains("no container mesh of pod web-0"), "{cause}");
}

/// Each change makes the low value of four pods one that may not lower, by the doubt that it is named after.
#[test]
fn what_is_missing_of_a_pod_lowers_nothing() {
    type Change = fn(&mut Case);
    let cases: &[(&str, Change, &[&str])] = &[
        ("no sample of a pod", |case| drop(case.samples.remove(2)), &["PodsMissing"]),
        ("an old one", |case| case.samples[1].at_ms = NOW_MS - MAX_AGE_MS - 1, &["PodsMissing"]),
        (
            "one from the future",
            |case| case.samples[1].at_ms = NOW_MS + 1_001,
            &["StaleSamples", "PodsMissing"],
        ),
        (
            "all old",
            |case| case.samples.iter_mut().for_each(|s| s.at_ms = 0),
            &["PodsMissing", "PodsUnknown"],
        ),
        ("a negative one", |case| case.samples[0].value_milli = -1, &["NegativeValue"]),
        ("no samples", |case| case.samples.clear(), &["EmptyResult", "PodsMissing"]),
        (
            "nobody's samples",
            |case| case.samples.iter_mut().for_each(|s| s.pod.push('x')),
            &["PodsMissing", "PodsUnknown"],
        ),
        ("no pods", |case| case.pods.clear(), &["PodsUnknown"]),
        ("a pod without requests", |case| ask_nothing(&mut case.pods[3]), &["PodsUnknown"]),
        ("nobody ready", |case| case.pods.iter_mut().for_each(not_ready), &["NoReadyReplicas"]),
    ];
    for (what, change, expected) in cases {
        let mut case = Case::cpu(4, 100);
        change(&mut case);
        let decision = case.decide();
        assert_eq!((decision.desired_replicas, reasons(&decision)), (4, expected.to_vec()), "{what}");
        let conditions = decision.conditions(&case.input());
        let evidence = conditions.iter().find(|c| c.kind.to_string() == "EvidenceSufficient").unwrap();
        assert!(!evidence.status && evidence.message.contains("; "), "{what}: {}", evidence.message);
    }
}

fn ask_nothing(pod: &mut Pod) {
    let containers = vec![Container { name: "app".to_owned(), ..Container::default() }];
    pod.resources = Arc::new(PodResources { containers, ..PodResources::default() });
}

fn not_ready(pod: &mut Pod) {
    pod.ready = Some(ReadyCondition { status: ConditionStatus::False, transition_ms: NOW_MS - 60_000 });
}

#[test]
fn a_pod_that_is_not_ready_lowers_nothing_by_what_little_it_uses() {
    // Two carry the load of four, the others are cut off: upstream sees an average of a quarter.
    let mut case = Case::cpu(4, 0);
    case.pods[2..].iter_mut().for_each(not_ready);
    case.samples[..2].iter_mut().for_each(|sample| sample.value_milli = 500);
    let decision = case.decide();
    assert_eq!((decision.desired_replicas, reasons(&decision)), (4, vec![]));
    // Without load there is nothing that the unready ones could hide, but that they might be at their target.
    case.samples.iter_mut().for_each(|sample| sample.value_milli = 0);
    assert_eq!(case.decide().desired_replicas, 4);
    case.pods[3] = pod(3);
    assert_eq!(case.decide().desired_replicas, 2);
}

#[test]
fn a_pod_that_just_became_ready_is_taken_for_busy_and_is_no_doubt() {
    let mut case = Case::cpu(4, 100);
    case.pods[3].ready =
        Some(ReadyCondition { status: ConditionStatus::True, transition_ms: NOW_MS - 5_000 });
    case.samples.pop();
    let decision = case.decide();
    // (3 × 100m + its whole request) of 4000m is 32 %.
    assert_eq!((decision.desired_replicas, reasons(&decision)), (3, vec![]));
    // Where it raises, it is taken for idle.
    case.samples.iter_mut().for_each(|sample| sample.value_milli = 1_000);
    assert_eq!(case.decide().desired_replicas, 6);
}

#[test]
fn what_fails_or_is_going_counts_as_nothing() {
    let mut case = Case::cpu(4, 600);
    case.pods[2].phase = PodPhase::Failed;
    case.pods[3].deleting = true;
    case.samples[2].value_milli = 1_000_000;
    case.samples[3].value_milli = 1_000_000;
    case.current = 2;
    assert_eq!(case.decide().desired_replicas, 3);
}

/// Ten pods shared a load at half of their target; five are left, and their samples are still from then.
#[test]
fn values_of_before_a_lowering_lower_no_further() {
    let mut case = Case::cpu(5, 250);
    let mut input = case.input();
    for (at_ms, ready) in [(NOW_MS - 600_000, 10), (NOW_MS - 12_000, 5)] {
        let mut before = input.clone();
        (before.now_ms, before.scale.ready_replicas) = (at_ms, ready);
        input.history.ready = decide(&before).history.ready;
    }
    // 250m of 1000m against 50 % of five pods would be three.
    assert_eq!(decided(&input).desired_replicas, 5);
    // Whoever did not see the ten knows that there may have been more.
    let mut anew = case.input();
    anew.history.ready = Default::default();
    let decision = decided(&anew);
    assert_eq!((decision.desired_replicas, reasons(&decision)), (5, vec!["NotSettled"]));
    // Once the samples' windows began after it, the value is theirs.
    let mut later = input.clone();
    later.now_ms += 60_000;
    case.samples.iter_mut().for_each(|sample| sample.at_ms = later.now_ms - 5_000);
    later.observations[0].newest = Reading::Pods(case.samples.clone());
    assert_eq!(decided(&later).desired_replicas, 3);
}

#[test]
fn more_than_upstreams_integers_hold_does_not_wrap() {
    // 200 pods with 500 GiB of memory each, at 40 % and at 90 % of it: a hundred times their sum is beyond 64 bits.
    let gib = 1_000i64 << 30;
    for (percent, wanted) in [(40, 160), (90, 360), (50, 200)] {
        let mut case = Case::cpu(200, 0);
        case.spec.kind = MetricKind::Resource { resource: "memory".into() };
        for pod in &mut case.pods {
            let requests_milli = [("memory".to_owned(), 500 * gib)].into();
            let containers = vec![Container { name: "app".to_owned(), requests_milli }];
            pod.resources = Arc::new(PodResources { containers, ..PodResources::default() });
        }
        case.samples.iter_mut().for_each(|sample| sample.value_milli = 5 * gib * percent);
        let mut input = case.input();
        input.policy.max_replicas = 1_000;
        assert_eq!(decided(&input).desired_replicas, wanted, "{percent}");
    }
    // A byte is requested, a gibibyte used: upstream's percentage is cut to 32 bits.
    let mut case = Case::cpu(1, 0);
    case.spec.kind = MetricKind::Resource { resource: "memory".into() };
    let requests_milli = [("memory".to_owned(), 1_000)].into();
    let containers = vec![Container { name: "app".to_owned(), requests_milli }];
    case.pods[0].resources = Arc::new(PodResources { containers, ..PodResources::default() });
    case.samples[0].value_milli = gib;
    let decision = case.decide();
    assert_eq!((decision.metrics[0].proposal, decision.desired_replicas), (Some(i32::MAX), 4));
}

#[test]
fn without_a_metrics_api_the_condition_says_what_to_do() {
    let mut input = Case::cpu(4, 100).input();
    let message = "the server could not find the requested resource".to_owned();
    input.observations[0].newest = Reading::Failed { kind: FailureKind::MetricsApi, message };
    let decision = decided(&input);
    assert_eq!(decision.desired_replicas, 4);
    assert!(decision.failed_to_compute());
    for (kind, reason) in [
        (MetricKind::Resource { resource: "cpu".into() }, "FailedGetResourceMetric"),
        (
            MetricKind::ContainerResource { resource: "cpu".into(), container: "app".into() },
            "FailedGetContainerResourceMetric",
        ),
    ] {
        input.policy.metrics[0].kind = kind;
        let conditions = decided(&input).conditions(&input);
        let active = conditions.iter().find(|c| c.kind.to_string() == "ScalingActive").unwrap();
        assert_eq!((active.status, active.reason.as_str()), (false, reason));
        assert!(active.message.contains("install metrics-server"), "{}", active.message);
    }
}

#[test]
fn a_fallback_counts_from_when_values_are_missing() {
    let mut case = Case::cpu(4, 100);
    case.samples.remove(0);
    case.spec.fallback =
        Some(Fallback { after_ms: 60_000, replicas: 7, behavior: FallbackBehavior::IfHigher });
    let mut input = case.input();
    let first = decided(&input);
    assert_eq!(first.desired_replicas, 4);
    input.history = first.history;
    input.now_ms += 60_000;
    for pod_sample in case.samples.iter_mut() {
        pod_sample.at_ms += 60_000;
    }
    input.observations[0].newest = Reading::Pods(case.samples.clone());
    assert_eq!(decided(&input).desired_replicas, 7);
}

#[test]
fn pods_that_nobody_can_select_hold() {
    for pods in [
        None,
        Some(Pods::SelectorMissing),
        Some(Pods::SelectorInvalid("=".to_owned())),
        Some(Pods::SelectorAmbiguous("another".to_owned())),
        Some(Pods::Unknown("not listed yet".to_owned())),
    ] {
        let mut input = Case::cpu(4, 1_000).input();
        input.pods = pods;
        let decision = decided(&input);
        assert_eq!((decision.desired_replicas, reasons(&decision)), (4, vec!["PodsUnknown"]));
    }
}

/// A query's values, one a pod: the newest may only raise, those of the settled time lower.
fn by_query(newest_milli: i64, settled_milli: i64) -> Case {
    let mut case = Case::cpu(4, newest_milli);
    case.spec.kind = MetricKind::Pods;
    case.spec.target = Target::AverageValue { average_value_milli: 10_000 };
    case.samples = (0..4).map(|index| sample(index, settled_milli)).collect();
    case
}

fn asked(case: &Case, newest_milli: i64) -> Input {
    let mut input = case.input();
    let at_ms = NOW_MS - 4_000;
    let observation = &mut input.observations[0];
    observation.newest = Reading::Pods((0..4).map(|index| sample(index, newest_milli)).collect());
    observation.settled = Some(Settled { at_ms, reading: Reading::Pods(case.samples.clone()) });
    let seen = ClusterSamples {
        cluster: "east".into(),
        newest_ms: NOW_MS - 1_000,
        slowest_ms: Some(at_ms),
        pods: 4,
        silent_pods: 0,
    };
    observation.samples = Samples::Seen(vec![SelectorSamples {
        selector: "x".into(),
        pinned: false,
        scope: Default::default(),
        clusters: vec![seen],
    }]);
    input
}

#[test]
fn values_of_a_query_by_pod_raise_when_new_and_lower_when_settled() {
    for (newest, settled, wanted) in
        [(20_000, 10_000, 8), (1_000, 10_000, 4), (10_000, 5_000, 4), (5_000, 5_000, 2)]
    {
        let case = by_query(newest, settled);
        let decision = decided(&asked(&case, newest));
        assert_eq!((decision.desired_replicas, reasons(&decision)), (wanted, vec![]), "{newest} {settled}");
    }
    // A pod is missing from what may lower.
    let mut case = by_query(5_000, 5_000);
    case.samples.remove(0);
    let decision = decided(&asked(&case, 5_000));
    assert_eq!((decision.desired_replicas, reasons(&decision)), (4, vec!["PodsMissing"]));
    // Another cluster's samples are missing: the evidence of queries holds here too.
    let mut input = asked(&by_query(5_000, 5_000), 5_000);
    input.policy.metrics[0].evidence.clusters = vec!["east".into(), "west".into()];
    let decision = decided(&input);
    assert_eq!((decision.desired_replicas, reasons(&decision)), (4, vec!["ClustersMissing"]));
}

#[test]
fn an_answer_of_another_form_is_none() {
    let mut input = Case::cpu(4, 100).input();
    input.observations[0].newest = Reading::Value(1.0.into());
    assert_eq!(reasons(&decided(&input)), ["QueryFailed"]);
    input.observations[0].newest = Reading::Series(vec![1, 2]);
    assert_eq!(reasons(&decided(&input)), ["ManySeries"]);
    input.policy.metrics[0].kind = MetricKind::Query;
    input.policy.metrics[0].target = Target::AverageValue { average_value_milli: 1 };
    input.observations[0].newest = Reading::Pods(vec![sample(0, 1)]);
    assert_eq!(reasons(&decided(&input)), ["QueryFailed"]);
}

/// What a pod looks like: ready, unready, going, failed, waiting, or young.
fn any_pod() -> impl Strategy<Value = (u8, i64, Option<(i64, i64)>)> {
    (0u8..6, 0i64..400_000, prop::option::weighted(0.8, (-2_000i64..120_000, 0i64..60_000)))
}

fn made(index: usize, state: u8, changed_ms_ago: i64) -> Pod {
    let mut pod = pod(index);
    let at = |status| Some(ReadyCondition { status, transition_ms: NOW_MS - changed_ms_ago });
    pod.ready = at(ConditionStatus::True);
    match state {
        0 | 1 => {}
        2 => pod.ready = at(ConditionStatus::False),
        3 => pod.deleting = true,
        4 => pod.phase = PodPhase::Failed,
        _ => pod.phase = PodPhase::Pending,
    }
    pod
}

proptest! {
    /// Whatever is missing, old, unready or cut off: pods that are at their target, with nobody below it, lower nothing.
    #[test]
    fn pods_at_their_target_are_never_lowered(
        pods in prop::collection::vec(any_pod(), 1..12),
        extra in 0i32..4,
        tolerance in 0.0f64..0.2,
    ) {
        let mut case = Case::cpu(0, 0);
        for (index, (state, changed_ms_ago, measured)) in pods.iter().enumerate() {
            let pod = made(index, *state, *changed_ms_ago);
            if let Some((age_ms, window_ms)) = *measured {
                // One that is cut off uses nothing.
                let value_milli = if pod.is_ready() { 500 } else { 0 };
                case.samples.push(Sample { at_ms: NOW_MS - age_ms, window_ms, ..sample(index, value_milli) });
            }
            case.pods.push(pod);
        }
        // Those that count are as many as are ordered, but for what has not been created or taken away yet.
        let counted = case.pods.iter().filter(|pod| !pod.deleting && pod.phase != PodPhase::Failed).count() as i32;
        case.current = (counted - extra).max(1);
        let mut input = case.input();
        input.policy.defaults.tolerance = tolerance.into();
        let decision = decided(&input);
        prop_assert!(decision.desired_replicas >= case.current, "{:?}", explain(&input, &decision));
    }

    /// A ready pod without a fresh value forbids lowering, whatever the others say; and nothing panics or leaves the
    /// bounds.
    #[test]
    fn a_ready_pod_without_a_fresh_value_forbids_lowering(
        pods in prop::collection::vec((any_pod(), 0i64..i64::MAX), 1..12),
        current in 0i32..20,
        percent in 1i32..300,
    ) {
        let mut case = Case::cpu(0, 0);
        case.current = current;
        case.spec.target = Target::Utilization { average_utilization: percent };
        for (index, ((state, changed_ms_ago, measured), value_milli)) in pods.iter().enumerate() {
            if let Some((age_ms, window_ms)) = *measured {
                case.samples.push(Sample { at_ms: NOW_MS - age_ms, window_ms, ..sample(index, *value_milli) });
            }
            case.pods.push(made(index, *state, *changed_ms_ago));
        }
        let input = case.input();
        let decision = decided(&input);
        let unmeasured = pods.iter().enumerate().any(|(index, ((_, changed_ms_ago, measured), _))| {
            let fresh = measured.is_some_and(|(age_ms, _)| (-1_000..=MAX_AGE_MS).contains(&age_ms));
            let pod = &case.pods[index];
            pod.is_ready() && !pod.deleting && *changed_ms_ago >= MAX_AGE_MS && !fresh
        });
        if unmeasured && (1..=100).contains(&current) {
            prop_assert!(decision.desired_replicas >= current, "{:?}", explain(&input, &decision));
        }
        prop_assert!((0..=100).contains(&decision.desired_replicas));
    }
}
