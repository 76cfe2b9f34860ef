//! How much memory a remote write request would take, known before it takes any: an empty message is two bytes
//! on the wire and a hundred in memory.

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
    each_field(request, |field, body| {
        match field {
            1 => {
                shape.series += 1;
                shape.memory_bytes += 128;
                each_field(body, |field, body| {
                    shape.memory_bytes += match field {
                        1 => 64,
                        2 => {
                            shape.samples += 1;
                            16
                        }
                        // Labels inside, in the worst case all empty.
                        3 => 64 + body.len() * 24,
                        4 => {
                            shape.samples += 1;
                            256 + body.len() * 8
                        }
                        _ => 0,
                    };
                    Some(())
                })?;
            }
            3 => shape.memory_bytes += 96,
            _ => {}
        }
        Some(())
    })?;
    Some(shape)
}

/// Gives each length-delimited field; the others are passed over.
fn each_field(mut p: &[u8], mut give: impl FnMut(u64, &[u8]) -> Option<()>) -> Option<()> {
    while !p.is_empty() {
        let tag = varint(&mut p)?;
        match tag & 7 {
            0 => {
                varint(&mut p)?;
            }
            1 => p = p.get(8..)?,
            2 => {
                let len = usize::try_from(varint(&mut p)?).ok()?;
                let (body, rest) = p.split_at_checked(len)?;
                give(tag >> 3, body)?;
                p = rest;
            }
            5 => p = p.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(p: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = p.split_first()?;
        *p = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
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
