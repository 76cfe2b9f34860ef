//! HorizontalPodAutoscalers: `autoscaling/v2` and its betas, and `autoscaling/v1`, whose other metrics live in
//! annotations.

mod flat;
mod metrics;

use autoscaler_api::Behavior;

use crate::behavior;
use crate::draft::{self, Draft, Found, Handover, SYNC_S, Workload};
use crate::field::At;
use crate::note::Note;
use crate::resource::{Ask, Resource, take};

/// What an HPA without metrics is given by the API server (`pkg/apis/autoscaling/v2/defaults.go`).
const DEFAULT_CPU_PERCENT: i32 = 80;

/// Reads one; the notes tell why there is no draft.
pub(crate) fn read(object: &At<'_>, namespace: Option<String>, notes: &mut Vec<Note>) -> Option<Draft> {
    if let Some(owner) = keda_owner(object) {
        let message = format!("the HPA is KEDA's, made from ScaledObject {owner}");
        notes.push(Note::lost("metadata.ownerReferences", message, "import the ScaledObject instead"));
        return None;
    }
    let Some(spec) = object.field("spec").filter(At::is_mapping) else {
        notes.push(Note::lost("spec", "is missing", "import an HPA with a spec"));
        return None;
    };
    spec.tell_unknown(
        &[
            "scaleTargetRef",
            "minReplicas",
            "maxReplicas",
            "metrics",
            "behavior",
            "targetCPUUtilizationPercentage",
        ],
        notes,
    );
    let target = spec.field("scaleTargetRef").and_then(|at| draft::target(&at, false, notes));
    let Some(target) = target else {
        notes.push(Note::lost("spec.scaleTargetRef", "names nothing", "write apiVersion, kind and name"));
        return None;
    };
    let min_replicas = match spec.field("minReplicas") {
        Some(at) if at.whole() == Some(0) => {
            notes.push(Note::lost(
                at.path(),
                "1 is written: a policy's last replica goes by activity and a cool-down, not by the target alone",
                "write minReplicas: 0, with metrics[].activation and zero.cooldown",
            ));
            1
        }
        Some(at) => at.within(1, i32::MAX, notes)?,
        None => 1,
    };
    let Some(max_replicas) = spec.field("maxReplicas").and_then(|at| at.within(1, i32::MAX, notes)) else {
        notes.push(Note::lost("spec.maxReplicas", "is missing or no number", "write the most replicas"));
        return None;
    };
    let workload = Workload { namespace, target };
    let mut found = Found::default();
    sources(object, &spec, &workload, &mut found);
    let behavior = behavior_of(object, &spec, &mut found.notes);
    notes.append(&mut found.notes);
    Some(Draft {
        target: workload.target,
        min_replicas,
        max_replicas,
        interval_s: SYNC_S,
        paused: false,
        metrics: found.metrics,
        suggestions: found.suggestions,
        behavior,
        handover: Handover::Hpa,
    })
}

/// All metrics, wherever the version keeps them.
fn sources(object: &At<'_>, spec: &At<'_>, workload: &Workload, found: &mut Found) {
    let mut any = false;
    if let Some(percent) = spec.field("targetCPUUtilizationPercentage") {
        any = true;
        if let Some(percent) = percent.within(1, 1_000_000, &mut found.notes) {
            let resource =
                Resource { name: "cpu", container: None, field: "spec.targetCPUUtilizationPercentage" };
            take(resource, Ask::Utilization(percent), found);
        }
    }
    if let Some(list) = spec.field("metrics") {
        any |= list.is_list() && !list.items().is_empty();
        list.items().iter().for_each(|at| metrics::read(at, workload, found));
    }
    if let Some((path, value)) = flat::annotation(object, flat::METRICS, &mut found.notes) {
        let list = At::standing_at(&value, &path);
        any = true;
        list.items().iter().for_each(|at| metrics::read(at, workload, found));
    }
    if !any {
        let resource = Resource { name: "cpu", container: None, field: "spec.metrics" };
        let message = format!("is empty, which is {DEFAULT_CPU_PERCENT} % of the CPU requests");
        found.notes.push(Note::differs("spec.metrics", message, "that is written"));
        take(resource, Ask::Utilization(DEFAULT_CPU_PERCENT), found);
    }
}

fn behavior_of(object: &At<'_>, spec: &At<'_>, notes: &mut Vec<Note>) -> Option<Behavior> {
    if let Some(at) = spec.field("behavior") {
        return behavior::read(&at, notes);
    }
    let (path, value) = flat::annotation(object, flat::BEHAVIOR, notes)?;
    let value = flat::lower_camel(&value);
    behavior::read(&At::standing_at(&value, &path), notes)
}

/// The name of the ScaledObject that KEDA made this HPA from.
pub(crate) fn keda_owner<'a>(object: &At<'a>) -> Option<&'a str> {
    let owners = object.field("metadata")?.field("ownerReferences")?.items();
    let owner = owners.iter().find(|o| o.field("kind").and_then(|k| k.text()) == Some("ScaledObject"))?;
    owner.field("name").and_then(|n| n.text())
}
