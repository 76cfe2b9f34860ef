//! A record: a frame that proves itself, around series or samples.
//!
//! ```text
//! frame    len:u32le │ crc32c(payload):u32le │ payload
//! payload  1 │ n │ n × (id, labels, labels × (len name len value))          all numbers LEB128
//!          2 │ n │ t0 zigzag │ n × (Δid zigzag, t−t0 zigzag, value:u64le)
//! ```

use thanos_model::{Label, Labels, TimestampMs};

/// A frame that claims more is corrupt: nothing larger is written.
pub(super) const RECORD_BYTES_MAX: usize = 16 << 20;
/// Payloads are cut near this size, so that replay holds little at once.
const RECORD_BYTES_TARGET: usize = 1 << 20;
pub(super) const FRAME_BYTES: usize = 8;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;

/// What replay gives back, in the order written.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    /// From here on in this segment, `id` means these labels.
    Series { id: u64, labels: Labels },
    /// One sample.
    Sample { id: u64, t_ms: TimestampMs, value: f64 },
}

/// Appends frames that declare `series`.
pub(crate) fn write_series<'a>(out: &mut Vec<u8>, series: impl IntoIterator<Item = (u64, &'a Labels)>) {
    let mut body = Vec::new();
    let mut count = 0;
    let mut series = series.into_iter().peekable();
    while let Some((id, labels)) = series.next() {
        put_uvarint(&mut body, id);
        put_uvarint(&mut body, labels.len() as u64);
        for l in labels {
            for text in [&l.name, &l.value] {
                put_uvarint(&mut body, text.len() as u64);
                body.extend(text.as_bytes());
            }
        }
        count += 1;
        if body.len() >= RECORD_BYTES_TARGET || series.peek().is_none() {
            write_frame(out, SERIES, count, &body);
            body.clear();
            count = 0;
        }
    }
}

/// Appends frames that hold `samples`.
pub(crate) fn write_samples(out: &mut Vec<u8>, samples: &[(u64, TimestampMs, f64)]) {
    // A sample takes at most 28 bytes.
    for part in samples.chunks(RECORD_BYTES_TARGET / 28) {
        let mut body = Vec::with_capacity(part.len() * 12);
        let t0 = part.first().map_or(0, |s| s.1);
        put_varint(&mut body, t0);
        let mut last_id = 0;
        for (id, t, v) in part {
            put_varint(&mut body, id.wrapping_sub(last_id) as i64);
            put_varint(&mut body, t.wrapping_sub(t0));
            body.extend(v.to_bits().to_le_bytes());
            last_id = *id;
        }
        write_frame(out, SAMPLES, part.len(), &body);
    }
}

fn write_frame(out: &mut Vec<u8>, kind: u8, count: usize, body: &[u8]) {
    let start = out.len();
    out.extend([0; FRAME_BYTES]);
    out.push(kind);
    put_uvarint(out, count as u64);
    out.extend(body);
    let payload = &out[start + FRAME_BYTES..];
    let (len, crc) = (payload.len() as u32, crc32c::crc32c(payload));
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Reads one payload whose checksum held. `false`: it is not a payload of ours; entries before that were given.
pub(super) fn read_payload(mut payload: &[u8], give: &mut dyn FnMut(Entry)) -> bool {
    read_entries(&mut payload, give).is_some() && payload.is_empty()
}

fn read_entries(p: &mut &[u8], give: &mut dyn FnMut(Entry)) -> Option<()> {
    let kind = take(p, 1)?[0];
    let count = uvarint(p)?;
    match kind {
        SERIES => {
            for _ in 0..count {
                let id = uvarint(p)?;
                let pairs = uvarint(p)?;
                let mut labels = Vec::new();
                for _ in 0..pairs {
                    labels.push(Label::new(text(p)?, text(p)?));
                }
                give(Entry::Series { id, labels: Labels::new(labels) });
            }
        }
        SAMPLES => {
            let t0 = varint(p)?;
            let mut id = 0u64;
            for _ in 0..count {
                id = id.wrapping_add(varint(p)? as u64);
                let t_ms = t0.wrapping_add(varint(p)?);
                let value = f64::from_bits(u64::from_le_bytes(take(p, 8)?.try_into().ok()?));
                give(Entry::Sample { id, t_ms, value });
            }
        }
        _ => return None,
    }
    Some(())
}

fn put_uvarint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn put_varint(out: &mut Vec<u8>, v: i64) {
    put_uvarint(out, ((v << 1) ^ (v >> 63)) as u64);
}

fn take<'a>(p: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = p.split_at_checked(n)?;
    *p = rest;
    Some(head)
}

fn uvarint(p: &mut &[u8]) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(p, 1)?[0];
        v |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(v);
        }
    }
    None
}

fn varint(p: &mut &[u8]) -> Option<i64> {
    uvarint(p).map(|u| (u >> 1) as i64 ^ -((u & 1) as i64))
}

fn text<'a>(p: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::try_from(uvarint(p)?).ok()?;
    std::str::from_utf8(take(p, len)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload_of(frame: &[u8]) -> &[u8] {
        &frame[FRAME_BYTES..]
    }

    proptest! {
        #[test]
        fn samples_read_back(samples in prop::collection::vec((any::<u64>(), any::<i64>(), -1e9..1e9), 1..100)) {
            let mut out = Vec::new();
            write_samples(&mut out, &samples);
            let mut got = Vec::new();
            prop_assert!(read_payload(payload_of(&out), &mut |e| got.push(e)));
            let want: Vec<_> =
                samples.iter().map(|&(id, t_ms, value)| Entry::Sample { id, t_ms, value }).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn series_read_back(id: u64, pairs in prop::collection::btree_map("[a-z]{1,9}", "\\PC{1,20}", 0..9)) {
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let mut out = Vec::new();
            write_series(&mut out, [(id, &labels)]);
            let mut got = Vec::new();
            prop_assert!(read_payload(payload_of(&out), &mut |e| got.push(e)));
            prop_assert_eq!(got, [Entry::Series { id, labels }]);
        }

        #[test]
        fn garbage_never_panics(kind in 0u8..4, data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut n = 0;
            read_payload(&[&[kind], &data[..]].concat(), &mut |_| n += 1);
            // Every entry takes bytes, so a lying count cannot make many.
            prop_assert!(n <= data.len());
        }
    }
}
