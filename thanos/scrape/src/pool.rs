//! One job: keeps one scrape loop running for each of its targets.
//!
//! ```text
//!  Discovery ─► targets by key ─► new: start a loop
//!                               ├ gone: let its loop end the series
//!                               └ same: untouched
//! ```
//!
//! A new target that writes the same series as one that is just ending (its pod came back; its interval
//! changed) takes over that one's memory: what goes on is not ended, what does not come back still is.

use std::collections::HashMap;
use std::sync::Arc;

use thanos_model::Labels;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Job;
use crate::discovery::Discovery;
use crate::metrics::Metrics;
use crate::remote_write::Sink;
use crate::scrape_loop::{Memory, ScrapeLoop, Stop};
use crate::status::{Board, JobStatus, TargetStatus};
use crate::target::{Built, Target};

/// What all pools share.
#[derive(Clone)]
pub struct Shared {
    /// Where samples go.
    pub sink: Arc<Sink>,
    /// How targets are reached.
    pub http: reqwest::Client,
    /// Process-wide counters.
    pub metrics: Metrics,
    /// What the API shows.
    pub board: Board,
}

/// A running job.
#[derive(Debug)]
pub struct Pool {
    /// What it runs.
    pub job: Arc<Job>,
    halt: CancellationToken,
    task: JoinHandle<Vec<Memory>>,
}

impl Pool {
    /// Starts a job's loops as its discovery finds targets. `memory` is what an earlier pool of the job left.
    pub fn start(job: Job, discovery: Discovery, shared: Shared, mut memory: Vec<Memory>) -> Self {
        for one in &mut memory {
            one.cache.forget_lines(&|labels| shared.sink.series(labels));
        }
        let job = Arc::new(job);
        let halt = CancellationToken::new();
        let state = State {
            job: job.clone(),
            shared,
            halt: halt.clone(),
            running: HashMap::new(),
            ending: Vec::new(),
            memory,
        };
        Self { job, halt, task: tokio::spawn(state.run(discovery)) }
    }

    /// Ends all loops at once, writing nothing, and returns what they knew.
    pub async fn halt(self) -> Vec<Memory> {
        self.halt.cancel();
        self.task.await.unwrap_or_default()
    }
}

struct Running {
    target: Arc<Target>,
    stop: Stop,
    status: Arc<TargetStatus>,
    task: JoinHandle<Memory>,
}

struct State {
    job: Arc<Job>,
    shared: Shared,
    halt: CancellationToken,
    running: HashMap<Labels, Running>,
    /// Gone targets whose series have not been ended yet.
    ending: Vec<Running>,
    /// Left by an earlier pool; empty after the first sync.
    memory: Vec<Memory>,
}

impl State {
    async fn run(mut self, mut discovery: Discovery) -> Vec<Memory> {
        loop {
            if let Some(groups) = discovery.groups() {
                let mut targets: HashMap<Labels, Target> = HashMap::new();
                let mut status = JobStatus::default();
                let mut discovered = 0;
                for group in groups.iter().flat_map(|g| g.iter()) {
                    for own in &group.targets {
                        discovered += 1;
                        match Target::build(&self.job, &group.labels, own) {
                            Ok(Built::Target(target)) => drop(targets.insert(target.key.clone(), *target)),
                            Ok(Built::Dropped(labels)) => status.add_dropped(labels),
                            Err(error) => {
                                let job = &self.job.job_name;
                                tracing::warn!(job, labels = ?own, error, "target cannot be scraped");
                            }
                        }
                    }
                }
                self.sync(targets).await;
                let mut active: Vec<&Running> = self.running.values().collect();
                active.sort_by(|a, b| a.target.key.cmp(&b.target.key));
                status.active = active.into_iter().map(|r| r.status.clone()).collect();
                self.shared.metrics.job_targets(&self.job.job_name, self.running.len(), discovered);
                self.shared.board.set(&self.job.job_name, status);
            }
            tokio::select! {
                () = discovery.changed() => {}
                () = self.halt.cancelled() => break,
            }
        }
        // Every loop's halt is a child of ours.
        let mut memory = std::mem::take(&mut self.memory);
        for running in self.running.into_values().chain(self.ending) {
            memory.extend(running.task.await);
        }
        memory.retain(|m| m.alive);
        memory
    }

    async fn sync(&mut self, mut targets: HashMap<Labels, Target>) {
        self.ending.retain(|r| !r.task.is_finished());
        let gone: Vec<Labels> = self.running.keys().filter(|k| !targets.contains_key(*k)).cloned().collect();
        for running in gone.iter().filter_map(|key| self.running.remove(key)) {
            running.stop.removed.cancel();
            self.ending.push(running);
        }
        targets.retain(|key, _| !self.running.contains_key(key));
        for (key, target) in targets {
            let target = Arc::new(target);
            let memory = match self.claim(&target.labels).await {
                Some(memory) => Memory { target, ..memory },
                None => Memory::new(target),
            };
            let running = self.spawn(memory, CancellationToken::new());
            self.running.insert(key, running);
        }
        for memory in std::mem::take(&mut self.memory) {
            let removed = CancellationToken::new();
            removed.cancel();
            let running = self.spawn(memory, removed);
            self.ending.push(running);
        }
    }

    /// The memory of a target that wrote the same series and is no longer scraped.
    async fn claim(&mut self, labels: &Labels) -> Option<Memory> {
        if let Some(at) = self.ending.iter().position(|r| r.target.labels == *labels) {
            let ending = self.ending.swap_remove(at);
            ending.stop.halt.cancel();
            return ending.task.await.ok();
        }
        let at = self.memory.iter().position(|m| m.target.labels == *labels)?;
        Some(self.memory.swap_remove(at))
    }

    fn spawn(&self, memory: Memory, removed: CancellationToken) -> Running {
        let target = memory.target.clone();
        let status = Arc::new(TargetStatus::new(target.clone()));
        let stop = Stop { removed, halt: self.halt.child_token() };
        let scrape_loop = ScrapeLoop {
            memory,
            job: self.job.clone(),
            sink: self.shared.sink.clone(),
            http: self.shared.http.clone(),
            metrics: self.shared.metrics.clone(),
            status: status.clone(),
        };
        Running { target, task: tokio::spawn(scrape_loop.run(stop.clone())), stop, status }
    }
}
