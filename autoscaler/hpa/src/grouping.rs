//! Which pods count: ready, unready, without a sample, or not at all.

use std::collections::BTreeMap;

use crate::pod::{Pod, PodPhase};
use crate::sample::Sample;
use crate::settings::Settings;
use crate::status::ConditionStatus;

/// Pods by how they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups<'a> {
    /// How many count with their sample.
    pub ready: usize,
    /// Pending, or its CPU is not to be believed yet: no sample, and zero when raising.
    pub unready: Vec<&'a str>,
    /// Without a sample: at the target when lowering, zero when raising.
    pub missing: Vec<&'a str>,
    /// Failed or being deleted: neither pod nor sample.
    pub ignored: Vec<&'a str>,
}

/// Sorts `pods`. Readiness is looked at for CPU only: within the initialization period a pod counts if it is not
/// unready and its sample's window began after its last change of readiness; later, unless it has never been
/// ready, which is guessed from a change of readiness before the readiness delay was over.
///
/// Upstream: `replica_calculator.go`, `groupPods`.
#[must_use]
pub fn group<'a>(
    pods: &'a [Pod],
    samples: &BTreeMap<&str, &Sample>,
    resource: Option<&str>,
    settings: &Settings,
    now_ms: i64,
) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name.as_str();
        if pod.deleting || pod.phase == PodPhase::Failed {
            groups.ignored.push(name);
        } else if pod.phase == PodPhase::Pending {
            groups.unready.push(name);
        } else if let Some(sample) = samples.get(name) {
            if resource == Some("cpu") && !cpu_counts(pod, sample, settings, now_ms) {
                groups.unready.push(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.push(name);
        }
    }
    groups
}

fn cpu_counts(pod: &Pod, sample: &Sample, settings: &Settings, now_ms: i64) -> bool {
    let (Some(ready), Some(start_ms)) = (pod.ready, pod.start_ms) else { return false };
    let unready = ready.status == ConditionStatus::False;
    if start_ms.saturating_add(settings.cpu_initialization_period_ms) > now_ms {
        !unready && sample.at_ms >= ready.transition_ms.saturating_add(sample.window_ms)
    } else {
        !unready || start_ms.saturating_add(settings.initial_readiness_delay_ms) <= ready.transition_ms
    }
}
