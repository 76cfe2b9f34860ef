//! StoreAPI as a querier uses it.

use std::collections::BTreeSet;

use crate::node::*;
use thanos_storepb::storepb::label_matcher::Type;
use thanos_storepb::storepb::store_client::StoreClient;
use thanos_storepb::storepb::{LabelNamesRequest, LabelValuesRequest, SeriesRequest, ShardInfo};
use tonic::Code;

fn with_three(flags: &[&str]) -> (tempfile::TempDir, Node, i64) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[&["--label", "replica=\"r0\""], flags].concat());
    let t = now_ms();
    let one =
        |a: &str, replica: &str| series(&[("__name__", "m"), ("a", a), ("replica", replica)], &[(t, 1.0)]);
    assert_eq!(node.write(vec![one("1", "x"), one("2", "y"), one("3", "z")]).0, 200);
    (dir, node, t)
}

fn names(node: &Node, request: SeriesRequest) -> Vec<String> {
    node.series(request).unwrap().into_iter().map(|(l, _)| l.without("tenant_id").to_string()).collect()
}

#[test]
fn external_labels_win_and_replica_labels_go() {
    let (_dir, node, _) = with_three(&[]);
    let all = || select(&[(Type::Eq, "__name__", "m")]);
    assert_eq!(names(&node, all())[0], r#"m{a="1", cluster="east", replica="r0"}"#);
    let without = |l: &[&str]| SeriesRequest {
        without_replica_labels: l.iter().map(|l| (*l).into()).collect(),
        ..all()
    };
    assert_eq!(names(&node, without(&["replica"]))[2], r#"m{a="3", cluster="east"}"#);
    // Three series become one.
    assert_eq!(names(&node, without(&["replica", "a"])), [r#"m{cluster="east"}"#]);
    assert_eq!(node.series(without(&["replica", "a"])).unwrap()[0].1.len(), 3);
}

#[test]
fn matchers_on_external_labels_are_answered_by_them() {
    let (_dir, node, _) = with_three(&[]);
    for (matchers, want) in [
        (&[(Type::Eq, "cluster", "east"), (Type::Eq, "a", "1")][..], 1),
        (&[(Type::Eq, "cluster", "west"), (Type::Eq, "a", "1")], 0),
        (&[(Type::Re, "cluster", "e.*|w.*"), (Type::Nre, "a", "1|2")], 1),
        (&[(Type::Neq, "replica", "x"), (Type::Neq, "a", "")], 3),
        (&[(Type::Eq, "absent", ""), (Type::Re, "a", "[12]")], 2),
    ] {
        assert_eq!(names(&node, select(matchers)).len(), want, "{matchers:?}");
    }
    for bad in [&[][..], &[(Type::Eq, "cluster", "east")], &[(Type::Re, "a", "(")]] {
        assert_eq!(node.series(select(bad)).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
    }
}

#[test]
fn batches_limits_shards_and_labels_only() {
    let (_dir, node, t) = with_three(&[]);
    let all = || select(&[(Type::Eq, "__name__", "m")]);
    assert_eq!(names(&node, SeriesRequest { response_batch_size: 64, ..all() }).len(), 3);
    assert_eq!(names(&node, SeriesRequest { limit: 2, ..all() }).len(), 2);
    let labels_only = node.series(SeriesRequest { skip_chunks: true, ..all() }).unwrap();
    assert!(labels_only.len() == 3 && labels_only.iter().all(|(_, samples)| samples.is_empty()));
    assert_eq!(names(&node, SeriesRequest { min_time: t + 1, ..all() }).len(), 0);
    let shard = |shard_index| ShardInfo { shard_index, total_shards: 2, by: true, labels: vec!["a".into()] };
    let mut seen = BTreeSet::new();
    for index in 0..2 {
        for name in names(&node, SeriesRequest { shard_info: Some(shard(index)), ..all() }) {
            assert!(seen.insert(name), "a series is in one shard");
        }
    }
    assert_eq!(seen.len(), 3);
    let none = SeriesRequest { shard_info: Some(shard(7)), ..all() };
    assert_eq!(node.series(none).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_selection_over_the_limit_is_refused_not_cut() {
    let (_dir, node, _) = with_three(&["--store.limits.request-series", "2"]);
    let e = node.series(select(&[(Type::Eq, "__name__", "m")])).unwrap_err();
    assert_eq!(e.code(), Code::ResourceExhausted);
    assert!(e.message().contains("more than 2 series"), "{e}");
}

#[test]
fn label_names_and_values() {
    let (_dir, node, _) = with_three(&[]);
    let matchers = |m| select(m).matchers;
    let ask = LabelNamesRequest {
        end: i64::MAX,
        without_replica_labels: vec!["replica".into()],
        ..Default::default()
    };
    let values = |label: &str, m| LabelValuesRequest {
        label: label.into(),
        end: i64::MAX,
        matchers: matchers(m),
        ..Default::default()
    };
    client().block_on(async {
        let mut store = StoreClient::new(node.channel());
        let names = store.label_names(ask).await.unwrap().into_inner().names;
        assert_eq!(names, ["__name__", "a", "cluster", "tenant_id"]);
        for (label, m, want) in [
            ("a", &[][..], &["1", "2", "3"][..]),
            ("a", &[(Type::Neq, "a", "2")], &["1", "3"]),
            ("cluster", &[], &["east"]),
            ("cluster", &[(Type::Eq, "a", "9")], &[]),
            ("cluster", &[(Type::Eq, "cluster", "west")], &[]),
            ("absent", &[], &[]),
        ] {
            let got = store.label_values(values(label, m)).await.unwrap().into_inner().values;
            assert_eq!(got, want, "{label} {m:?}");
        }
        let e = store.label_values(values("", &[])).await.unwrap_err();
        assert_eq!(e.code(), Code::InvalidArgument);
    });
}

#[test]
fn info_says_what_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let before = node.info().unwrap();
    let store = before.store.unwrap();
    assert!(store.min_time < now_ms() && store.max_time == i64::MAX, "what comes next must not be left out");
    let t = now_ms() - 60_000;
    node.write(vec![named("m", &[(t, 1.0)])]);
    let info = node.info().unwrap();
    assert_eq!(info.component_type, "receive");
    let store = info.store.unwrap();
    assert_eq!(store.min_time, t);
    assert!(store.supports_without_replica_labels && store.supports_sharding);
    assert_eq!(store.tsdb_infos.len(), 1);
    let labels: Vec<_> =
        info.label_sets[0].labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
    assert_eq!(labels, [("cluster", "east"), ("tenant_id", "default-tenant")]);
}
