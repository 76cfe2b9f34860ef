//! A world around engines: objects with versions, queriers with latencies, watches that tell after a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use autoscaler_api::ScalingPolicyStatus;
use autoscaler_core::{
    Behavior, ClusterSamples, Defaults, EvidenceSpec, FailureKind, Float, MetricSpec, Mode, Observation,
    Pods, Policy, RateKind, RatePolicy, Reading, Rules, Samples, SelectorSamples, Settled,
};
use autoscaler_engine::effect::{Evaluated, Finalizers, Note, Query, Scaled, What, Write};
use autoscaler_engine::objects::{
    ConfigMap, Held, Kind, Name, Pod, Question, SeenPolicy, Target, TargetKey, Terms, Watch,
};
use autoscaler_engine::replay::Step;
use autoscaler_engine::{Config, Effect, Engine, Event, Now, Outcome, Replay};
use autoscaler_pods::PodMetrics;

/// Where wall time begins.
pub(crate) const WALL_MS: i64 = 1_800_000_000_000;

pub(crate) fn name(name: &str) -> Name {
    Name { cluster: 0, namespace: "default".into(), name: name.into() }
}

pub(crate) fn key(name: &str) -> TargetKey {
    TargetKey {
        cluster: 0,
        namespace: "default".into(),
        group: "apps".into(),
        kind: "Deployment".into(),
        name: name.into(),
    }
}

fn kind() -> Kind {
    Kind { group: "apps".into(), version: "v1".into(), kind: "Deployment".into() }
}

/// 50 a replica, 1 to 20 replicas, each second, nothing that evidence must outlast.
pub(crate) fn terms(target: &str) -> Terms {
    let free = Rules {
        stabilization_window_seconds: Some(0),
        policies: Some(vec![RatePolicy { kind: RateKind::Percent, value: 10_000, period_seconds: 1 }]),
        ..Rules::default()
    };
    Terms {
        policy: Policy {
            min_replicas: 1,
            max_replicas: 20,
            metrics: vec![metric("requests")],
            behavior: Some(Behavior { scale_up: Some(free.clone()), scale_down: Some(free) }),
            mode: Mode::Active,
            compatibility: Default::default(),
            defaults: Defaults::default(),
            interval_ms: 1_000,
            zero: None,
            pause: Default::default(),
            formula: None,
        },
        interval_ms: 1_000,
        kind: kind(),
        target: target.into(),
        questions: vec![Question { weight: 1, ..Question::default() }],
        ring: None,
        restores: false,
        schedules: Vec::new(),
    }
}

pub(crate) fn metric(name: &str) -> MetricSpec {
    MetricSpec {
        name: name.into(),
        revision: 0,
        target: autoscaler_core::Target::AverageValue { average_value_milli: 50_000 },
        evidence: EvidenceSpec { max_age_ms: 300, clusters: vec!["east".into()], ..EvidenceSpec::default() },
        fallback: None,
        kind: Default::default(),
        activation_milli: 0,
    }
}

/// What one selector sees of one cluster.
pub(crate) fn samples(cluster: &str, newest_ms: i64, fresh: bool) -> Samples {
    let slowest_ms = fresh.then_some(newest_ms);
    let clusters =
        vec![ClusterSamples { cluster: cluster.into(), newest_ms, slowest_ms, pods: 0, silent_pods: 0 }];
    Samples::Seen(vec![SelectorSamples {
        selector: "x".into(),
        pinned: false,
        scope: Default::default(),
        clusters,
    }])
}

/// What becomes of the writes to a target before the API server looks at them.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answered so, and nothing is done.
    Say(Outcome),
    /// Done, and answered so.
    DoneBut(Outcome),
    /// Never answered, and nothing is done.
    Silence,
}

/// What a querier does with a policy's queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ask {
    /// The value, after so many milliseconds.
    Value(f64, u64),
    /// A stale one.
    Stale(f64),
    Hang,
    Fail(FailureKind),
}

/// One process.
pub(crate) struct Process {
    pub(crate) engine: Engine,
    watches: BTreeSet<Watch>,
    pub(crate) replay: Replay,
    /// Effects of each step, to compare with a replay.
    pub(crate) effects: Vec<Vec<Effect>>,
    keep: bool,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) processes: Vec<Process>,
    coming: BTreeMap<(u64, u64), (usize, Event)>,
    number: u64,
    version: u64,
    pub(crate) targets: BTreeMap<TargetKey, Target>,
    pub(crate) policies: BTreeMap<Name, SeenPolicy>,
    pub(crate) maps: BTreeMap<Name, ConfigMap>,
    pub(crate) pods: Vec<Pod>,
    /// The same for metrics of pods.
    pub(crate) seen: Pods,
    /// What reads of what pods use give; `None`: they hang.
    pub(crate) usage: Option<Result<Vec<PodMetrics>, String>>,
    pub(crate) usage_reads: Vec<(u64, String)>,
    pub(crate) asks: BTreeMap<String, Ask>,
    pub(crate) faults: BTreeMap<TargetKey, VecDeque<Fault>>,
    /// What becomes of writes of finalizers before the API server looks at them.
    pub(crate) finalizer_faults: VecDeque<Outcome>,
    /// How long a watch takes to tell; `None`: it is cut.
    pub(crate) watch_ms: Option<u64>,
    pub(crate) write_ms: u64,
    /// Queries under way, and the most there were: all, by policy.
    pub(crate) under_way: BTreeMap<u64, String>,
    pub(crate) most_under_way: usize,
    pub(crate) writes: Vec<(u64, usize, Write)>,
    pub(crate) statuses: Vec<(u64, Name)>,
    pub(crate) notes: Vec<(u64, Note)>,
    pub(crate) evaluated: Vec<(u64, Evaluated)>,
    pub(crate) scaled: Vec<(u64, Scaled)>,
    pub(crate) reads: Vec<(u64, TargetKey)>,
    pub(crate) read_ms: u64,
    /// Targets of which watches say only that they changed.
    pub(crate) only_read: BTreeSet<TargetKey>,
    /// Targets that cannot be read, and why.
    pub(crate) read_fails: BTreeMap<TargetKey, String>,
    pub(crate) records: BTreeMap<String, String>,
    pub(crate) queries: u64,
    /// While set, statuses do not come back, as if their watch were slow.
    pub(crate) echo: bool,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let mut world = Self::of(vec![config]);
        world.fence(0, 0, Some(u64::MAX));
        world
    }

    pub(crate) fn of(configs: Vec<Config>) -> Self {
        let process = |config: Config| Process {
            engine: Engine::new(config.clone()),
            watches: BTreeSet::new(),
            replay: Replay::new(config),
            effects: Vec::new(),
            keep: false,
        };
        let processes: Vec<Process> = configs.into_iter().map(process).collect();
        let mut world = Self {
            now_ms: 0,
            processes,
            coming: BTreeMap::new(),
            number: 0,
            version: 100,
            targets: BTreeMap::new(),
            policies: BTreeMap::new(),
            maps: BTreeMap::new(),
            pods: Vec::new(),
            seen: Pods::of(Vec::new()),
            usage: None,
            usage_reads: Vec::new(),
            asks: BTreeMap::new(),
            faults: BTreeMap::new(),
            finalizer_faults: VecDeque::new(),
            watch_ms: Some(5),
            write_ms: 3,
            under_way: BTreeMap::new(),
            most_under_way: 0,
            writes: Vec::new(),
            statuses: Vec::new(),
            notes: Vec::new(),
            evaluated: Vec::new(),
            scaled: Vec::new(),
            reads: Vec::new(),
            read_ms: 2,
            only_read: BTreeSet::new(),
            read_fails: BTreeMap::new(),
            records: BTreeMap::new(),
            queries: 0,
            echo: true,
        };
        for process in 0..world.processes.len() {
            world.listed(process, 0);
        }
        world
    }

    /// Tells a process that it knows who there is in a cluster.
    pub(crate) fn listed(&mut self, process: usize, cluster: u16) {
        self.tell(process, Event::PoliciesListed { cluster, names: Vec::new() });
        self.tell(process, Event::HorizontalPodAutoscalersListed { cluster, names: Vec::new() });
    }

    /// Keeps what happens, for a replay.
    pub(crate) fn recorded(config: Config) -> Self {
        let mut world = Self::of(vec![config]);
        world.processes[0].keep = true;
        world.listed(0, 0);
        world.fence(0, 0, Some(u64::MAX));
        world
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono_ms: self.now_ms, wall_ms: WALL_MS + self.now_ms.cast_signed() }
    }

    pub(crate) fn fence(&mut self, process: usize, shard: u16, valid_until_ms: Option<u64>) {
        self.tell(process, Event::Fence { cluster: 0, shard, valid_until_ms });
    }

    pub(crate) fn target(&mut self, name: &str, replicas: i32) {
        self.version += 1;
        let target = Target {
            uid: format!("uid-{name}"),
            resource_version: self.version.to_string(),
            spec_replicas: replicas,
            status_replicas: replicas,
            ready_replicas: Some(replicas),
            selector: format!("app={name}"),
            ordered_start: false,
        };
        self.targets.insert(key(name), target.clone());
        self.broadcast(&key(name), Some(target));
    }

    pub(crate) fn policy(&mut self, name_: &str, terms: Terms) {
        self.seen(name_, Ok(terms));
    }

    pub(crate) fn seen(&mut self, name_: &str, terms: Result<Terms, String>) {
        let before = self.policies.get(&name(name_));
        self.version += 1;
        let held = Held {
            resource_version: self.version.to_string(),
            ..before.map(|b| b.held.clone()).unwrap_or_default()
        };
        let seen = SeenPolicy {
            name: name(name_),
            uid: format!("uid-{name_}"),
            generation: Some(before.and_then(|b| b.generation).unwrap_or(0) + 1),
            terms: terms.map(Arc::new),
            status: before.map(|b| b.status.clone()).unwrap_or_default(),
            held,
        };
        self.policies.insert(name(name_), seen.clone());
        for process in 0..self.processes.len() {
            self.tell(process, Event::Policy(Box::new(seen.clone())));
        }
    }

    pub(crate) fn gone(&mut self, name_: &str) {
        self.policies.remove(&name(name_));
        for process in 0..self.processes.len() {
            self.tell(process, Event::PolicyGone(name(name_)));
        }
    }

    /// Deletes a policy as an API server does: it goes as soon as nothing keeps it.
    pub(crate) fn delete(&mut self, name_: &str) {
        self.version += 1;
        let version = self.version.to_string();
        let Some(seen) = self.policies.get_mut(&name(name_)) else { return };
        if seen.held.finalizers.is_empty() {
            self.gone(name_);
            return;
        }
        (seen.held.resource_version, seen.held.deleting) = (version, true);
        seen.generation = seen.generation.map(|generation| generation + 1);
        let seen = seen.clone();
        for process in 0..self.processes.len() {
            self.tell(process, Event::Policy(Box::new(seen.clone())));
        }
    }

    /// Somebody else writes a policy's finalizers.
    pub(crate) fn set_finalizers(&mut self, name_: &str, finalizers: Vec<String>) {
        let seen = &self.policies[&name(name_)];
        let (policy, uid) = (seen.name.clone(), seen.uid.clone());
        let resource_version = seen.held.resource_version.clone();
        let outcome = self.keep(Finalizers { policy, uid, resource_version, finalizers });
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }

    /// What an API server does with a write of finalizers.
    fn keep(&mut self, write: Finalizers) -> Outcome {
        if let Some(outcome) = self.finalizer_faults.pop_front() {
            return outcome;
        }
        self.version += 1;
        let version = self.version.to_string();
        let Some(seen) = self.policies.get_mut(&write.policy) else { return Outcome::Missing };
        if seen.held.resource_version != write.resource_version || seen.uid != write.uid {
            return Outcome::Conflict;
        }
        seen.held.resource_version.clone_from(&version);
        seen.held.finalizers = write.finalizers;
        let event = if seen.held.deleting && seen.held.finalizers.is_empty() {
            self.policies.remove(&write.policy);
            Event::PolicyGone(write.policy)
        } else {
            Event::Policy(Box::new(seen.clone()))
        };
        let after_ms = self.watch_ms.unwrap_or(1_000_000);
        for process in 0..self.processes.len() {
            self.later(after_ms, process, event.clone());
        }
        Outcome::Done { resource_version: Some(version) }
    }

    /// Starts a process that knows what there is.
    pub(crate) fn join(&mut self, config: Config) -> usize {
        let process = Self::of(vec![config]).processes.remove(0);
        self.processes.push(process);
        let at = self.processes.len() - 1;
        for seen in self.policies.values().cloned().collect::<Vec<_>>() {
            self.tell(at, Event::Policy(Box::new(seen)));
        }
        at
    }

    pub(crate) fn replicas(&self, name: &str) -> i32 {
        self.targets[&key(name)].spec_replicas
    }

    pub(crate) fn status(&self, policy: &str) -> &ScalingPolicyStatus {
        &self.policies[&name(policy)].status
    }

    /// A condition as `status reason: message`; empty if it is not there.
    pub(crate) fn condition(&self, policy: &str, kind: &str) -> String {
        let found = self.status(policy).conditions.iter().find(|c| c.type_ == kind);
        found.map(|c| format!("{} {}: {}", c.status, c.reason, c.message)).unwrap_or_default()
    }

    /// Replicas that were written: when, and how many.
    pub(crate) fn scales(&self, target: &str) -> Vec<(u64, i32)> {
        let to = |(at, _, write): &(u64, usize, Write)| match &write.what {
            What::Scale(scale) if scale.target.name == target => Some((*at, scale.to)),
            _ => None,
        };
        self.writes.iter().filter_map(to).collect()
    }

    /// Lives on for so long.
    pub(crate) fn run(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        loop {
            let wake = |p: &Process| p.engine.next_wake_ms();
            let wakes = (0..).zip(&self.processes).filter_map(|(i, p)| Some((wake(p)?, i)));
            let wake = wakes.min();
            let event = self.coming.keys().next().copied();
            let wake_first = wake.is_some_and(|(at, _)| event.is_none_or(|(e, _)| at < e));
            let at_ms = if wake_first { wake.map(|(at, _)| at) } else { event.map(|(at, _)| at) };
            let Some(at_ms) = at_ms.filter(|at| *at <= end_ms) else { break };
            self.now_ms = self.now_ms.max(at_ms);
            match wake.filter(|_| wake_first) {
                Some((_, process)) => self.tell(process, Event::Wake),
                None => {
                    let ((_, _), (process, event)) = self.coming.pop_first().unwrap();
                    self.tell(process, event);
                }
            }
        }
        self.now_ms = end_ms;
    }

    pub(crate) fn later(&mut self, after_ms: u64, process: usize, event: Event) {
        self.number += 1;
        self.coming.insert((self.now_ms + after_ms, self.number), (process, event));
    }

    /// Tells one process, and does what it wants.
    pub(crate) fn tell(&mut self, process: usize, event: Event) {
        if let Event::Answer { query, .. } = &event {
            self.under_way.remove(&(*query + 1_000_000_000 * process as u64));
        }
        let now = self.now();
        let p = &mut self.processes[process];
        let effects = p.engine.step(now, event.clone());
        if p.keep {
            p.replay.steps.push(Step { now, event });
            p.effects.push(effects.clone());
        }
        for effect in effects {
            self.carry_out(process, effect);
        }
    }

    fn carry_out(&mut self, process: usize, effect: Effect) {
        match effect {
            Effect::Watch(watch) => {
                let names = self.targets.keys().map(|k| k.name.clone()).collect();
                if let Watch::Targets { .. } = &watch {
                    for (key, target) in self.targets.clone() {
                        let event = self.told(key, Some(target));
                        self.later(1, process, event);
                    }
                    self.later(1, process, Event::Listed { watch: watch.clone(), names });
                } else if let Watch::ConfigMap(name) = &watch {
                    let event = match self.maps.get(name).cloned() {
                        Some(map) => Event::ConfigMap { name: name.clone(), map: Some(map) },
                        None => Event::Listed { watch: watch.clone(), names: Vec::new() },
                    };
                    self.later(1, process, event);
                } else {
                    let pods = self.pods.clone();
                    let seen = Some(self.seen.clone());
                    self.later(1, process, Event::Pods { watch: watch.clone(), pods, seen });
                }
                assert!(self.processes[process].watches.insert(watch), "watched twice");
            }
            Effect::Unwatch(watch) => assert!(self.processes[process].watches.remove(&watch)),
            Effect::ReadTarget { read, key, .. } => {
                self.reads.push((self.now_ms, key.clone()));
                let target = match self.read_fails.get(&key) {
                    Some(why) => Err(why.clone()),
                    None => Ok(self.targets.get(&key).cloned()),
                };
                self.later(self.read_ms, process, Event::Read { read, target });
            }
            Effect::Query(query) => self.ask(process, query),
            Effect::ReadUsage(read) => {
                self.usage_reads.push((self.now_ms, read.selector));
                if let Some(usage) = self.usage.clone() {
                    self.later(3, process, Event::Usage { read: read.id, usage });
                }
            }
            Effect::Abandon { query } => {
                self.under_way.remove(&(query + 1_000_000_000 * process as u64));
            }
            Effect::Record(record) => drop(self.records.insert(record.digest, record.json)),
            Effect::Discard { digest, .. } => drop(self.records.remove(&digest)),
            Effect::Write(write) => self.write(process, *write),
            Effect::Evaluated(evaluated) => self.evaluated.push((self.now_ms, *evaluated)),
            Effect::Scaled(scaled) => self.scaled.push((self.now_ms, *scaled)),
            Effect::Forget(_) => {}
        }
    }

    fn ask(&mut self, process: usize, query: Query) {
        self.queries += 1;
        self.under_way.insert(query.id + 1_000_000_000 * process as u64, query.policy.name.clone());
        self.most_under_way = self.most_under_way.max(self.under_way.len());
        let ask = self.asks.get(&query.policy.name).copied().unwrap_or(Ask::Value(50.0, 10));
        let at_ms = query.at_ms;
        let observation = |reading: Reading, age_ms: i64| Observation {
            name: autoscaler_core::Name::default(),
            newest: reading.clone(),
            settled: query.settled_ms.map(|at_ms| Settled { at_ms, reading }),
            samples: samples("east", at_ms - age_ms, age_ms <= 300),
            starts: Vec::new(),
            warnings: Vec::new(),
            incomplete: None,
        };
        let (after_ms, observation) = match ask {
            Ask::Hang => return,
            Ask::Value(value, after_ms) => (after_ms, observation(Reading::Value(Float::new(value)), 100)),
            Ask::Stale(value) => (10, observation(Reading::Value(Float::new(value)), 60_000)),
            Ask::Fail(kind) => (10, observation(Reading::Failed { kind, message: "boom".into() }, 0)),
        };
        self.later(after_ms, process, Event::Answer { query: query.id, observation });
    }

    fn write(&mut self, process: usize, write: Write) {
        assert!(write.valid_until_ms > self.now_ms, "written without a lease: {write:?}");
        self.writes.push((self.now_ms, process, write.clone()));
        let (id, after_ms) = (write.id, self.write_ms);
        let outcome = match write.what {
            What::Scale(scale) => {
                let fault = self.faults.get_mut(&scale.target).and_then(VecDeque::pop_front);
                match fault {
                    Some(Fault::Silence) => return,
                    Some(Fault::Say(outcome)) => outcome,
                    Some(Fault::DoneBut(outcome)) => {
                        self.scale(&scale.target, &scale.resource_version, scale.to);
                        outcome
                    }
                    None => self.scale(&scale.target, &scale.resource_version, scale.to),
                }
            }
            What::Ring(ring) => {
                let version = self.maps.get(&ring.map).map(|m| m.resource_version.clone());
                if version == ring.resource_version {
                    self.version += 1;
                    let map = ConfigMap {
                        resource_version: self.version.to_string(),
                        data: [(ring.key, ring.text)].into(),
                        notes: Some(ring.notes),
                    };
                    self.maps.insert(ring.map.clone(), map.clone());
                    let after_ms = self.watch_ms.unwrap_or(1_000_000);
                    for p in 0..self.processes.len() {
                        let (name, map) = (ring.map.clone(), Some(map.clone()));
                        self.later(after_ms, p, Event::ConfigMap { name, map });
                    }
                    Outcome::Done { resource_version: Some(self.version.to_string()) }
                } else {
                    Outcome::Conflict
                }
            }
            What::Status(status) => {
                self.statuses.push((self.now_ms, status.policy.clone()));
                self.version += 1;
                let version = self.version.to_string();
                match self.policies.get_mut(&status.policy) {
                    Some(seen) => {
                        seen.held.resource_version = version;
                        *seen.status = status.status;
                        let seen = seen.clone();
                        for p in (0..self.processes.len()).filter(|_| self.echo) {
                            let after_ms = self.watch_ms.unwrap_or(1_000_000);
                            self.number += 1;
                            let at = (self.now_ms + after_ms, self.number);
                            self.coming.insert(at, (p, Event::Policy(Box::new(seen.clone()))));
                        }
                        Outcome::Done { resource_version: None }
                    }
                    None => Outcome::Missing,
                }
            }
            What::Finalizers(finalizers) => self.keep(finalizers),
            What::Event(note) => {
                self.notes.push((self.now_ms, note));
                Outcome::Done { resource_version: None }
            }
        };
        self.later(after_ms, process, Event::Done { write: id, outcome });
    }

    /// What an API server does with a write of replicas.
    fn scale(&mut self, key: &TargetKey, version: &str, to: i32) -> Outcome {
        let Some(target) = self.targets.get_mut(key) else { return Outcome::Missing };
        if target.resource_version != version {
            return Outcome::Conflict;
        }
        self.version += 1;
        target.resource_version = self.version.to_string();
        target.spec_replicas = to;
        target.status_replicas = to;
        target.ready_replicas = Some(to);
        let target = target.clone();
        self.broadcast(key, Some(target));
        Outcome::Done { resource_version: Some(self.version.to_string()) }
    }

    /// What a watch says of a target.
    fn told(&self, key: TargetKey, target: Option<Target>) -> Event {
        match target {
            Some(Target { uid, resource_version, .. }) if self.only_read.contains(&key) => {
                Event::TargetChanged { key, uid, resource_version }
            }
            target => Event::Target { key, target },
        }
    }

    /// Watches tell, if they do.
    pub(crate) fn broadcast(&mut self, key: &TargetKey, target: Option<Target>) {
        let Some(after_ms) = self.watch_ms else { return };
        for process in 0..self.processes.len() {
            let watching = |w: &Watch| matches!(w, Watch::Targets { .. });
            if self.processes[process].watches.iter().any(watching) {
                let event = self.told(key.clone(), target.clone());
                self.later(after_ms, process, event);
            }
        }
    }
}
