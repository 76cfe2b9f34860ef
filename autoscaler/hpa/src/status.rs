//! `HorizontalPodAutoscalerStatus`: what is told, and remembered in the API server from sync to sync.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// `HorizontalPodAutoscalerStatus`. Times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HpaStatus {
    /// Replicas found at the last sync that got that far.
    pub current_replicas: i32,
    /// Replicas wanted at the last sync that got that far.
    pub desired_replicas: i32,
    /// When the scale was last written.
    pub last_scale_ms: Option<i64>,
    /// One per metric of the spec, `None` where it failed; empty where metrics were not asked.
    pub current_metrics: Vec<Option<MetricStatus>>,
    /// In the order in which they first came up.
    pub conditions: Vec<Condition>,
}

/// `MetricStatus`: which metric, and what it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The metric or resource.
    pub name: String,
    /// The metric's selector as text.
    pub selector: String,
    /// The container of a ContainerResource.
    pub container: Option<String>,
    /// What it is now.
    pub current: MetricValueStatus,
}

/// `MetricValueStatus`, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricValueStatus {
    /// The value as a whole.
    pub value_milli: Option<i64>,
    /// The value by replica.
    pub average_value_milli: Option<i64>,
    /// Percent of the request.
    pub average_utilization: Option<i32>,
}

/// `HorizontalPodAutoscalerCondition`. Messages are this crate's own words; everything else is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word.
    pub reason: Cow<'static, str>,
    /// One sentence.
    pub message: Cow<'static, str>,
    /// When `status` last changed; a new reason alone does not move it.
    pub transition_ms: i64,
}

/// `HorizontalPodAutoscalerConditionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionType {
    /// The scale can be read and written.
    AbleToScale,
    /// Metrics say how many replicas are wanted.
    ScalingActive,
    /// Bounds or rates keep replicas from what is wanted.
    ScalingLimited,
}

/// `ConditionStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl HpaStatus {
    /// Sets a condition; its transition time moves only with its status.
    ///
    /// Upstream: `horizontal.go`, `setConditionInList`.
    pub(crate) fn set(
        &mut self,
        now_ms: i64,
        kind: ConditionType,
        holds: bool,
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) {
        let (status, reason, message) = (ConditionStatus::from(holds), Cow::Borrowed(reason), message.into());
        match self.conditions.iter_mut().find(|c| c.kind == kind) {
            Some(found) => {
                if found.status != status {
                    found.transition_ms = now_ms;
                }
                (found.status, found.reason, found.message) = (status, reason, message);
            }
            None => self.conditions.push(Condition { kind, status, reason, message, transition_ms: now_ms }),
        }
    }
}
