//! A request's series, read straight into what storage takes: a request has thousands of texts, and building each of
//! them would be most of what a write costs.

use super::wire::{Field, each_field};
use crate::batch::{Batch, Besides};

/// Adds the series of a `prometheus.WriteRequest`; metadata is passed over. `None`: it is not one.
pub(super) fn decode(request: &[u8], batch: &mut Batch) -> Option<()> {
    let mut labels = Vec::new();
    let mut samples = Vec::new();
    each_field(request, |number, field| {
        match (number, field) {
            (1, Field::Bytes(series)) => {
                labels.clear();
                samples.clear();
                let mut besides = Besides::default();
                each_field(series, |number, field| {
                    match (number, field) {
                        (1, Field::Bytes(one)) => labels.push(label(one)?),
                        (2, Field::Bytes(one)) => samples.push(sample(one)?),
                        (3, Field::Bytes(_)) => besides.exemplars += 1,
                        (4, Field::Bytes(_)) => besides.histograms += 1,
                        (1..=4, _) => return None,
                        _ => {}
                    }
                    Some(())
                })?;
                batch.add(&labels, samples.iter().copied(), besides);
            }
            (1 | 3, field) if !matches!(field, Field::Bytes(_)) => return None,
            _ => {}
        }
        Some(())
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use thanos_storepb::prompb::{Exemplar, Histogram, Sample, TimeSeries, WriteRequest};
    use thanos_storepb::storepb::Label;

    /// What a batch holds, NaN equal to itself.
    fn held(batch: &Batch) -> String {
        let series = batch.series.iter().map(|s| {
            let samples: Vec<_> = s.samples().iter().map(|(t, v)| (*t, v.to_bits())).collect();
            (s.labels().collect::<Vec<_>>(), samples)
        });
        format!("{:?} {:?} {}", series.collect::<Vec<_>>(), batch.refusal(), batch.exemplars)
    }

    fn read(request: &[u8]) -> Option<Batch> {
        let mut batch = Batch::new("team".into());
        decode(request, &mut batch).map(|()| batch)
    }

    fn time_series() -> impl Strategy<Value = TimeSeries> {
        let labels = prop::collection::vec(("[a-c]{0,1}", "\\PC{0,3}"), 0..3);
        let samples = prop::collection::vec((any::<u64>(), any::<i64>()), 0..3);
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
            let batch = read(&data).unwrap_or_default();
            prop_assert_eq!(held(&batch), held(&Batch::from_request("team".into(), &request.timeseries)));
            // Broken a little, it is refused or still means the same to both.
            for (at, byte) in changes {
                let at = at.index(data.len());
                data[at] = byte;
            }
            if let Ok(request) = WriteRequest::decode(&data[..])
                && let Some(batch) = read(&data)
            {
                prop_assert_eq!(held(&batch), held(&Batch::from_request("team".into(), &request.timeseries)));
            }
        }
    }
}
