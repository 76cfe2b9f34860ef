//! Policies: documents that a cluster would take, for workloads that the world has.

use std::collections::BTreeMap;

use autoscaler_api::{ScalingPolicy, schema, validate};
use serde_json::Value;
use thanos_telemetry::cli;

use super::Checker;
use crate::file::{Input, PolicyDocument, Read};
use crate::names::nearest;
use crate::platform::{
    RING, RING_CONFIG_MAP, RING_KEY, RING_NAMESPACE, RING_POLICY, RING_REPLICAS, SERVICES_NAMESPACE,
};
use crate::scenario::PolicySource;

impl Checker<'_> {
    /// Every document; with the ring's own policy where no other scales it.
    pub(super) fn policies(&mut self, read: Read<'_>, inputs: &mut Vec<Input>) -> Vec<PolicyDocument> {
        let mut documents: Vec<(String, PolicyDocument)> = Vec::new();
        let mut active: BTreeMap<(String, String), String> = BTreeMap::new();
        for (i, source) in self.scenario.policies.iter().enumerate() {
            let (path, values) = match source {
                PolicySource::Inline(value) => (format!("policies[{i}].inline"), Ok(vec![value.clone()])),
                PolicySource::File(file) => {
                    let text = read(file);
                    if let Ok(text) = &text {
                        inputs.push(Input { kind: "policies", path: file.clone(), text: text.clone() });
                    }
                    (format!("policies[{i}].file"), text.and_then(|t| cli::parse_yaml_documents(&t)))
                }
            };
            let values = values.unwrap_or_else(|e| {
                self.wrong(&path, e);
                Vec::new()
            });
            for value in values {
                let Some(document) = self.policy(&path, &value, &mut active) else { continue };
                let same = |(_, other): &(String, PolicyDocument)| {
                    (&other.namespace, &other.name) == (&document.namespace, &document.name)
                };
                if documents.iter().any(same) {
                    let PolicyDocument { namespace, name, .. } = &document;
                    self.wrong(&path, format!("has a second policy {name:?} in namespace {namespace}"));
                }
                documents.push((path.clone(), document));
            }
        }
        let mut documents: Vec<PolicyDocument> = documents.into_iter().map(|(_, d)| d).collect();
        if !documents.iter().any(|d| d.target == RING) {
            let value = cli::parse_yaml(RING_POLICY);
            documents.extend(value.ok().map(|value: Value| document(&value)));
        }
        documents
    }

    /// One document; none where it is none that could be applied.
    fn policy(
        &mut self,
        path: &str,
        value: &Value,
        active: &mut BTreeMap<(String, String), String>,
    ) -> Option<PolicyDocument> {
        if value["kind"] != "ScalingPolicy" {
            self.wrong(path, "has a document that is no ScalingPolicy");
            return None;
        }
        let mut problems = schema::check(value);
        match serde_json::from_value::<ScalingPolicy>(value.clone()) {
            Ok(policy) if problems.is_empty() => {
                problems = validate(&policy);
                self.target(path, value, &policy, active);
            }
            Ok(_) => {}
            Err(e) if problems.is_empty() => self.wrong(path, e.to_string()),
            Err(_) => {}
        }
        for p in problems {
            self.wrong(format!("{path}.{}", p.field), format!("{}; {}", p.message, p.fix));
        }
        Some(document(value))
    }

    /// What it scales is there, no other policy scales it, and it would not be scaled before anything is sent.
    fn target(
        &mut self,
        path: &str,
        value: &Value,
        policy: &ScalingPolicy,
        active: &mut BTreeMap<(String, String), String>,
    ) {
        let PolicyDocument { namespace, name, kind, target, .. } = document(value);
        let s = self.scenario;
        let known = s.services.keys().map(String::as_str).chain([RING]);
        if !known.clone().any(|k| k == target) {
            return self.known(
                &format!("{path}.spec.scaleTargetRef.name"),
                "workload to scale",
                &target,
                known,
            );
        }
        let (right_kind, right_namespace) = match target.as_str() {
            RING => ("StatefulSet", RING_NAMESPACE),
            _ => ("Deployment", SERVICES_NAMESPACE),
        };
        if kind != right_kind {
            let hint = nearest(&kind, [right_kind]).unwrap_or_default();
            let at = format!("{path}.spec.scaleTargetRef.kind");
            self.wrong(at, format!("{target} is a {right_kind}, no {kind}{hint}"));
        }
        if namespace != right_namespace {
            let at = format!("{path}.metadata.namespace");
            self.wrong(at, format!("{target} is in namespace {right_namespace}, not in {namespace:?}"));
        }
        if target == RING {
            self.ring(path, value);
        }
        // One that only says what it would do stands beside the one that does it.
        if value["spec"]["mode"].as_str().is_some_and(|mode| mode != "Active") {
            return;
        }
        if let Some(other) = active.insert((kind, target.clone()), name) {
            let at = format!("{path}.spec.scaleTargetRef.name");
            self.wrong(
                at,
                format!("{target} is scaled by {other:?} already; of two, one is Shadow or Paused"),
            );
        }
        let replicas = s.services.get(&target).map_or(RING_REPLICAS, |s| s.replicas);
        let most = policy.spec.max_replicas;
        if most > 1 && s.services.get(&target).is_some_and(|s| s.queue.is_some()) {
            let at = format!("{path}.spec.scaleTargetRef.name");
            self.wrong(at, format!("one replica holds all jobs of {target}: scale what `drains` it"));
        }
        if i32::from(replicas) > most {
            let at = format!("{path}.spec.maxReplicas");
            let message = format!(
                "{target} starts with {replicas}, more than {most}: it would be lowered whatever is sent; raise \
                 maxReplicas, or lower services.{target}.replicas"
            );
            self.wrong(at, message);
        }
    }
}

impl Checker<'_> {
    /// Nobody else writes the ring's file, and without it no member is ever ready.
    fn ring(&mut self, path: &str, value: &Value) {
        let (spec, ring) = (&value["spec"], &value["spec"]["ring"]);
        if ring.is_null() {
            let message =
                format!("is needed: {{configMap: {RING_CONFIG_MAP}, key: {RING_KEY}, port: 10901}}");
            self.wrong(format!("{path}.spec.ring"), message);
        } else if ring["configMap"] != RING_CONFIG_MAP || ring["key"] != RING_KEY {
            let message =
                format!("is of configMap {RING_CONFIG_MAP} and key {RING_KEY}, which the members read");
            self.wrong(format!("{path}.spec.ring"), message);
        }
        if spec["mode"].as_str().is_some_and(|mode| mode != "Active") {
            self.wrong(format!("{path}.spec.mode"), "is Active: the ring's file is this policy's to write");
        }
    }
}

fn document(value: &Value) -> PolicyDocument {
    let text = |v: &Value, default: &str| v.as_str().unwrap_or(default).to_owned();
    let target = &value["spec"]["scaleTargetRef"];
    PolicyDocument {
        // JSON is YAML.
        yaml: value.to_string(),
        namespace: text(&value["metadata"]["namespace"], SERVICES_NAMESPACE),
        name: text(&value["metadata"]["name"], ""),
        kind: text(&target["kind"], ""),
        target: text(&target["name"], ""),
    }
}
