//! DNS messages (RFC 1035), as little as a cluster's names need: one question in, A and SRV records out.

use std::net::Ipv4Addr;

/// Record types.
pub(super) const A: u16 = 1;
pub(super) const SRV: u16 = 33;
pub(super) const ANY: u16 = 255;
const CLASS_IN: u16 = 1;

/// Without EDNS, an answer over UDP has this many bytes at most.
const UDP_MAX_BYTES: usize = 512;
/// With EDNS, no more than this, whatever the client would take.
const EDNS_MAX_BYTES: usize = 4096;

/// A question, and what the answer needs of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    id: u16,
    recursion_desired: bool,
    /// Lower case, without the final dot.
    pub(super) name: String,
    pub(super) kind: u16,
    class: u16,
    /// As it came, to be repeated.
    raw: Vec<u8>,
    /// What the client takes over UDP.
    pub(super) max_bytes: usize,
}

/// Data of a record that answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Record {
    A(Ipv4Addr),
    Srv { port: u16, target: String },
}

/// What is said about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Records of the type that was asked for (maybe none), and further ones as (name, address).
    Found {
        answers: Vec<Record>,
        additional: Vec<(String, Ipv4Addr)>,
    },
    NoSuchName,
}

/// Reads a query; `None` for anything that is not one well-formed question.
pub(super) fn parse(message: &[u8]) -> Option<Question> {
    let u16_at = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = u16_at(2)?;
    let is_query = flags & 0x8000 == 0 && flags & 0x7800 == 0;
    if !is_query || u16_at(4)? != 1 {
        return None;
    }
    let mut at = 12;
    let mut labels: Vec<String> = Vec::new();
    loop {
        let len = usize::from(*message.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        // A question has nothing before it that it could point to.
        if len > 63 || at + len > 12 + 255 {
            return None;
        }
        let label = std::str::from_utf8(message.get(at..at + len)?).ok()?;
        labels.push(label.to_ascii_lowercase());
        at += len;
    }
    let (kind, class) = (u16_at(at)?, u16_at(at + 2)?);
    let end = at + 4;
    let mut max_bytes = UDP_MAX_BYTES;
    // An OPT record (RFC 6891) straight after the question: root name, type 41, its class is the size.
    if u16_at(10)? >= 1 && message.get(end) == Some(&0) && u16_at(end + 1) == Some(41) {
        max_bytes = usize::from(u16_at(end + 3)?).clamp(UDP_MAX_BYTES, EDNS_MAX_BYTES);
    }
    Some(Question {
        id: u16_at(0)?,
        recursion_desired: flags & 0x0100 != 0,
        name: labels.join("."),
        kind,
        class,
        raw: message.get(12..end)?.to_vec(),
        max_bytes,
    })
}

/// Writes a reply of at most `max_bytes`; what does not fit sets the truncation bit.
pub(super) fn write(question: &Question, reply: &Reply, ttl_s: u32, max_bytes: usize) -> Vec<u8> {
    let (code, answers, additional): (u16, &[Record], &[(String, Ipv4Addr)]) = match reply {
        Reply::Found { answers, additional } if question.class == CLASS_IN => (0, answers, additional),
        Reply::NoSuchName => (3, &[], &[]),
        // Another class than IN: not implemented.
        Reply::Found { .. } => (4, &[], &[]),
    };
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&question.raw);
    let (mut written, mut truncated) = (0u16, false);
    for record in answers {
        let start = out.len();
        // The name is the question's, which begins at byte 12.
        out.extend_from_slice(&[0xc0, 12]);
        write_record(&mut out, record, ttl_s);
        if out.len() > max_bytes || written == u16::MAX {
            out.truncate(start);
            truncated = true;
            break;
        }
        written += 1;
    }
    let mut extra = 0u16;
    for (name, ip) in additional {
        let start = out.len();
        write_name(&mut out, name);
        write_record(&mut out, &Record::A(*ip), ttl_s);
        // Additional records are a courtesy: leaving them out truncates nothing.
        if out.len() > max_bytes || truncated || extra == u16::MAX {
            out.truncate(start);
            break;
        }
        extra += 1;
    }
    let flags = 0x8400 | u16::from(truncated) << 9 | u16::from(question.recursion_desired) << 8 | code;
    let header = [question.id, flags, 1, written, 0, extra];
    for (i, field) in header.iter().enumerate() {
        if let Some(slot) = out.get_mut(2 * i..2 * i + 2) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
    }
    out
}

fn write_record(out: &mut Vec<u8>, record: &Record, ttl_s: u32) {
    let mut data = Vec::with_capacity(64);
    let kind = match record {
        Record::A(ip) => {
            data.extend_from_slice(&ip.octets());
            A
        }
        Record::Srv { port, target } => {
            // Priority 0, and all weigh the same.
            data.extend_from_slice(&[0, 0, 0, 1]);
            data.extend_from_slice(&port.to_be_bytes());
            write_name(&mut data, target);
            SRV
        }
    };
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out.extend_from_slice(&ttl_s.to_be_bytes());
    out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&data);
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|l| !l.is_empty()) {
        let bytes = label.as_bytes();
        let bytes = bytes.get(..bytes.len().min(63)).unwrap_or_default();
        out.push(u8::try_from(bytes.len()).unwrap_or(63));
        out.extend_from_slice(bytes);
    }
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut out = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        write_name(&mut out, name);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&1u16.to_be_bytes());
        out
    }

    #[test]
    fn questions_are_read_and_answered() {
        let q = parse(&query("Web.Default.svc.east.local", A)).unwrap();
        assert_eq!((q.name.as_str(), q.kind, q.max_bytes), ("web.default.svc.east.local", A, 512));
        let reply =
            Reply::Found { answers: vec![Record::A(Ipv4Addr::new(127, 9, 1, 1))], additional: vec![] };
        let bytes = write(&q, &reply, 1, 512);
        assert_eq!(bytes[..12], [0x12, 0x34, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(bytes[bytes.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 9, 1, 1]);
        assert_eq!(write(&q, &Reply::NoSuchName, 1, 512)[3], 3);

        let many = (0..200).map(|i| Record::A(Ipv4Addr::new(127, 9, 1, i))).collect();
        let bytes = write(&q, &Reply::Found { answers: many, additional: vec![] }, 1, 512);
        assert!(bytes.len() <= 512 && bytes[2] & 2 != 0, "truncated, and says so");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(q) = parse(&bytes) {
                write(&q, &Reply::NoSuchName, 1, 512);
            }
        }

        #[test]
        fn mangled_queries_never_panic(flips in proptest::collection::vec((0usize..60, any::<u8>()), 0..8)) {
            let mut bytes = query("_grpc._tcp.receive.monitoring.svc.east.local", SRV);
            for (at, value) in flips {
                if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            }
            parse(&bytes);
        }
    }
}
