//! How much memory a remote write request would take, known before it takes any: an empty label is two bytes on the
//! wire and fifty in memory.

use crate::wire::{Field, each_field};

/// What a request consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) series: usize,
    pub(super) samples: usize,
    /// Estimate of the decoded request.
    pub(super) memory_bytes: usize,
}

/// Walks the wire form of `prometheus.WriteRequest` without building it. `None`: it is not one.
pub(super) fn shape(request: &[u8]) -> Option<Shape> {
    let mut shape = Shape { memory_bytes: request.len(), ..Shape::default() };
    each_field(request, |number, field| {
        if let (1, Field::Bytes(series)) = (number, field) {
            shape.series += 1;
            shape.memory_bytes += 64;
            each_field(series, |number, field| {
                let Field::Bytes(_) = field else { return Some(()) };
                match number {
                    1 => shape.memory_bytes += 48,
                    2 => {
                        shape.samples += 1;
                        shape.memory_bytes += 32;
                    }
                    4 => shape.samples += 1,
                    _ => {}
                }
                Some(())
            })?;
        }
        Some(())
    })?;
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use thanos_storepb::prompb::{Sample, TimeSeries, WriteRequest};
    use thanos_storepb::storepb::Label;

    #[test]
    fn counts_what_prost_decodes() {
        let series = TimeSeries {
            labels: vec![Label { name: "a".into(), value: "b".into() }],
            samples: vec![Sample { value: 1.0, timestamp: 2 }; 3],
            ..Default::default()
        };
        let request = WriteRequest { timeseries: vec![series; 5], metadata: vec![Default::default()] };
        let got = shape(&request.encode_to_vec()).unwrap();
        assert_eq!((got.series, got.samples), (5, 15));
    }

    proptest! {
        #[test]
        fn whatever_prost_takes_was_counted(data in prop::collection::vec(any::<u8>(), 0..300)) {
            let got = shape(&data);
            if let Ok(request) = WriteRequest::decode(&data[..]) {
                let got = got.unwrap_or_else(|| panic!("prost read {request:?}"));
                prop_assert_eq!(got.series, request.timeseries.len());
            }
        }

        #[test]
        fn lying_lengths_are_seen(mut data in prop::collection::vec(any::<u8>(), 1..50)) {
            data.splice(..0, [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
            prop_assert_eq!(shape(&data), None);
        }
    }
}
