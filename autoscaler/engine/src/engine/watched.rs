//! What watches see, taken in.

use std::collections::BTreeSet;

use autoscaler_core::{Mode, Pods};

use super::writes::Key;
use super::{AUTOSCALERS_WAIT_MS, Engine, Id, Timer, interval_of, is_followable};
use crate::due::Grid;
use crate::effect::Effect;
use crate::followed::{Followed, policy_at};
use crate::objects::{ClusterId, ConfigMap, Name, Pod, SeenPolicy, Target, TargetKey, Watch, is_newer};
use crate::place::Place;
use crate::shards::shard_of;
use crate::targets::{Changed, Known};

impl Engine {
    pub(super) fn see_policy(&mut self, seen: SeenPolicy) {
        let known = self.ids.get(&seen.name).copied();
        let same = known.and_then(|id| self.policies.get(&id)).is_some_and(|p| p.uid == seen.uid);
        if let Some(id) = known.filter(|_| same) {
            self.see_again(id, seen);
            return;
        }
        if known.is_some() {
            // Another of the same name.
            self.lose_policy(&seen.name);
        }
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let shard = shard_of(&seen.uid, self.config.shards);
        let held = self.shards.holds((seen.name.cluster, shard), self.now.mono_ms);
        self.ids.insert(seen.name.clone(), id);
        self.policies.insert(id, Box::new(Followed::new(seen, shard)));
        self.connect(id);
        if held {
            self.begin(id);
        }
    }

    /// A policy that is known: our own statuses come back here as well, and change nothing.
    fn see_again(&mut self, id: Id, seen: SeenPolicy) {
        let Some(followed) = self.policies.get_mut(&id) else { return };
        if followed.live.is_none() {
            followed.kept = Some(seen.status);
        }
        // What our own write of it answered may be newer than what the watch still tells.
        let known = &followed.held.resource_version;
        if seen.held.resource_version == *known || is_newer(&seen.held.resource_version, known) {
            followed.held = seen.held;
        }
        if followed.terms == seen.terms && (followed.generation == seen.generation || followed.held.deleting)
        {
            self.consider_finalizer(id);
            return;
        }
        self.stop(id);
        self.disconnect(id);
        if let Some(followed) = self.policies.get_mut(&id) {
            followed.generation = seen.generation;
            followed.terms = seen.terms;
            let interval_ms = interval_of(&self.config, followed);
            let policy = followed.terms.as_ref().ok().map(|t| policy_at(t, interval_ms));
            let grid = Grid::new(&followed.uid, interval_ms);
            if let (Some(live), Some(policy)) = (&mut followed.live, policy) {
                live.input.policy = policy;
                live.grid = grid;
                live.ordered = None;
            }
        }
        self.connect(id);
        self.hurry(id);
        self.consider_finalizer(id);
    }

    pub(super) fn lose_policy(&mut self, name: &Name) {
        let Some(id) = self.ids.remove(name) else { return };
        self.stop(id);
        self.disconnect(id);
        if self.policies.remove(&id).is_some_and(|p| p.live.is_some()) {
            self.out.push(Effect::Forget(name.clone()));
        }
    }

    pub(super) fn policies_listed(&mut self, cluster: ClusterId, names: Vec<Name>) {
        let there: BTreeSet<Name> = names.into_iter().collect();
        let gone = |n: &&Name| n.cluster == cluster && !there.contains(*n);
        let gone: Vec<Name> = self.ids.keys().filter(gone).cloned().collect();
        for name in gone {
            self.lose_policy(&name);
        }
        let listed = self.listed.entry(cluster).or_default();
        if !std::mem::replace(&mut listed.policies, true) {
            if !listed.autoscalers {
                let at_ms = self.now.mono_ms.saturating_add(AUTOSCALERS_WAIT_MS);
                self.timers.set(at_ms, Timer::Cluster(cluster));
            }
            self.soon(cluster);
        }
    }

    /// The HorizontalPodAutoscalers of a cluster are known, as far as they will be.
    pub(super) fn autoscalers_known(&mut self, cluster: ClusterId) {
        let listed = self.listed.entry(cluster).or_default();
        if !std::mem::replace(&mut listed.autoscalers, true) {
            self.soon(cluster);
        }
    }

    /// Follows a policy's target and lays its claims.
    fn connect(&mut self, id: Id) {
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let follows = is_followable(&self.config, followed);
        let (Ok(terms), true) = (&followed.terms, follows) else { return };
        let name = &followed.name;
        let key = Place::from(TargetKey {
            cluster: name.cluster,
            namespace: name.namespace.clone(),
            group: terms.kind.group.clone(),
            kind: terms.kind.kind.clone(),
            name: terms.target.clone(),
        });
        let watch = Watch::Targets {
            cluster: name.cluster,
            namespace: name.namespace.clone(),
            kind: terms.kind.clone(),
        };
        let (begins, reads) = self.targets.follow(name, &key, &watch);
        if begins {
            self.out.push(Effect::Watch(watch.clone()));
        }
        if terms.policy.mode == Mode::Active {
            self.rivals.claim(name, &key);
        }
        if let Some(ring) = &terms.ring {
            let map = Name { name: ring.spec.config_map.clone(), ..name.clone() };
            if terms.policy.mode != Mode::Shadow {
                self.rivals.claim_ring(name, &map);
            }
            let watch = Watch::ConfigMap(map);
            if self.targets.watch(&watch) {
                self.out.push(Effect::Watch(watch.clone()));
            }
            followed.watches.push(watch);
        }
        let claimed = terms.policy.mode == Mode::Active;
        followed.target = Some((key.clone(), watch));
        if reads {
            self.read_target(&key);
        }
        self.watch_pods(id);
        if claimed {
            self.rivals_changed(&key, id);
        }
    }

    /// Lets go of everything that [`Self::connect`] took.
    fn disconnect(&mut self, id: Id) {
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let name = followed.name.clone();
        let ring = followed.terms.as_ref().ok().and_then(|t| t.ring.as_ref());
        if let Some(ring) = ring {
            let map = Name { name: ring.spec.config_map.clone(), ..name.clone() };
            self.rivals.release_ring(&name, &map);
        }
        let watches = std::mem::take(&mut followed.watches);
        let target = followed.target.take();
        for watch in watches {
            self.unwatch(watch);
        }
        if let Some((key, watch)) = target {
            self.rivals.release(&name, &key);
            if self.targets.unfollow(&name, &key, &watch) {
                self.out.push(Effect::Unwatch(watch));
            }
            self.drop_read(&key);
            self.rivals_changed(&key, id);
        }
    }

    fn unwatch(&mut self, watch: Watch) {
        if !self.targets.unwatch(&watch) {
            return;
        }
        self.pods.remove(&watch);
        self.seen.remove(&watch);
        if let Watch::ConfigMap(name) = &watch {
            self.maps.remove(name);
        }
        self.out.push(Effect::Unwatch(watch));
    }

    /// Who claims a target changed: the others look again at once.
    fn rivals_changed(&mut self, key: &Place, by: Id) {
        let names = self.rivals.claimants(key);
        let others: Vec<Id> =
            names.iter().filter_map(|n| self.ids.get(n)).copied().filter(|id| *id != by).collect();
        for id in others {
            self.hurry(id);
        }
    }

    /// Pods are watched for a ring, for metrics of pods, and where a target's status does not say how many are ready.
    fn watch_pods(&mut self, id: Id) {
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let (Ok(terms), Some((key, _))) = (&followed.terms, &followed.target) else { return };
        let Known::There(target) = self.targets.get(key) else { return };
        let needed = terms.ring.is_some() || terms.policy.needs_pods() || target.ready_replicas.is_none();
        let wanted = (needed && !target.selector.is_empty()).then(|| Watch::Pods {
            cluster: key.cluster,
            namespace: key.namespace.clone(),
            selector: target.selector.clone(),
        });
        let is_pods = |w: &&Watch| matches!(w, Watch::Pods { .. });
        let before = followed.watches.iter().find(is_pods).cloned();
        if before == wanted {
            return;
        }
        followed.watches.retain(|w| !is_pods(&w));
        if let Some(wanted) = wanted {
            followed.watches.push(wanted.clone());
            if self.targets.watch(&wanted) {
                self.out.push(Effect::Watch(wanted));
            }
        }
        if let Some(before) = before {
            self.unwatch(before);
        }
    }

    pub(super) fn see_target(&mut self, key: &Place, target: Option<Target>) {
        let changed = self.targets.see(key, target);
        if changed.usable || changed.caught_up {
            // It need not be read any more.
            self.writer(key.cluster).cancel(&Key::Read(key.clone()));
        }
        self.seen_target(key, changed);
    }

    /// What followers of a target do on what was seen of it.
    pub(super) fn seen_target(&mut self, key: &Place, changed: Changed) {
        let followers: Vec<Name> = self.targets.followers(key).cloned().collect();
        for id in followers.iter().filter_map(|n| self.ids.get(n).copied()).collect::<Vec<_>>() {
            self.watch_pods(id);
        }
        if changed.usable || changed.caught_up {
            self.hurry_all(&followers);
        }
    }

    pub(super) fn listed(&mut self, watch: &Watch, names: &[String]) {
        match watch {
            Watch::Targets { .. } => {
                for key in self.targets.listed(watch, names) {
                    let followers: Vec<Name> = self.targets.followers(&key).cloned().collect();
                    self.hurry_all(&followers);
                }
            }
            Watch::ConfigMap(name) if names.is_empty() && self.targets.is_watched(watch) => {
                self.maps.insert(name.clone(), None);
            }
            Watch::ConfigMap(_) | Watch::Pods { .. } => {}
        }
    }

    pub(super) fn watch_failed(&mut self, watch: &Watch, message: &str) {
        for key in self.targets.failed(watch, message) {
            let followers: Vec<Name> = self.targets.followers(&key).cloned().collect();
            self.hurry_all(&followers);
        }
    }

    pub(super) fn see_pods(&mut self, watch: Watch, pods: Vec<Pod>, seen: Option<Pods>) {
        if self.targets.is_watched(&watch) {
            if let Some(seen) = seen {
                self.seen.insert(watch.clone(), seen);
            }
            self.pods.insert(watch, pods);
        }
    }

    pub(super) fn see_map(&mut self, name: Name, map: Option<ConfigMap>) {
        if self.targets.is_watched(&Watch::ConfigMap(name.clone())) {
            self.maps.insert(name, map);
        }
    }

    pub(super) fn see_autoscaler(&mut self, name: &Name, target: Option<Place>) {
        for key in self.rivals.autoscaler(name, target) {
            let claimants = self.rivals.claimants(&key);
            self.hurry_all(&claimants);
        }
    }

    pub(super) fn autoscalers_listed(&mut self, cluster: ClusterId, names: Vec<Name>) {
        let there: BTreeSet<Name> = names.into_iter().collect();
        let gone = |n: &&Name| n.cluster == cluster && !there.contains(*n);
        let gone: Vec<Name> = self.rivals.autoscalers().filter(gone).cloned().collect();
        for name in gone {
            self.see_autoscaler(&name, None);
        }
        self.autoscalers_known(cluster);
    }
}
