//! CPU and memory: what policies have no metric for yet, and the PromQL that asks the same.
//!
//! The HPA holds `100 × Σ usage ÷ Σ requests` of the pods to a percentage and multiplies the ready pods by the ratio
//! (Kubernetes 1.35, `pkg/controller/podautoscaler/metrics/utilization.go`, `GetResourceUtilizationRatio`). With the
//! same requests in each pod that is `Σ usage ÷ request of one pod`, the load in pods, held to a share of each: the
//! same replicas, from a number that does not change with the pods that are ready.

use autoscaler_api::Quantity;

use crate::draft::{Found, Metric, Suggestion, Target, Workload, milli, quantity};
use crate::field::At;
use crate::note::Note;
use crate::promql::{Matcher, pods_of, selector};

/// A resource metric as the HPA and KEDA have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    /// `cpu`, `memory`, or something else.
    pub(crate) name: &'a str,
    /// Only this container of each pod.
    pub(crate) container: Option<&'a str>,
    /// The field that asks for it.
    pub(crate) field: &'a str,
}

/// Percent of the requests, or an amount a pod.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Utilization(i32),
    AverageValue(Quantity),
}

impl Ask {
    /// An HPA's target.
    pub(crate) fn of_target(target: &At<'_>, notes: &mut Vec<Note>) -> Option<Self> {
        let words = [("Utilization", true), ("AverageValue", false)];
        let utilization = match target.field("type") {
            Some(kind) => kind.one_of(&words, notes)?,
            // As autoscaling/v1 and v2beta1 wrote it: whichever is there.
            None => target.field("averageUtilization").is_some(),
        };
        let name = if utilization { "averageUtilization" } else { "averageValue" };
        let Some(value) = target.field(name) else {
            notes.push(target.wrong(&format!("{name} beside the type")));
            return None;
        };
        if utilization {
            value.within(1, 1_000_000, notes).map(Self::Utilization)
        } else {
            quantity(&value, notes).map(Self::AverageValue)
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Utilization(percent) => format!("{percent} % of its request"),
            Self::AverageValue(q) => format!("{q} a pod"),
        }
    }
}

/// Tells that a resource metric does not carry over, and suggests what asks the same.
pub(crate) fn tell(resource: Resource<'_>, ask: &Ask, workload: &Workload, found: &mut Found) {
    let of = resource.container.map(|c| format!(" of container {c}")).unwrap_or_default();
    let message = format!("{}{of} at {}: policies have no resource metrics yet", resource.name, ask.shown());
    let Some(metric) = metric(resource, ask, workload) else {
        let cure = "write a query for it, if an exporter has it";
        found.notes.push(Note::lost(resource.field, message, cure));
        return;
    };
    found.notes.push(Note::lost(
        resource.field,
        message,
        "take the suggested query if your querier has its series",
    ));
    let needs = match ask {
        Ask::Utilization(_) => {
            "cAdvisor's metrics, and kube_pod_container_resource_requests of kube-state-metrics"
        }
        Ask::AverageValue(_) => "cAdvisor's metrics",
    };
    found.suggestions.push(Suggestion { needs: needs.to_owned(), metric });
}

fn metric(resource: Resource<'_>, ask: &Ask, workload: &Workload) -> Option<Metric> {
    let matchers = |own: &[Matcher]| -> Vec<Matcher> {
        let mut all = Vec::new();
        all.extend(workload.namespace.as_deref().map(|n| Matcher::new("namespace", "=", n)));
        all.push(Matcher::new("pod", "=~", pods_of(&workload.target)));
        all.extend(resource.container.map(|c| Matcher::new("container", "=", c)));
        all.extend_from_slice(own);
        all
    };
    // A pod's own sum, and the sandbox of older runtimes, are not containers.
    let no_sums = [Matcher::new("container", "!=", ""), Matcher::new("container", "!=", "POD")];
    let containers = matchers(if resource.container.is_some() { &[] } else { &no_sums });
    let usage = match resource.name {
        "cpu" => format!("sum(rate({}[2m]))", selector("container_cpu_usage_seconds_total", &containers)),
        "memory" => format!("sum({})", selector("container_memory_working_set_bytes", &containers)),
        _ => return None,
    };
    let (query, target) = match ask {
        Ask::AverageValue(q) => (usage, q.clone()),
        Ask::Utilization(percent) => {
            let of = [Matcher::new("resource", "=", resource.name)];
            let requests = selector("kube_pod_container_resource_requests", &matchers(&of));
            (format!("{usage} / avg(sum by (namespace, pod) ({requests}))"), milli(i64::from(*percent) * 10))
        }
    };
    Some(Metric {
        name: resource.name.to_owned(),
        query,
        target: Target::AverageValue(target),
        fallback: None,
        field: resource.field.to_owned(),
        server: None,
    })
}
