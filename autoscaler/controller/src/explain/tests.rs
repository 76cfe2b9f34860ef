use autoscaler_engine::effect::Record;
use autoscaler_engine::objects::Name;
use clap::Parser;

use super::*;
use crate::records::{Bounds, Keep, Records};

const KEPT: &str = include_str!("../../../core/testdata/record-v2.json");

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn args(flags: &[&str]) -> Args {
    Cli::try_parse_from([&["explain"], flags].concat()).unwrap().args
}

fn run_now(args: &Args) -> Result<(), RunError> {
    futures::executor::block_on(run(args))
}

#[test]
fn a_policy_is_asked_for_by_its_name_and_a_file_by_its_path() {
    for (what, name) in [
        ("policy/web", Some("web")),
        ("policy/web.front", Some("web.front")),
        ("policy", None),
        ("policy/", None),
        ("policy/a/b", None),
        ("./policy/web", None),
        ("record.json", None),
    ] {
        assert_eq!(policy(Path::new(what)), name, "{what}");
    }
}

#[test]
fn the_record_in_force_is_told_with_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { per_policy: 9, in_all: 9, bytes: 1 << 20 };
    let records = Records::open(Some(dir.path()), bounds, vec!["east".into()]).unwrap();
    let policy = Name { cluster: 0, namespace: "shop".into(), name: "web".into() };
    for (at_ms, digest) in [(60_000, "a"), (120_000, "b")] {
        let digest = digest.repeat(64);
        records.keep(&Record { policy: policy.clone(), at_ms, digest, json: KEPT.trim().into() });
    }
    let given = args(&["policy/web", "-n", "shop"]);
    let tell = |at_ms| from_records(dir.path(), &given, "web", (at_ms, 180_000)).unwrap();
    let newest = tell(None);
    let title = "Policy shop/web in cluster east, decided at 1970-01-01T00:02:00Z, 1m ago; none that differs was \
                 recorded since.\n";
    assert!(newest.starts_with(title), "{newest}");
    assert!(newest.ends_with("this input gives this decision.\n"), "{newest}");
    let before = tell(Some(90_000));
    let title = "Policy shop/web in cluster east, decided at 1970-01-01T00:01:00Z, 30s before 1970-01-01T00:01:30Z; \
                 the next that differed was taken at 1970-01-01T00:02:00Z.\n";
    assert!(before.starts_with(title), "{before}");
}

#[test]
fn what_cannot_be_told_ends_with_64_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let records = dir.path().display().to_string();
    for (flags, words) in [
        (vec![file("bad.json", b"{\"version\":9}")], "version 9"),
        (vec![file("list.json", b"[]")], "list.json: not a decision record"),
        (vec![file("empty.json", b"")], "not a decision record"),
        (vec![file("text.json", b"\xff\xfe")], "UTF-8"),
        (vec![format!("{records}/none.json")], "none.json"),
        (vec!["none.json".into(), "--at=5m".into()], "--at and --records are for policy/NAME"),
        (vec!["policy/web".into(), "--at=soon".into()], "--at: write a time as 2026"),
        (vec!["policy/web".into(), format!("--records={records}")], "no record of policy default/web"),
        (vec!["policy/web".into(), format!("--kubeconfig={records}/none")], "give --records DIR"),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let error = run_now(&args(&flags)).unwrap_err();
        assert_eq!(error.exit_code(), 64, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_record_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { per_policy: 9, in_all: 9, bytes: 1 << 20 };
    let records = Records::open(Some(dir.path()), bounds, vec!["east".into()]).unwrap();
    let policy = Name { cluster: 0, namespace: "default".into(), name: "web".into() };
    records.keep(&Record { policy, at_ms: 1, digest: "a".repeat(64), json: "{".into() });
    let given = args(&["policy/web"]);
    let error = from_records(dir.path(), &given, "web", (None, 2)).unwrap_err().to_string();
    assert!(error.contains("east/default/web/19700101T000000.001Z-aaaa"), "{error}");
    assert!(error.contains("not a decision record"), "{error}");
}
