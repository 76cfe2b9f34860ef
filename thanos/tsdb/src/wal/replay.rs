//! Reading segments back after a stop of any kind.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::record::{Entry, FRAME_BYTES, RECORD_BYTES_MAX, read_payload};
use super::{MAGIC, SegmentInfo};

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Segments read.
    pub segments: usize,
    /// Samples found.
    pub samples: u64,
    /// Samples whose series was not declared in their segment: only corruption makes them.
    pub orphans: u64,
    /// Bytes at the end of the last segment that were not a whole record: a write that was never acknowledged.
    pub torn_bytes: u64,
    /// One sentence for each segment with damage elsewhere; what follows the damage in that segment is lost.
    pub corruptions: Vec<String>,
}

/// Reads one segment. A tail that is no record ends it: in the last segment it is cut off, for nobody was told
/// that it is stored; elsewhere it is reported.
pub(super) fn replay_segment(
    path: &Path,
    is_last: bool,
    report: &mut ReplayReport,
    give: &mut dyn FnMut(Entry),
) -> io::Result<SegmentInfo> {
    report.segments += 1;
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut info = SegmentInfo::default();
    let mut count_and_give = |entry: Entry| {
        if let Entry::Sample { t_ms, .. } = &entry {
            info.cover(*t_ms, *t_ms);
            report.samples += 1;
        }
        give(entry);
    };

    let mut magic = [0; MAGIC.len()];
    let mut good = 0;
    let mut fault = None;
    if read_whole(&mut reader, &mut magic)? && &magic == MAGIC {
        good = MAGIC.len() as u64;
        let mut payload = Vec::new();
        loop {
            match read_record(&mut reader, &mut payload)? {
                Read1::Record => {}
                Read1::End => break,
                Read1::Fault(why) => {
                    fault = Some(why);
                    break;
                }
            }
            if !read_payload(&payload, &mut count_and_give) {
                fault = Some("a record with a good checksum is not of this version");
                break;
            }
            good += (FRAME_BYTES + payload.len()) as u64;
        }
    } else if size > 0 && size < MAGIC.len() as u64 {
        fault = Some("torn");
    } else if size > 0 {
        fault = Some("the segment does not begin with the magic of this version");
    }

    info.bytes = size;
    match fault {
        None => {}
        Some("torn") if is_last => {
            OpenOptions::new().write(true).open(path)?.set_len(good)?;
            report.torn_bytes += size - good;
            info.bytes = good;
        }
        Some(why) => report.corruptions.push(format!(
            "{}: {why} at byte {good}; {} bytes skipped",
            path.display(),
            size - good
        )),
    }
    Ok(info)
}

enum Read1 {
    Record,
    End,
    Fault(&'static str),
}

fn read_record(reader: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Read1> {
    let mut frame = [0u8; FRAME_BYTES];
    let got = read_up_to(reader, &mut frame)?;
    if got == 0 {
        return Ok(Read1::End);
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
    let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    // A zero length is what a file system leaves where it grew a file but lost the data.
    if got < FRAME_BYTES || len == 0 {
        return Ok(Read1::Fault("torn"));
    }
    if len > RECORD_BYTES_MAX {
        return Ok(Read1::Fault("a record's length is out of bounds"));
    }
    payload.resize(len, 0);
    if !read_whole(reader, payload)? {
        return Ok(Read1::Fault("torn"));
    }
    if crc32c::crc32c(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        // The last record of a torn file may be whole in length and wrong in content.
        let mut one = [0];
        let at_end = read_up_to(reader, &mut one)? == 0;
        return Ok(Read1::Fault(if at_end { "torn" } else { "a record's checksum does not hold" }));
    }
    Ok(Read1::Record)
}

fn read_whole(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<bool> {
    Ok(read_up_to(reader, buf)? == buf.len())
}

fn read_up_to(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < buf.len() {
        match reader.read(&mut buf[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}
