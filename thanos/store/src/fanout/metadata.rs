//! Label names and values of all stores.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::join_all;
use thanos_model::{Matcher, TimestampMs};
use thanos_promql::source::SourceError;
use thanos_storepb::convert::matchers_to_wire;
use thanos_storepb::storepb::store_client::StoreClient;
use thanos_storepb::storepb::{LabelNamesRequest, LabelValuesRequest};
use tokio::time::Instant;

use super::Querier;
use crate::frames::Limits;
use crate::metrics::Cause;
use crate::set::status_text;

/// What one store said, or why it did not.
type StoreAnswer = Result<(Vec<String>, Vec<String>), (Cause, String)>;

impl Querier {
    /// Label names in use, sorted; with warnings.
    ///
    /// # Errors
    /// As [`thanos_promql::source::SeriesSource::select`].
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
    /// As [`thanos_promql::source::SeriesSource::select`].
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
