//! ScaledObjects of `keda.sh/v1alpha1` (KEDA 2.20, `apis/keda/v1alpha1/scaledobject_types.go`): KEDA makes an HPA of
//! one, serves its metrics, and itself scales only between zero and one.

mod fallback;
mod formula;
mod prometheus;
mod triggers;

use autoscaler_api::Behavior;

use crate::behavior;
use crate::draft::{self, Draft, Found, Handover, SYNC_S};
use crate::field::At;
use crate::note::Note;

/// KEDA's `maxReplicaCount` where there is none.
const DEFAULT_MAX: i32 = 100;
/// A policy is evaluated at least once an hour.
const LONGEST_S: i32 = 3600;

const SPEC: [&str; 10] = [
    "scaleTargetRef",
    "pollingInterval",
    "initialCooldownPeriod",
    "cooldownPeriod",
    "idleReplicaCount",
    "minReplicaCount",
    "maxReplicaCount",
    "advanced",
    "triggers",
    "fallback",
];

/// Annotations by which KEDA is paused.
mod annotations {
    pub(super) const PAUSED: &str = "autoscaling.keda.sh/paused";
    pub(super) const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
    pub(super) const PAUSED_IN: &str = "autoscaling.keda.sh/paused-scale-in";
    pub(super) const PAUSED_OUT: &str = "autoscaling.keda.sh/paused-scale-out";
    pub(super) const FORCED: &str = "autoscaling.keda.sh/force-activation";
}

/// Reads one; the notes tell why there is no draft.
pub(crate) fn read(object: &At<'_>, notes: &mut Vec<Note>) -> Option<Draft> {
    let Some(spec) = object.field("spec").filter(At::is_mapping) else {
        notes.push(Note::lost("spec", "is missing", "import a ScaledObject with a spec"));
        return None;
    };
    spec.tell_unknown(&SPEC, notes);
    let target = spec.field("scaleTargetRef").and_then(|at| draft::target(&at, true, notes));
    let Some(target) = target else {
        notes.push(Note::lost("spec.scaleTargetRef", "names nothing", "write apiVersion, kind and name"));
        return None;
    };
    let (min_replicas, from_zero) = minimum(&spec, notes)?;
    let max_replicas = match spec.field("maxReplicaCount") {
        Some(at) => at.within(1, i32::MAX, notes)?,
        None => DEFAULT_MAX,
    };
    let interval_s = match spec.field("pollingInterval") {
        Some(at) => at.within(1, LONGEST_S, notes).map_or(SYNC_S, i64::from),
        None => SYNC_S,
    };
    let advanced = spec.field("advanced");
    let mut found = Found::default();
    triggers::read(&spec, from_zero, &mut found);
    if let Some(fallback) = spec.field("fallback").and_then(|at| fallback::read(&at, &mut found.notes)) {
        for metric in found.metrics.iter_mut().filter(|metric| metric.measure.query().is_some()) {
            metric.fallback = Some(fallback.clone());
        }
    }
    if let Some(modifiers) = advanced.as_ref().and_then(|a| a.field("scalingModifiers")) {
        formula::read(&modifiers, &spec, &mut found);
    }
    notes.append(&mut found.notes);
    let restores = advanced.as_ref().is_some_and(|a| restores(a, notes));
    let mut behavior = advanced.as_ref().and_then(|a| behavior_of(a, notes));
    let paused = pauses(object, &mut behavior, notes);
    Some(Draft {
        target,
        min_replicas,
        max_replicas,
        interval_s,
        paused,
        metrics: found.metrics,
        suggestions: found.suggestions,
        behavior,
        handover: Handover::Keda { restores, from_zero },
    })
}

/// The least replicas, and whether KEDA would have had fewer at times.
fn minimum(spec: &At<'_>, notes: &mut Vec<Note>) -> Option<(i32, bool)> {
    let min = match spec.field("minReplicaCount") {
        Some(at) => at.within(0, i32::MAX, notes)?,
        None => 0,
    };
    let idle = spec.field("idleReplicaCount");
    if min == 0 {
        notes.push(Note::lost(
            "spec.minReplicaCount",
            "0 (KEDA's default where there is none): 1 is written until somebody has seen that the queries have a value \
             without pods",
            "write minReplicas: 0, with metrics[].activation and zero.cooldown as they are here",
        ));
    }
    if let Some(idle) = &idle {
        let message =
            format!("{}: policies know no idle replicas beside a minimum, so they stay at that", shown(idle));
        notes.push(Note::lost(idle.path(), message, "write minReplicas: 0 if nothing is needed while idle"));
    }
    let to_zero = min == 0 || idle.is_some();
    for name in ["cooldownPeriod", "initialCooldownPeriod"] {
        let Some(at) = spec.field(name) else { continue };
        let (message, cure) = if name == "cooldownPeriod" {
            ("is about scaling to zero only", "write zero.cooldown beside minReplicas: 0")
        } else {
            ("is about scaling to zero only", "write zero.initialCooldown beside minReplicas: 0")
        };
        notes.push(if to_zero {
            Note::lost(at.path(), message, cure)
        } else {
            Note::differs(at.path(), message, cure)
        });
    }
    Some((min.max(1), to_zero))
}

fn shown(at: &At<'_>) -> String {
    at.scalar().unwrap_or_else(|| "what is written".to_owned())
}

fn restores(advanced: &At<'_>, notes: &mut Vec<Note>) -> bool {
    advanced.tell_unknown(
        &["horizontalPodAutoscalerConfig", "restoreToOriginalReplicaCount", "scalingModifiers"],
        notes,
    );
    let Some(at) = advanced.field("restoreToOriginalReplicaCount").filter(|at| is_true(&shown(at))) else {
        return false;
    };
    let message =
        "onDelete: Restore goes back to what there was when the policy took over, not to what KEDA found";
    notes.push(Note::lost(at.path(), message, "write onDelete: Restore if that is what you want"));
    true
}

fn behavior_of(advanced: &At<'_>, notes: &mut Vec<Note>) -> Option<Behavior> {
    let config = advanced.field("horizontalPodAutoscalerConfig")?;
    config.tell_unknown(&["behavior", "name"], notes);
    behavior::read(&config.field("behavior")?, notes)
}

/// Whether an annotation or a truth value is true, as Go's `strconv.ParseBool` has it. KEDA takes what is neither for
/// true where it is about a pause.
fn is_true(text: &str) -> bool {
    !["0", "f", "F", "false", "FALSE", "False"].contains(&text)
}

fn pauses(object: &At<'_>, behavior: &mut Option<Behavior>, notes: &mut Vec<Note>) -> bool {
    let annotations = object.field("metadata").and_then(|m| m.field("annotations"));
    let text = |name: &str| annotations.as_ref().and_then(|a| a.field(name)).and_then(|v| v.scalar());
    let on = |name: &str| text(name).is_some_and(|text| is_true(&text));
    let at = |name: &str| format!("metadata.annotations[{name}]");
    let mut paused = on(annotations::PAUSED);
    if let Some(replicas) = text(annotations::PAUSED_REPLICAS) {
        paused = true;
        notes.push(Note::lost(
            at(annotations::PAUSED_REPLICAS),
            format!("mode Paused holds the replicas that are there and sets none, not {replicas} either"),
            "write pause.replicas in mode Active, or set them with kubectl scale",
        ));
    }
    if on(annotations::PAUSED_IN) {
        behavior::forbid(&mut behavior.get_or_insert_default().scale_down);
    }
    if on(annotations::PAUSED_OUT) {
        behavior::forbid(&mut behavior.get_or_insert_default().scale_up);
    }
    if on(annotations::FORCED) {
        let cure = "minReplicas keeps that many at all times";
        notes.push(Note::lost(at(annotations::FORCED), "is about scaling from zero only", cure));
    }
    paused
}
