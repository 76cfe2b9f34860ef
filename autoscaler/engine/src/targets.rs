//! What watches know of targets, and which watches are needed for it.
//!
//! Only what some policy follows is kept. While a watch fails, what it last saw stays: a target is not gone because
//! nobody could say that it is there; what is written meets its version, or nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{Name, Target, Watch, is_newer};
use crate::place::Place;

/// What is known of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing yet.
    NotListed,
    /// It is not there.
    Absent,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It is there.
    There(Box<Target>),
}

/// One target.
#[derive(Debug)]
struct Entry {
    known: Known,
    /// A write met another version than the one known: until there is a newer one, nothing is written.
    outdated: bool,
    /// The version is of our own write, and the rest of before it: the watch still tells that version.
    own_version: bool,
    followers: BTreeSet<Name>,
}

/// Targets and watches.
#[derive(Debug, Default)]
pub struct Targets {
    entries: BTreeMap<Place, Entry>,
    watches: BTreeMap<Watch, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    users: u32,
    listed: bool,
    failing: Option<String>,
}

/// What a new word about a target changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// It can be decided on now, and could not before.
    pub usable: bool,
    /// It is newer than the version that a write failed to meet.
    pub caught_up: bool,
    /// Its replicas are others than before.
    pub replicas: bool,
}

impl Targets {
    /// A policy follows a target through a watch; says whether the watch has to begin, and whether the target has
    /// to be read since the watch began without it.
    pub fn follow(&mut self, policy: &Name, key: &Place, watch: &Watch) -> (bool, bool) {
        let begins = self.watch(watch);
        let watched = self.watches.get(watch);
        // A watch that listed before may fail for a moment and tell nothing of it again: what it did not see is read.
        let failing = watched.filter(|w| !w.listed).and_then(|w| w.failing.clone());
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            known: failing.map_or(Known::NotListed, Known::Unreadable),
            outdated: false,
            own_version: false,
            followers: BTreeSet::new(),
        });
        entry.followers.insert(policy.clone());
        let reads = !begins && entry.known == Known::NotListed && watched.is_some_and(|w| w.listed);
        (begins, reads)
    }

    /// It no longer does; says whether the watch may end.
    pub fn unfollow(&mut self, policy: &Name, key: &Place, watch: &Watch) -> bool {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.followers.remove(policy);
            if entry.followers.is_empty() {
                self.entries.remove(key);
            }
        }
        self.unwatch(watch)
    }

    /// One more needs this watch; says whether it has to begin.
    pub fn watch(&mut self, watch: &Watch) -> bool {
        let watched = self.watches.entry(watch.clone()).or_default();
        watched.users = watched.users.saturating_add(1);
        watched.users == 1
    }

    /// One less needs this watch; says whether it may end.
    pub fn unwatch(&mut self, watch: &Watch) -> bool {
        let Some(watched) = self.watches.get_mut(watch) else { return false };
        watched.users = watched.users.saturating_sub(1);
        let ends = watched.users == 0;
        if ends {
            self.watches.remove(watch);
        }
        ends
    }

    /// Whether anybody needs this watch.
    #[must_use]
    pub fn is_watched(&self, watch: &Watch) -> bool {
        self.watches.contains_key(watch)
    }

    /// Takes in what a watch or a read says of a target. What is older than what is known changes nothing.
    pub fn see(&mut self, key: &Place, target: Option<Target>) -> Changed {
        let Some(entry) = self.entries.get_mut(key) else { return Changed::default() };
        let Some(target) = target else {
            entry.known = Known::Absent;
            return Changed {
                usable: false,
                caught_up: std::mem::take(&mut entry.outdated),
                replicas: false,
            };
        };
        let before = match &entry.known {
            Known::There(before) if before.uid == target.uid => Some(before.as_ref()),
            _ => None,
        };
        let own = std::mem::take(&mut entry.own_version);
        let newer = before.is_none_or(|b| {
            is_newer(&target.resource_version, &b.resource_version)
                || (own && target.resource_version == b.resource_version)
        });
        entry.own_version = own && !newer;
        if !newer {
            return Changed::default();
        }
        let changed = Changed {
            usable: !matches!(entry.known, Known::There(_)),
            caught_up: std::mem::take(&mut entry.outdated),
            replicas: before.is_some_and(|b| b.spec_replicas != target.spec_replicas),
        };
        entry.known = Known::There(Box::new(target));
        changed
    }

    /// A watch says that a target is there in this version, and no more; says whether it has to be read.
    pub fn changed(&mut self, key: &Place, uid: &str, version: &str) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if let Known::There(known) = &entry.known
            && known.uid == uid
            && !is_newer(version, &known.resource_version)
        {
            // Of our own write more is to be known than the answer to it said.
            return entry.outdated || (entry.own_version && known.resource_version == version);
        }
        entry.outdated |= matches!(entry.known, Known::There(_));
        true
    }

    /// It could not be read; says whether that is news. What was known stays, for whatever it is worth.
    pub fn unreadable(&mut self, key: &Place, message: &str) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let before = match &entry.known {
            Known::There(_) => return false,
            Known::Unreadable(before) => before.as_str(),
            Known::NotListed | Known::Absent => "",
        };
        let is_news = before != message;
        if is_news {
            entry.known = Known::Unreadable(message.to_owned());
        }
        is_news
    }

    /// A read found the target as it is known: whatever a write met, it is gone.
    pub fn confirm(&mut self, key: &Place) -> bool {
        self.entries.get_mut(key).is_some_and(|e| std::mem::take(&mut e.outdated))
    }

    /// A write was accepted: the target has these replicas and this version now.
    pub fn written(&mut self, key: &Place, replicas: i32, version: Option<String>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let Known::There(target) = &mut entry.known else { return };
        match version {
            Some(version) if is_newer(&version, &target.resource_version) => {
                target.resource_version = version;
                target.spec_replicas = replicas;
                entry.own_version = true;
            }
            // Something newer was seen already.
            Some(_) => {}
            // The next word of the watch tells.
            None => entry.outdated = true,
        }
    }

    /// A write met another version.
    pub fn outdated(&mut self, key: &Place) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.outdated = true;
        }
    }

    /// Whether a write would meet another version, as far as is known.
    #[must_use]
    pub fn is_outdated(&self, key: &Place) -> bool {
        self.entries.get(key).is_some_and(|e| e.outdated)
    }

    /// Takes in what a watch listed; gives the targets whose absence or presence is known from now on.
    pub fn listed(&mut self, watch: &Watch, names: &[String]) -> Vec<Place> {
        let Some(watched) = self.watches.get_mut(watch) else { return Vec::new() };
        (watched.listed, watched.failing) = (true, None);
        let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let gone = |key: &Place| !there.contains(key.name.as_str());
        let mut changed = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| is_of(key, watch)) {
            if gone(key) && entry.known != Known::Absent {
                (entry.known, entry.outdated) = (Known::Absent, false);
                changed.push(key.clone());
            }
        }
        changed
    }

    /// Takes in that a watch fails; gives the targets that are known to be unreadable from now on.
    pub fn failed(&mut self, watch: &Watch, message: &str) -> Vec<Place> {
        let Some(watched) = self.watches.get_mut(watch) else { return Vec::new() };
        watched.failing = Some(message.to_owned());
        let mut changed = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| is_of(key, watch)) {
            if matches!(entry.known, Known::NotListed | Known::Unreadable(_)) {
                entry.known = Known::Unreadable(message.to_owned());
                changed.push(key.clone());
            }
        }
        changed
    }

    /// What is known of a target.
    #[must_use]
    pub fn get(&self, key: &Place) -> &Known {
        self.entries.get(key).map_or(&Known::NotListed, |e| &e.known)
    }

    /// Who follows a target.
    pub fn followers(&self, key: &Place) -> impl Iterator<Item = &Name> {
        self.entries.get(key).into_iter().flat_map(|e| &e.followers)
    }
}

fn is_of(key: &Place, watch: &Watch) -> bool {
    match watch {
        Watch::Targets { cluster, namespace, kind } => {
            key.cluster == *cluster
                && key.namespace == *namespace
                && key.group == kind.group
                && key.kind == kind.kind
        }
        Watch::Pods { .. } | Watch::ConfigMap(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Kind, TargetKey};

    fn policy(name: &str) -> Name {
        Name { cluster: 0, namespace: "default".into(), name: name.into() }
    }

    fn key(name: &str) -> Place {
        let (namespace, group, kind) = ("default".into(), "apps".into(), "Deployment".into());
        TargetKey { cluster: 0, namespace, group, kind, name: name.into() }.into()
    }

    fn watch() -> Watch {
        let kind = Kind { group: "apps".into(), version: "v1".into(), kind: "Deployment".into() };
        Watch::Targets { cluster: 0, namespace: "default".into(), kind }
    }

    fn target(version: &str, replicas: i32) -> Option<Target> {
        let (uid, resource_version) = ("u".into(), version.into());
        Some(Target { uid, resource_version, spec_replicas: replicas, ..Target::default() })
    }

    fn replicas(targets: &Targets) -> Option<i32> {
        match targets.get(&key("web")) {
            Known::There(t) => Some(t.spec_replicas),
            _ => None,
        }
    }

    #[test]
    fn watches_begin_with_the_first_and_end_with_the_last_who_needs_them() {
        let mut t = Targets::default();
        assert_eq!(t.follow(&policy("a"), &key("web"), &watch()), (true, false));
        assert_eq!(t.follow(&policy("b"), &key("other"), &watch()), (false, false));
        t.listed(&watch(), &["web".into(), "third".into()]);
        assert_eq!(t.follow(&policy("c"), &key("third"), &watch()), (false, true), "seen by nobody yet");
        assert!(!t.unfollow(&policy("a"), &key("web"), &watch()));
        assert!(!t.unfollow(&policy("b"), &key("other"), &watch()));
        assert!(t.unfollow(&policy("c"), &key("third"), &watch()));
        assert!(t.entries.is_empty() && t.watches.is_empty());
    }

    #[test]
    fn what_a_watch_did_not_see_before_it_failed_is_read() {
        let mut t = Targets::default();
        t.follow(&policy("a"), &key("web"), &watch());
        t.failed(&watch(), "forbidden");
        assert_eq!(t.follow(&policy("b"), &key("other"), &watch()), (false, false), "it will be listed");
        assert_eq!(t.get(&key("other")), &Known::Unreadable("forbidden".into()));
        t.listed(&watch(), &[]);
        t.failed(&watch(), "reset");
        assert_eq!(t.follow(&policy("c"), &key("third"), &watch()), (false, true));
    }

    #[test]
    fn what_is_seen_late_changes_nothing() {
        let mut t = Targets::default();
        t.follow(&policy("a"), &key("web"), &watch());
        assert!(t.see(&key("web"), target("5", 2)).usable);
        t.written(&key("web"), 8, Some("9".into()));
        assert_eq!(t.see(&key("web"), target("7", 2)), Changed::default(), "before our write");
        assert_eq!(replicas(&t), Some(8));
        assert!(t.see(&key("web"), target("12", 3)).replicas);
        t.written(&key("web"), 8, Some("10".into()));
        assert_eq!(replicas(&t), Some(3), "the answer to a write came after what followed it");
    }

    #[test]
    fn a_conflict_is_over_when_something_newer_is_seen() {
        let mut t = Targets::default();
        t.follow(&policy("a"), &key("web"), &watch());
        t.see(&key("web"), target("5", 2));
        t.outdated(&key("web"));
        assert!(!t.see(&key("web"), target("5", 2)).caught_up);
        assert!(t.is_outdated(&key("web")));
        assert!(t.see(&key("web"), target("6", 2)).caught_up);
        assert!(!t.is_outdated(&key("web")));
    }

    #[test]
    fn a_list_tells_what_is_gone_and_a_failing_watch_keeps_what_it_saw() {
        let mut t = Targets::default();
        t.follow(&policy("a"), &key("web"), &watch());
        t.follow(&policy("b"), &key("new"), &watch());
        t.see(&key("web"), target("5", 2));
        assert_eq!(t.failed(&watch(), "forbidden"), [key("new")]);
        assert_eq!(t.get(&key("new")), &Known::Unreadable("forbidden".into()));
        assert_eq!(replicas(&t), Some(2));
        assert_eq!(t.listed(&watch(), &["new".into()]), [key("web")]);
        assert_eq!(t.get(&key("web")), &Known::Absent);
    }
}
