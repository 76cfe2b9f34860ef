//! Stabilization, rates, bounds, defaults.

use autoscaler_core::normalize::{
    Changes, Clock, Windows, change_in_period, limit, limit_with_behavior, scale_down_limit, scale_up_limit,
    scale_up_limit_without_behavior, stabilize, stabilize_with_behavior, store_scale_event,
};
use autoscaler_core::{Behavior, History, LimitKind, Policy, Rules};
use serde::Deserialize;

use crate::cases::{AgedEvent, AgedRecommendation, NOW_MS, VectorBehavior, VectorRules, all, each, same};

/// Nothing was ever held for want of evidence.
fn clock() -> Clock {
    Clock { now_ms: NOW_MS, held_ms: 0 }
}

#[derive(Deserialize)]
struct Limited {
    replicas: i32,
    reason: String,
    message: String,
}

impl Limited {
    fn check(&self, (replicas, kind): (i32, Option<LimitKind>)) -> Result<(), String> {
        let reason = kind.map_or("DesiredWithinRange", LimitKind::reason);
        let message = kind.map_or("the desired count is within the acceptable range", LimitKind::message);
        same(&(replicas, reason, message), &(self.replicas, self.reason.as_str(), self.message.as_str()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScalingWithRules {
    current_replicas: i32,
    desired_replicas: i32,
    min_replicas: i32,
    max_replicas: i32,
    scale_up: VectorRules,
    scale_down: VectorRules,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[test]
fn scaling_with_rules() {
    each::<ScalingWithRules, Limited>("scaling_with_rules.json", 33, all, |case| {
        let input = &case.input;
        let (up, down) = (AgedEvent::all(&input.scale_up_events), AgedEvent::all(&input.scale_down_events));
        case.expected.check(limit_with_behavior(
            input.desired_replicas,
            input.current_replicas,
            (input.min_replicas, input.max_replicas),
            (&input.scale_up.rules(), &input.scale_down.rules()),
            Changes { now_ms: NOW_MS, up: &up, down: &down },
        ))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stabilized {
    stabilized_replicas: i32,
    recommendations: Vec<AgedRecommendation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stabilize {
    desired_replicas: i32,
    downscale_stabilisation_window_seconds: i64,
    recommendations: Vec<AgedRecommendation>,
}

#[test]
fn stabilize_recommendation() {
    each::<Stabilize, Stabilized>("stabilize_recommendation.json", 5, all, |case| {
        let mut recommendations = AgedRecommendation::all(&case.input.recommendations);
        let window_ms = case.input.downscale_stabilisation_window_seconds * 1000;
        let found = stabilize(&mut recommendations, clock(), window_ms, case.input.desired_replicas);
        let expected = AgedRecommendation::all(&case.expected.recommendations);
        same(&(found, recommendations), &(case.expected.stabilized_replicas, expected))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StabilizeWithBehaviors {
    current_replicas: i32,
    desired_replicas: i32,
    recommendations: Vec<AgedRecommendation>,
    scale_up_stabilization_window_seconds: i64,
    scale_down_stabilization_window_seconds: i64,
}

#[test]
fn stabilize_recommendation_with_behaviors() {
    each::<StabilizeWithBehaviors, Stabilized>(
        "stabilize_recommendation_with_behaviors.json",
        11,
        all,
        |case| {
            let input = &case.input;
            let mut recommendations = AgedRecommendation::all(&input.recommendations);
            let windows = Windows {
                up_ms: input.scale_up_stabilization_window_seconds * 1000,
                down_ms: input.scale_down_stabilization_window_seconds * 1000,
            };
            let found = stabilize_with_behavior(
                &mut recommendations,
                clock(),
                windows,
                input.current_replicas,
                input.desired_replicas,
            );
            let expected = AgedRecommendation::all(&case.expected.recommendations);
            same(&(found, recommendations), &(case.expected.stabilized_replicas, expected))
        },
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithoutBehavior {
    current_replicas: i32,
    desired_replicas: i32,
    min_replicas: i32,
    max_replicas: i32,
    scale_up_limit_factor: i32,
    scale_up_limit_minimum: i32,
}

#[test]
fn convert_desired_replicas_with_rules() {
    each::<WithoutBehavior, Limited>("convert_desired_replicas_with_rules.json", 5, all, |case| {
        let input = &case.input;
        let up_limit = scale_up_limit_without_behavior(
            input.current_replicas,
            input.scale_up_limit_factor,
            input.scale_up_limit_minimum,
        );
        let found = limit(input.desired_replicas, input.min_replicas, input.max_replicas, up_limit);
        case.expected.check(found)
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreScaleEvents {
    direction: String,
    rules: Option<VectorRules>,
    events: Vec<AgedEvent>,
    prev_replicas: i32,
    new_replicas: i32,
    change_period_seconds: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredEvents {
    change_in_period_before: i64,
    events: Vec<AgedEvent>,
}

#[test]
fn store_scale_events() {
    each::<StoreScaleEvents, StoredEvents>("store_scale_events.json", 10, all, |case| {
        let input = &case.input;
        let mut events = AgedEvent::all(&input.events);
        let before = change_in_period(&events, NOW_MS, input.change_period_seconds);
        let change = (input.new_replicas - input.prev_replicas).abs();
        if let Some(rules) = &input.rules {
            store_scale_event(&mut events, &rules.rules(), NOW_MS, change);
        }
        let expected = AgedEvent::all(&case.expected.events);
        let stored = same(&(before, &events), &(case.expected.change_in_period_before, &expected));
        if REMEMBERED_WITHOUT_BEHAVIOR.contains(&case.id.as_str()) {
            let now = autoscaler_core::ScaleEvent { at_ms: NOW_MS, change, outdated: false };
            return stored.and_then(|()| recorded(input, &[now]));
        }
        stored.and_then(|()| recorded(input, &expected))
    });
}

/// Where ours departs on purpose: upstream stores nothing without behaviour, since its limit is per sync; ours is per
/// sync period, however often it evaluates, and so remembers what was written.
const REMEMBERED_WITHOUT_BEHAVIOR: &[&str] = &[
    "store_scale_events/empty_entries_with_default_behavior/up",
    "store_scale_events/one_outdated_entry_to_be_kept_untouched_without_behavior/down",
    "store_scale_events/one_outdated_entry_to_be_kept_untouched_without_behavior/up",
];

/// [`History::record_written`] finds the direction and the change.
fn recorded(input: &StoreScaleEvents, expected: &[autoscaler_core::ScaleEvent]) -> Result<(), String> {
    let is_up = input.direction == "up";
    let rules = input.rules.as_ref().map(VectorRules::rules);
    let behavior = rules.map(|rules| match is_up {
        true => Behavior { scale_up: Some(rules), scale_down: None },
        false => Behavior { scale_up: None, scale_down: Some(rules) },
    });
    let policy = Policy {
        min_replicas: 1,
        max_replicas: 100,
        metrics: Vec::new(),
        behavior,
        mode: Default::default(),
        compatibility: Default::default(),
        defaults: Default::default(),
        interval_ms: 0,
        zero: None,
        pause: Default::default(),
        formula: None,
    };
    let mut history = History::default();
    let events = AgedEvent::all(&input.events);
    if is_up {
        history.scale_up_events = events;
    } else {
        history.scale_down_events = events;
    }
    history.record_written(&policy, NOW_MS, input.prev_replicas, input.new_replicas);
    let found = if is_up { history.scale_up_events } else { history.scale_down_events };
    same(&found.as_slice(), &expected)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScaleLimits {
    function: String,
    current_replicas: i32,
    rules: VectorRules,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[derive(Deserialize)]
struct ExpectedLimit {
    limit: i32,
}

#[test]
fn scale_limits() {
    each::<ScaleLimits, ExpectedLimit>("scale_limits.json", 2, all, |case| {
        let input = &case.input;
        let (up, down) = (AgedEvent::all(&input.scale_up_events), AgedEvent::all(&input.scale_down_events));
        let changes = Changes { now_ms: NOW_MS, up: &up, down: &down };
        let function = if input.function.contains("ScaleUp") { scale_up_limit } else { scale_down_limit };
        let found = function(input.current_replicas, &input.rules.rules(), changes);
        same(&found, &case.expected.limit)
    });
}

#[derive(Deserialize)]
struct Behaviors {
    behavior: VectorBehavior,
}

#[test]
fn behavior_defaults() {
    each::<Behaviors, Behaviors>(
        "behavior_defaults.json",
        53,
        |input| input.get("behavior").is_some(),
        |case| {
            let given = &case.input.behavior;
            // The recording writes "no list" and "an empty list" alike; only the id tells them apart.
            let given_rules = |rules: &VectorRules, side: &str| {
                let mut rules = rules.rules();
                if rules.policies.as_ref().is_some_and(Vec::is_empty)
                    && !case.id.contains(&format!("{side}-empty-list"))
                {
                    rules.policies = None;
                }
                rules
            };
            let behavior = Behavior {
                scale_up: given.scale_up.as_ref().map(|rules| given_rules(rules, "up")),
                scale_down: given.scale_down.as_ref().map(|rules| given_rules(rules, "down")),
            };
            let expected = case.expected.behavior.behavior();
            let found = behavior.with_defaults();
            let again = found.with_defaults();
            same(&found, &expected).and_then(|()| same(&again, &found))
        },
    );
}

/// A rule that the recorded cases reach only through an empty list.
#[test]
fn an_empty_list_of_rates_allows_no_change() {
    let rules = Rules { policies: Some(Vec::new()), ..Rules::default() };
    let changes = Changes { now_ms: NOW_MS, up: &[], down: &[] };
    assert_eq!(scale_up_limit(7, &rules, changes), 7);
    assert_eq!(scale_down_limit(7, &rules, changes), 7);
}
