//! Stabilization, rates and bounds where they are this crate's. Defaults are `autoscaler-hpa`'s, and tested there.

use autoscaler_core::normalize::{limit, limit_with_behavior, scale_up_limit_without_behavior};
use autoscaler_core::{Behavior, History, LimitKind, Policy, Recommendation, Rules};
use autoscaler_hpa::normalize::Wish;
use autoscaler_hpa::rates::{Changes, change_in_period, remember};
use autoscaler_hpa::stabilize::{Windows, stabilize, stabilize_with_windows};
use serde::Deserialize;

use crate::harness::behaviors::RulesCase;
use crate::harness::cases::{
    AgedEvent, AgedRecommendation, NOW_MS, each, each_named, events, recommendations, same,
};

fn ours(aged: &[AgedRecommendation]) -> Vec<Recommendation> {
    recommendations(aged).into_iter().map(Recommendation::from).collect()
}

/// Nothing was ever held for want of evidence.
fn now(replicas: i32) -> Recommendation {
    Recommendation { at_ms: NOW_MS, replicas, held_ms: 0 }
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
    scale_up: RulesCase,
    scale_down: RulesCase,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[test]
fn scaling_with_rules() {
    each("scaling_with_rules.json", 33, |input: &ScalingWithRules, expected: &Limited| {
        let (up, down) = (events(&input.scale_up_events), events(&input.scale_down_events));
        let wish = Wish {
            current: input.current_replicas,
            wanted: input.desired_replicas,
            min: input.min_replicas,
            max: input.max_replicas,
        };
        let behavior =
            Behavior { scale_up: Some(input.scale_up.rules()), scale_down: Some(input.scale_down.rules()) };
        let changes = Changes { now_ms: NOW_MS, up: &up, down: &down };
        expected.check(limit_with_behavior(wish, &behavior, changes))
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
    each("stabilize_recommendation.json", 5, |input: &Stabilize, expected: &Stabilized| {
        let mut recommendations = ours(&input.recommendations);
        let window_ms = input.downscale_stabilisation_window_seconds * 1000;
        let found = stabilize(&mut recommendations, now(input.desired_replicas), window_ms);
        let kept = ours(&expected.recommendations);
        same(&(found, recommendations), &(expected.stabilized_replicas, kept))
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
    each(
        "stabilize_recommendation_with_behaviors.json",
        11,
        |input: &StabilizeWithBehaviors, expected: &Stabilized| {
            let mut recommendations = ours(&input.recommendations);
            let windows = Windows {
                up_ms: input.scale_up_stabilization_window_seconds * 1000,
                down_ms: input.scale_down_stabilization_window_seconds * 1000,
            };
            let now = now(input.desired_replicas);
            let found = stabilize_with_windows(&mut recommendations, input.current_replicas, now, windows);
            let kept = ours(&expected.recommendations);
            same(&(found, recommendations), &(expected.stabilized_replicas, kept))
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
    each("convert_desired_replicas_with_rules.json", 5, |input: &WithoutBehavior, expected: &Limited| {
        let up_limit = scale_up_limit_without_behavior(
            input.current_replicas,
            input.scale_up_limit_factor,
            input.scale_up_limit_minimum,
        );
        let wish = Wish {
            current: input.current_replicas,
            wanted: input.desired_replicas,
            min: input.min_replicas,
            max: input.max_replicas,
        };
        expected.check(limit(wish, up_limit))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreScaleEvents {
    direction: String,
    rules: Option<RulesCase>,
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
    let file = "store_scale_events.json";
    each_named(file, 10, |id, input: &StoreScaleEvents, expected: &StoredEvents| {
        let mut stored = events(&input.events);
        let before = change_in_period(&stored, input.change_period_seconds, NOW_MS);
        same(&before, &expected.change_in_period_before)?;
        let change = (input.new_replicas - input.prev_replicas).abs();
        if let Some(rules) = &input.rules {
            remember(&mut stored, change, rules.both_ways().complete().up, NOW_MS);
        }
        let expected = events(&expected.events);
        same(&stored, &expected)?;
        if REMEMBERED_WITHOUT_BEHAVIOR.contains(&id) {
            let now = autoscaler_core::ScaleEvent { at_ms: NOW_MS, change, outdated: false };
            return recorded(input, &[now]);
        }
        recorded(input, &expected)
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
    let rules = input.rules.as_ref().map(RulesCase::rules);
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
    let events = events(&input.events);
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
    rules: RulesCase,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[derive(Deserialize)]
struct ExpectedLimit {
    limit: i32,
}

#[test]
fn scale_limits() {
    each("scale_limits.json", 2, |input: &ScaleLimits, expected: &ExpectedLimit| {
        let (up, down) = (events(&input.scale_up_events), events(&input.scale_down_events));
        let changes = Changes { now_ms: NOW_MS, up: &up, down: &down };
        let wanted = if input.function.contains("ScaleUp") { i32::MAX } else { 0 };
        let (found, _) = furthest(input.current_replicas, wanted, &input.rules.rules(), changes);
        same(&found, &expected.limit)
    });
}

/// How far rates let replicas go towards `wanted`, whatever the bounds.
fn furthest(current: i32, wanted: i32, rules: &Rules, changes: Changes<'_>) -> (i32, Option<LimitKind>) {
    let behavior = Behavior { scale_up: Some(rules.clone()), scale_down: Some(rules.clone()) };
    limit_with_behavior(Wish { current, wanted, min: 0, max: i32::MAX }, &behavior, changes)
}

/// A rule that the recorded cases reach only through an empty list.
#[test]
fn an_empty_list_of_rates_allows_no_change() {
    let rules = Rules { policies: Some(Vec::new()), ..Rules::default() };
    let changes = Changes { now_ms: NOW_MS, up: &[], down: &[] };
    assert_eq!(furthest(7, 9, &rules, changes), (7, Some(LimitKind::ScaleUpLimit)));
    assert_eq!(furthest(7, 5, &rules, changes), (7, Some(LimitKind::ScaleDownLimit)));
}
