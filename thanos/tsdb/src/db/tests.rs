use std::collections::BTreeMap;

use proptest::prelude::*;
use thanos_model::MatchOp;

use super::*;
use crate::chunkenc::xor;

const NOW: i64 = 1_700_000_000_000;

/// A series by its name, and its samples.
type Series = (String, Vec<(i64, f64)>);

fn series(name: &str, samples: &[(i64, f64)]) -> Series {
    (name.to_owned(), samples.to_vec())
}

fn batch(series: &[Series]) -> Batch {
    let mut batch = Batch::default();
    for (name, samples) in series {
        batch.push([("__name__", name.as_str()), ("job", "test")], samples.iter().copied());
    }
    batch
}

fn open(dir: &Path) -> Db {
    open_with(dir, Options::default())
}

fn open_with(dir: &Path, options: Options) -> Db {
    let (db, report) = Db::open(dir, options).unwrap();
    assert_eq!((report.corruptions.len(), report.orphans), (0, 0), "{report:?}");
    db
}

fn append(db: &Db, series: &[Series]) -> Outcome {
    db.append(NOW, &[batch(series)]).unwrap().remove(0)
}

/// Everything stored, by metric name.
fn dump(db: &Db) -> BTreeMap<String, Vec<(i64, u64)>> {
    let all = db.select(&[], i64::MIN, i64::MAX, usize::MAX).unwrap();
    all.into_iter()
        .map(|s| {
            let samples = s.chunks.iter().flat_map(|c| xor::decode(&c.data).unwrap());
            (s.labels.metric_name().to_owned(), samples.map(|(t, v)| (t, v.to_bits())).collect())
        })
        .collect()
}

#[test]
fn each_refusal_has_its_reason_and_good_neighbours_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { series_max: 2, ..Options::default() });
    append(&db, &[series("a", &[(NOW - 1000, 1.0), (NOW, 2.0)])]);
    let hour = 3_600_000;
    let got = append(
        &db,
        &[
            series("a", &[(NOW, 2.0), (NOW - 1000, 1.0), (NOW, 3.0), (NOW - 500, 9.0)]),
            series(
                "a",
                &[(NOW + 1, 4.0), (NOW + 11 * 60_000, 1.0), (NOW - 2 * hour + 1, 1.0), (NOW - 3 * hour, 1.0)],
            ),
            series("b", &[(NOW, 1.0)]),
            series("c", &[(NOW, 1.0)]),
        ],
    );
    assert_eq!((got.stored, got.repeated), (2, 2));
    let reasons: Vec<String> = got.rejected.iter().map(|r| format!("{} {}", r.series, r.error)).collect();
    let want = [
        "0 duplicate sample for timestamp: 2 is stored".into(),
        format!("0 out of order sample: the series is already at {NOW}"),
        format!("1 sample is too far in the future: samples are taken up to {}", NOW + 600_000),
        format!("1 out of bounds: samples are taken from {} on", NOW - hour),
        format!("1 too old sample: samples are kept from {} on", NOW - 2 * hour),
        "3 the head is full: it holds 2 series and takes no new one".into(),
    ];
    assert_eq!(reasons, want, "got:\n{}", reasons.join("\n"));
    assert_eq!(dump(&db)["a"].len(), 3);
}

#[test]
fn nan_and_stale_markers_keep_their_bits() {
    let dir = tempfile::tempdir().unwrap();
    let stale = thanos_model::stale_nan();
    {
        let db = open(dir.path());
        append(&db, &[series("a", &[(NOW, 1.0), (NOW + 1, stale), (NOW + 2, f64::NAN)])]);
        assert_eq!(append(&db, &[series("a", &[(NOW + 1, stale)])]).repeated, 1);
    }
    let want = vec![(NOW, 1f64.to_bits()), (NOW + 1, stale.to_bits()), (NOW + 2, f64::NAN.to_bits())];
    assert_eq!(dump(&open(dir.path()))["a"], want);
}

#[test]
fn selects_by_matchers_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let samples: Vec<_> = (0..250).map(|i| (NOW + i * 1000, i as f64)).collect();
    append(&db, &[series("a", &samples), series("b", &samples[..10]), series("c", &samples)]);
    let ask = |op, v: &str, min, max| {
        let m = Matcher::new("__name__", op, v).unwrap();
        db.select(&[m], min, max, 10).unwrap()
    };
    let got = ask(MatchOp::Regex, "a|b", NOW + 120_000, NOW + 239_000);
    assert_eq!(got.len(), 1, "b has nothing in the range");
    let bounds: Vec<_> =
        got[0].chunks.iter().map(|c| ((c.min_ms - NOW) / 1000, (c.max_ms - NOW) / 1000)).collect();
    assert_eq!(bounds, [(120, 239)], "120 samples a chunk");
    assert_eq!(ask(MatchOp::NotEqual, "a", NOW, NOW).len(), 2);
    assert_eq!(db.select(&[], 0, i64::MAX, 2), Err(TooManySeries(2)));
    let all = |name: &str| db.label_values(name, &[], 0, 0).iter().map(|v| v.to_string()).collect::<Vec<_>>();
    assert_eq!(all("__name__"), ["a", "b", "c"]);
    let late = [Matcher::equal("job", "test")];
    assert_eq!(db.label_values("__name__", &late, NOW + 100_000, NOW + 200_000).len(), 2);
    assert_eq!(db.label_names(&late, NOW, NOW).len(), 2);
}

#[test]
fn what_is_older_than_the_retention_goes_from_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { retention_ms: 60_000, append_window_ms: 30_000, ..Options::default() };
    let db = open_with(dir.path(), options.clone());
    append(&db, &[series("gone", &[(NOW, 1.0)])]);
    for i in 0..200 {
        let t = NOW + i * 1000;
        db.append(t, &[batch(&[series("a", &[(t, 1.0)])])]).unwrap();
        db.truncate().unwrap();
    }
    let stats = db.stats();
    assert_eq!(stats.series, 1);
    let (min, max) = stats.span_ms.unwrap();
    assert!(max - min <= 60_000 + 120_000 + 60_000 / 16, "a chunk is dropped when its newest sample is old");
    assert!(fs::read_dir(dir.path().join("wal")).unwrap().count() <= 10, "segments are deleted");
    let before = dump(&db);
    drop(db);
    let db = open_with(dir.path(), options);
    // The log may hold less of the oldest chunk, never less of what is within the retention.
    let kept = |d: &BTreeMap<String, Vec<(i64, u64)>>| {
        d["a"].iter().copied().filter(|(t, _)| *t >= max - 60_000).collect::<Vec<_>>()
    };
    assert_eq!(kept(&dump(&db)), kept(&before));
    assert_eq!(kept(&before).len(), 61);
    // A series that was let go of may come back.
    assert_eq!(append(&db, &[series("gone", &[(max, 1.0)])]).stored, 1);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _db = open(dir.path());
    assert!(matches!(Db::open(dir.path(), Options::default()), Err(OpenError::InUse(_))));
}

#[test]
fn a_failed_commit_changes_nothing_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    append(&db, &[series("a", &[(NOW, 1.0)])]);
    // The directory is gone, so the log cannot begin the segment that a closed one asks for.
    let wal = dir.path().join("wal");
    let away = dir.path().join("away");
    fs::rename(&wal, &away).unwrap();
    db.writer.lock().wal.force_roll();
    let more = [series("a", &[(NOW + 1, 2.0)]), series("new", &[(NOW + 1, 2.0)])];
    assert!(db.append(NOW, &[batch(&more)]).is_err());
    assert_eq!(dump(&db).len(), 1);
    fs::rename(&away, &wal).unwrap();
    assert_eq!(append(&db, &more).stored, 2);
    drop(db);
    assert_eq!(dump(&open(dir.path()))["new"].len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// A model in a map, and the same database killed and reopened at random, hold the same.
    #[test]
    fn what_was_acknowledged_is_selected_after_any_kill(
        commits in prop::collection::vec(
            (prop::collection::vec((0u8..4, 0i64..200, any::<u64>()), 1..20), any::<bool>(), 0u8..4),
            1..20,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 512, ..Options::default() };
        let mut db = open_with(dir.path(), options.clone());
        let mut model: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        for (i, (samples, kill, garbage)) in commits.into_iter().enumerate() {
            let batch: Vec<Series> = samples
                .iter()
                .map(|(s, dt, bits)| series(&format!("m{s}"), &[(NOW + i as i64 * 100 + dt, f64::from_bits(*bits))]))
                .collect();
            let outcome = append(&db, &batch);
            for (index, (name, samples)) in batch.iter().enumerate() {
                let stored = model.entry(name.clone()).or_default();
                let (t, v) = samples[0];
                if !outcome.rejected.iter().any(|r| r.series == index) && !stored.contains(&(t, v.to_bits())) {
                    stored.push((t, v.to_bits()));
                }
            }
            if kill {
                // Dropped without a word, as kill −9 would; then perhaps a write that was under way.
                drop(db);
                let newest = fs::read_dir(dir.path().join("wal")).unwrap().map(|e| e.unwrap().path()).max().unwrap();
                let mut bytes = fs::read(&newest).unwrap();
                bytes.extend(std::iter::repeat_n(garbage, usize::from(garbage)));
                fs::write(&newest, bytes).unwrap();
                db = open_with(dir.path(), options.clone());
            }
        }
        prop_assert_eq!(dump(&db), model);
    }
}
