//! One query's view of all stores: asks those that may hold data, merges what they say, and names every one
//! that could not be asked or failed.

mod metadata;
mod select;

use std::sync::Arc;
use std::time::Duration;

use thanos_model::{Matcher, TimestampMs};
use thanos_promql::source::{Budget, OverBudget, SourceError};
use thanos_storepb::storepb::{PartialResponseStrategy, SeriesRequest};
use tokio::time::Instant;

use crate::frames::{self, Limits};
use crate::merge::{Incident, Merge};
use crate::metrics::{Cause, Metrics};
use crate::set::{EndpointSet, StoreView};

/// Series per response frame that a store may batch; Thanos' querier asks for as many.
pub(crate) const BATCH: i64 = 64;

/// How one query treats stores.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Labels that tell replicas apart; they are removed and replicas merged. Empty: no deduplication.
    pub replica_labels: Vec<String>,
    /// Whether an incomplete answer is a warning (`true`) or an error.
    pub partial_response: bool,
    /// When the whole query ends.
    pub deadline: Instant,
    /// A store that sends nothing for so long is left out.
    pub response_timeout: Duration,
    /// A selector that finds more series is an error.
    pub max_series: usize,
}

/// Asks stores on behalf of queries.
#[derive(Clone)]
pub struct Fanout {
    set: Arc<EndpointSet>,
    metrics: Metrics,
}

impl Fanout {
    /// Over these stores.
    pub fn new(set: Arc<EndpointSet>, metrics: Metrics) -> Self {
        Self { set, metrics }
    }

    /// The stores.
    pub fn endpoints(&self) -> &Arc<EndpointSet> {
        &self.set
    }

    /// A source for one query.
    pub fn querier(&self, options: QueryOptions) -> Querier {
        Querier {
            set: self.set.clone(),
            metrics: self.metrics.clone(),
            replica_labels: options.replica_labels.clone().into(),
            options,
        }
    }
}

/// Stores as one query sees them.
pub struct Querier {
    set: Arc<EndpointSet>,
    metrics: Metrics,
    replica_labels: Arc<[String]>,
    options: QueryOptions,
}

/// Which stores to ask, and what is known to be missing before anyone is asked.
pub(crate) struct Plan {
    ask: Vec<StoreView>,
    missing: Vec<(Cause, String)>,
}

impl Querier {
    pub(crate) fn plan(&self, matchers: &[Matcher], start_ms: TimestampMs, end_ms: TimestampMs) -> Plan {
        let view = self.set.view();
        let (mut ask, mut missing) = (Vec::new(), Vec::new());
        missing.extend(view.discovery.iter().map(|d| (Cause::Discovery, d.clone())));
        for store in view.stores.iter().filter(|s| s.may_hold(matchers, start_ms, end_ms)) {
            match &store.problem {
                Some(problem) => missing.push((Cause::NotAnswering, problem.clone())),
                None => ask.push(store.clone()),
            }
        }
        Plan { ask, missing }
    }

    /// Decides whether an incomplete answer is one: warnings, or the error that the caller asked for.
    pub(crate) fn verdict(
        &self,
        plan: &Plan,
        mut failed: Vec<(Cause, String)>,
        answered: usize,
    ) -> Result<Vec<String>, SourceError> {
        let timed_out = failed.iter().any(|(c, _)| *c == Cause::Timeout);
        failed.extend(plan.missing.iter().cloned());
        for (cause, _) in &failed {
            self.metrics.warned(*cause);
        }
        let mut warnings: Vec<String> = failed.into_iter().map(|(_, text)| text).collect();
        warnings.sort();
        warnings.dedup();
        if !warnings.is_empty() && timed_out && Instant::now() >= self.options.deadline {
            return Err(SourceError::Timeout(warnings.join("; ")));
        }
        if !warnings.is_empty() && !self.options.partial_response {
            return Err(SourceError::Unavailable(format!(
                "incomplete, and partial_response is off: {}",
                warnings.join("; ")
            )));
        }
        if answered == 0 && !warnings.is_empty() {
            return Err(SourceError::Unavailable(format!("no store could answer: {}", warnings.join("; "))));
        }
        Ok(warnings)
    }

    pub(crate) fn strategy(&self) -> i32 {
        if self.options.partial_response {
            PartialResponseStrategy::Warn
        } else {
            PartialResponseStrategy::Abort
        }
        .into()
    }

    /// Asks every store of the plan at once.
    pub(crate) async fn open(
        &self,
        plan: &Plan,
        request: &SeriesRequest,
        budget: &Arc<Budget>,
    ) -> Result<Merge, OverBudget> {
        let limits = self.limits();
        let open = |s: &StoreView| {
            frames::open(s, request.clone(), self.replica_labels.clone(), limits, budget.clone())
        };
        Merge::start(plan.ask.iter().map(open).collect()).await
    }

    /// What befell the stores of the plan, as sentences, and how many answered to the end.
    pub(crate) fn account(&self, plan: &Plan, incidents: Vec<Incident>) -> (Vec<(Cause, String)>, usize) {
        let mut answered = plan.ask.len();
        let mut failed = Vec::new();
        for Incident { store, cause, text, ended } in incidents {
            answered -= usize::from(ended);
            let says = if cause == Cause::Reported { "says" } else { "failed" };
            failed.push((cause, format!("store {} {says}: {text}", plan.name(store))));
        }
        (failed, answered)
    }

    fn limits(&self) -> Limits {
        Limits {
            response_timeout: self.options.response_timeout,
            deadline: self.options.deadline,
            max_message_bytes: self.set.max_message_bytes(),
        }
    }
}

impl Plan {
    fn name(&self, store: usize) -> &str {
        self.ask.get(store).map_or("?", |s| s.name.as_str())
    }
}
