//! What autoscaling must do, as a file says it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::{DurationText, Percent};

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
        /// What is no lowering of the stretch's own; everything is unless told.
        unless: Option<Excuse>,
    },
    /// Between two marks, or at the first, the policy called its evidence insufficient: without this,
    /// `neverLowered` would prove nothing.
    Doubts {
        /// `CLUSTER/NAME` of the policy.
        policy: Place,
        /// From this mark.
        from: String,
        /// To this one.
        to: String,
        /// And its first metric's value fell to at most this share, above 0 and below 1, of what it was at `from`,
        /// and was never believed there.
        share: Option<f64>,
    },
    /// After a mark, or already at it, the policy doubted its evidence, and within a time after the mark it trusted
    /// it again, and did so until the next mark.
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
        /// Replicas that are wanted, or ready still, integrated, in hours.
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

/// A lowering that is none of the stretch's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Excuse {
    /// The decision's own record says that before the stretch began so few replicas or fewer were asked for, and that
    /// it was taken on evidence which sufficed.
    AskedBefore,
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
    /// As cluster and name.
    pub fn target(&self) -> (String, String) {
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
    pub fn kind(&self) -> &'static str {
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
    pub fn marks(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Reaches { after, .. }
            | Self::Recovers { after, .. }
            | Self::Restarted { after, .. }
            | Self::Overshoot { after, .. }
            | Self::Settles { after, .. } => vec![("after", after)],
            Self::NeverBelow { from, to, .. }
            | Self::NeverLowered { from, to, .. }
            | Self::Doubts { from, to, .. } => vec![("from", from), ("to", to)],
            Self::Reversals { .. }
            | Self::ReplicaHours { .. }
            | Self::SloViolations { .. }
            | Self::Elasticity { .. } => vec![],
        }
    }

    /// The workload that it is about.
    pub fn workload(&self) -> Option<&Place> {
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

/// The row's name: what is asked.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reaches { workload, at_least, at_most, after, within } => {
                let bounds =
                    [at_least.map(|n| format!("at least {n}")), at_most.map(|n| format!("at most {n}"))];
                let bounds: Vec<String> = bounds.into_iter().flatten().collect();
                write!(f, "{workload} reaches {} within {within:?} of {after:?}", bounds.join(" and "))
            }
            Self::NeverBelow { workload, at_least, from, to } => {
                write!(f, "{workload} has {at_least} ready or more from {from:?} to {to:?}")
            }
            Self::NeverLowered { from, to, unless: None } => {
                write!(f, "nothing is scaled down from {from:?} to {to:?}")
            }
            Self::NeverLowered { from, to, unless: Some(Excuse::AskedBefore) } => {
                write!(f, "nothing is scaled down from {from:?} to {to:?} that was not asked for before")
            }
            Self::Doubts { policy, share: Some(share), .. } => {
                write!(f, "{policy} sees its value at {share} or less, and does not believe it")
            }
            Self::Doubts { policy, from, to, share: None } => {
                write!(f, "{policy} does not trust its evidence at some time from {from:?} to {to:?}")
            }
            Self::Recovers { policy, after, within } => {
                write!(f, "{policy} trusts its evidence again within {within:?} of {after:?}")
            }
            Self::Restarted { container: c, after, within } => {
                write!(f, "{}/{}…/{} is back within {within:?} of {after:?}", c.cluster, c.pod, c.container)
            }
            Self::Reversals { workload, at_most } => {
                write!(f, "{workload} changes direction at most {at_most} times")
            }
            Self::ReplicaHours { workload, at_most } => {
                write!(f, "{workload} costs at most {at_most} replica-hours")
            }
            Self::Overshoot { workload, after, at_most } => {
                write!(f, "{workload} overshoots by at most {at_most} after {after:?}")
            }
            Self::Settles { workload, after, within } => {
                write!(f, "{workload} settles within {within:?} of {after:?}")
            }
            Self::SloViolations { service, at_most, of } => {
                let of = of.unwrap_or_default();
                write!(f, "the slo of {service} is violated in at most {at_most} of the {of}")
            }
            Self::Elasticity { workload, theta_u, theta_o, tau_u, tau_o, upsilon } => {
                let limits = [theta_u, theta_o, tau_u, tau_o, upsilon];
                let asked = ["θ_U", "θ_O", "τ_U", "τ_O", "υ"].into_iter().zip(limits);
                let asked: Vec<String> = asked
                    .filter_map(|(name, limit)| limit.as_ref().map(|l| format!("{name} ≤ {l}")))
                    .collect();
                write!(f, "{workload} has {}", asked.join(", "))
            }
        }
    }
}
