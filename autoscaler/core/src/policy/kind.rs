//! What a metric measures: the HPA's types, with a query in place of its custom and external metrics.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::name::Name;
use crate::reasons;

/// What a metric measures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum MetricKind {
    /// One value of a query, for the target as a whole.
    #[default]
    Query,
    /// One value of a query for each pod.
    Pods,
    /// Use of a resource by all containers of each pod.
    Resource {
        /// `cpu` and `memory` are the usual ones.
        resource: Name,
    },
    /// Use of a resource by one container of each pod.
    ContainerResource {
        /// The resource.
        resource: Name,
        /// The container.
        container: Name,
    },
}

impl MetricKind {
    pub(super) fn is_query(&self) -> bool {
        *self == Self::Query
    }

    /// Whether there is a value for each pod.
    #[must_use]
    pub fn is_by_pod(&self) -> bool {
        *self != Self::Query
    }

    /// The resource and, of one container alone, its name.
    #[must_use]
    pub fn resource(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::Query | Self::Pods => None,
            Self::Resource { resource } => Some((resource, None)),
            Self::ContainerResource { resource, container } => Some((resource, Some(container))),
        }
    }

    /// Whether it can be held to such a target.
    #[must_use]
    pub fn takes(&self, target: Target) -> bool {
        match self {
            Self::Query => matches!(target, Target::Value { .. } | Target::AverageValue { .. }),
            Self::Pods => matches!(target, Target::AverageValue { .. }),
            Self::Resource { .. } | Self::ContainerResource { .. } => {
                matches!(target, Target::Utilization { .. } | Target::AverageValue { .. })
            }
        }
    }

    /// The HPA's reason where such a metric gives no number.
    #[must_use]
    pub fn failure_reason(&self) -> &'static str {
        match self {
            Self::Query => reasons::FAILED_GET_EXTERNAL_METRIC,
            Self::Pods => reasons::FAILED_GET_PODS_METRIC,
            Self::Resource { .. } => reasons::FAILED_GET_RESOURCE_METRIC,
            Self::ContainerResource { .. } => reasons::FAILED_GET_CONTAINER_RESOURCE_METRIC,
        }
    }
}
