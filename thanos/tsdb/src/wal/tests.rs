use std::fs;

use thanos_model::Labels;

use super::record::{write_samples, write_series};
use super::*;

const LIMITS: SegmentLimits = SegmentLimits { bytes: 1 << 20, span_ms: 1_000_000 };

fn open(dir: &Path, limits: SegmentLimits) -> (Wal, ReplayReport, Vec<Entry>) {
    let mut entries = Vec::new();
    let (wal, report) = Wal::open(dir, limits, &mut |e, _| entries.push(e)).unwrap();
    (wal, report, entries)
}

fn frame(t: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write_series(&mut out, [(7, &Labels::from_pairs([("a", "b")]))]);
    write_samples(&mut out, &[(7, t, t as f64)]);
    out
}

fn times(entries: &[Entry]) -> Vec<i64> {
    entries
        .iter()
        .filter_map(|e| if let Entry::Sample { t_ms, .. } = e { Some(*t_ms) } else { None })
        .collect()
}

fn write(wal: &mut Wal, t: i64) {
    wal.segment(t, t).unwrap();
    wal.commit(&frame(t), 0, (t, t)).unwrap();
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_tears() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, ..) = open(dir.path(), LIMITS);
    write(&mut wal, 1);
    let good = fs::metadata(path(dir.path(), 1)).unwrap().len() as usize;
    write(&mut wal, 2);
    drop(wal);
    let whole = fs::read(path(dir.path(), 1)).unwrap();
    for end in 0..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path(), 1), &whole[..end]).unwrap();
        let (_, report, entries) = open(dir.path(), LIMITS);
        assert!(report.corruptions.is_empty(), "cut at {end}: {report:?}");
        assert_eq!(times(&entries).contains(&1), end >= good, "cut at {end}");
        assert!(!times(&entries).contains(&2), "cut at {end}");
        // A second start finds nothing more to say about it.
        let (_, again, _) = open(dir.path(), LIMITS);
        assert_eq!(again.torn_bytes, 0, "cut at {end}");
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_costs_only_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let one_each = SegmentLimits { bytes: 1, span_ms: 1_000_000 };
    let (mut wal, ..) = open(dir.path(), one_each);
    for t in 1..=3 {
        write(&mut wal, t);
    }
    drop(wal);
    let second = path(dir.path(), 3);
    let mut bytes = fs::read(&second).unwrap();
    let mid = MAGIC.len() + 10;
    bytes[mid] ^= 0xff;
    fs::write(&second, bytes).unwrap();
    let (_, report, entries) = open(dir.path(), one_each);
    assert_eq!(times(&entries), [1, 3]);
    assert_eq!(report.corruptions.len(), 1);
    assert!(report.corruptions[0].contains("00000003.wal"), "{report:?}");
}

#[test]
fn segments_end_by_span_and_are_deleted_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, ..) = open(dir.path(), SegmentLimits { bytes: 1 << 20, span_ms: 10 });
    for t in [0, 10, 11, 30] {
        write(&mut wal, t);
    }
    assert_eq!(wal.closed.len(), 2);
    assert_eq!(wal.drop_before(11).unwrap(), 1);
    drop(wal);
    assert_eq!(times(&open(dir.path(), LIMITS).2), [11, 30]);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, ..) = open(dir.path(), LIMITS);
    write(&mut wal, 1);
    // A handle that cannot write, in place of a disk that is full.
    let broken = File::open(path(dir.path(), 1)).unwrap();
    let working = std::mem::replace(&mut wal.file, broken);
    assert!(wal.commit(&frame(2), 0, (2, 2)).is_err());
    assert!(wal.must_roll);
    wal.file = working;
    write(&mut wal, 3);
    assert_eq!(wal.number, 2);
    drop(wal);
    let (_, report, entries) = open(dir.path(), LIMITS);
    assert_eq!(times(&entries), [1, 3]);
    assert_eq!(report.corruptions, Vec::<String>::new());
}

#[test]
fn what_is_declared_does_not_crowd_out_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (mut wal, ..) = open(dir.path(), SegmentLimits { bytes: 100, ..LIMITS });
    let mut declared = Vec::new();
    write_series(&mut declared, [(7, &Labels::from_pairs([("a", "b".repeat(1000))]))]);
    wal.commit(&declared, declared.len(), (0, 0)).unwrap();
    let (mut t, mut samples) = (1, 0);
    while wal.segment(t, t).unwrap() == 1 {
        write(&mut wal, t);
        (t, samples) = (t + 1, samples + frame(t).len());
    }
    assert!(samples >= 8 * declared.len() && samples < 9 * declared.len(), "{samples} bytes");
}
