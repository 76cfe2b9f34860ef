//! Pods of the target, as far as metrics of pods need them, and how a record writes them down.
//!
//! The types are those of `autoscaler-hpa`, whose arithmetic looks at them. A record names each set of requests once:
//! pods of one template ask for the same.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

pub use autoscaler_hpa::{
    ConditionStatus, Container, InitContainer, Pod, PodPhase, PodResources, ReadyCondition, Sample,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most pods of one target whose metrics are looked at: what a record has room for ([`crate::record::RECORD_BYTES_MAX`]).
pub const MAX_PODS: usize = 5_000;

/// What is known of the pods under the target's selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Pods {
    /// All of them.
    Selected(PodList),
    /// The target's scale has no selector.
    SelectorMissing,
    /// The selector cannot be read, and why.
    SelectorInvalid(String),
    /// Another autoscaler selects some of these pods too, and which.
    SelectorAmbiguous(String),
    /// They could not be looked at, and why.
    Unknown(String),
}

impl Pods {
    /// The pods of `list`, or that there are too many.
    #[must_use]
    pub fn of(list: Vec<Pod>) -> Self {
        if list.len() > MAX_PODS {
            let why = format!("the target has {} pods, more than {MAX_PODS}; hold it to a query", list.len());
            return Self::Unknown(why);
        }
        Self::Selected(PodList(list.into()))
    }
}

impl Pods {
    /// Why there are no pods to look at.
    #[must_use]
    pub fn why_unknown(pods: Option<&Self>) -> String {
        match pods {
            None | Some(Self::Selected(_)) => "the target's pods were not looked at".to_owned(),
            Some(Self::SelectorMissing) => "the target's scale has no selector for its pods".to_owned(),
            Some(Self::SelectorInvalid(why)) => format!("the target's selector cannot be read: {why}"),
            Some(Self::SelectorAmbiguous(others)) => format!("its pods are selected by {others} too"),
            Some(Self::Unknown(why)) => why.clone(),
        }
    }
}

/// Pods; copies share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodList(Arc<[Pod]>);

impl Deref for PodList {
    type Target = [Pod];

    fn deref(&self) -> &[Pod] {
        &self.0
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    pods: Vec<Row>,
    resources: Vec<PodResources>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Row {
    name: String,
    phase: PodPhase,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready: Option<ReadyCondition>,
    /// Its place in `resources`.
    resources: usize,
}

impl Serialize for PodList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut places: BTreeMap<&PodResources, usize> = BTreeMap::new();
        let mut resources = Vec::new();
        let row = |pod: &'_ Pod, place| Row {
            name: pod.name.clone(),
            phase: pod.phase,
            deleting: pod.deleting,
            start_ms: pod.start_ms,
            ready: pod.ready,
            resources: place,
        };
        let mut pods = Vec::with_capacity(self.len());
        for pod in self.iter() {
            let place = *places.entry(&pod.resources).or_insert_with(|| {
                resources.push(PodResources::clone(&pod.resources));
                resources.len() - 1
            });
            pods.push(row(pod, place));
        }
        Wire { pods, resources }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PodList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { pods, resources } = Wire::deserialize(deserializer)?;
        let resources: Vec<Arc<PodResources>> = resources.into_iter().map(Arc::new).collect();
        let pod = |row: Row| {
            let Some(of) = resources.get(row.resources) else {
                let message =
                    format!("pod {} has resources {}, which are not there", row.name, row.resources);
                return Err(de::Error::custom(message));
            };
            Ok(Pod {
                name: row.name,
                phase: row.phase,
                deleting: row.deleting,
                start_ms: row.start_ms,
                ready: row.ready,
                resources: Arc::clone(of),
            })
        };
        pods.into_iter().map(pod).collect::<Result<Vec<Pod>, D::Error>>().map(|pods| Self(pods.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, cpu_milli: i64) -> Pod {
        let requests_milli = [("cpu".to_owned(), cpu_milli)].into();
        let containers = vec![Container { name: "app".to_owned(), requests_milli }];
        Pod {
            name: name.to_owned(),
            phase: PodPhase::Running,
            start_ms: Some(1),
            ready: Some(ReadyCondition { status: ConditionStatus::True, transition_ms: 2 }),
            resources: Arc::new(PodResources { containers, ..PodResources::default() }),
            ..Pod::default()
        }
    }

    #[test]
    fn requests_are_written_once_and_come_back() {
        let pods = Pods::of(vec![pod("a", 100), pod("b", 200), pod("c", 100)]);
        let text = serde_json::to_string(&pods).unwrap();
        assert_eq!(text.matches("requestsMilli").count(), 2, "{text}");
        let back: Pods = serde_json::from_str(&text).unwrap();
        assert_eq!(back, pods);
        let Pods::Selected(list) = back else { panic!("they were selected") };
        assert!(Arc::ptr_eq(&list[0].resources, &list[2].resources));
    }

    #[test]
    fn a_place_that_is_not_there_is_refused() {
        let text = r#"{"pods":[{"name":"a","phase":"Running","resources":1}],"resources":[{}]}"#;
        let error = serde_json::from_str::<PodList>(text).unwrap_err().to_string();
        assert!(error.contains("pod a has resources 1"), "{error}");
    }

    #[test]
    fn more_than_a_record_holds_are_none() {
        let pods = Pods::of(vec![Pod::default(); MAX_PODS + 1]);
        assert!(matches!(pods, Pods::Unknown(why) if why.contains("5001 pods")));
    }

    /// The bound is what records hold: as many pods with long names, and three metrics of them.
    #[test]
    fn the_most_pods_fit_into_a_record() {
        let name = |i: usize| format!("a-service-with-rather-a-long-name-5d8f9c7b6d-{i:05}");
        let pods = Pods::of((0..MAX_PODS).map(|i| pod(&name(i), 100)).collect());
        let sample = |i| Sample { pod: name(i), value_milli: 1 << 40, at_ms: 1 << 41, window_ms: 15_000 };
        let samples: Vec<Sample> = (0..MAX_PODS).map(sample).collect();
        let bytes =
            serde_json::to_vec(&pods).unwrap().len() + 3 * serde_json::to_vec(&samples).unwrap().len();
        assert!(bytes < crate::record::RECORD_BYTES_MAX, "{bytes}");
    }
}
