use super::*;

fn name(name: &str) -> Name {
    Name { cluster: 0, namespace: "default".into(), name: name.into() }
}

fn open(dir: &Path, per_policy: usize, in_all: usize) -> Records {
    Records::open(Some(dir), Bounds { per_policy, in_all, bytes: 1 << 20 }, vec!["east".into()]).unwrap()
}

/// Stores something for `policy` at `at_ms`, under a digest made of that.
fn keep(records: &Records, policy: &str, at_ms: i64) -> String {
    let digest = format!("{at_ms:064x}");
    records.keep(&Record { policy: name(policy), at_ms, digest: digest.clone(), json: "{}".into() });
    digest
}

/// The times that are kept of a policy.
fn kept(dir: &Path, policy: &str) -> Vec<i64> {
    let folder = dir.join("east/default").join(policy);
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut times: Vec<i64> =
        files.map(|f| Entry::parse(f.unwrap().file_name().to_str().unwrap()).unwrap().at_ms).collect();
    times.sort_unstable();
    times
}

#[test]
fn a_policy_has_its_bound_and_all_have_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(dir.path(), 3, 5);
    for at_ms in 0..9 {
        keep(&records, "busy", 100 + at_ms);
    }
    assert_eq!(kept(dir.path(), "busy"), [106, 107, 108], "the newest of one policy");
    for (at, policy) in ["a", "b", "c"].into_iter().enumerate() {
        keep(&records, policy, 200 + i64::try_from(at).unwrap());
    }
    assert_eq!(kept(dir.path(), "busy"), [107, 108], "the oldest of all goes");
    // A new process goes on counting, and cuts to bounds that became narrower.
    drop(records);
    let records = open(dir.path(), 1, 4);
    assert_eq!(kept(dir.path(), "busy"), [108]);
    keep(&records, "d", 300);
    assert_eq!(kept(dir.path(), "busy"), [0_i64; 0], "with its folder");
    assert!(!dir.path().join("east/default/busy").exists());
    assert_eq!(
        std::fs::read(
            std::fs::read_dir(dir.path().join("east/default/d")).unwrap().next().unwrap().unwrap().path()
        )
        .unwrap(),
        b"{}"
    );
}

#[test]
fn a_policy_with_large_records_pushes_out_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(
        Some(dir.path()),
        Bounds { per_policy: 99, in_all: 99, bytes: 16_000 },
        vec!["east".into()],
    )
    .unwrap();
    keep(&records, "small", 1);
    let large = |at_ms: i64, bytes: usize| {
        let (digest, json) = (format!("{at_ms:064x}"), "x".repeat(bytes));
        records.keep(&Record { policy: name("large"), at_ms, digest, json });
    };
    (100..110).for_each(|at_ms| large(at_ms, 400));
    assert_eq!(kept(dir.path(), "large"), [108, 109], "a sixteenth of 16,000");
    large(200, 3_000);
    assert_eq!(kept(dir.path(), "large"), [200], "the latest stays, whatever it has");
    assert_eq!(kept(dir.path(), "small"), [1]);
    drop(records);
    let bounds = Bounds { per_policy: 99, in_all: 99, bytes: 3_001 };
    let records = Records::open(Some(dir.path()), bounds, vec!["east".into()]).unwrap();
    assert_eq!(records.there.lock().bytes, 3_000, "counted by the files; the oldest of all went");
}

#[test]
fn what_came_to_nothing_is_gone_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(dir.path(), 10, 10);
    let (first, _) = (keep(&records, "web", 1), keep(&records, "web", 2));
    records.discard(&name("api"), &first);
    records.discard(&name("web"), "nonsense");
    assert_eq!(kept(dir.path(), "web"), [1, 2]);
    records.discard(&name("web"), &first);
    assert_eq!(kept(dir.path(), "web"), [2]);
}

#[test]
fn files_of_others_in_the_directory_are_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("east/default/web");
    std::fs::create_dir_all(&folder).unwrap();
    let stem = Entry::new(7, &"0".repeat(64)).unwrap().file().replace(".json", "");
    let (flat, other, left) =
        (dir.path().join("a.json"), folder.join("b.json"), folder.join(format!("{stem}.partial")));
    for path in [&flat, &other, &left] {
        std::fs::write(path, "{}").unwrap();
    }
    std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).unwrap();
    let records = open(dir.path(), 1, 1);
    for at_ms in 0..3 {
        keep(&records, "web", at_ms);
    }
    records.discard(&name("web"), &format!("{:064x}", 2));
    assert!(flat.exists() && other.exists());
    assert!(!left.exists(), "left by a process that was killed");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}
