//! What is known of the other scalers of a cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::scaler::{Scaler, Target};

/// Namespace and name.
type Name = (String, String);

/// Other policies and HPAs, as a watch shows them; whether it has shown all of them yet is known too.
#[derive(Clone, Debug, Default)]
pub struct Known {
    policies: Kept,
    hpas: Kept,
}

/// One kind of scalers, found by name and by what they scale: a cluster may have ten thousand.
#[derive(Clone, Debug, Default)]
struct Kept {
    by_name: BTreeMap<Name, Scaler>,
    by_target: BTreeMap<(String, Target), Vec<String>>,
    by_ring: BTreeMap<(String, (String, String)), Vec<String>>,
    complete: bool,
}

impl Known {
    /// A policy is there, or changed.
    pub fn put_policy(&mut self, policy: &Value) {
        self.policies.put(name(policy), Scaler::of_policy(policy));
    }

    /// It is gone.
    pub fn remove_policy(&mut self, namespace: &str, name: &str) {
        self.policies.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// An HPA is there, or changed.
    pub fn put_hpa(&mut self, hpa: &Value) {
        self.hpas.put(name(hpa), Scaler::of_hpa(hpa));
    }

    /// It is gone.
    pub fn remove_hpa(&mut self, namespace: &str, name: &str) {
        self.hpas.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// These are all policies that there are.
    pub fn all_policies<'a>(&mut self, policies: impl IntoIterator<Item = &'a Value>) {
        self.policies = Kept { complete: true, ..Kept::default() };
        policies.into_iter().for_each(|p| self.put_policy(p));
    }

    /// These are all HPAs that there are.
    pub fn all_hpas<'a>(&mut self, hpas: impl IntoIterator<Item = &'a Value>) {
        self.hpas = Kept { complete: true, ..Kept::default() };
        hpas.into_iter().for_each(|h| self.put_hpa(h));
    }

    /// Whether all were seen at least once.
    pub fn is_complete(&self) -> bool {
        self.policies.complete && self.hpas.complete
    }

    /// What is not known yet, in words.
    pub fn missing(&self) -> Option<&'static str> {
        match (self.policies.complete, self.hpas.complete) {
            (true, true) => None,
            (false, true) => Some("the other policies are"),
            (true, false) => Some("HorizontalPodAutoscalers are"),
            (false, false) => Some("the other policies and HorizontalPodAutoscalers are"),
        }
    }

    /// Policies that write the same target, but for the one of that name.
    pub fn rivals(&self, namespace: &str, name: &str, target: &Target) -> Vec<&str> {
        let key = (namespace.to_owned(), target.clone());
        others(self.policies.by_target.get(&key), name)
    }

    /// Policies that write the same ring, but for the one of that name.
    pub fn ring_rivals(&self, namespace: &str, name: &str, ring: &(String, String)) -> Vec<&str> {
        let key = (namespace.to_owned(), ring.clone());
        others(self.policies.by_ring.get(&key), name)
    }

    /// HPAs of the target.
    pub fn hpas(&self, namespace: &str, target: &Target) -> Vec<&str> {
        let key = (namespace.to_owned(), target.clone());
        self.hpas.by_target.get(&key).into_iter().flatten().map(String::as_str).collect()
    }
}

fn others<'a>(found: Option<&'a Vec<String>>, name: &str) -> Vec<&'a str> {
    found.into_iter().flatten().map(String::as_str).filter(|n| *n != name).collect()
}

fn name(object: &Value) -> Name {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

impl Kept {
    fn put(&mut self, name: Name, scaler: Scaler) {
        self.remove(&name);
        if let Some(target) = &scaler.target {
            let names = self.by_target.entry((name.0.clone(), target.clone())).or_default();
            names.push(name.1.clone());
            names.sort();
        }
        if let Some(ring) = &scaler.ring {
            let names = self.by_ring.entry((name.0.clone(), ring.clone())).or_default();
            names.push(name.1.clone());
            names.sort();
        }
        self.by_name.insert(name, scaler);
    }

    fn remove(&mut self, name: &Name) {
        let Some(old) = self.by_name.remove(name) else { return };
        if let Some(target) = old.target {
            forget(&mut self.by_target, (name.0.clone(), target), &name.1);
        }
        if let Some(ring) = old.ring {
            forget(&mut self.by_ring, (name.0.clone(), ring), &name.1);
        }
    }
}

fn forget<K: Ord>(index: &mut BTreeMap<K, Vec<String>>, key: K, name: &str) {
    if let Some(names) = index.get_mut(&key) {
        names.retain(|n| n != name);
        if names.is_empty() {
            index.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(name: &str, target: &str, mode: &str) -> Value {
        json!({
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"mode": mode, "scaleTargetRef": {"kind": "Deployment", "name": target}},
        })
    }

    #[test]
    fn what_comes_changes_and_goes_is_found_by_its_target() {
        let web = Target { group: "apps".into(), kind: "Deployment".into(), name: "web".into() };
        let mut known = Known::default();
        assert_eq!(known.missing(), Some("the other policies and HorizontalPodAutoscalers are"));
        known.all_policies([&policy("a", "web", "Active"), &policy("b", "web", "Active")]);
        assert_eq!(known.rivals("shop", "new", &web), ["a", "b"]);
        assert_eq!(known.rivals("shop", "a", &web), ["b"], "nobody is his own rival");
        assert!(known.rivals("other", "new", &web).is_empty(), "namespaces are apart");
        known.put_policy(&policy("a", "web", "Shadow"));
        known.put_policy(&policy("b", "front", "Active"));
        assert!(known.rivals("shop", "new", &web).is_empty());
        known.put_policy(&policy("b", "web", "Active"));
        known.remove_policy("shop", "b");
        known.remove_policy("shop", "never was");
        assert!(known.rivals("shop", "new", &web).is_empty());
        assert_eq!(known.missing(), Some("HorizontalPodAutoscalers are"));
        known.all_hpas(std::iter::empty());
        assert!(known.is_complete());
        known.all_policies(std::iter::empty());
        assert!(known.policies.by_target.is_empty() && known.policies.by_name.is_empty());
    }
}
