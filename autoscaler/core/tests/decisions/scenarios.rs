//! Single decisions, with the words that a user reads.

use autoscaler_core::{
    Behavior, Decision, Doubt, Evidence, FailureKind, Fallback, FallbackBehavior, Float, Input, LimitKind,
    MetricHistory, Mode, RateKind, RatePolicy, Reading, Rules, Samples, SelectPolicy, SelectorSamples,
    Settled, Target, Wish, decide, explain,
};

use crate::build::{self, asks_for, input};

/// Status and reason of `kind`, and the message.
fn condition(input: &Input, decision: &Decision, kind: &str) -> (bool, String, String) {
    let conditions = decision.conditions(input);
    let found = conditions.iter().find(|condition| condition.kind.to_string() == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind} in {conditions:?}"));
    (found.status, found.reason.clone(), found.message.clone())
}

#[test]
fn sufficient_evidence_raises_lowers_and_leaves_alone() {
    for (asked, expected) in [(15, Some(15)), (4, Some(4)), (10, None), (9, None), (11, None)] {
        let decision = decide(&input(10, vec![asks_for("requests", asked)]));
        assert_eq!(decision.write, expected, "asked for {asked}: {:?}", decision.cause);
        assert_eq!(decision.evidence_code(), "EvidenceComplete");
    }
}

#[test]
fn the_highest_proposal_wins_and_is_named() {
    let three = input(10, vec![asks_for("requests", 14), asks_for("queue", 17), asks_for("cpu", 3)]);
    let decision = decide(&three);
    assert_eq!(decision.write, Some(17));
    assert_eq!(decision.cause(&three), "queue above target: 170 (17 a replica against 10) asks for 17");
}

/// A change to an input that was sound.
type Change = fn(&mut Input);

/// What may be wrong with an answer: the condition's reason, how to get there, the words.
fn defects() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        (
            "StaleSamples",
            |i| age(i, Some(20_001)),
            "cluster west's newest sample is 20s old, more than 20s; check",
        ),
        ("StaleSamples", |i| age(i, Some(-5_000)), "cluster west's newest sample is 5s in the future; check"),
        ("ClustersMissing", |i| age(i, None), "cluster west has no sample in the answer; check"),
        (
            "ClustersMissing",
            |i| build::clusters(&mut i.observations[0]).clear(),
            "no sample of what it reads was found; check the scrape; if no series is normal, write into \
             evidence.selectors what must be there",
        ),
        (
            "ClustersMissing",
            one_selector_empty,
            "no sample of errors_total was found; check its scrape; if no",
        ),
        (
            "PodsMissing",
            |i| build::clusters(&mut i.observations[0])[1].silent_pods = 1,
            "the series of 1 pod in cluster west stopped without a staleness marker; check",
        ),
        (
            "QueryWarnings",
            |i| i.observations[0].warnings = vec!["no store matched".to_owned(), "x".to_owned()],
            "the querier warned: no store matched (and 1 more); check",
        ),
        (
            "QueryWarnings",
            |i| i.observations[0].incomplete = Some("isPartial".to_owned()),
            "the querier's answer is incomplete: isPartial; check the querier's stores",
        ),
        (
            "QueryAnnotated",
            |i| i.observations[0].warnings = vec!["PromQL warning: bucket label".to_owned()],
            "the querier said of the query: PromQL warning: bucket label; correct",
        ),
        (
            "QueryFailed",
            |i| i.observations[0].samples = Samples::Unknown("too late".to_owned()),
            "its samples could not be asked for: too late; make",
        ),
        ("NotSettled", |i| settled(i, 3_000), "cluster west's samples end 1s before those of the answer"),
        ("NotANumber", |i| value(i, f64::NAN), "its value is not a finite number; guard"),
        ("NotANumber", |i| value(i, f64::INFINITY), "its value is not a finite number; guard"),
        ("NegativeValue", |i| value(i, -1.0), "its value is negative; correct"),
        ("ManySeries", |i| failed(i, FailureKind::ManySeries), "(ManySeries): told so; aggregate"),
        ("QueryFailed", |i| failed(i, FailureKind::Unreachable), "(Unreachable): told so; check the querier"),
        (
            "SourceUnusable",
            |i| failed(i, FailureKind::Source),
            "its source cannot be asked: told so; it is asked",
        ),
        ("EmptyResult", |i| failed(i, FailureKind::Empty), "(Empty): told so; check the query's labels"),
        ("NotObserved", |i| drop(i.observations.remove(0)), "it was not observed"),
    ]
}

fn age(input: &mut Input, age_ms: Option<i64>) {
    build::age(&mut input.observations[0], input.now_ms, age_ms);
}

fn value(input: &mut Input, value: f64) {
    input.observations[0].newest = Reading::Value(Float::new(value));
}

fn failed(input: &mut Input, kind: FailureKind) {
    input.observations[0].newest = Reading::Failed { kind, message: "told so".to_owned() };
}

/// The value of some time before that samples of the answer then reached, and west's of this one did not.
fn settled(input: &mut Input, west_ms: i64) {
    let reading = input.observations[0].newest.clone();
    input.observations[0].settled = Some(Settled { at_ms: input.now_ms - 2_000, reading });
    age(input, Some(west_ms));
}

fn one_selector_empty(input: &mut Input) {
    let empty = SelectorSamples {
        selector: "errors_total".into(),
        pinned: false,
        scope: Default::default(),
        clusters: Vec::new(),
    };
    if let Samples::Seen(selectors) = &mut input.observations[0].samples {
        selectors.push(empty);
    }
}

#[test]
fn every_defect_blocks_lowering_and_names_cause_and_cure() {
    for (reason, break_it, words) in defects() {
        let mut broken = input(10, vec![asks_for("requests", 4), asks_for("queue", 5)]);
        assert_eq!(decide(&broken).write, Some(5), "healthy, it lowers");
        break_it(&mut broken);
        let decision = decide(&broken);
        assert_eq!((decision.write, decision.desired_replicas), (None, 10), "{reason}");
        let evidence = condition(&broken, &decision, "EvidenceSufficient");
        assert_eq!((evidence.0, evidence.1.as_str()), (false, reason));
        assert!(evidence.2.contains(words), "{} does not say {words}", evidence.2);
        assert_eq!(condition(&broken, &decision, "ScalingLimited").1, "InsufficientEvidence");
        assert_eq!(decision.wish(10), Wish::Hold);
        let cause = "queue asks for 5, but evidence is insufficient for requests (";
        assert!(decision.cause(&broken).starts_with(cause), "{}", decision.cause(&broken));
        let held = decision.limits.iter().any(|limit| limit.kind == LimitKind::InsufficientEvidence);
        assert!(held, "{:?}", decision.limits);
    }
}

#[test]
fn every_defect_lets_the_other_metrics_raise() {
    for (reason, break_it, _) in defects() {
        let mut broken = input(10, vec![asks_for("requests", 4), asks_for("queue", 15)]);
        break_it(&mut broken);
        let decision = decide(&broken);
        assert_eq!(decision.write, Some(15), "{reason}: {}", decision.cause(&broken));
        assert!(condition(&broken, &decision, "ScalingActive").0);
    }
}

#[test]
fn a_partial_or_stale_average_may_itself_raise() {
    for break_it in [(|i| age(i, None)) as Change, |i| age(i, Some(60_000))] {
        let mut broken = input(10, vec![asks_for("requests", 15)]);
        break_it(&mut broken);
        assert_eq!(decide(&broken).write, Some(15));
    }
}

#[test]
fn a_stale_ratio_does_not_multiply_itself() {
    let mut stale = input(10, vec![asks_for("latency", 0)]);
    stale.policy.metrics[0].target = Target::Value { value_milli: 100_000 };
    value(&mut stale, 200.0);
    assert_eq!(decide(&stale).write, Some(20), "fresh, it doubles");
    age(&mut stale, Some(60_000));
    assert_eq!(decide(&stale).write, None);
}

#[test]
fn a_ratio_without_ready_replicas_holds() {
    let mut outage = input(10, vec![asks_for("latency", 0)]);
    outage.policy.metrics[0].target = Target::Value { value_milli: 100_000 };
    value(&mut outage, 300.0);
    outage.scale.ready_replicas = 0;
    let decision = decide(&outage);
    assert_eq!(decision.write, None);
    assert_eq!(decision.evidence_code(), "NoReadyReplicas");
}

#[test]
fn a_lagging_status_does_not_take_a_raise_back() {
    let mut lagging = input(12, vec![asks_for("requests", 10)]);
    lagging.scale.status_replicas = 10;
    assert_eq!(decide(&lagging).write, None);
}

#[test]
fn a_query_without_series_needs_no_age() {
    let mut clock = input(10, vec![asks_for("hours", 4)]);
    clock.observations[0].samples = Samples::Timeless;
    assert_eq!(decide(&clock).write, Some(4));
}

#[test]
fn bounds_are_the_users_word_and_need_no_evidence() {
    for (replicas, expected, reason) in [(150, 100, "TooManyReplicas"), (2, 3, "TooFewReplicas")] {
        let mut bounded = input(replicas, vec![asks_for("requests", 50)]);
        bounded.policy.min_replicas = 3;
        failed(&mut bounded, FailureKind::Timeout);
        let decision = decide(&bounded);
        assert_eq!(decision.write, Some(expected));
        assert_eq!(condition(&bounded, &decision, "ScalingLimited").1, reason);
        assert_eq!(decision.evidence_code(), "QueryFailed");
    }
}

#[test]
fn zero_replicas_disable_scaling_unless_zero_is_the_minimum() {
    let mut zero = input(0, vec![asks_for("requests", 5)]);
    let decision = decide(&zero);
    let reason = condition(&zero, &decision, "ScalingActive").1;
    assert_eq!((decision.write, reason.as_str()), (None, "ScalingDisabled"));
    zero.policy.min_replicas = 0;
    assert_eq!(decide(&zero).write, Some(4), "at most four at once");
}

#[test]
fn shadow_decides_without_writing_and_paused_does_not_decide() {
    let mut raise = input(10, vec![asks_for("requests", 15)]);
    raise.policy.mode = Mode::Shadow;
    let decision = decide(&raise);
    assert_eq!((decision.write, decision.desired_replicas), (None, 15));
    assert!(explain(&raise, &decision)[0].starts_with("Would scale from 10 to 15 (shadow"));
    raise.policy.mode = Mode::Paused;
    let decision = decide(&raise);
    assert_eq!((decision.write, decision.desired_replicas), (None, 10));
    assert_eq!(condition(&raise, &decision, "ScalingActive").1, "ScalingPaused");
    assert_eq!(decision.history.recommendations, None);
}

#[test]
fn contradictions_change_nothing_and_are_named() {
    let cases: [(Change, &str); 6] = [
        (|i| i.policy.min_replicas = -1, "minReplicas is -1; make it 0 or more"),
        (|i| i.policy.max_replicas = 0, "maxReplicas is 0; make it 1 or more"),
        (|i| i.policy.min_replicas = 101, "minReplicas 101 is above maxReplicas 100"),
        (|i| i.policy.metrics.clear(), "metrics is empty; name at least one"),
        (
            |i| i.policy.metrics[0].target = Target::Value { value_milli: 0 },
            "requests's target is not above zero",
        ),
        (|i| i.policy.metrics.push(i.policy.metrics[0].clone()), "two metrics are named requests"),
    ];
    for (contradict, words) in cases {
        let mut contradictory = input(10, vec![asks_for("requests", 50)]);
        contradict(&mut contradictory);
        let decision = decide(&contradictory);
        assert_eq!((decision.write, decision.desired_replicas), (None, 10));
        let (_, reason, message) = condition(&contradictory, &decision, "ScalingActive");
        assert!(reason == "InvalidPolicy" && message.contains(words), "{message}");
    }
}

/// The evidence of the first metric has been missing for so long.
fn missing_for(input: &Input, waited_ms: i64) -> MetricHistory {
    let since_ms = Some(input.now_ms - waited_ms);
    MetricHistory {
        insufficient_since_ms: since_ms,
        missing_since_ms: since_ms,
        ..MetricHistory::new(&input.policy.metrics[0])
    }
}

#[test]
fn fallback_waits_then_proposes_as_it_says() {
    for (behavior, replicas, expected) in [
        (FallbackBehavior::IfHigher, 20, Some(20)),
        (FallbackBehavior::IfHigher, 5, None),
        (FallbackBehavior::Static, 20, Some(20)),
        (FallbackBehavior::Static, 5, Some(5)),
        (FallbackBehavior::CurrentReplicas, 5, None),
        (FallbackBehavior::IfLower, 20, None),
        (FallbackBehavior::IfLower, 5, Some(5)),
        (FallbackBehavior::CurrentReplicasIfHigher, 20, Some(20)),
        (FallbackBehavior::CurrentReplicasIfHigher, 5, None),
        (FallbackBehavior::CurrentReplicasIfLower, 20, None),
        (FallbackBehavior::CurrentReplicasIfLower, 5, Some(5)),
    ] {
        let mut missing = input(10, vec![asks_for("requests", 4)]);
        missing.policy.metrics[0].fallback = Some(Fallback { after_ms: 180_000, replicas, behavior });
        age(&mut missing, None);
        for (waited_ms, expected) in [(0, None), (179_999, None), (180_000, expected)] {
            missing.history.metrics = vec![missing_for(&missing, waited_ms)];
            let decision = decide(&missing);
            assert_eq!(
                decision.write, expected,
                "{behavior:?} {replicas} after {waited_ms} ms: {:?}",
                decision.cause
            );
        }
    }
}

#[test]
fn a_static_fallback_settles_only_its_own_metric() {
    let mut two = input(10, vec![asks_for("requests", 4), asks_for("queue", 4)]);
    two.policy.metrics[0].fallback =
        Some(Fallback { after_ms: 0, replicas: 5, behavior: FallbackBehavior::Static });
    age(&mut two, None);
    assert_eq!(decide(&two).write, Some(5));
    two.observations[1].warnings.push("store lost".to_owned());
    assert_eq!(decide(&two).write, None);
}

#[test]
fn an_unnoticed_cut_beside_a_static_fallback_lowers_nothing() {
    let mut cut = input(10, vec![asks_for("requests", 10), asks_for("queue", 10)]);
    cut.policy.interval_ms = 1_000;
    cut.policy.metrics[0].fallback =
        Some(Fallback { after_ms: 0, replicas: 5, behavior: FallbackBehavior::Static });
    age(&mut cut, None);
    cut.history.support = None;
    let (mut lowered_ms, mut now_ms) = (None, cut.now_ms);
    // `queue` falls on evidence that looks sufficient, and so it must for more than one answer.
    while lowered_ms.is_none() && now_ms < cut.now_ms + 60_000 {
        let mut tick = cut.clone();
        tick.now_ms = now_ms;
        for (index, asked) in [(0, 4.0), (1, if now_ms > cut.now_ms { 2.0 } else { 10.0 })] {
            let name = tick.observations[index].name.clone();
            tick.observations[index] = build::observed_at(now_ms, &name, asked * 10.0);
        }
        build::age(&mut tick.observations[0], now_ms, None);
        let decision = decide(&tick);
        lowered_ms = decision.write.map(|to| (to, now_ms - cut.now_ms));
        cut.history = decision.history;
        now_ms += 1_000;
    }
    assert_eq!(lowered_ms, Some((5, 2_000)), "the fallback, and not on the first answer");
}

#[test]
fn a_ratio_above_its_target_never_lowers_while_replicas_start() {
    for (value, ready, expected) in
        [(15.0, 2, None), (15.0, 10, Some(15)), (15.0, 8, Some(12)), (5.0, 6, Some(3))]
    {
        let mut busy = input(10, vec![asks_for("latency", 1)]);
        busy.policy.metrics[0].target = Target::Value { value_milli: 10_000 };
        busy.observations[0].newest = Reading::Value(value.into());
        busy.scale.ready_replicas = ready;
        assert_eq!(decide(&busy).write, expected, "{value} with {ready} ready");
    }
}

#[test]
fn limits_are_listed_in_the_order_applied() {
    let mut limited = input(10, vec![asks_for("requests", 50)]);
    let rate = |value| Rules {
        policies: Some(vec![RatePolicy { kind: RateKind::Pods, value, period_seconds: 60 }]),
        ..Rules::default()
    };
    limited.policy.behavior = Some(Behavior { scale_up: Some(rate(3)), scale_down: None });
    let decision = decide(&limited);
    assert_eq!(decision.write, Some(13));
    assert_eq!(decision.limits.iter().map(|limit| limit.kind).collect::<Vec<_>>(), [LimitKind::ScaleUpLimit]);
    assert_eq!(
        decision.cause(&limited),
        "requests above target: 500 (50 a replica against 10) asks for 50; 13 by ScaleUpLimit"
    );
    limited.policy.behavior = Some(Behavior {
        scale_up: Some(Rules { select_policy: Some(SelectPolicy::Disabled), ..Rules::default() }),
        scale_down: None,
    });
    assert_eq!(decide(&limited).write, None);
}

#[test]
fn tolerance_is_per_direction() {
    let mut tight = input(10, vec![asks_for("requests", 0)]);
    value(&mut tight, 105.0);
    assert_eq!(decide(&tight).write, None);
    let rules = Rules { tolerance: Some(Float::new(0.01)), ..Rules::default() };
    tight.policy.behavior = Some(Behavior { scale_up: Some(rules), scale_down: None });
    assert_eq!(decide(&tight).write, Some(11));
}

#[test]
fn explains_itself_in_sentences() {
    let mut partial = input(8, vec![asks_for("requests", 4)]);
    age(&mut partial, None);
    partial.history.metrics = vec![missing_for(&partial, 3_500)];
    let decision = decide(&partial);
    assert_eq!(
        explain(&partial, &decision),
        [
            "Stay at 8: evidence is insufficient for requests (cluster west has no sample in the \
             answer).",
            "Metric requests is 40 (5 a replica against 10) and asks for 4 replicas, on evidence insufficient \
             for 3.5s, so it may not lower and is not counted (metric requests: cluster west has no sample in \
             the answer; check that cluster's scrape, receive and store).",
        ]
    );
    assert_eq!(
        decision.metrics[0].evidence,
        Evidence::Insufficient {
            doubts: vec![Doubt::ClusterMissing { cluster: "west".into(), remembered: false }],
            since_ms: partial.now_ms - 3_500
        }
    );
}

#[test]
fn a_surge_orders_nothing_and_a_ratio_multiplies_the_ready() {
    for (asked, status, expected) in
        [(12, 12, None), (10, 12, None), (12, 10, Some(12)), (105, 115, Some(11))]
    {
        let mut surge = input(10, vec![asks_for("requests", asked.min(12))]);
        if asked == 105 {
            // A rollout of a hundred, fifteen of them twice.
            surge = input(100, vec![asks_for("requests", 105)]);
            surge.policy.max_replicas = 200;
        }
        surge.scale.status_replicas = status;
        let expected = expected.filter(|_| asked != 105);
        assert_eq!(decide(&surge).write, expected, "{asked} asked for, {status} there");
    }
    let mut half_ready = input(10, vec![asks_for("latency", 0)]);
    half_ready.policy.metrics[0].target = Target::Value { value_milli: 100_000 };
    value(&mut half_ready, 300.0);
    half_ready.scale = autoscaler_core::Scale { ready_replicas: 5, ..build::scale(10) };
    assert_eq!(decide(&half_ready).write, Some(15));
}

#[test]
fn a_decision_has_its_cause_limit_and_evidence_in_one_word_each() {
    let plain = |asked| input(10, vec![asks_for("requests", asked)]);
    let with = |asked, change: Change| {
        let mut input = plain(asked);
        change(&mut input);
        input
    };
    let fallback: Change = |i| {
        failed(i, FailureKind::Unreachable);
        let fallback = Fallback { after_ms: 0, replicas: 20, behavior: FallbackBehavior::Static };
        i.policy.metrics[0].fallback = Some(fallback);
    };
    let cases: Vec<(Input, &str, Option<&str>, &str)> = vec![
        (plain(15), "AboveTarget", None, "EvidenceComplete"),
        (plain(10), "OnTarget", None, "EvidenceComplete"),
        (plain(4), "BelowTarget", None, "EvidenceComplete"),
        (plain(900), "AboveTarget", Some("ScaleUpLimit"), "EvidenceComplete"),
        (
            with(15, |i| i.policy.max_replicas = 12),
            "AboveTarget",
            Some("TooManyReplicas"),
            "EvidenceComplete",
        ),
        (
            with(4, |i| i.policy.max_replicas = 8),
            "TooManyReplicas",
            Some("TooManyReplicas"),
            "EvidenceComplete",
        ),
        (with(4, |i| age(i, None)), "InsufficientEvidence", Some("InsufficientEvidence"), "ClustersMissing"),
        (with(15, |i| age(i, None)), "AboveTarget", None, "ClustersMissing"),
        (
            with(4, |i| failed(i, FailureKind::Unreachable)),
            "FailedGetExternalMetric",
            Some("InsufficientEvidence"),
            "QueryFailed",
        ),
        (with(4, fallback), "Fallback", None, "QueryFailed"),
        (with(4, |i| i.policy.mode = Mode::Paused), "ScalingPaused", None, "EvidenceComplete"),
    ];
    for (input, cause, limited_by, evidence) in cases {
        let decision = decide(&input);
        let found = (decision.cause_code(&input), decision.limited_by().map(|l| l.to_string()));
        assert_eq!(
            (found.0, found.1.as_deref(), decision.evidence_code()),
            (cause, limited_by, evidence),
            "{decision:?}"
        );
    }
}
