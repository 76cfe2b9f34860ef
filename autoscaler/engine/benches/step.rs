//! Ten thousand policies each second, with answers at hand. Ids are chosen once: renaming loses their history.
//!
//! Each ends with what a policy takes in memory, by what the process had before and after, and what an evaluation
//! takes of a processor, for which the machine need not be quiet.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::collections::VecDeque;
use std::hint::black_box;

use autoscaler_core::{
    Behavior, ClusterSamples, Defaults, EvidenceSpec, Float, MetricSpec, Mode, Observation, Policy, Reading,
    Rules, Samples, SelectorSamples, Settled,
};
use autoscaler_engine::effect::{Query, What};
use autoscaler_engine::objects::{Kind, Name, Question, SeenPolicy, Target, TargetKey, Terms};
use autoscaler_engine::{Config, Effect, Engine, Event, Now, Outcome};
use criterion::{Criterion, criterion_group, criterion_main};

const POLICIES: usize = 10_000;
const CLUSTERS: [&str; 2] = ["east", "west"];

fn kind() -> Kind {
    Kind { group: "apps".into(), version: "v1".into(), kind: "Deployment".into() }
}

fn key(n: usize) -> TargetKey {
    TargetKey {
        cluster: 0,
        namespace: format!("team-{}", n % 50),
        group: "apps".into(),
        kind: "Deployment".into(),
        name: format!("web-{n}"),
    }
}

fn policy(n: usize, metrics: usize) -> SeenPolicy {
    let metric = |m: usize| MetricSpec {
        name: format!("metric-{m}").into(),
        revision: 0,
        target: autoscaler_core::Target::AverageValue { average_value_milli: 50_000 },
        evidence: EvidenceSpec {
            max_age_ms: 20_000,
            clusters: CLUSTERS.map(Into::into).to_vec(),
            window_ms: 30_000,
            ..EvidenceSpec::default()
        },
        fallback: None,
        kind: Default::default(),
        activation_milli: 0,
    };
    let rules = Rules { stabilization_window_seconds: Some(60), ..Rules::default() };
    let terms = Terms {
        policy: Policy {
            min_replicas: 1,
            max_replicas: 100,
            metrics: (0..metrics).map(metric).collect(),
            behavior: Some(Behavior { scale_up: None, scale_down: Some(rules) }),
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
        target: format!("web-{n}"),
        questions: vec![Question { weight: 1, ..Question::default() }; metrics],
        ring: None,
        restores: false,
        schedules: Vec::new(),
    };
    SeenPolicy {
        name: Name { cluster: 0, namespace: format!("team-{}", n % 50), name: format!("web-{n}") },
        uid: format!("4b1d{n:08}-7c1e-4b5e-9d7a-0123456789ab"),
        generation: Some(1),
        terms: Ok(std::sync::Arc::new(terms)),
        status: Box::default(),
        held: Default::default(),
    }
}

fn target(replicas: i32, version: u64) -> Target {
    Target {
        uid: "4b1d7c1e-4b5e-9d7a-0123-456789abcdef".into(),
        resource_version: version.to_string(),
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_replicas: Some(replicas),
        selector: "app=web".into(),
        ordered_start: false,
    }
}

/// An engine that is answered at once.
struct Bed {
    engine: Engine,
    now_ms: u64,
    version: u64,
    inbox: VecDeque<Event>,
    writes: u64,
}

impl Bed {
    fn new(metrics: usize) -> Self {
        let engine = Engine::new(Config { status_refresh_ms: 30_000, ..Config::default() });
        let mut bed = Self { engine, now_ms: 0, version: 1, inbox: VecDeque::new(), writes: 0 };
        bed.tell(Event::Fence { cluster: 0, shard: 0, valid_until_ms: Some(u64::MAX) });
        bed.tell(Event::PoliciesListed { cluster: 0, names: Vec::new() });
        bed.tell(Event::HorizontalPodAutoscalersListed { cluster: 0, names: Vec::new() });
        for n in 0..POLICIES {
            bed.tell(Event::Policy(Box::new(policy(n, metrics))));
            bed.tell(Event::Target { key: key(n), target: Some(target(8, 1)) });
        }
        bed
    }

    fn tell(&mut self, event: Event) {
        self.inbox.push_back(event);
        while let Some(event) = self.inbox.pop_front() {
            let now = Now { mono_ms: self.now_ms, wall_ms: 1_800_000_000_000 + self.now_ms.cast_signed() };
            for effect in black_box(self.engine.step(now, event)) {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Query(query) => {
                let observation = self.observe(&query);
                self.inbox.push_back(Event::Answer { query: query.id, observation });
            }
            Effect::Write(write) => {
                self.writes += 1;
                let mut resource_version = None;
                if let What::Scale(scale) = &write.what {
                    self.version += 1;
                    resource_version = Some(self.version.to_string());
                    let target = Some(target(scale.to, self.version));
                    self.inbox.push_back(Event::Target { key: scale.target.clone(), target });
                }
                let outcome = Outcome::Done { resource_version };
                self.inbox.push_back(Event::Done { write: write.id, outcome });
            }
            _ => {}
        }
    }

    /// One policy of twenty changes its load each second.
    fn observe(&self, query: &Query) -> Observation {
        let second = self.now_ms / 1_000;
        let changes = (query.policy.name.len() as u64 + query.id) % 20 == second % 20;
        let value = if changes { 50.0 * (4 + (second + query.id) % 8) as f64 } else { 390.0 };
        let reading = Reading::Value(Float::new(value));
        let newest_ms = query.at_ms - 900;
        let clusters = CLUSTERS.map(|cluster| ClusterSamples {
            cluster: cluster.into(),
            newest_ms,
            slowest_ms: Some(newest_ms),
            pods: 0,
            silent_pods: 0,
        });
        Observation {
            name: autoscaler_core::Name::default(),
            newest: reading.clone(),
            settled: query.settled_ms.map(|at_ms| Settled { at_ms, reading }),
            samples: Samples::Seen(vec![SelectorSamples {
                selector: "requests".into(),
                pinned: false,
                scope: Default::default(),
                clusters: clusters.into(),
            }]),
            starts: Vec::new(),
            warnings: Vec::new(),
            incomplete: None,
        }
    }

    fn second(&mut self) {
        let end_ms = self.now_ms + 1_000;
        while let Some(at_ms) = self.engine.next_wake_ms().filter(|at| *at <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            self.tell(Event::Wake);
        }
        self.now_ms = end_ms;
    }
}

/// Processor time of this process, in milliseconds: what else the machine does counts little in it.
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|s| s.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()));
    pages.unwrap_or(0) * 4_096
}

#[allow(clippy::print_stderr, reason = "what criterion does not measure")]
fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    group.sample_size(20);
    for metrics in [1, 3] {
        let before = resident();
        let mut bed = Bed::new(metrics);
        (0..5).for_each(|_| bed.second());
        let (counters, began_ms) = (bed.engine.counters(), processor_ms());
        group.bench_function(format!("10k_policies_1s_{metrics}_metrics"), |b| b.iter(|| bed.second()));
        let (after, took_ms) = (bed.engine.counters(), processor_ms() - began_ms);
        let bytes = resident().saturating_sub(before) / POLICIES as u64;
        let evaluations = after.evaluations - counters.evaluations;
        eprintln!(
            "{metrics} metrics: {bytes} bytes a policy; {evaluations} evaluations, {:.1} us of processor time each, \
             {} writes, {} missed",
            took_ms as f64 * 1_000.0 / evaluations.max(1) as f64,
            bed.writes,
            after.missed
        );
    }
    group.finish();
}

criterion_group!(step_benches, benches);
criterion_main!(step_benches);
