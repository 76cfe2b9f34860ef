//! A group's chunks to runs of samples. Chunks come from the network: whatever is wrong with one becomes a
//! sentence, and the rest is read.

use std::collections::{BTreeSet, HashSet};

use thanos_model::{Sample, TimestampMs};
use thanos_promql::source::{Budget, OverBudget};
use thanos_storepb::storepb::{AggrChunk, Chunk, chunk::Encoding};
use thanos_tsdb::chunkenc::XorIter;

use crate::merge::Group;

/// Bytes that one held sample costs.
pub(crate) const SAMPLE_BYTES: u64 = size_of::<Sample>() as u64;

/// Samples of one replica, ascending, times distinct; and how many were charged.
pub(crate) type Run = Vec<Sample>;

/// Decodes groups within a time range.
pub(crate) struct Decoder<'a> {
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    budget: &'a Budget,
    /// `(store, sentence)` for what could not be read.
    blame: BTreeSet<(usize, String)>,
    /// One chunk's samples; kept for the next.
    chunk: Run,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(start_ms: TimestampMs, end_ms: TimestampMs, budget: &'a Budget) -> Self {
        Self { start_ms, end_ms, budget, blame: BTreeSet::new(), chunk: Run::new() }
    }

    /// What could not be read, by store.
    pub(crate) fn into_blame(self) -> BTreeSet<(usize, String)> {
        self.blame
    }

    /// Decodes a group into one run per pseudo-replica: chunks of one store that do not overlap are one replica
    /// (Thanos `pkg/dedup`, OverlapSplit), and stores are never mixed. Identical chunks are read once.
    pub(crate) fn runs(&mut self, group: &Group) -> Result<Vec<Run>, OverBudget> {
        let mut seen: HashSet<(i64, i64, i32, &[u8])> = HashSet::new();
        let mut runs = Vec::new();
        for (store, chunks) in &group.parts {
            let mut chunks = self.readable(*store, chunks);
            chunks.sort_by(|(a, ra), (b, rb)| {
                (a.min_time, a.max_time, &ra.data).cmp(&(b.min_time, b.max_time, &rb.data))
            });
            chunks.retain(|(c, raw)| seen.insert((c.min_time, c.max_time, raw.r#type, &raw.data)));
            let mut replicas: Vec<(TimestampMs, Run)> = Vec::new();
            for (meta, raw) in chunks {
                if let Err(sentence) = self.decode(raw)? {
                    self.blame.insert((*store, sentence));
                    continue;
                }
                match replicas.iter_mut().find(|(last_ms, _)| *last_ms < meta.min_time) {
                    Some((last_ms, run)) => {
                        *last_ms = meta.max_time;
                        run.append(&mut self.chunk);
                    }
                    None => replicas.push((meta.max_time, self.chunk.drain(..).collect())),
                }
            }
            runs.extend(replicas.into_iter().map(|(_, run)| self.tidied(run)));
        }
        runs.retain(|r| !r.is_empty());
        Ok(runs)
    }

    /// One store's chunks of raw samples that may be within the range.
    fn readable<'c>(&mut self, store: usize, chunks: &'c [AggrChunk]) -> Vec<(&'c AggrChunk, &'c Chunk)> {
        let within = chunks.iter().filter(|c| c.max_time >= self.start_ms && c.min_time <= self.end_ms);
        within
            .filter_map(|c| {
                if c.raw.is_none() {
                    let sentence = "sent a downsampled chunk where raw samples were asked for";
                    self.blame.insert((store, sentence.into()));
                }
                Some((c, c.raw.as_ref()?))
            })
            .collect()
    }

    /// A run that keeps its promises and holds no more than its samples.
    fn tidied(&self, mut run: Run) -> Run {
        // A chunk whose samples do not keep to its own times must not break the order promised above.
        if !run.windows(2).all(|w| matches!(w, [a, b] if a.t_ms < b.t_ms)) {
            run.sort_by_key(|s| s.t_ms);
            let before = run.len();
            run.dedup_by_key(|s| s.t_ms);
            let dropped = (before - run.len()) as u64;
            self.budget.release(dropped, dropped * SAMPLE_BYTES);
        }
        // It grew by doubling, and it is kept until the query ends.
        run.shrink_to_fit();
        run
    }

    /// Puts the samples of one chunk within the range in [`Self::chunk`], charged before they are kept.
    fn decode(&mut self, chunk: &Chunk) -> Result<Result<(), String>, OverBudget> {
        self.chunk.clear();
        match Encoding::try_from(chunk.r#type) {
            Ok(Encoding::Xor) => {}
            Ok(other) => {
                return Ok(Err(format!("sent {} chunks, which are not supported yet", other.as_str_name())));
            }
            Err(_) => return Ok(Err(format!("sent chunks of unknown encoding {}", chunk.r#type))),
        }
        let iter = match XorIter::new(&chunk.data) {
            Ok(iter) => iter,
            Err(e) => return Ok(Err(format!("sent a chunk that is garbage: {e}"))),
        };
        let promised = iter.total() as u64;
        self.budget.charge(promised, promised * SAMPLE_BYTES)?;
        self.chunk.reserve(iter.total());
        let mut error = None;
        for sample in iter {
            match sample {
                Ok((t, v)) if (self.start_ms..=self.end_ms).contains(&t) => {
                    self.chunk.push(Sample::float(t, v));
                }
                Ok(_) => {}
                Err(e) => {
                    error = Some(format!("sent a chunk that is garbage: {e}"));
                    break;
                }
            }
        }
        let kept = if error.is_some() { 0 } else { self.chunk.len() as u64 };
        self.budget.release(promised - kept, (promised - kept) * SAMPLE_BYTES);
        Ok(error.map_or(Ok(()), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use thanos_model::Labels;
    use thanos_tsdb::chunkenc::XorChunk;

    pub(super) fn chunk(times: impl IntoIterator<Item = i64>) -> AggrChunk {
        let samples: Vec<(i64, f64)> = times.into_iter().map(|t| (t, t as f64)).collect();
        let data = XorChunk::from_samples(samples.iter().copied()).unwrap().into_bytes().into();
        AggrChunk {
            min_time: samples.first().map_or(0, |s| s.0),
            max_time: samples.last().map_or(0, |s| s.0),
            raw: Some(Chunk { r#type: 0, data, hash: 0 }),
            ..Default::default()
        }
    }

    fn read(
        parts: Vec<(usize, Vec<AggrChunk>)>,
        budget: &Budget,
    ) -> (Vec<Vec<i64>>, BTreeSet<(usize, String)>) {
        let mut decoder = Decoder::new(10, 40, budget);
        let runs = decoder.runs(&Group { labels: Labels::empty(), parts }).unwrap();
        (runs.iter().map(|r| r.iter().map(|s| s.t_ms).collect()).collect(), decoder.into_blame())
    }

    #[test]
    fn packs_identical_and_overlapping_chunks() {
        let budget = Budget::new(1000, 1 << 20);
        let (runs, blame) = read(
            vec![
                (0, vec![chunk([20, 30]), chunk([5, 10]), chunk([15, 25]), chunk([50])]),
                (1, vec![chunk([20, 30]), chunk([40])]),
            ],
            &budget,
        );
        assert_eq!(runs, [vec![10, 15, 25], vec![20, 30], vec![40]]);
        assert!(blame.is_empty());
        assert!(budget.charge(994, 0).is_ok() && budget.charge(1, 0).is_err(), "charged for what is held");
    }

    #[test]
    fn what_cannot_be_read_is_blamed_on_its_store_and_costs_nothing() {
        let budget = Budget::new(10, 1 << 20);
        let with = |r#type, data: &'static [u8]| AggrChunk {
            min_time: 10,
            max_time: 20,
            raw: Some(Chunk { r#type, data: data.into(), hash: 0 }),
            ..Default::default()
        };
        let down = AggrChunk { min_time: 10, max_time: 20, ..Default::default() };
        let bad = vec![with(1, b""), with(9, b""), with(0, b"\x00\x05\xff\xff"), with(0, b"\x00"), down];
        let (runs, blame) = read(vec![(3, bad), (4, vec![chunk([30])])], &budget);
        assert_eq!(runs, [vec![30]]);
        let all = blame.iter().map(|(s, t)| format!("{s} {t}\n")).collect::<String>();
        for part in ["HISTOGRAM chunks", "unknown encoding 9", "garbage", "downsampled"] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(blame.iter().all(|(s, _)| *s == 3));
        assert!(budget.charge(9, 0).is_ok() && budget.charge(1, 0).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_returned_in_full(
            parts in prop::collection::vec((any::<i64>(), any::<i64>(), 0i32..4, any::<Vec<u8>>()), 0..8)
        ) {
            let budget = Budget::new(1 << 20, 1 << 30);
            let chunks = parts.into_iter().map(|(min_time, max_time, r#type, data)| AggrChunk {
                min_time, max_time, raw: Some(Chunk { r#type, data: data.into(), hash: 0 }), ..Default::default()
            });
            let group = Group { labels: Labels::empty(), parts: vec![(0, chunks.collect())] };
            let runs = Decoder::new(i64::MIN, i64::MAX, &budget).runs(&group).unwrap();
            let held: usize = runs.iter().map(Vec::len).sum();
            prop_assert!(budget.charge((1 << 20) - held as u64, 0).is_ok());
            prop_assert!(budget.charge(1, 0).is_err());
        }
    }
}
