//! A policy as a watch sees it, understood: what the engine follows, and the queries that are sent for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_api::{OnDelete, Problem, ScalingPolicy, ScalingPolicySpec, validate};
use autoscaler_engine::objects::{Held, Kind, Name, Question, RingTerms, SeenPolicy, Terms};
use kube::api::{ApiResource, DynamicObject};
use kube::{Resource, ResourceExt};
use sha2::{Digest as _, Sha256};

use crate::defaults::Given;
use crate::plan::Form;
use crate::plan::{MetricPlan, Plan};
use crate::sources::Named;

/// Objects are watched untyped: one that does not read as a ScalingPolicy must not end the watch of all.
pub(crate) fn resource() -> ApiResource {
    ApiResource::erase::<ScalingPolicy>(&())
}

/// What was understood of policies, by name. One whose spec is as before keeps it: our own writes to its status come
/// back here.
#[derive(Debug, Default)]
pub(crate) struct Understood(BTreeMap<Name, Known>);

/// What is sent for a policy, in the order of its metrics.
pub(crate) type Asking = Arc<Vec<MetricPlan>>;

#[derive(Debug)]
struct Known {
    uid: String,
    generation: Option<i64>,
    /// Of the spec as the API server has it, to tell a change; the spec itself is no longer needed, and large ones would
    /// be held twice.
    raw: Digest,
    /// The engine has the same.
    terms: Result<Arc<Terms>, String>,
    metrics: Option<Asking>,
}

type Digest = [u8; 32];

fn digest(value: &serde_json::Value) -> Digest {
    struct Hashed(Sha256);
    impl std::io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hashed = Hashed(Sha256::new());
    // What was read as JSON can be written as JSON.
    let _ = serde_json::to_writer(&mut hashed, value);
    hashed.0.finalize().into()
}

impl Understood {
    /// Reads an object; `None`: it is on its way out, and not kept by this controller.
    pub(crate) fn read(
        &mut self,
        cluster: u16,
        object: &DynamicObject,
        (cluster_label, given): (&str, &Given),
    ) -> Option<(SeenPolicy, Option<Asking>)> {
        let name = name_of(cluster, object);
        let held = held(object);
        if held.deleting && !held.is_ours() {
            self.0.remove(&name);
            return None;
        }
        let raw = digest(&object.data["spec"]);
        let same = |known: &Known| {
            Some(&known.uid) == object.metadata.uid.as_ref()
                && known.generation == object.metadata.generation
                && known.raw == raw
        };
        if !self.0.get(&name).is_some_and(same) {
            let plan = plan(&name, object, cluster_label, given);
            let known = Known {
                uid: object.metadata.uid.clone().unwrap_or_default(),
                generation: object.metadata.generation,
                raw,
                terms: plan.as_ref().map(|(spec, plan)| Arc::new(terms(spec, plan))).map_err(|problems| {
                    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    texts.join("; ")
                }),
                metrics: plan.ok().map(|(_, plan)| Arc::new(plan.metrics)),
            };
            self.0.insert(name.clone(), known);
        }
        let known = self.0.get(&name)?;
        let seen = SeenPolicy {
            name,
            uid: known.uid.clone(),
            generation: known.generation,
            terms: known.terms.clone(),
            // One that another version wrote is no reason not to scale.
            status: serde_json::from_value(object.data["status"].clone()).unwrap_or_default(),
            held,
        };
        Some((seen, known.metrics.clone()))
    }

    /// A policy is gone.
    pub(crate) fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// There are only these; gives the others.
    pub(crate) fn keep(&mut self, there: &[Name]) -> Vec<Name> {
        let there: std::collections::BTreeSet<&Name> = there.iter().collect();
        let gone: Vec<Name> = self.0.keys().filter(|name| !there.contains(name)).cloned().collect();
        for name in &gone {
            self.0.remove(name);
        }
        gone
    }
}

/// What keeps an object, and whether it is deleted.
fn held(object: &DynamicObject) -> Held {
    Held {
        resource_version: object.resource_version().unwrap_or_default(),
        finalizers: object.finalizers().to_vec(),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

/// Where an object is.
pub(crate) fn name_of(cluster: u16, object: &DynamicObject) -> Name {
    Name {
        cluster,
        namespace: object.namespace().unwrap_or_else(|| "default".into()),
        name: object.name_any(),
    }
}

/// How a policy is referred to in events.
pub(crate) fn api_version() -> String {
    ScalingPolicy::api_version(&()).into_owned()
}

fn plan(
    name: &Name,
    object: &DynamicObject,
    cluster_label: &str,
    given: &Given,
) -> Result<(ScalingPolicySpec, Plan), Vec<Problem>> {
    let spec = serde_json::from_value::<ScalingPolicySpec>(object.data["spec"].clone()).map_err(|e| {
        vec![Problem::new("spec", e.to_string(), "apply a policy that the CRD's schema accepts")]
    })?;
    let policy = ScalingPolicy { metadata: object.metadata.clone(), spec, status: None };
    let problems = validate(&policy);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut plan = Plan::of(&policy, cluster_label, given)?;
    for (at, metric) in plan.metrics.iter_mut().enumerate() {
        metric.source = Named::of(name, &policy.spec, at);
    }
    Ok((policy.spec, plan))
}

fn terms(spec: &ScalingPolicySpec, plan: &Plan) -> Terms {
    let target = &spec.scale_target_ref;
    let (group, version) = target.api_version.rsplit_once('/').unwrap_or(("", &target.api_version));
    let question = |metric: &crate::plan::MetricPlan| Question {
        source: metric.source.as_ref().map(|source| source.id.to_string()).unwrap_or_default(),
        // One slot a query; nearly always there is one.
        weight: metric.asked.as_ref().map_or(1, |asked| asked.text.weight()),
        unusable: metric.asked.as_ref().err().filter(|_| metric.form != Form::Usage).cloned(),
    };
    Terms {
        policy: plan.policy.clone(),
        interval_ms: u64::try_from(plan.interval.as_millis()).unwrap_or(u64::MAX),
        kind: Kind { group: group.to_owned(), version: version.to_owned(), kind: target.kind.clone() },
        target: target.name.clone(),
        questions: plan.metrics.iter().map(question).collect(),
        schedules: plan.schedules.clone(),
        restores: spec.on_delete == OnDelete::Restore,
        ring: plan.ring.as_ref().map(|r| RingTerms { spec: r.spec.clone(), settle_ms: r.settle_ms }),
    }
}

#[cfg(test)]
mod tests;
