//! One query's view of all stores: asks those that may hold data, merges what they say, and names every one
//! that could not be asked or failed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use thanos_model::{Labels, Matcher, TimestampMs};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_storepb::convert::matchers_to_wire;
use thanos_storepb::storepb::store_client::StoreClient;
use thanos_storepb::storepb::{
    self, Aggr, LabelNamesRequest, LabelValuesRequest, PartialResponseStrategy, SeriesRequest,
};
use tokio::time::Instant;

use crate::decode::{self, SAMPLE_BYTES};
use crate::dedup::{self, Mode};
use crate::frames::{self, Limits};
use crate::merge::{Incident, Merge};
use crate::metrics::{Cause, Metrics};
use crate::set::{EndpointSet, StoreView, status_text};

/// Series per response frame that a store may batch; Thanos' querier asks for as many.
const BATCH: i64 = 64;

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
struct Plan {
    ask: Vec<StoreView>,
    missing: Vec<(Cause, String)>,
}

/// What one store said, or why it did not.
type StoreAnswer = Result<(Vec<String>, Vec<String>), (Cause, String)>;

impl Querier {
    fn plan(&self, matchers: &[Matcher], start_ms: TimestampMs, end_ms: TimestampMs) -> Plan {
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
    fn verdict(
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

    fn strategy(&self) -> i32 {
        if self.options.partial_response {
            PartialResponseStrategy::Warn
        } else {
            PartialResponseStrategy::Abort
        }
        .into()
    }

    fn limits(&self) -> Limits {
        Limits {
            response_timeout: self.options.response_timeout,
            deadline: self.options.deadline,
            max_message_bytes: self.set.max_message_bytes(),
        }
    }

    async fn read(&self, request: SelectRequest) -> Result<SeriesSet, SourceError> {
        let SelectRequest { matchers, start_ms, end_ms, hints, budget } = request;
        let plan = self.plan(&matchers, start_ms, end_ms);
        let wire = SeriesRequest {
            min_time: start_ms,
            max_time: end_ms,
            matchers: matchers_to_wire(&matchers),
            aggregates: vec![Aggr::Raw.into()],
            partial_response_disabled: !self.options.partial_response,
            partial_response_strategy: self.strategy(),
            skip_chunks: hints.skip_samples,
            step: hints.step_ms,
            range: hints.range_ms,
            query_hints: Some(storepb::QueryHints {
                step_millis: hints.step_ms,
                func: Some(storepb::Func { name: hints.func.clone() }),
                range: Some(storepb::Range { millis: hints.range_ms }),
                ..Default::default()
            }),
            without_replica_labels: self.replica_labels.to_vec(),
            response_batch_size: BATCH,
            ..Default::default()
        };
        let open = |s: &StoreView| {
            frames::open(s, wire.clone(), self.replica_labels.clone(), self.limits(), budget.clone())
        };
        let mut merge = Merge::start(plan.ask.iter().map(open).collect()).await?;
        let mode = if self.replica_labels.is_empty() { Mode::Parts } else { Mode::for_function(&hints.func) };
        let mut out = Collected::default();
        let mut blame = BTreeSet::new();
        while let Some(group) = merge.next().await? {
            if out.series.len() >= self.options.max_series {
                return Err(SourceError::Invalid(format!(
                    "the selector {{{}}} matches more than {} series; select fewer",
                    join(&matchers),
                    self.options.max_series
                )));
            }
            if hints.skip_samples {
                out.push(group.labels, Vec::new(), &budget)?;
                continue;
            }
            let runs = decode::runs(&group, start_ms, end_ms, &budget, &mut blame)?;
            let charged: usize = runs.iter().map(Vec::len).sum();
            let samples = dedup::merge(runs, mode);
            let dropped = (charged - samples.len()) as u64;
            budget.release(dropped, dropped * SAMPLE_BYTES);
            if !samples.is_empty() {
                self.metrics.samples.inc_by(samples.len() as u64);
                out.push(group.labels, samples, &budget)?;
            }
        }
        self.metrics.series.inc_by(out.series.len() as u64);
        let mut answered = plan.ask.len();
        let mut failed = Vec::new();
        let name = |i: usize| plan.ask.get(i).map_or("?", |s| s.name.as_str());
        for Incident { store, cause, text, ended } in merge.into_incidents() {
            answered -= usize::from(ended);
            let text = match cause {
                Cause::Reported => format!("store {} says: {text}", name(store)),
                _ => format!("store {} failed: {text}", name(store)),
            };
            failed.push((cause, text));
        }
        for (store, text) in blame {
            failed.push((Cause::Undecodable, format!("store {} {text}", name(store))));
        }
        let warnings = self.verdict(&plan, failed, answered)?;
        Ok(SeriesSet { series: out.sorted(mode), warnings })
    }

    /// Label names in use, sorted; with warnings.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    pub async fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<(BTreeSet<String>, Vec<String>), SourceError> {
        let request = LabelNamesRequest {
            partial_response_disabled: !self.options.partial_response,
            partial_response_strategy: self.strategy(),
            start: start_ms,
            end: end_ms,
            matchers: matchers_to_wire(matchers),
            without_replica_labels: self.replica_labels.to_vec(),
            ..Default::default()
        };
        let (mut names, warnings) = self
            .all(matchers, start_ms, end_ms, |mut client| {
                let request = request.clone();
                async move {
                    let answer = client.label_names(request).await?.into_inner();
                    Ok((answer.names, answer.warnings))
                }
            })
            .await?;
        names.retain(|n| !self.replica_labels.contains(n));
        Ok((names, warnings))
    }

    /// Values of one label, sorted; with warnings.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    pub async fn label_values(
        &self,
        label: &str,
        matchers: &[Matcher],
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<(BTreeSet<String>, Vec<String>), SourceError> {
        let request = LabelValuesRequest {
            label: label.to_owned(),
            partial_response_disabled: !self.options.partial_response,
            partial_response_strategy: self.strategy(),
            start: start_ms,
            end: end_ms,
            matchers: matchers_to_wire(matchers),
            without_replica_labels: self.replica_labels.to_vec(),
            ..Default::default()
        };
        self.all(matchers, start_ms, end_ms, |mut client| {
            let request = request.clone();
            async move {
                let answer = client.label_values(request).await?.into_inner();
                Ok((answer.values, answer.warnings))
            }
        })
        .await
    }

    /// Asks every store that may know the same thing and unites the answers.
    async fn all<F>(
        &self,
        matchers: &[Matcher],
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        ask: impl Fn(StoreClient<tonic::transport::Channel>) -> F,
    ) -> Result<(BTreeSet<String>, Vec<String>), SourceError>
    where
        F: Future<Output = Result<(Vec<String>, Vec<String>), tonic::Status>>,
    {
        let plan = self.plan(matchers, start_ms, end_ms);
        let Limits { response_timeout, deadline, max_message_bytes } = self.limits();
        let until = deadline.min(Instant::now() + response_timeout);
        let asked = plan.ask.iter().map(|store| {
            let client = StoreClient::new(store.channel.clone()).max_decoding_message_size(max_message_bytes);
            let answer = tokio::time::timeout_at(until, ask(client));
            answer.map(|a| -> StoreAnswer {
                match a {
                    Ok(Ok(answer)) => Ok(answer),
                    Ok(Err(status)) => Err((Cause::Failed, status_text(&status))),
                    Err(_) => Err((Cause::Timeout, format!("sent nothing for {response_timeout:?}"))),
                }
            })
        });
        let (mut all, mut failed, mut answered) = (BTreeSet::new(), Vec::new(), 0);
        for (store, answer) in plan.ask.iter().zip(join_all(asked).await) {
            match answer {
                Ok((found, said)) => {
                    answered += 1;
                    all.extend(found);
                    failed.extend(
                        said.into_iter()
                            .take(10)
                            .map(|s| (Cause::Reported, format!("store {} says: {s}", store.name))),
                    );
                }
                Err((cause, text)) => failed.push((cause, format!("store {} failed: {text}", store.name))),
            }
        }
        Ok((all, self.verdict(&plan, failed, answered)?))
    }
}

impl SeriesSource for Querier {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        self.read(request).boxed()
    }
}

/// The answer while it grows.
#[derive(Default)]
struct Collected {
    series: Vec<Series>,
    out_of_order: bool,
}

impl Collected {
    fn push(
        &mut self,
        labels: Labels,
        samples: Vec<thanos_model::Sample>,
        budget: &Budget,
    ) -> Result<(), SourceError> {
        let text: usize = labels.iter().map(|l| l.name.len() + l.value.len() + size_of_val(l)).sum();
        budget.charge(0, (text + size_of::<Series>()) as u64)?;
        self.out_of_order |= self.series.last().is_some_and(|last| last.labels >= labels);
        self.series.push(Series { labels, samples });
        Ok(())
    }

    /// A store that broke the order of its stream left equal labels apart: they are brought together here.
    fn sorted(mut self, mode: Mode) -> Vec<Series> {
        if self.out_of_order {
            self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
            let mut out: Vec<Series> = Vec::with_capacity(self.series.len());
            for series in self.series {
                match out.last_mut() {
                    Some(last) if last.labels == series.labels => {
                        let runs = vec![std::mem::take(&mut last.samples), series.samples];
                        last.samples = dedup::merge(runs, mode);
                    }
                    _ => out.push(series),
                }
            }
            return out;
        }
        self.series
    }
}

fn join(matchers: &[Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
