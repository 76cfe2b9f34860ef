//! Reading the files, and the shapes that several groups share.

use std::path::PathBuf;

use autoscaler_core::{Behavior, Float, RatePolicy, Recommendation, Rules, ScaleEvent, SelectPolicy};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// When every case happens; ages count back from here.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

#[derive(Deserialize)]
pub(crate) struct Case<I, E> {
    pub(crate) id: String,
    pub(crate) input: I,
    pub(crate) expected: E,
}

/// Runs `check` on each case of `file` whose input `applies` accepts; it says what it found where that is
/// wrong. At least `least` cases must apply, so that a group cannot empty itself unseen.
pub(crate) fn each<I: DeserializeOwned, E: DeserializeOwned>(
    file: &str,
    least: usize,
    applies: impl Fn(&Value) -> bool,
    check: impl Fn(&Case<I, E>) -> Result<(), String>,
) {
    let folder = std::env::var_os("GAUNTLET_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    let path = folder.join("hpa").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is needed in CI", path.display());
        println!("skipped: {} is not there; set GAUNTLET_CONFORMANCE", path.display());
        return;
    };
    let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let total = all.len();
    let cases: Vec<Case<I, E>> = all
        .into_iter()
        .filter(|case| applies(&case["input"]))
        .map(|case| serde_json::from_value(case).unwrap_or_else(|error| panic!("{file}: {error}")))
        .collect();
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|found| format!("{}: {found}", case.id)))
        .collect();
    println!("{file}: {} held of {} that apply, {total} in all", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= least, "only {} cases of {file} apply, {least} expected", cases.len());
}

/// For groups that apply as a whole.
pub(crate) fn all(_input: &Value) -> bool {
    true
}

/// Equal, or what was found instead.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgedRecommendation {
    replicas: i32,
    age_seconds: i64,
}

impl AgedRecommendation {
    pub(crate) fn all(these: &[Self]) -> Vec<Recommendation> {
        let dated = |rec: &Self| Recommendation {
            at_ms: NOW_MS - rec.age_seconds * 1000,
            replicas: rec.replicas,
            held_ms: 0,
        };
        these.iter().map(dated).collect()
    }
}

#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgedEvent {
    change: i32,
    age_seconds: i64,
    outdated: bool,
}

impl AgedEvent {
    pub(crate) fn all(these: &[Self]) -> Vec<ScaleEvent> {
        let dated = |event: &Self| ScaleEvent {
            at_ms: NOW_MS - event.age_seconds * 1000,
            change: event.change,
            outdated: event.outdated,
        };
        these.iter().map(dated).collect()
    }
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VectorRules {
    stabilization_window_seconds: Option<i32>,
    select_policy: Option<SelectPolicy>,
    policies: Vec<RatePolicy>,
    tolerance: Option<f64>,
}

impl VectorRules {
    /// As written: an empty list of policies stays one.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            stabilization_window_seconds: self.stabilization_window_seconds,
            select_policy: self.select_policy,
            policies: Some(self.policies.clone()),
            tolerance: self.tolerance.map(Float::new),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VectorBehavior {
    pub(crate) scale_up: Option<VectorRules>,
    pub(crate) scale_down: Option<VectorRules>,
}

impl VectorBehavior {
    pub(crate) fn behavior(&self) -> Behavior {
        Behavior {
            scale_up: self.scale_up.as_ref().map(VectorRules::rules),
            scale_down: self.scale_down.as_ref().map(VectorRules::rules),
        }
    }
}
