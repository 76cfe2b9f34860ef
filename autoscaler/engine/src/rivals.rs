//! Who else claims a target or a ring: an index, so that asking costs nothing however many policies there are.
//!
//! Only policies that would write claim: active ones with terms that can be followed. Those of other shards and
//! other processes count as well.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::Name;
use crate::place::Place;

/// Who claims what.
#[derive(Debug, Default)]
pub struct Rivals {
    targets: BTreeMap<Place, Claims>,
    rings: BTreeMap<Name, BTreeSet<Name>>,
    /// What each HorizontalPodAutoscaler scales.
    autoscalers: BTreeMap<Name, Place>,
    /// How many targets have several claims: almost always none, and then nobody has to look.
    contested: usize,
}

#[derive(Debug, Default)]
struct Claims {
    policies: BTreeSet<Name>,
    autoscalers: BTreeSet<Name>,
}

impl Rivals {
    /// A policy claims a target.
    pub fn claim(&mut self, policy: &Name, target: &Place) {
        self.change(target, |claims| claims.policies.insert(policy.clone()));
    }

    /// It no longer does.
    pub fn release(&mut self, policy: &Name, target: &Place) {
        self.change(target, |claims| claims.policies.remove(policy));
    }

    /// A policy claims a ring's ConfigMap.
    pub fn claim_ring(&mut self, policy: &Name, map: &Name) {
        self.rings.entry(map.clone()).or_default().insert(policy.clone());
    }

    /// It no longer does.
    pub fn release_ring(&mut self, policy: &Name, map: &Name) {
        let Some(claims) = self.rings.get_mut(map) else { return };
        claims.remove(policy);
        if claims.is_empty() {
            self.rings.remove(map);
        }
    }

    /// What a HorizontalPodAutoscaler scales now; gives the targets for which that changed something.
    pub fn autoscaler(&mut self, name: &Name, target: Option<Place>) -> Vec<Place> {
        let before = match &target {
            Some(target) => self.autoscalers.insert(name.clone(), target.clone()),
            None => self.autoscalers.remove(name),
        };
        if before == target {
            return Vec::new();
        }
        if let Some(before) = &before {
            self.change(before, |claims| claims.autoscalers.remove(name));
        }
        if let Some(target) = &target {
            self.change(target, |claims| claims.autoscalers.insert(name.clone()));
        }
        before.into_iter().chain(target).collect()
    }

    /// Names of the HorizontalPodAutoscalers that are known in a cluster.
    pub fn autoscalers(&self) -> impl Iterator<Item = &Name> {
        self.autoscalers.keys()
    }

    /// Everybody else who claims `target`: policies, then HorizontalPodAutoscalers.
    #[must_use]
    pub fn of(&self, policy: &Name, target: &Place) -> (Vec<&str>, Vec<&str>) {
        let Some(claims) = self.targets.get(target) else { return (Vec::new(), Vec::new()) };
        let others = claims.policies.iter().filter(|p| *p != policy).map(|p| p.name.as_str()).collect();
        (others, claims.autoscalers.iter().map(|a| a.name.as_str()).collect())
    }

    /// The policies that claim a target.
    #[must_use]
    pub fn claimants(&self, target: &Place) -> Vec<Name> {
        self.targets.get(target).map(|c| c.policies.iter().cloned().collect()).unwrap_or_default()
    }

    /// Other policies that claim `map`.
    #[must_use]
    pub fn of_ring(&self, policy: &Name, map: &Name) -> Vec<&str> {
        let Some(claims) = self.rings.get(map) else { return Vec::new() };
        claims.iter().filter(|p| *p != policy).map(|p| p.name.as_str()).collect()
    }

    /// Whether any target has several claims at all.
    #[must_use]
    pub fn any(&self) -> bool {
        self.contested > 0
    }

    fn change(&mut self, target: &Place, change: impl FnOnce(&mut Claims) -> bool) {
        let claims = self.targets.entry(target.clone()).or_default();
        let before = claims.is_contested();
        change(claims);
        let after = claims.is_contested();
        if claims.policies.is_empty() && claims.autoscalers.is_empty() {
            self.targets.remove(target);
        }
        self.contested =
            self.contested.saturating_add(usize::from(after)).saturating_sub(usize::from(before));
    }
}

impl Claims {
    fn is_contested(&self) -> bool {
        !self.policies.is_empty() && self.policies.len().saturating_add(self.autoscalers.len()) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::TargetKey;

    fn name(name: &str) -> Name {
        Name { cluster: 0, namespace: "default".into(), name: name.into() }
    }

    fn target(name: &str) -> Place {
        TargetKey {
            cluster: 0,
            namespace: "default".into(),
            group: "apps".into(),
            kind: "Deployment".into(),
            name: name.into(),
        }
        .into()
    }

    #[test]
    fn those_who_claim_one_target_see_each_other_until_one_lets_go() {
        let mut rivals = Rivals::default();
        rivals.claim(&name("a"), &target("web"));
        rivals.claim(&name("b"), &target("web"));
        rivals.claim(&name("c"), &target("other"));
        assert_eq!(rivals.of(&name("a"), &target("web")).0, ["b"]);
        assert_eq!(rivals.of(&name("b"), &target("web")).0, ["a"]);
        assert!(rivals.of(&name("c"), &target("other")).0.is_empty());
        rivals.release(&name("b"), &target("web"));
        assert!(rivals.of(&name("a"), &target("web")).0.is_empty());
        rivals.release(&name("a"), &target("web"));
        rivals.release(&name("c"), &target("other"));
        assert!(rivals.targets.is_empty(), "nothing stays behind");
    }

    #[test]
    fn an_autoscaler_claims_what_it_scales_and_lets_go_when_it_moves_on() {
        let mut rivals = Rivals::default();
        assert_eq!(rivals.autoscaler(&name("hpa"), Some(target("web"))), [target("web")]);
        assert!(rivals.autoscaler(&name("hpa"), Some(target("web"))).is_empty(), "as before");
        assert!(!rivals.any(), "nobody else");
        assert_eq!(rivals.of(&name("a"), &target("web")).1, ["hpa"]);
        rivals.claim(&name("a"), &target("web"));
        assert!(rivals.any());
        rivals.release(&name("a"), &target("web"));
        assert!(!rivals.any());
        let changed = rivals.autoscaler(&name("hpa"), Some(target("other")));
        assert_eq!(changed, [target("web"), target("other")]);
        assert!(rivals.of(&name("a"), &target("web")).1.is_empty());
        assert_eq!(rivals.autoscaler(&name("hpa"), None), [target("other")]);
        assert!(rivals.targets.is_empty());
    }

    #[test]
    fn policies_of_one_ring_see_each_other() {
        let mut rivals = Rivals::default();
        rivals.claim_ring(&name("a"), &name("ring"));
        rivals.claim_ring(&name("b"), &name("ring"));
        assert_eq!(rivals.of_ring(&name("a"), &name("ring")), ["b"]);
        rivals.release_ring(&name("b"), &name("ring"));
        assert!(rivals.of_ring(&name("a"), &name("ring")).is_empty());
    }
}
