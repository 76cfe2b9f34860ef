use std::path::Path;

use autoscaler_core::{Record, canonical_json, decide};
use autoscaler_engine::objects::Name;

use super::*;
use crate::records::{Bounds, Keep, Records};

/// A run of decisions each second, of which each hands its history to the next.
fn run_of(policy: &str, records: &Records, seconds: i64) {
    let kept = include_bytes!("../../../core/testdata/record-v2.json");
    let mut input = replay(kept.trim_ascii()).unwrap().input;
    for _ in 0..seconds {
        let decision = decide(&input);
        let record = Record::new(input.clone(), decision.clone());
        let json = String::from_utf8(canonical_json(&record).unwrap()).unwrap();
        let digest = crate::records::layout::hex(&Sha256::digest(json.as_bytes()));
        let name = Name { cluster: 0, namespace: "default".into(), name: policy.into() };
        records.keep(&autoscaler_engine::effect::Record { policy: name, at_ms: input.now_ms, digest, json });
        input.now_ms += 1_000;
        input.history = decision.history;
    }
}

fn recorded(dir: &Path) {
    let bounds = Bounds { per_policy: 99, in_all: 99, bytes: 1 << 20 };
    let records = Records::open(Some(dir), bounds, vec!["east".into()]).unwrap();
    run_of("web", &records, 5);
    run_of("api", &records, 3);
}

/// A record's file of a policy.
fn file(dir: &Path, policy: &str, at: usize) -> PathBuf {
    let folder = dir.join("east/default").join(policy);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.swap_remove(at)
}

/// What was found, and what was told of it.
fn found(paths: &[&Path]) -> (Sum, String) {
    let (mut sum, mut told) = (Sum::default(), String::new());
    for place in paths.iter().flat_map(|path| walk::places(path).unwrap()) {
        let mut before = None;
        for file in place.files().unwrap() {
            told += &sum.take(&place, &file, &mut before);
        }
    }
    (sum, told)
}

#[test]
fn a_whole_run_is_decided_again_the_same() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path());
    let (sum, told) = found(&[dir.path()]);
    assert_eq!(told, "");
    let words = sum.in_words();
    assert!(words.starts_with("Replayed 8 records of 2 policies, from "), "{words}");
    assert!(
        words.contains("the same 6 times, over decisions without a record 0 times, begun anew 0"),
        "{words}"
    );
    assert!(words.ends_with("8 are the same bytes, 0 differ.\n"), "{words}");
    run(&Args { paths: vec![dir.path().to_owned()] }).unwrap();
    // A folder in the midst of it and a file are the same.
    assert_eq!(found(&[&dir.path().join("east/default/web")]).0.whole, 4);
    assert_eq!(found(&[&file(dir.path(), "api", 1)]).0.records, 1);
}

#[test]
fn what_is_not_recorded_between_is_told_and_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path());
    std::fs::remove_file(file(dir.path(), "web", 2)).unwrap();
    let (sum, told) = found(&[dir.path()]);
    assert_eq!((told.as_str(), sum.whole, sum.between), ("", 4, 1));
}

#[test]
fn a_record_that_was_changed_is_told_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path());
    let path = file(dir.path(), "web", 4);
    let text = std::fs::read_to_string(&path).unwrap();
    let forged = text.replace("\"desiredReplicas\":8", "\"desiredReplicas\":4");
    assert_ne!(forged, text);
    std::fs::write(&path, forged).unwrap();
    let (sum, told) = found(&[dir.path()]);
    assert_eq!(sum.different, 1);
    assert!(told.contains("east/default/web/"), "{told}");
    assert!(told.contains("the file is not the one that its name has the digest of"), "{told}");
    assert!(told.contains("desiredReplicas: 4 recorded, 8 now"), "{told}");
    let error = run(&Args { paths: vec![dir.path().to_owned()] }).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str()), (1, "1 of 8 records are decided otherwise"));
}

#[test]
fn what_cannot_be_read_ends_with_64() {
    let dir = tempfile::tempdir().unwrap();
    let code = |path: PathBuf| {
        let error = run(&Args { paths: vec![path] }).unwrap_err();
        (error.exit_code(), error.to_string())
    };
    let (empty, words) = code(dir.path().to_owned());
    assert!(empty == 64 && words.contains("there is no decision record"), "{words}");
    assert_eq!(code(dir.path().join("none")).0, 64);
    recorded(dir.path());
    std::fs::write(file(dir.path(), "web", 0), "{").unwrap();
    let (broken, words) = code(dir.path().to_owned());
    assert!(broken == 64 && words.contains("1 record cannot be read"), "{words}");
    let (sum, told) = found(&[dir.path()]);
    assert!(told.contains("not a decision record"), "{told}");
    assert_eq!(sum.records, 7, "the others are looked at");
}

#[test]
fn records_of_older_rules_are_counted_and_held_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.json");
    std::fs::write(&path, include_str!("../../../core/testdata/record-v1.json")).unwrap();
    let (sum, _) = found(&[&path]);
    assert_eq!((sum.older, sum.different), (1, 0));
    assert!(sum.in_words().contains("1 are of an older version"), "{}", sum.in_words());
    run(&Args { paths: vec![path] }).unwrap();
}
