//! Upstream's cases on windows, rates, bounds and defaults: `horizontal_test.go`, and what its API defaulting does.

use autoscaler_hpa::arithmetic::Go;
use autoscaler_hpa::behavior::{Behavior, Rules};
use autoscaler_hpa::normalize::{
    Limit, Wish, bound, limit_rate, normalize, normalize_with_behavior, up_limit_without_behavior,
};
use autoscaler_hpa::rates::{Changes, change_in_period, down_limit, remember, up_limit};
use autoscaler_hpa::state::{ScaleEvent, State};
use autoscaler_hpa::{HpaSpec, Settings};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::behaviors::{BehaviorCase, RulesCase};
use crate::harness::cases::{
    AgedEvent, AgedRecommendation, NOW_MS, each, each_named, events, recommendations, same,
};
use crate::harness::wire::spec;

#[derive(Deserialize)]
struct Defaulting {
    behavior: Option<BehaviorCase>,
    policy: Option<Value>,
}

#[test]
fn what_is_left_out_is_completed() {
    each_named("behavior_defaults.json", 54, |id, input: &Defaulting, expected: &Defaulting| {
        if let Some(policy) = &expected.policy {
            let empty = HpaSpec { max_replicas: 0, ..HpaSpec::default() }.with_defaults();
            let resource = &policy["metrics"][0];
            let whole = json!({
                "minReplicas": policy["minReplicas"],
                "maxReplicas": policy["maxReplicas"],
                "metrics": [{
                    "type": resource["type"],
                    "resource": {"name": resource["resource"], "target": resource["target"]},
                }],
            });
            same(&input.policy, &None)?;
            return same(&empty, &spec(&whole));
        }
        let (Some(input), Some(expected)) = (&input.behavior, &expected.behavior) else {
            return Err("neither a policy nor a behaviour".to_owned());
        };
        // An empty list that was written is only in the name.
        let written = |case: &Option<RulesCase>, direction: &str| {
            let mut rules = case.as_ref()?.rules();
            if id.contains(&format!("{direction}-empty-list")) {
                rules.policies = Some(Vec::new());
            }
            Some(rules)
        };
        let behavior = Behavior {
            scale_up: written(&input.scale_up, "up"),
            scale_down: written(&input.scale_down, "down"),
        };
        let complete = behavior.complete();
        let expected =
            [(&expected.scale_up, &complete.up, "up"), (&expected.scale_down, &complete.down, "down")];
        for (expected, found, direction) in expected {
            let expected = written(expected, direction).ok_or("complete rules are expected")?;
            let found = Rules {
                stabilization_window_seconds: found.window_seconds,
                select_policy: Some(found.select),
                policies: Some(found.policies.to_vec()),
                tolerance: found.tolerance,
            };
            same(&found, &expected)?;
        }
        Ok(())
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rates {
    current_replicas: i32,
    desired_replicas: i32,
    min_replicas: i32,
    max_replicas: i32,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
    scale_up: RulesCase,
    scale_down: RulesCase,
    scale_up_undefaulted: Option<RulesCase>,
    scale_down_undefaulted: Option<RulesCase>,
}

#[derive(Deserialize)]
struct Limited {
    replicas: i32,
    reason: String,
}

impl Limited {
    fn is(&self, (replicas, limit): (i32, Option<Limit>)) -> Result<(), String> {
        let reason = limit.map_or("DesiredWithinRange", Limit::reason);
        same(&(replicas, reason), &(self.replicas, self.reason.as_str()))
    }
}

#[test]
fn rates_limit_changes() {
    each("scaling_with_rules.json", 33, |input: &Rates, expected: &Limited| {
        let defaulted = BehaviorCase {
            scale_up: Some(input.scale_up.clone()),
            scale_down: Some(input.scale_down.clone()),
        };
        let undefaulted = BehaviorCase {
            scale_up: input.scale_up_undefaulted.clone(),
            scale_down: input.scale_down_undefaulted.clone(),
        };
        let (up, down) = (events(&input.scale_up_events), events(&input.scale_down_events));
        let changes = Changes { now_ms: NOW_MS, up: &up, down: &down };
        let wish = Wish {
            current: input.current_replicas,
            wanted: input.desired_replicas,
            min: input.min_replicas,
            max: input.max_replicas,
        };
        let behavior = defaulted.behavior();
        same(&undefaulted.behavior().complete(), &behavior.complete())?;
        expected.is(limit_rate::<Go>(wish, behavior.complete(), changes))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stabilizing {
    desired_replicas: i32,
    current_replicas: Option<i32>,
    recommendations: Vec<AgedRecommendation>,
    downscale_stabilisation_window_seconds: Option<i64>,
    scale_up_stabilization_window_seconds: Option<i32>,
    scale_down_stabilization_window_seconds: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stabilized {
    stabilized_replicas: i32,
    recommendations: Vec<AgedRecommendation>,
    reason_if_changed: Option<String>,
}

impl Stabilizing {
    fn state(&self) -> State {
        State { recommendations: Some(recommendations(&self.recommendations)), ..State::default() }
    }

    fn wish(&self) -> Wish {
        let current = self.current_replicas.unwrap_or(1000);
        Wish { current, wanted: self.desired_replicas, min: 0, max: i32::MAX }
    }
}

#[test]
fn the_past_stabilizes() {
    each("stabilize_recommendation.json", 5, |input: &Stabilizing, expected: &Stabilized| {
        let mut state = input.state();
        let window_ms = input.downscale_stabilisation_window_seconds.unwrap_or_default() * 1000;
        let settings = Settings { downscale_stabilization_ms: window_ms, ..Settings::default() };
        let result = normalize(input.wish(), &mut state, &settings, NOW_MS);
        same(&result.stabilized, &expected.stabilized_replicas)?;
        same(&state.recommendations, &Some(recommendations(&expected.recommendations)))
    });
}

#[test]
fn the_past_stabilizes_both_ways() {
    let file = "stabilize_recommendation_with_behaviors.json";
    each(file, 11, |input: &Stabilizing, expected: &Stabilized| {
        let rules = |window| Some(Rules { stabilization_window_seconds: window, ..Rules::default() });
        let behavior = Behavior {
            scale_up: rules(input.scale_up_stabilization_window_seconds),
            scale_down: rules(input.scale_down_stabilization_window_seconds),
        };
        let mut state = input.state();
        let (behavior, settings) = (behavior.complete(), Settings::default());
        let result = normalize_with_behavior(input.wish(), behavior, &mut state, &settings, NOW_MS);
        same(&result.stabilized, &expected.stabilized_replicas)?;
        let changed = result.stabilized != input.desired_replicas;
        let reason = expected.reason_if_changed.as_deref().filter(|_| changed);
        same(&result.stabilized_by.map(Limit::reason), &reason)?;
        same(&state.recommendations, &Some(recommendations(&expected.recommendations)))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounding {
    current_replicas: i32,
    desired_replicas: i32,
    min_replicas: i32,
    max_replicas: i32,
    scale_up_limit_factor: f64,
    scale_up_limit_minimum: f64,
}

#[test]
fn bounds_and_the_factor_limit_changes() {
    each("convert_desired_replicas_with_rules.json", 5, |input: &Bounding, expected: &Limited| {
        let settings = Settings {
            scale_up_limit_factor: input.scale_up_limit_factor,
            scale_up_limit_minimum: input.scale_up_limit_minimum,
            ..Settings::default()
        };
        let wish = Wish {
            current: input.current_replicas,
            wanted: input.desired_replicas,
            min: input.min_replicas,
            max: input.max_replicas,
        };
        expected.is(bound(wish, up_limit_without_behavior(wish.current, &settings)))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Storing {
    change_period_seconds: i32,
    direction: String,
    events: Vec<AgedEvent>,
    prev_replicas: i32,
    new_replicas: i32,
    rules: Option<RulesCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    change_in_period_before: i64,
    events: Vec<AgedEvent>,
}

#[test]
fn changes_are_remembered() {
    each("store_scale_events.json", 10, |input: &Storing, expected: &Stored| {
        let mut found: Vec<ScaleEvent> = events(&input.events);
        let before = change_in_period(&found, input.change_period_seconds, NOW_MS);
        same(&before, &expected.change_in_period_before)?;
        let change = input.new_replicas - input.prev_replicas;
        same(&(change > 0), &(input.direction == "up"))?;
        // Without a behaviour nothing is remembered, which is the controller's to see to.
        if let Some(rules) = &input.rules {
            let behavior = rules.both_ways();
            remember(&mut found, change.abs(), behavior.complete().up, NOW_MS);
        }
        same(&found, &events(&expected.events))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limiting {
    function: String,
    current_replicas: i32,
    rules: RulesCase,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[derive(Deserialize)]
struct LimitCase {
    limit: i32,
}

#[test]
fn policies_give_a_limit() {
    each("scale_limits.json", 2, |input: &Limiting, expected: &LimitCase| {
        let behavior = input.rules.both_ways();
        let (up, down) = (events(&input.scale_up_events), events(&input.scale_down_events));
        let changes = Changes { now_ms: NOW_MS, up: &up, down: &down };
        let limit = match input.function.as_str() {
            "calculateScaleUpLimitWithScalingRules" => {
                up_limit::<Go>(input.current_replicas, behavior.complete().up, changes)
            }
            "calculateScaleDownLimitWithBehaviors" => {
                down_limit::<Go>(input.current_replicas, behavior.complete().down, changes)
            }
            other => return Err(format!("{other} is not known here")),
        };
        same(&limit, &expected.limit)
    });
}
