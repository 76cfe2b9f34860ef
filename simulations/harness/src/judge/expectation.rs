//! What autoscaling must do, as a file says it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::{DurationText, Percent};
use crate::timeline::Target;

/// What must hold. Marks are names of stages and faults (`NAME`, `NAME ended`), and `end`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Expectation {
    /// Ready replicas reach a bound within a time after a mark.
    Reaches {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// So many or more are ready.
        at_least: Option<i32>,
        /// So many or fewer are wanted, and ready.
        at_most: Option<i32>,
        /// From this mark.
        after: String,
        /// In this time.
        #[serde(with = "thanos_model::duration::serde_text")]
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// Between two marks ready replicas are never fewer.
    NeverBelow {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// So many or more.
        at_least: i32,
        /// From this mark.
        from: String,
        /// To this one.
        to: String,
    },
    /// No workload's wanted replicas were lowered between two marks.
    NeverLowered {
        /// From this mark.
        from: String,
        /// To this one.
        to: String,
    },
    /// Between two marks the policy called its evidence insufficient: without this, `neverLowered` would prove
    /// nothing.
    Doubts {
        /// `CLUSTER/NAME` of the policy.
        policy: Place,
        /// From this mark.
        from: String,
        /// To this one.
        to: String,
        /// And its value fell to at most this share of what it was at `from`.
        share: Option<f64>,
    },
    /// The policy called its evidence sufficient again within a time after a mark.
    Recovers {
        /// `CLUSTER/NAME` of the policy.
        policy: Place,
        /// From this mark.
        after: String,
        /// In this time.
        #[serde(with = "thanos_model::duration::serde_text")]
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// A container was started again after a mark.
    Restarted {
        /// `CLUSTER/POD-PREFIX/CONTAINER`.
        container: ContainerPlace,
        /// From this mark.
        after: String,
        /// In this time.
        #[serde(with = "thanos_model::duration::serde_text")]
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// Wanted replicas changed direction at most so often.
    Reversals {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// So often or less.
        at_most: u32,
    },
    /// What ran cost at most so much.
    ReplicaHours {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// Ready replicas, integrated, in hours.
        at_most: f64,
    },
    /// From a mark to the next stage or the end, wanted replicas went beyond the value that they settled at by at
    /// most so much of it.
    Overshoot {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// From this mark.
        after: String,
        /// For example `20%`.
        at_most: Percent,
    },
    /// Within a time after a mark the replicas are where they stay until the next stage or the end.
    Settles {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// From this mark.
        after: String,
        /// In this time.
        #[serde(with = "thanos_model::duration::serde_text")]
        #[schemars(with = "DurationText")]
        within: Duration,
    },
    /// A service's `slo` did not hold on at most so much of the load.
    SloViolations {
        /// The service.
        service: String,
        /// For example `5%`.
        at_most: Percent,
        /// Of what; of the seconds unless told. Both are reported.
        of: Option<SloShare>,
    },
    /// Against the demand, which the service's `sustainsRps` tells, replicas were missing, surplus or restless at
    /// most so much.
    Elasticity {
        /// `CLUSTER/NAME`.
        workload: Place,
        /// θ_U: missing replicas, as a share of those needed.
        theta_u: Option<Percent>,
        /// θ_O: surplus replicas, as a share of those needed.
        theta_o: Option<Percent>,
        /// τ_U: share of time with too few.
        tau_u: Option<Percent>,
        /// τ_O: share of time with too many.
        tau_o: Option<Percent>,
        /// υ: share of time in which supply and demand moved differently.
        upsilon: Option<Percent>,
    },
}

/// What a share of violations is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SloShare {
    /// Seconds of clusters, by the requests that were due in them.
    #[default]
    Seconds,
    /// Requests: those that were slower than the slo's latency, or failed.
    Requests,
}

impl fmt::Display for SloShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Requests => "requests",
        })
    }
}

/// Something in a cluster, written `CLUSTER/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", inline)]
pub struct Place {
    /// Cluster.
    pub cluster: String,
    /// Name.
    pub name: String,
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('/') {
            Some((cluster, name)) if !cluster.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { cluster: cluster.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} is not CLUSTER/NAME, for example east/web")),
        }
    }
}

impl Place {
    /// As the timeline names it.
    pub(crate) fn target(&self) -> Target {
        (self.cluster.clone(), self.name.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

/// A container, written `CLUSTER/POD-PREFIX/CONTAINER`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", inline)]
pub struct ContainerPlace {
    /// Cluster.
    pub cluster: String,
    /// What the pod's name begins with.
    pub pod: String,
    /// Container.
    pub container: String,
}

impl TryFrom<String> for ContainerPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [cluster, pod, container] if !cluster.is_empty() && !pod.is_empty() && !container.is_empty() => {
                Ok(Self { cluster: cluster.into(), pod: pod.into(), container: container.into() })
            }
            _ => Err(format!("{text:?} is not CLUSTER/POD-PREFIX/CONTAINER, for example east/query/query")),
        }
    }
}

impl Expectation {
    /// Its key in a file.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Reaches { .. } => "reaches",
            Self::NeverBelow { .. } => "neverBelow",
            Self::NeverLowered { .. } => "neverLowered",
            Self::Doubts { .. } => "doubts",
            Self::Recovers { .. } => "recovers",
            Self::Restarted { .. } => "restarted",
            Self::Reversals { .. } => "reversals",
            Self::ReplicaHours { .. } => "replicaHours",
            Self::Overshoot { .. } => "overshoot",
            Self::Settles { .. } => "settles",
            Self::SloViolations { .. } => "sloViolations",
            Self::Elasticity { .. } => "elasticity",
        }
    }

    /// The marks that it refers to, by key.
    pub(crate) fn marks(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Reaches { after, .. }
            | Self::Recovers { after, .. }
            | Self::Restarted { after, .. }
            | Self::Overshoot { after, .. }
            | Self::Settles { after, .. } => vec![("after", after)],
            Self::NeverBelow { from, to, .. }
            | Self::NeverLowered { from, to }
            | Self::Doubts { from, to, .. } => vec![("from", from), ("to", to)],
            Self::Reversals { .. }
            | Self::ReplicaHours { .. }
            | Self::SloViolations { .. }
            | Self::Elasticity { .. } => vec![],
        }
    }

    /// The workload that it is about.
    pub(crate) fn workload(&self) -> Option<&Place> {
        match self {
            Self::Reaches { workload, .. }
            | Self::NeverBelow { workload, .. }
            | Self::Reversals { workload, .. }
            | Self::ReplicaHours { workload, .. }
            | Self::Overshoot { workload, .. }
            | Self::Settles { workload, .. }
            | Self::Elasticity { workload, .. } => Some(workload),
            Self::NeverLowered { .. }
            | Self::Doubts { .. }
            | Self::Recovers { .. }
            | Self::Restarted { .. }
            | Self::SloViolations { .. } => None,
        }
    }
}
