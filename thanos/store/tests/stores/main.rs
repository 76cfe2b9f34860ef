//! The read path against stores on real sockets: what is merged, and what is said about those that fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fake::{Behaviour, FakeDns, FakeStore, SOON, Script};
use thanos_model::{Matcher, Value};
use thanos_promql::source::{Budget, SelectHints, SelectRequest, SeriesSet, SeriesSource, SourceError};
use thanos_store::{
    Config, EndpointSet, EndpointSpec, Fanout, Metrics, ProxyLimits, Querier, QueryOptions, serve,
};
use thanos_telemetry::Shutdown;
use tokio::time::Instant;

struct Plane {
    fanout: Fanout,
    shutdown: Shutdown,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

impl Plane {
    fn with(config: Config) -> Self {
        let shutdown = Shutdown::new();
        let set = EndpointSet::start(config, &shutdown).unwrap();
        Self { fanout: Fanout::new(set, Metrics::default()), shutdown }
    }

    /// Over static endpoints, all asked once.
    async fn over(addrs: &[SocketAddr]) -> Self {
        let endpoints = addrs.iter().map(|a| a.to_string().parse().unwrap()).collect();
        let plane = Self::with(Config { endpoints, ..config() });
        plane.until(|set| set.settled()).await;
        plane
    }

    async fn until(&self, reached: impl Fn(&EndpointSet) -> bool) {
        let set: &Arc<EndpointSet> = self.fanout.endpoints();
        let mut changes = set.changes();
        let wait = async {
            while !reached(set) {
                changes.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(SOON, wait).await;
        assert!(waited.is_ok(), "never reached: {:#?} {:?}", set.statuses(), set.discovery_problems());
    }

    async fn until_problems(&self, n: usize) {
        self.until(|set| set.statuses().iter().filter(|s| s.problem.is_some()).count() == n).await;
    }

    fn querier(&self, partial_response: bool) -> Querier {
        self.fanout.querier(QueryOptions {
            replica_labels: vec!["replica".into()],
            partial_response,
            deadline: Instant::now() + SOON,
            response_timeout: Duration::from_millis(300),
            max_series: 100,
        })
    }

    async fn select(&self, matchers: Vec<Matcher>) -> Result<SeriesSet, SourceError> {
        self.querier(true).select(request(matchers)).await
    }
}

fn config() -> Config {
    Config {
        sd_dns_interval: Duration::from_millis(50),
        info_interval: Duration::from_millis(50),
        info_timeout: Duration::from_millis(500),
        ..Config::default()
    }
}

fn request(matchers: Vec<Matcher>) -> SelectRequest {
    SelectRequest {
        matchers,
        start_ms: 0,
        end_ms: 1_000_000,
        hints: SelectHints::default(),
        budget: Budget::new(100_000, 1 << 24),
    }
}

fn store(cluster: &'static str, replica: &'static str, series: &[(&'static str, &[(i64, f64)])]) -> Script {
    Script {
        external: vec![("cluster", cluster), ("replica", replica)],
        series: series.iter().map(|(n, s)| (vec![("__name__", *n)], s.to_vec())).collect(),
        removes_replica_labels: true,
        ..Script::default()
    }
}

/// `up{cluster="east"} 1@1000 …`, a line a series.
fn text(set: &SeriesSet) -> Vec<String> {
    let sample = |s: &thanos_model::Sample| match &s.value {
        Value::Float(v) => format!(" {v}@{}", s.t_ms),
        Value::Histogram(_) => " histogram".into(),
    };
    set.series
        .iter()
        .map(|s| format!("{}{}", s.labels, s.samples.iter().map(sample).collect::<String>()))
        .collect()
}

const UP: &[(i64, f64)] = &[(1000, 1.0), (2000, 2.0), (3000, 3.0), (4000, 4.0), (5000, 5.0)];

#[tokio::test]
async fn replicas_are_merged_and_clusters_are_not() {
    for behaviour in [Behaviour::Good, Behaviour::Batches, Behaviour::Unsorted] {
        for removes in [true, false] {
            let bend = |s: Script| Script { behaviour, removes_replica_labels: removes, ..s };
            let a = FakeStore::start(bend(store(
                "east",
                "a",
                &[("up", &UP[..4]), ("zz", &UP[..1]), ("load", UP)],
            )));
            let b = FakeStore::start(bend(store("east", "b", &[("up", &UP[1..])])));
            let c = FakeStore::start(bend(store("west", "a", &[("up", &UP[..2])])));
            let plane = Plane::over(&[a.addr, b.addr, c.addr]).await;
            let set = plane.select(vec![Matcher::equal("__name__", "up")]).await.unwrap();
            assert_eq!(set.warnings, [""; 0]);
            assert_eq!(
                text(&set),
                [
                    "up{cluster=\"east\"} 1@1000 2@2000 3@3000 4@4000 5@5000",
                    "up{cluster=\"west\"} 1@1000 2@2000"
                ]
            );
            let all = plane.select(vec![Matcher::equal("cluster", "east")]).await.unwrap();
            assert_eq!(all.series.len(), 3);
            assert!(all.series.is_sorted_by(|x, y| x.labels < y.labels), "{:?}", text(&all));
        }
    }
}

#[tokio::test]
async fn every_store_that_fails_is_named_with_its_cause() {
    let bad = FakeStore::start(store("west", "a", &[("load", UP), ("up", UP)]));
    let good = FakeStore::start(store("east", "a", &[("up", UP)]));
    let plane = Plane::over(&[bad.addr, good.addr]).await;
    let east = "up{cluster=\"east\"} 1@1000 2@2000 3@3000 4@4000 5@5000";
    for (behaviour, cause, series) in [
        (Behaviour::Fails, "failed: the disk is on fire", 1),
        (Behaviour::Hangs, "failed: sent nothing for 300ms", 1),
        (Behaviour::HangsMidway, "failed: sent nothing for 300ms", 2),
        (Behaviour::Breaks, "failed: Internal: the disk is on fire", 2),
        (Behaviour::Garbage, "sent a chunk that is garbage", 1),
        (Behaviour::Warns, "says: a block is missing", 3),
    ] {
        bad.change(|s| s.behaviour = behaviour);
        let set = plane.select(vec![]).await.unwrap();
        let expected = format!("store {} (receive {{cluster=\"west\", replica=\"a\"}}) {cause}", bad.addr);
        assert!(
            set.warnings.len() == 1 && set.warnings[0].starts_with(&expected),
            "{expected} in {:?}",
            set.warnings
        );
        assert_eq!(set.series.len(), series, "{cause}: {:?}", text(&set));
        assert!(text(&set).contains(&east.to_owned()));
        // Who wants all or nothing gets nothing.
        let strict = plane.querier(false).select(request(vec![])).await.unwrap_err();
        assert!(matches!(&strict, SourceError::Unavailable(m) if m.contains(cause)), "{strict}");
        // What the store cannot have does not suffer from it.
        let pruned =
            plane.querier(false).select(request(vec![Matcher::equal("cluster", "east")])).await.unwrap();
        assert_eq!((pruned.series.len(), pruned.warnings.len()), (1, 0));
    }
    good.change(|s| s.behaviour = Behaviour::Fails);
    bad.change(|s| s.behaviour = Behaviour::Fails);
    let none = plane.select(vec![]).await.unwrap_err();
    assert!(matches!(&none, SourceError::Unavailable(m) if m.starts_with("no store could answer")), "{none}");
}

#[tokio::test]
async fn a_store_that_stopped_answering_is_still_flagged() {
    let west = FakeStore::start(store("west", "a", &[("up", UP)]));
    let east = FakeStore::start(store("east", "a", &[("up", UP)]));
    let plane = Plane::over(&[west.addr, east.addr]).await;
    west.change(|s| s.info_hangs = true);
    plane.until_problems(1).await;
    let set = plane.select(vec![]).await.unwrap();
    assert_eq!(set.series.len(), 1);
    let expected = format!(
        "store {} (receive {{cluster=\"west\", replica=\"a\"}}) does not answer: no answer to Info within 500ms; last",
        west.addr
    );
    assert!(set.warnings[0].starts_with(&expected), "{:?}", set.warnings);
    assert_eq!(plane.select(vec![Matcher::equal("cluster", "east")]).await.unwrap().warnings, [""; 0]);
    let only_west = plane.select(vec![Matcher::equal("cluster", "west")]).await.unwrap_err();
    assert!(matches!(only_west, SourceError::Unavailable(_)), "an empty answer would be a lie");
    west.change(|s| s.info_hangs = false);
    plane.until_problems(0).await;
    assert_eq!(plane.select(vec![]).await.unwrap().warnings, [""; 0]);
}

#[tokio::test]
async fn dns_comes_and_goes() {
    let dns = FakeDns::start().await;
    let (a, b) = (
        FakeStore::start(store("west", "a", &[("up", UP)])),
        FakeStore::start(store("west", "b", &[("up", UP)])),
    );
    let (addr_a, addr_b) = (a.addr, b.addr);
    dns.serve(&[("r-0.receive", addr_a), ("r-1.receive", addr_b)]);
    let plane = Plane::with(Config {
        endpoints: vec!["dnssrv+_grpc._tcp.receive".parse::<EndpointSpec>().unwrap()],
        dns_server: Some(dns.addr),
        ..config()
    });
    let early = plane.select(vec![]).await.unwrap_err().to_string();
    assert!(early.contains("dnssrv+_grpc._tcp.receive has not finished yet"), "{early}");
    plane.until(|set| set.settled() && set.statuses().len() == 2).await;
    plane.until_problems(0).await;
    assert_eq!(plane.select(vec![]).await.unwrap().warnings, [""; 0]);

    // b is killed and leaves DNS: it stays expected.
    drop(b);
    dns.serve(&[("r-0.receive", addr_a)]);
    plane
        .until(|set| {
            set.statuses()
                .iter()
                .any(|s| s.problem.as_ref().is_some_and(|p| p.ends_with("no longer in discovery")))
        })
        .await;
    let set = plane.select(vec![]).await.unwrap();
    assert!(set.warnings.len() == 1 && set.warnings[0].contains(&addr_b.to_string()), "{:?}", set.warnings);
    assert!(set.warnings[0].contains("r-1.receive"), "{:?}", set.warnings);

    // It comes back elsewhere under its name.
    let b = FakeStore::start(store("west", "b", &[("up", UP)]));
    dns.serve(&[("r-0.receive", addr_a), ("r-1.receive", b.addr)]);
    plane.until_problems(0).await;

    // It is stopped politely and taken out: nothing is missed.
    b.stop_politely();
    plane.until_problems(1).await;
    dns.serve(&[("r-0.receive", addr_a)]);
    plane.until(|set| set.statuses().len() == 1).await;
    assert_eq!(plane.select(vec![]).await.unwrap().warnings, [""; 0]);

    // DNS falls silent: the last answer is used and said to be old.
    dns.go_silent();
    plane.until(|set| !set.discovery_problems().is_empty()).await;
    let set = plane.select(vec![]).await.unwrap();
    assert_eq!(set.series.len(), 1);
    assert!(set.warnings[0].contains("discovery of dnssrv+_grpc._tcp.receive fails"), "{:?}", set.warnings);
    dns.serve(&[("r-0.receive", addr_a)]);
    plane.until(|set| set.discovery_problems().is_empty()).await;
}

#[tokio::test]
async fn a_query_holds_no_more_than_it_may() {
    let a = FakeStore::start(store("east", "a", &[("up", UP), ("load", UP)]));
    let b = FakeStore::start(store("east", "b", &[("up", &UP[1..]), ("load", &UP[1..])]));
    let plane = Plane::over(&[a.addr, b.addr]).await;
    let with = |budget: &Arc<Budget>| SelectRequest { budget: budget.clone(), ..request(vec![]) };
    // The second series is decoded twice, five and four samples, while five of the first are held.
    let budget = Budget::new(14, 1 << 20);
    let set = plane.querier(true).select(with(&budget)).await.unwrap();
    assert_eq!(set.series.iter().map(|s| s.samples.len()).sum::<usize>(), 10);
    assert!(budget.charge(4, 0).is_ok() && budget.charge(1, 0).is_err(), "charged for exactly what is held");
    for small in [Budget::new(9, 1 << 20), Budget::new(1000, 100)] {
        let over = plane.querier(true).select(with(&small)).await.unwrap_err();
        assert!(matches!(over, SourceError::Budget(_)), "{over}");
    }
    let mut options = QueryOptions {
        replica_labels: vec![],
        partial_response: true,
        deadline: Instant::now() + SOON,
        response_timeout: SOON,
        max_series: 4,
    };
    let undeduplicated = plane.fanout.querier(options.clone()).select(request(vec![])).await.unwrap();
    assert_eq!(undeduplicated.series.len(), 4, "replicas apart");
    options.max_series = 3;
    let many = plane.fanout.querier(options).select(request(vec![])).await.unwrap_err();
    assert!(matches!(&many, SourceError::Invalid(m) if m.contains("more than 3 series")), "{many}");
}

#[tokio::test]
async fn the_deadline_ends_a_query_whatever_stores_do() {
    let a = FakeStore::start(Script { behaviour: Behaviour::Hangs, ..store("east", "a", &[("up", UP)]) });
    let plane = Plane::over(&[a.addr]).await;
    let options = QueryOptions {
        replica_labels: vec![],
        partial_response: true,
        deadline: Instant::now() + Duration::from_millis(200),
        response_timeout: SOON,
        max_series: 4,
    };
    let late = plane.fanout.querier(options).select(request(vec![])).await.unwrap_err();
    assert!(matches!(&late, SourceError::Timeout(m) if m.contains(&a.addr.to_string())), "{late}");
}

#[tokio::test]
async fn label_names_and_values_are_united_and_flagged() {
    let a = FakeStore::start(store("east", "a", &[("up", UP)]));
    let b = FakeStore::start(store("west", "a", &[("load", UP)]));
    let plane = Plane::over(&[a.addr, b.addr]).await;
    let (names, warnings) = plane.querier(true).label_names(&[], 0, 1).await.unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["__name__", "cluster"]);
    assert!(warnings.is_empty());
    let (values, _) = plane.querier(true).label_values("cluster", &[], 0, 1).await.unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["east", "west"]);
    b.change(|s| s.behaviour = Behaviour::Fails);
    let (values, warnings) = plane.querier(true).label_values("__name__", &[], 0, 1).await.unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["up"]);
    assert!(warnings[0].contains(&b.addr.to_string()) && warnings[0].contains("on fire"), "{warnings:?}");
}

#[tokio::test]
async fn queriers_stack_and_pass_on_what_is_missing() {
    let east = FakeStore::start(store("east", "a", &[("up", UP), ("load", UP)]));
    let twin = FakeStore::start(Script {
        removes_replica_labels: false,
        ..store("east", "b", &[("load", &UP[1..]), ("up", UP)])
    });
    let west = FakeStore::start(store("west", "a", &[("up", UP)]));
    let below = Plane::over(&[east.addr, twin.addr, west.addr]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let limits = ProxyLimits {
        timeout: SOON,
        response_timeout: Duration::from_millis(200),
        max_memory_bytes: 1 << 20,
        max_series: 100,
    };
    let (fanout, shutdown) = (below.fanout.clone(), below.shutdown.clone());
    tokio::spawn(async move { serve(listener, fanout, limits, shutdown).await });
    let above = Plane::over(&[addr]).await;
    above.until_problems(0).await;
    let (direct, stacked) = (below.select(vec![]).await.unwrap(), above.select(vec![]).await.unwrap());
    assert_eq!(text(&stacked), text(&direct));
    assert_eq!((stacked.series.len(), stacked.warnings.len()), (3, 0));

    west.change(|s| s.behaviour = Behaviour::Hangs);
    let set = above.select(vec![]).await.unwrap();
    assert_eq!((set.series.len(), set.warnings.len()), (2, 1));
    let both = [addr, west.addr].map(|a| a.to_string());
    assert!(both.iter().all(|a| set.warnings[0].contains(a)), "both hops are named: {:?}", set.warnings);
    let strict = above.querier(false).select(request(vec![])).await.unwrap_err().to_string();
    assert!(strict.contains(&both[1]), "{strict}");
    let (values, warnings) = above.querier(true).label_values("cluster", &[], 0, 1).await.unwrap();
    assert_eq!((values.len(), warnings.len()), (2, 0));
    west.change(|s| s.info_hangs = true);
    below.until_problems(1).await;
    let set = above.select(vec![]).await.unwrap();
    assert!(set.warnings[0].contains("does not answer"), "{:?}", set.warnings);
}

#[test]
fn a_configuration_without_stores_is_refused() {
    let e = EndpointSet::start(Config::default(), &Shutdown::new()).err().unwrap();
    assert!(e.to_string().contains("--endpoint"), "{e}");
    let config = Config { sd_files: vec!["/nowhere/stores.yml".into()], ..Config::default() };
    let e = EndpointSet::start(config, &Shutdown::new()).err().unwrap();
    assert!(e.to_string().contains("/nowhere/stores.yml"), "{e}");
}
