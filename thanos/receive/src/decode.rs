//! Series on the wire, read straight into what storage takes, and written from it: a request has thousands of texts, and
//! building each of them would be most of what a write costs.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use thanos_tsdb::BatchSeries;

use crate::batch::{Batch, Besides};
use crate::wire::{Field, bytes_len, each_field, put_bytes, put_head};

/// Adds the series of a `prometheus.WriteRequest`; metadata is passed over. `None`: it is not one.
pub(crate) fn decode_request(request: &[u8], batch: &mut Batch) -> Option<()> {
    let mut room = Room::default();
    each_field(request, |number, field| match (number, field) {
        (1, Field::Bytes(series)) => room.series(series, batch),
        (1 | 3, field) if !matches!(field, Field::Bytes(_)) => None,
        _ => Some(()),
    })
}

/// Adds series, each a message of its own. `None`: one is not.
pub(crate) fn decode_all(series: &[Bytes], batch: &mut Batch) -> Option<()> {
    let mut room = Room::default();
    series.iter().try_for_each(|one| room.series(one, batch))
}

/// What one series after the other is read into.
#[derive(Default)]
struct Room<'a> {
    labels: Vec<(&'a str, &'a str)>,
    samples: Vec<(i64, f64)>,
}

impl<'a> Room<'a> {
    fn series(&mut self, message: &'a [u8], batch: &mut Batch) -> Option<()> {
        self.labels.clear();
        self.samples.clear();
        let mut besides = Besides::default();
        each_field(message, |number, field| {
            match (number, field) {
                (1, Field::Bytes(one)) => self.labels.push(label(one)?),
                (2, Field::Bytes(one)) => self.samples.push(sample(one)?),
                (3, Field::Bytes(_)) => besides.exemplars += 1,
                (4, Field::Bytes(_)) => besides.histograms += 1,
                (1..=4, _) => return None,
                _ => {}
            }
            Some(())
        })?;
        batch.add(&self.labels, self.samples.iter().copied(), besides);
        Some(())
    }
}

fn label(message: &[u8]) -> Option<(&str, &str)> {
    let (mut name, mut value) = ("", "");
    each_field(message, |number, field| {
        match (number, field) {
            (1, Field::Bytes(text)) => name = std::str::from_utf8(text).ok()?,
            (2, Field::Bytes(text)) => value = std::str::from_utf8(text).ok()?,
            (1 | 2, _) => return None,
            _ => {}
        }
        Some(())
    })?;
    Some((name, value))
}

/// Milliseconds since the epoch, value.
fn sample(message: &[u8]) -> Option<(i64, f64)> {
    let (mut t_ms, mut sampled) = (0, 0.0);
    each_field(message, |number, field| {
        match (number, field) {
            (1, Field::Fixed64(bits)) => sampled = f64::from_le_bytes(bits),
            (2, Field::Varint(t)) => t_ms = t as i64,
            (1 | 2, _) => return None,
            _ => {}
        }
        Some(())
    })?;
    Some((t_ms, sampled))
}

/// Writes a series as a message of its own to the end of `out`, and takes it from there.
pub(crate) fn encode(series: BatchSeries<'_>, out: &mut BytesMut) -> Bytes {
    for (name, value) in series.labels() {
        let [name, value] = [name, value].map(str::as_bytes);
        put_head(out, 1, bytes_len(name) + bytes_len(value));
        put_bytes(out, 1, name);
        put_bytes(out, 2, value);
    }
    for (timestamp, value) in series.samples() {
        // In full, where prost would leave out a zero and with it its sign.
        put_head(out, 2, 10 + encoded_len_varint(*timestamp as u64));
        encode_key(1, WireType::SixtyFourBit, out);
        out.put_f64_le(*value);
        encode_key(2, WireType::Varint, out);
        encode_varint(*timestamp as u64, out);
    }
    out.split().freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use thanos_storepb::prompb::{Exemplar, Histogram, Sample, TimeSeries, WriteRequest};
    use thanos_storepb::storepb::Label;

    /// What a batch holds, NaN equal to itself.
    fn held(batch: &Batch) -> String {
        format!("{} {:?} {}", stored(batch), batch.refusal(), batch.exemplars)
    }

    fn stored(batch: &Batch) -> String {
        let series = batch.series.iter().map(|s| {
            let samples: Vec<_> = s.samples().iter().map(|(t, v)| (*t, v.to_bits())).collect();
            (s.labels().collect::<Vec<_>>(), samples)
        });
        format!("{:?}", series.collect::<Vec<_>>())
    }

    fn read(request: &[u8]) -> Option<Batch> {
        let mut batch = Batch::new("team".into());
        decode_request(request, &mut batch).map(|()| batch)
    }

    /// The same from what prost reads.
    fn batch_of(request: &WriteRequest) -> Batch {
        let mut batch = Batch::new("team".into());
        for s in &request.timeseries {
            let labels: Vec<_> = s.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
            let samples = s.samples.iter().map(|s| (s.timestamp, s.value));
            let besides = Besides { histograms: s.histograms.len(), exemplars: s.exemplars.len() };
            batch.add(&labels, samples, besides);
        }
        batch
    }

    fn time_series() -> impl Strategy<Value = TimeSeries> {
        let labels = prop::collection::vec(("[a-c]{0,1}", "\\PC{0,3}"), 0..3);
        let samples =
            prop::collection::vec((prop_oneof![any::<u64>(), Just((-0.0f64).to_bits())], any::<i64>()), 0..3);
        (labels, samples, 0usize..2, 0usize..2).prop_map(|(labels, samples, exemplars, histograms)| {
            TimeSeries {
                labels: labels.into_iter().map(|(name, value)| Label { name, value }).collect(),
                samples: samples
                    .into_iter()
                    .map(|(bits, timestamp)| Sample { value: f64::from_bits(bits), timestamp })
                    .collect(),
                exemplars: vec![Exemplar::default(); exemplars],
                histograms: vec![Histogram::default(); histograms],
            }
        })
    }

    proptest! {
        #[test]
        fn reads_what_prost_reads(
            timeseries in prop::collection::vec(time_series(), 0..4),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let request = WriteRequest { timeseries, metadata: vec![Default::default()] };
            let mut data = request.encode_to_vec();
            let request = WriteRequest::decode(&data[..]).unwrap();
            prop_assert_eq!(held(&read(&data).unwrap()), held(&batch_of(&request)));
            // Broken a little, it is refused or still means the same to both.
            for (at, byte) in changes {
                let at = at.index(data.len());
                data[at] = byte;
            }
            if let Ok(request) = WriteRequest::decode(&data[..])
                && let Some(batch) = read(&data)
            {
                prop_assert_eq!(held(&batch), held(&batch_of(&request)));
            }
        }

        #[test]
        fn writes_what_it_reads(timeseries in prop::collection::vec(time_series(), 0..4)) {
            let batch = batch_of(&WriteRequest { timeseries, metadata: Vec::new() });
            let mut room = BytesMut::new();
            let written: Vec<Bytes> = batch.series.iter().map(|s| encode(s, &mut room)).collect();
            let mut again = Batch::default();
            prop_assert!(decode_all(&written, &mut again).is_some());
            prop_assert_eq!(stored(&again), stored(&batch));
            let timeseries = written.iter().map(|w| TimeSeries::decode(&w[..]).unwrap()).collect();
            prop_assert_eq!(stored(&batch_of(&WriteRequest { timeseries, metadata: Vec::new() })), stored(&batch));
        }
    }
}
