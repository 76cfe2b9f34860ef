//! Reading one selector.

use futures::FutureExt;
use futures::future::BoxFuture;
use thanos_model::{Labels, Matcher, Sample};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_storepb::convert::matchers_to_wire;
use thanos_storepb::storepb::{self, Aggr, SeriesRequest};

use super::{BATCH, Querier};
use crate::decode::{Decoder, SAMPLE_BYTES};
use crate::dedup::{self, Mode};
use crate::metrics::Cause;

impl SeriesSource for Querier {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        self.read(request).boxed()
    }
}

impl Querier {
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
        let mut merge = self.open(&plan, &wire, &budget).await?;
        let mode = if self.replica_labels.is_empty() { Mode::Parts } else { Mode::for_function(&hints.func) };
        let mut out = Collected::default();
        let mut decoder = Decoder::new(start_ms, end_ms, &budget);
        while let Some(group) = merge.next().await? {
            // Decoding is work between waits that may all be over at once: others get their turn.
            tokio::task::consume_budget().await;
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
            let runs = decoder.runs(&group)?;
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
        let (mut failed, answered) = self.account(&plan, merge.into_incidents());
        for (store, text) in decoder.into_blame() {
            failed.push((Cause::Undecodable, format!("store {} {text}", plan.name(store))));
        }
        let warnings = self.verdict(&plan, failed, answered)?;
        Ok(SeriesSet { series: out.sorted(mode), warnings })
    }
}

/// The answer while it grows.
#[derive(Default)]
struct Collected {
    series: Vec<Series>,
    out_of_order: bool,
}

impl Collected {
    fn push(&mut self, labels: Labels, samples: Vec<Sample>, budget: &Budget) -> Result<(), SourceError> {
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
