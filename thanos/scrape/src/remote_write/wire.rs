//! The bytes of a `prometheus.WriteRequest`. Labels are encoded once a series, not once a sample, so the
//! generated types are not used here; a test reads the bytes back with them.

use std::cmp::Ordering;
use std::sync::Arc;

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use thanos_model::Labels;

use super::Queued;
use crate::target::hash;

// Field numbers of prometheus/prompb `remote.proto` and `types.proto`.
const REQUEST_TIMESERIES: u32 = 1;
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const LABEL_NAME: u32 = 1;
const LABEL_VALUE: u32 = 2;
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;

/// A series as one remote writes it.
#[derive(Debug)]
pub struct WireSeries {
    /// Of the labels sent: picks the shard.
    pub hash: u64,
    labels: Box<[u8]>,
}

impl WireSeries {
    /// Encodes the labels.
    pub fn new(labels: &Labels) -> Self {
        let mut out = Vec::new();
        let mut one = Vec::new();
        for label in labels {
            one.clear();
            bytes_field(LABEL_NAME, label.name.as_bytes(), &mut one);
            bytes_field(LABEL_VALUE, label.value.as_bytes(), &mut one);
            bytes_field(SERIES_LABELS, &one, &mut out);
        }
        Self { hash: hash(labels), labels: out.into() }
    }
}

fn bytes_field(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

impl WireSeries {
    /// One order for equal labels, whoever encoded them: a series that vanished and came back within a batch is
    /// there as two of these, and receivers refuse what comes out of order.
    fn order(a: &Arc<Self>, b: &Arc<Self>) -> Ordering {
        if Arc::ptr_eq(a, b) {
            return Ordering::Equal;
        }
        (a.hash, &a.labels).cmp(&(b.hash, &b.labels))
    }
}

/// A whole request, before compression. Samples of one series are put together, in the order given.
pub(super) fn encode(batch: &[Queued]) -> Vec<u8> {
    let compare = |&a: &usize, &b: &usize| WireSeries::order(&batch[a].series, &batch[b].series);
    let mut order: Vec<usize> = (0..batch.len()).collect();
    // Stable: a series' samples keep their order.
    order.sort_by(compare);
    let mut out = Vec::new();
    let mut samples = Vec::new();
    for run in order.chunk_by(|a, b| compare(a, b).is_eq()) {
        samples.clear();
        for &i in run {
            let Queued { t_ms, value, .. } = batch[i];
            let timestamp = t_ms as u64;
            // Two one-byte keys, eight bytes of value, the timestamp.
            let len = 2 + 8 + encoded_len_varint(timestamp);
            encode_key(SERIES_SAMPLES, WireType::LengthDelimited, &mut samples);
            encode_varint(len as u64, &mut samples);
            encode_key(SAMPLE_VALUE, WireType::SixtyFourBit, &mut samples);
            samples.extend_from_slice(&value.to_le_bytes());
            encode_key(SAMPLE_TIMESTAMP, WireType::Varint, &mut samples);
            encode_varint(timestamp, &mut samples);
        }
        let Some(series) = run.first().map(|&i| &batch[i].series) else { continue };
        encode_key(REQUEST_TIMESERIES, WireType::LengthDelimited, &mut out);
        encode_varint((series.labels.len() + samples.len()) as u64, &mut out);
        out.extend_from_slice(&series.labels);
        out.extend_from_slice(&samples);
    }
    out
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use thanos_storepb::prompb::WriteRequest;

    use super::*;

    /// Both orders, since which of two allocations comes first is the allocator's affair.
    #[test]
    fn a_series_that_came_back_within_a_batch_is_one_series_in_order() {
        let labels = Labels::from_pairs([("__name__", "flapping")]);
        let twins = [(); 2].map(|()| Arc::new(WireSeries::new(&labels)));
        for (first, second) in [(0, 1), (1, 0)] {
            let queued = |twin: usize, t_ms| Queued { series: twins[twin].clone(), t_ms, value: t_ms as f64 };
            let batch = [queued(first, 1), queued(first, 2), queued(second, 3), queued(second, 4)];
            let request = WriteRequest::decode(encode(&batch).as_slice()).unwrap();
            assert_eq!(request.timeseries.len(), 1);
            let times: Vec<i64> = request.timeseries[0].samples.iter().map(|s| s.timestamp).collect();
            assert_eq!(times, [1, 2, 3, 4]);
        }
    }
}
