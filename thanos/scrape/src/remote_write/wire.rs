//! The bytes of a `prometheus.WriteRequest`. Labels are encoded once a series, not once a sample, so the
//! generated types are not used here; a test reads the bytes back with them.

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

/// A whole request, before compression. Samples of one series are put together, in the order given.
pub(super) fn encode(batch: &[Queued]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    // Stable: a series' samples keep their order.
    order.sort_by_key(|&i| Arc::as_ptr(&batch[i].series));
    let mut out = Vec::new();
    let mut samples = Vec::new();
    for run in order.chunk_by(|&a, &b| Arc::ptr_eq(&batch[a].series, &batch[b].series)) {
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
