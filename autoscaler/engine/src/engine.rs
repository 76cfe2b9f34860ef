//! The engine: all state of all policies in one place, and one function that moves it on.
//!
//! A step goes through the same stations whatever the event is: fences that ran out, the event, timers that are due,
//! queries and writes for which there is room now. Its parts are below: [`watched`] takes in what watches see,
//! [`reads`] has read what they do not tell, [`ticks`] evaluates, [`conclude`] decides, [`writes`] sends and hears what
//! became of it, [`telling`] keeps statuses and events, [`leaving`] what a policy that is deleted leaves behind.

mod conclude;
mod leaving;
mod reads;
mod telling;
mod ticks;
mod used;
mod watched;
mod writes;

use std::collections::{BTreeMap, VecDeque};

use crate::config::Config;
use crate::due::Timers;
use crate::effect::Effect;
use crate::event::Event;
use crate::followed::{Followed, soon_ms};
use crate::objects::{ClusterId, ConfigMap, Name, Pod, Watch};
use crate::place::Place;
use crate::pool::Pool;
use crate::rivals::Rivals;
use crate::shards::{Change, Shard, Shards};
use crate::targets::Targets;
use crate::time::Now;
use crate::usages::Usages;
use crate::writer::Writer;

use writes::{Key, Sending, Sent};

/// A policy's number, never used again.
type Id = u32;

/// What goes off by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A policy's evaluation.
    Policy(Id),
    /// A write's deadline.
    Write(u64),
    /// A read's deadline.
    Read(u64),
    /// A target that no watch has told of since a write met another version.
    Target(Place),
    /// A status that could not be written at once.
    Status(Id),
    /// Events that waited.
    Told(Id),
    /// A policy whose finalizer or last replicas could not be written at once.
    Keeping(Id),
    /// A cluster whose HorizontalPodAutoscalers nobody told of.
    Cluster(ClusterId),
}

/// What was told of a cluster as a whole. Until then nobody knows who else scales a target.
#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    policies: bool,
    autoscalers: bool,
}

/// How long evaluations wait for the HorizontalPodAutoscalers of a cluster once its policies are known.
const AUTOSCALERS_WAIT_MS: u64 = 10_000;

/// What was counted since the engine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Evaluations that were done.
    pub evaluations: u64,
    /// Points of a policy's grid at which it was not evaluated, since the evaluation before was not done.
    pub missed: u64,
    /// Queries that were sent.
    pub queries: u64,
    /// Queries that waited past their policy's interval and were never sent.
    pub dropped: u64,
    /// Queries whose deadline passed.
    pub timed_out: u64,
    /// Answers that nobody waited for any more.
    pub late: u64,
    /// Writes that were sent.
    pub writes: u64,
    /// Events that were dropped, since too many wait.
    pub events_dropped: u64,
}

/// The controller without its clock, its sockets and its chance.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    now: Now,
    out: Vec<Effect>,
    counters: Counters,
    timers: Timers<Timer>,
    /// The next number of a query or write.
    number: u64,
    last_id: Id,
    ids: BTreeMap<Name, Id>,
    policies: BTreeMap<Id, Box<Followed>>,
    targets: Targets,
    rivals: Rivals,
    shards: Shards,
    pods: BTreeMap<Watch, Vec<Pod>>,
    /// The same for metrics of pods.
    seen: BTreeMap<Watch, autoscaler_core::Pods>,
    usages: Usages,
    /// `None` in it: there is none.
    maps: BTreeMap<Name, Option<ConfigMap>>,
    listed: BTreeMap<ClusterId, Listed>,
    pool: Pool,
    /// Whose which query is, and of which metric.
    queries: BTreeMap<u64, (Id, usize)>,
    /// Deadlines of queries in the order in which they were sent, since all have the same time.
    deadlines: VecDeque<(u64, u64)>,
    writers: BTreeMap<ClusterId, Writer<Key, Sending>>,
    sent: BTreeMap<u64, Sent>,
}

impl Engine {
    /// An engine that knows nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config.pool),
            config,
            now: Now::default(),
            out: Vec::new(),
            counters: Counters::default(),
            timers: Timers::default(),
            number: 0,
            last_id: 0,
            ids: BTreeMap::new(),
            policies: BTreeMap::new(),
            targets: Targets::default(),
            rivals: Rivals::default(),
            shards: Shards::default(),
            pods: BTreeMap::new(),
            seen: BTreeMap::new(),
            usages: Usages::default(),
            maps: BTreeMap::new(),
            listed: BTreeMap::new(),
            queries: BTreeMap::new(),
            deadlines: VecDeque::new(),
            writers: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Takes an event in at `now`; gives what is to be done, in this order. Total: any event at any time.
    #[must_use]
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        // A steady clock does not go back; should it, nothing is due twice.
        self.now = Now { mono_ms: now.mono_ms.max(self.now.mono_ms), wall_ms: now.wall_ms };
        for shard in self.shards.expire(self.now.mono_ms) {
            self.lose(shard);
        }
        self.take(event);
        while let Some(query) = self.overdue_query() {
            self.query_overdue(query);
        }
        while let Some(timer) = self.timers.pop(self.now.mono_ms) {
            self.go_off(timer);
        }
        self.start_queries();
        self.send_writes();
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Wake`] is due, should nothing happen before; `None`: never.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let writers = self.writers.values().filter_map(|w| w.next_ms(self.now.mono_ms)).min();
        let query = self.deadlines.front().map(|(at_ms, _)| *at_ms);
        [self.timers.next_ms(), self.shards.next_ms(), query, writers].into_iter().flatten().min()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Policies that are known of a cluster, and how many of these are led.
    #[must_use]
    pub fn policies_of(&self, cluster: ClusterId) -> (usize, usize) {
        let of = || self.policies.values().filter(|p| p.name.cluster == cluster);
        (of().count(), of().filter(|p| p.live.is_some()).count())
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Wake => {}
            Event::Policy(seen) => self.see_policy(*seen),
            Event::PolicyGone(name) => self.lose_policy(&name),
            Event::PoliciesListed { cluster, names } => self.policies_listed(cluster, names),
            Event::Target { key, target } => self.see_target(&key.into(), target),
            Event::TargetChanged { key, uid, resource_version } => {
                self.target_changed(&key.into(), &uid, &resource_version);
            }
            Event::Read { read, target } => self.read_done(read, target),
            Event::Listed { watch, names } => self.listed(&watch, &names),
            Event::WatchFailed { watch, message } => self.watch_failed(&watch, &message),
            Event::Pods { watch, pods, seen } => self.see_pods(watch, pods, seen),
            Event::ConfigMap { name, map } => self.see_map(name, map),
            Event::HorizontalPodAutoscaler { name, target } => {
                self.see_autoscaler(&name, target.map(Place::from))
            }
            Event::HorizontalPodAutoscalersListed { cluster, names } => {
                self.autoscalers_listed(cluster, names);
            }
            Event::HorizontalPodAutoscalersFailed { cluster } => self.autoscalers_known(cluster),
            Event::Answer { query, observation } => self.answer(query, observation),
            Event::Usage { read, usage } => self.used(read, usage),
            Event::Done { write, outcome } => self.done(write, outcome),
            Event::Fence { cluster, shard, valid_until_ms } => {
                let now_ms = self.now.mono_ms;
                match self.shards.set((cluster, shard), valid_until_ms, now_ms) {
                    Change::Gained => self.gain((cluster, shard)),
                    Change::Lost => self.lose((cluster, shard)),
                    Change::None => {}
                }
            }
        }
    }

    fn go_off(&mut self, timer: Timer) {
        match timer {
            Timer::Policy(id) => self.policy_due(id),
            Timer::Write(write) => self.write_overdue(write),
            Timer::Read(read) => self.read_overdue(read),
            Timer::Target(key) => self.target_overdue(&key),
            Timer::Status(id) => self.status_due(id),
            Timer::Told(id) => self.told_due(id),
            Timer::Keeping(id) => self.keeping_due(id),
            Timer::Cluster(cluster) => self.autoscalers_known(cluster),
        }
    }

    /// This shard's policies are ours from now on.
    fn gain(&mut self, (cluster, shard): Shard) {
        let ours = |p: &Followed| p.name.cluster == cluster && p.shard == shard && p.live.is_none();
        let ids: Vec<Id> = self.policies.iter().filter(|(_, p)| ours(p)).map(|(id, _)| *id).collect();
        for id in ids {
            self.begin(id);
        }
    }

    /// Begins to lead one policy.
    fn begin(&mut self, id: Id) {
        let now = self.now;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let interval_ms = interval_of(&self.config, followed);
        let cluster = self.config.clusters.get(usize::from(followed.name.cluster));
        let cluster = cluster.map_or_else(autoscaler_core::Name::default, |name| name.as_str().into());
        followed.begin(now, interval_ms, cluster);
        if let Some(live) = &followed.live {
            self.timers.set(live.due_ms, Timer::Policy(id));
        }
        self.consider_finalizer(id);
    }

    /// This shard's policies are no longer ours: nothing of what they wanted is done any more.
    fn lose(&mut self, (cluster, shard): Shard) {
        let ours = |p: &Followed| p.name.cluster == cluster && p.shard == shard && p.live.is_some();
        let ids: Vec<Id> = self.policies.iter().filter(|(_, p)| ours(p)).map(|(id, _)| *id).collect();
        for id in ids {
            self.stop(id);
            let now = self.now;
            if let Some(followed) = self.policies.get_mut(&id) {
                followed.end(now);
                self.out.push(Effect::Forget(followed.name.clone()));
            }
        }
        if let Some(writer) = self.writers.get_mut(&cluster) {
            // Targets are read whoever leads.
            writer.retain(|key, sending| matches!(key, Key::Read(_)) || sending.shard != shard);
        }
    }

    /// Takes back whatever is under way for a policy, but for writes that were sent.
    fn stop(&mut self, id: Id) {
        let (under_way, waiting) = self.pool.remove(id);
        for query in under_way.iter().chain(&waiting) {
            self.queries.remove(query);
        }
        self.out.extend(under_way.into_iter().map(|query| Effect::Abandon { query }));
        let Some(followed) = self.policies.get_mut(&id) else { return };
        if let Some(live) = &mut followed.live {
            (live.tick, live.again) = (None, false);
        }
        let Some(writer) = self.writers.get_mut(&followed.name.cluster) else { return };
        writer.cancel(&Key::Status(id));
        if let Some((target, _)) = &followed.target
            && writer.peek(&Key::Scale(target.clone())).is_some_and(|s| s.policy == id)
        {
            writer.cancel(&Key::Scale(target.clone()));
        }
        if let Ok(terms) = &followed.terms
            && let Some(ring) = &terms.ring
        {
            let map = Name { name: ring.spec.config_map.clone(), ..followed.name.clone() };
            writer.cancel(&Key::Ring(map));
            if let Some(live) = &mut followed.live {
                live.ring.ended(false);
            }
        }
    }

    /// Evaluates a policy at once.
    fn hurry(&mut self, id: Id) {
        let now_ms = self.now.mono_ms;
        let Some(live) = self.policies.get_mut(&id).and_then(|p| p.live.as_mut()) else { return };
        if live.tick.is_some() {
            live.again = true;
        } else if live.due_ms > now_ms {
            live.due_ms = now_ms;
            self.timers.set(now_ms, Timer::Policy(id));
        }
    }

    /// Evaluates the policies of a cluster soon, but not all at once.
    fn soon(&mut self, cluster: ClusterId) {
        let now_ms = self.now.mono_ms;
        let of = self.policies.iter_mut().filter(|(_, p)| p.name.cluster == cluster);
        for (id, followed) in of {
            let interval_ms = interval_of(&self.config, followed);
            let due_ms = soon_ms(&followed.uid, interval_ms, now_ms);
            let Some(live) = &mut followed.live else { continue };
            if due_ms < live.due_ms {
                live.due_ms = due_ms;
                self.timers.set(due_ms, Timer::Policy(*id));
            }
        }
    }

    /// Whether everybody who may scale a target of this cluster is known.
    fn is_listed(&self, cluster: ClusterId) -> bool {
        self.listed.get(&cluster).is_some_and(|l| l.policies && l.autoscalers)
    }

    fn hurry_all(&mut self, names: &[Name]) {
        let ids: Vec<Id> = names.iter().filter_map(|n| self.ids.get(n)).copied().collect();
        for id in ids {
            self.hurry(id);
        }
    }

    /// The next query whose deadline passed; those that ended before are left out.
    fn overdue_query(&mut self) -> Option<u64> {
        while let Some(&(at_ms, query)) = self.deadlines.front() {
            let ended = !self.queries.contains_key(&query);
            if !ended && at_ms > self.now.mono_ms {
                return None;
            }
            self.deadlines.pop_front();
            if !ended {
                return Some(query);
            }
        }
        None
    }

    fn next_number(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}

/// The interval at which a policy is evaluated.
fn interval_of(config: &Config, followed: &Followed) -> u64 {
    let asked = followed.terms.as_ref().map_or(15_000, |t| t.interval_ms);
    asked.max(config.min_interval_ms).max(1)
}

/// Whether a policy's terms can be followed at all.
fn is_followable(config: &Config, followed: &Followed) -> bool {
    followed.terms.as_ref().is_ok_and(|t| t.questions.len() <= config.max_queries_per_policy)
}
