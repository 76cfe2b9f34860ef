//! K-way merge of the stores' streams by labels.
//!
//! ```text
//!  store A ─ series in order ─┐
//!  store B ─ series in order ─┼─ heap of heads ─► all parts of the least labels ─► one group
//!  store C ─ series in order ─┘
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use futures::StreamExt;
use futures::future::join_all;
use thanos_model::Labels;
use thanos_promql::source::OverBudget;
use thanos_storepb::storepb::AggrChunk;

use crate::frames::{Item, SeriesStream, StreamError, WireSeries};
use crate::metrics::Cause;

/// All parts of one series: chunks by the store they came from.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) parts: Vec<(usize, Vec<AggrChunk>)>,
}

/// What happened to one store's answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Incident {
    /// Index of the store.
    pub(crate) store: usize,
    pub(crate) cause: Cause,
    pub(crate) text: String,
    /// Whether its stream ended there.
    pub(crate) ended: bool,
}

struct Head {
    stream: SeriesStream,
    current: Option<WireSeries>,
    /// A store may say so much; the rest is dropped.
    warnings_left: u8,
}

/// Merges streams that are each in label order.
pub(crate) struct Merge {
    heads: Vec<Head>,
    heap: BinaryHeap<Reverse<(Labels, usize)>>,
    incidents: Vec<Incident>,
}

const WARNINGS_PER_STORE: u8 = 10;

impl Merge {
    /// Waits for the first series of every stream, all at once.
    pub(crate) async fn start(streams: Vec<SeriesStream>) -> Result<Self, OverBudget> {
        let heads = streams
            .into_iter()
            .map(|stream| Head { stream, current: None, warnings_left: WARNINGS_PER_STORE })
            .collect();
        let mut merge = Self { heads, heap: BinaryHeap::new(), incidents: Vec::new() };
        let advanced = merge.heads.iter_mut().enumerate().map(|(i, h)| h.advance(i));
        for (i, outcome) in join_all(advanced).await.into_iter().enumerate() {
            merge.take(i, outcome)?;
        }
        Ok(merge)
    }

    /// The next group; groups come in label order as long as every store keeps it.
    pub(crate) async fn next(&mut self) -> Result<Option<Group>, OverBudget> {
        let Some(Reverse((labels, _))) = self.heap.peek() else { return Ok(None) };
        let mut group = Group { labels: labels.clone(), parts: Vec::new() };
        while let Some(Reverse((labels, i))) = self.heap.peek() {
            if *labels != group.labels {
                break;
            }
            let i = *i;
            self.heap.pop();
            let Some(head) = self.heads.get_mut(i) else { continue };
            if let Some(series) = head.current.take() {
                match group.parts.iter_mut().find(|(store, _)| *store == i) {
                    Some((_, chunks)) => chunks.extend(series.chunks),
                    None => group.parts.push((i, series.chunks)),
                }
            }
            let outcome = head.advance(i).await;
            self.take(i, outcome)?;
        }
        Ok(Some(group))
    }

    /// What was missing, once the merge is done.
    pub(crate) fn into_incidents(self) -> Vec<Incident> {
        self.incidents
    }

    fn take(&mut self, i: usize, outcome: (Vec<Incident>, Option<OverBudget>)) -> Result<(), OverBudget> {
        self.incidents.extend(outcome.0);
        if let Some(over) = outcome.1 {
            return Err(over);
        }
        if let Some(series) = self.heads.get(i).and_then(|h| h.current.as_ref()) {
            self.heap.push(Reverse((series.labels.clone(), i)));
        }
        Ok(())
    }
}

impl Head {
    async fn advance(&mut self, store: usize) -> (Vec<Incident>, Option<OverBudget>) {
        let mut incidents = Vec::new();
        loop {
            match self.stream.next().await {
                None => return (incidents, None),
                Some(Ok(Item::Series(series))) => {
                    self.current = Some(series);
                    return (incidents, None);
                }
                Some(Ok(Item::Warning(text))) => {
                    if self.warnings_left > 0 {
                        self.warnings_left -= 1;
                        incidents.push(Incident { store, cause: Cause::Reported, text, ended: false });
                    }
                }
                Some(Err(StreamError::Store(cause, text))) => {
                    incidents.push(Incident { store, cause, text, ended: true });
                }
                Some(Err(StreamError::Budget(over))) => return (incidents, Some(over)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn series(name: &str, chunks: usize) -> Result<Item, StreamError> {
        let chunk = |i| AggrChunk { min_time: i as i64, ..Default::default() };
        Ok(Item::Series(WireSeries {
            labels: Labels::from_pairs([("__name__", name)]),
            chunks: (0..chunks).map(chunk).collect(),
        }))
    }

    async fn merged(streams: Vec<Vec<Result<Item, StreamError>>>) -> (Vec<String>, Vec<Incident>) {
        let streams = streams.into_iter().map(|items| stream::iter(items).boxed()).collect();
        let mut merge = Merge::start(streams).await.unwrap();
        let mut out = Vec::new();
        while let Some(g) = merge.next().await.unwrap() {
            let parts: Vec<String> = g.parts.iter().map(|(s, c)| format!("{s}:{}", c.len())).collect();
            out.push(format!("{} {}", g.labels.metric_name(), parts.join(" ")));
        }
        (out, merge.into_incidents())
    }

    #[tokio::test]
    async fn groups_come_in_order_with_all_their_parts() {
        let (out, incidents) = merged(vec![
            vec![series("a", 1), series("c", 1), series("c", 2)],
            vec![],
            vec![series("b", 1), series("c", 4)],
        ])
        .await;
        assert_eq!(out, ["a 0:1", "b 2:1", "c 0:3 2:4"]);
        assert!(incidents.is_empty());
    }

    #[tokio::test]
    async fn a_stream_that_breaks_keeps_what_it_gave() {
        let broken = Err(StreamError::Store(Cause::Failed, "reset".into()));
        let said = Ok(Item::Warning("block missing".into()));
        let (out, incidents) = merged(vec![vec![series("a", 1), said, broken], vec![series("b", 1)]]).await;
        assert_eq!(out, ["a 0:1", "b 1:1"]);
        assert_eq!(
            incidents.iter().map(|i| (i.text.as_str(), i.ended)).collect::<Vec<_>>(),
            [("block missing", false), ("reset", true)]
        );
    }
}
