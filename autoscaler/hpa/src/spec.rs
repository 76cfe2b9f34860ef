//! What the user asks for: `HorizontalPodAutoscalerSpec`, quantities as integers of thousandths.

use crate::behavior::Behavior;

/// `HorizontalPodAutoscalerSpec`, without the reference to its target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HpaSpec {
    /// Lower bound; `None` is 1. Zero allows scaling to zero.
    pub min_replicas: Option<i32>,
    /// Upper bound.
    pub max_replicas: i32,
    /// Metrics in the order written. The API server puts CPU at 80 % where there are none.
    pub metrics: Vec<MetricSpec>,
    /// Windows, rates and tolerances; `None` takes the rules that are older than `behavior`.
    pub behavior: Option<Behavior>,
}

/// Percent of its CPU request that a pod is to use where a spec names no metric.
const DEFAULT_CPU_UTILIZATION: i32 = 80;

impl HpaSpec {
    /// As the API server completes it, but for `behavior`, which [`Behavior::complete`] does.
    ///
    /// Upstream: `pkg/apis/autoscaling/v2/defaults.go`, `SetDefaults_HorizontalPodAutoscaler`.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        self.min_replicas.get_or_insert(1);
        if self.metrics.is_empty() {
            let target = MetricTarget {
                kind: MetricTargetType::Utilization,
                average_utilization: Some(DEFAULT_CPU_UTILIZATION),
                ..MetricTarget::default()
            };
            self.metrics.push(MetricSpec::Resource { name: "cpu".to_owned(), target });
        }
        self
    }
}

/// `MetricSpec`.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricSpec {
    /// Use of a resource by all containers of each pod.
    Resource {
        /// `cpu` and `memory` are the usual ones.
        name: String,
        /// Utilization or average value.
        target: MetricTarget,
    },
    /// Use of a resource by one container of each pod.
    ContainerResource {
        /// The resource.
        name: String,
        /// The container.
        container: String,
        /// Utilization or average value.
        target: MetricTarget,
    },
    /// A custom metric of each pod.
    Pods {
        /// Which.
        metric: MetricIdentifier,
        /// Average value.
        target: MetricTarget,
    },
    /// A custom metric of one object.
    Object {
        /// Which.
        metric: MetricIdentifier,
        /// Of what.
        described_object: ObjectReference,
        /// Value or average value.
        target: MetricTarget,
    },
    /// A metric of something outside of the cluster.
    External {
        /// Which.
        metric: MetricIdentifier,
        /// Value or average value.
        target: MetricTarget,
    },
    /// A type that upstream does not know either, or a known one without its body.
    Unknown {
        /// `type` as written.
        kind: String,
    },
}

impl MetricSpec {
    /// `type` of `autoscaling/v2`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Resource { .. } => "Resource",
            Self::ContainerResource { .. } => "ContainerResource",
            Self::Pods { .. } => "Pods",
            Self::Object { .. } => "Object",
            Self::External { .. } => "External",
            Self::Unknown { kind } => kind,
        }
    }
}

/// For people: says everything that tells metrics apart.
impl std::fmt::Display for MetricSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resource { name, target } => write!(f, "{} of {name}", target.of_resource()),
            Self::ContainerResource { name, container, target } => {
                write!(f, "{} of {name} by container {container}", target.of_resource())
            }
            Self::Pods { metric, .. } => write!(f, "pods metric {metric}"),
            Self::Object { metric, described_object: object, .. } => write!(f, "metric {metric} of {object}"),
            Self::External { metric, .. } => write!(f, "external metric {metric}"),
            Self::Unknown { kind } => write!(f, "metric of type {kind}"),
        }
    }
}

/// `MetricIdentifier`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricIdentifier {
    /// The metric.
    pub name: String,
    /// Its selector as text, empty where there is none. Asking by it is the caller's.
    pub selector: String,
}

impl From<&str> for MetricIdentifier {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), selector: String::new() }
    }
}

impl std::fmt::Display for MetricIdentifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, selector } = self;
        if selector.is_empty() { f.write_str(name) } else { write!(f, "{name} ({selector})") }
    }
}

/// `CrossVersionObjectReference`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectReference {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ObjectReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// `MetricTarget`. Several fields may be set; which one counts differs by metric type, see
/// [`metrics`](crate::metrics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricTarget {
    /// `type`; upstream looks at it for Object metrics only.
    pub kind: MetricTargetType,
    /// `value` in thousandths.
    pub value_milli: Option<i64>,
    /// `averageValue` in thousandths.
    pub average_value_milli: Option<i64>,
    /// `averageUtilization`, percent of the request.
    pub average_utilization: Option<i32>,
}

impl MetricTarget {
    /// What of a resource is compared: its usage where there is an average value, else its utilization.
    pub(crate) fn of_resource(&self) -> &'static str {
        if self.average_value_milli.is_some() { "usage" } else { "utilization" }
    }
}

/// `MetricTargetType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricTargetType {
    /// The value as a whole.
    Value,
    /// The value divided by replicas.
    AverageValue,
    /// Percent of the request.
    #[default]
    Utilization,
}
