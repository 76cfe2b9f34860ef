use serde_json::Value;
use simulations_kernel::{Clock, Fault, Schedule};

use super::*;
use crate::fleet::{Fleet, Scrape};
use crate::load::Load;
use crate::metrics::{Cluster, Part, Told};
use crate::world::EPOCH_MS;

/// East with four pods and 100 requests a second, west with two and 50, scraped each second.
fn querier(faults: Vec<(MetricFault, u64, u64)>) -> Querier {
    let cluster = |name: &str, rate: f64, pods: u32| {
        let mut fleet = Fleet::new(Load::constant(rate), Scrape::default(), 1);
        for i in 0..pods {
            fleet.started(&format!("{name}-{i}"), 0);
            fleet.served(&format!("{name}-{i}"), 0);
        }
        let labels = vec![("deployment".to_owned(), "web".to_owned())];
        Cluster { name: name.to_owned(), fleet, labels }
    };
    let fault = |(i, (kind, from_ms, to_ms)): (usize, (MetricFault, u64, u64))| Fault {
        name: format!("f{i}"),
        kind,
        from_ms,
        to_ms,
    };
    let faults = Schedule { faults: faults.into_iter().enumerate().map(fault).collect() };
    let clusters = vec![cluster("east", 100.0, 4), cluster("west", 50.0, 2)];
    let metrics = Metrics::new(clusters, faults, Clock::starting_at_ms(EPOCH_MS));
    Querier::new(metrics, &Streams::new(1), 0)
}

async fn until(querier: &Querier, at_ms: i64) {
    let left = at_ms - querier.metrics().now_ms();
    tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap())).await;
}

async fn ask(querier: &Querier, query: &str) -> Value {
    let reply = querier.instant(query, None).await.unwrap();
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, &body["status"]), (200, &Value::from("success")), "{query}: {body}");
    body
}

/// Each series' labels and value.
fn rows(answer: &Value) -> Vec<(String, f64)> {
    let row = |row: &Value| {
        let value = row["value"][1].as_str().unwrap().parse().unwrap();
        (row["metric"].to_string(), value)
    };
    answer["data"]["result"].as_array().unwrap().iter().map(row).collect()
}

async fn number(querier: &Querier, query: &str) -> Option<f64> {
    let rows = rows(&ask(querier, query).await);
    assert!(rows.len() <= 1, "{query}: {rows:?}");
    rows.first().map(|row| row.1)
}

fn near(is: Option<f64>, wanted: f64, what: &str) {
    assert!(
        is.is_some_and(|is| (is - wanted).abs() <= 0.02 * wanted.max(1.0)),
        "{what}: {is:?}, not {wanted}"
    );
}

const RATE: &str = "sum(rate(request_total[30s]))";

#[test]
fn what_controllers_ask_can_be_asked() {
    crate::run(async {
        let querier = querier(Vec::new());
        until(&querier, 120_000).await;
        near(number(&querier, RATE).await, 150.0, "rate");
        let now = EPOCH_MS / 1000 + 120;
        for (query, count) in [
            ("timestamp(request_total offset -30s)", 6),
            ("max by (cluster) (timestamp(request_total{deployment=\"web\"} offset -30s))", 2),
            (&format!("request_total @ {}", now - 60), 6),
            (&format!("sum(rate(request_total[30s] @ {}))", now - 60), 1),
            ("label_replace(vector(1), \"__part__\", \"now\", \"\", \"\")", 1),
            (
                "label_replace(sum(request_total), \"p\", \"a\", \"\", \"\") or label_replace(max(request_total), \"p\", \"b\", \"\", \"\")",
                2,
            ),
            ("count by (cluster) (count by (cluster, pod) (request_total))", 2),
            ("min by (cluster) (timestamp(request_total offset -30s) > 0)", 2),
            ("count by (cluster) (timestamp(request_total{pod=~\"east-[01]\"}) > 1e12)", 0),
            ("absent(nothing)", 1),
        ] {
            assert_eq!(rows(&ask(&querier, query).await).len(), count, "{query}");
        }
        let newest = number(&querier, "max(timestamp(request_total offset -30s))").await.unwrap();
        let age = now as f64 - newest;
        assert!((0.0..1.4).contains(&age), "{age}");
        assert_eq!(querier.instant("sum(", None).await.unwrap().status, 400);
        let later = querier.instant("request_total", Some(EPOCH_MS - 1)).await.unwrap();
        assert!(later.body.contains("\"result\":[]"), "{}", later.body);
    });
}

/// What a query says at a time under a fault, and what is true of it.
#[test]
fn each_fault_shows_in_its_own_way() {
    let east = Part::all(0);
    let half = Part::one_of(0, 2, 0);
    let rate_of = |cluster: &str| format!("sum(rate(request_total{{cluster=\"{cluster}\"}}[30s]))");
    let age_of = |cluster: &str| {
        format!("time() - max(timestamp(request_total{{cluster=\"{cluster}\"}} offset -60s))")
    };
    let pods = "count(request_total{cluster=\"east\"})".to_owned();
    let before_it =
        |s: i64| format!("count(count_over_time(request_total{{cluster=\"east\"}}[10s] offset {s}s))");
    for (fault, at_s, query, expected) in [
        // Lag: the newest sample is as old as that, and the other cluster is as ever.
        (MetricFault::Lag { part: east, ms: 20_000 }, 150, age_of("east"), Some(20.6)),
        (MetricFault::Lag { part: east, ms: 20_000 }, 150, rate_of("west"), Some(50.0)),
        // A window whose end is empty is understated: extrapolation gives back but little of it.
        (MetricFault::Lag { part: east, ms: 20_000 }, 150, rate_of("east"), Some(100.0 * 10.0 / 30.0)),
        (
            MetricFault::Growing { part: east, per_second_ms: 500 },
            140,
            age_of("east"),
            Some(40.0 - 40.0 / 1.5),
        ),
        // A backlog: nothing since it began, everything after it ended.
        (MetricFault::Backlog { part: east, drain_ms: 0 }, 140, age_of("east"), Some(40.3)),
        (MetricFault::Backlog { part: east, drain_ms: 0 }, 202, rate_of("east"), Some(100.0)),
        (MetricFault::Cut { part: east }, 125, age_of("east"), Some(25.3)),
        (MetricFault::Cut { part: east }, 200, rate_of("east"), None),
        (MetricFault::Cut { part: east }, 240, rate_of("east"), Some(100.0)),
        (MetricFault::Lost { part: east }, 150, age_of("east"), Some(50.3)),
        (MetricFault::Lost { part: east }, 150, before_it(60), Some(4.0)),
        (MetricFault::Lost { part: east }, 200, age_of("east"), None),
        (MetricFault::Lost { part: east }, 240, before_it(150), None),
        (MetricFault::Lost { part: east }, 240, rate_of("east"), Some(100.0)),
        (MetricFault::Clock { part: east, ahead_ms: 20_000 }, 150, age_of("east"), Some(-19.4)),
        (MetricFault::Clock { part: east, ahead_ms: -20_000 }, 150, age_of("east"), Some(20.6)),
        (MetricFault::NotANumber { part: east }, 150, rate_of("east"), Some(f64::NAN)),
        (MetricFault::Copies { part: east }, 150, rate_of("east"), Some(200.0)),
        (MetricFault::Copies { part: east }, 150, pods.clone(), Some(8.0)),
        (MetricFault::Hidden { part: east, permille: 1000, told: Told::Nothing }, 150, rate_of("east"), None),
        (
            MetricFault::Hidden { part: east, permille: 1000, told: Told::Nothing },
            150,
            RATE.to_owned(),
            Some(50.0),
        ),
        (
            MetricFault::Hidden { part: east, permille: 1000, told: Told::Nothing },
            201,
            RATE.to_owned(),
            Some(150.0),
        ),
        (
            MetricFault::Hidden { part: half, permille: 1000, told: Told::Nothing },
            150,
            pods.clone(),
            Some(3.0),
        ),
    ] {
        crate::run(async {
            let querier = querier(vec![(fault.clone(), 100_000, 200_000)]);
            until(&querier, 99_000).await;
            near(number(&querier, &rate_of("east")).await, 100.0, "before");
            until(&querier, at_s * 1000).await;
            let is = number(&querier, &query).await;
            match expected {
                Some(expected) if expected.is_nan() => assert!(is.unwrap().is_nan(), "{fault:?} {query}"),
                Some(expected) => {
                    let is = is.unwrap();
                    assert!(
                        (is - expected).abs() <= 0.04 * expected.abs().max(20.0),
                        "{fault:?} {query}: {is} {expected}"
                    );
                }
                None => assert_eq!(is, None, "{fault:?} {query}"),
            }
            until(&querier, 300_000).await;
            near(number(&querier, RATE).await, 150.0, &format!("after {fault:?}"));
        });
    }
}

#[test]
fn samples_can_come_in_another_order_but_none_twice() {
    crate::run(async {
        let late = MetricFault::Late { part: Part::all(0), permille: 500, ms: 10_000 };
        let querier = querier(vec![(late, 100_000, 200_000)]);
        let count = "count_over_time(request_total{pod=\"east-0\"}[30s])";
        until(&querier, 150_000).await;
        let few = number(&querier, count).await.unwrap();
        assert!((20.0..30.0).contains(&few), "{few}");
        let then =
            format!("count_over_time(request_total{{pod=\"east-0\"}}[30s] @ {})", EPOCH_MS / 1000 + 150);
        until(&querier, 165_000).await;
        assert_eq!(number(&querier, &then).await, Some(30.0), "all came in the end");
    });
}

#[test]
fn a_querier_can_say_that_it_says_not_all_or_say_nothing_of_it() {
    crate::run(async {
        let hidden = |told| MetricFault::Hidden { part: Part::all(1), permille: 400, told };
        for told in [Told::Nothing, Told::Warning, Told::IsPartial] {
            let querier = querier(vec![(hidden(told), 50_000, 200_000)]);
            until(&querier, 100_000).await;
            let mut partial = 0;
            for _ in 0..200 {
                let answer = ask(&querier, "count(request_total)").await;
                let is_partial = rows(&answer)[0].1 < 6.0;
                partial += u32::from(is_partial);
                assert_eq!(answer["warnings"].is_array(), is_partial && told == Told::Warning);
                assert_eq!(answer["isPartial"] == true, is_partial && told == Told::IsPartial);
            }
            assert!((50..110).contains(&partial), "{partial} of 200");
        }
    });
}

#[test]
fn a_querier_can_fail_in_every_way() {
    crate::run(async {
        let at = |fault| querier(vec![(fault, 0, 10_000)]);
        let within = Duration::from_secs(3600);
        let refused = at(MetricFault::Refused { status: 503 }).instant(RATE, None).await.unwrap();
        assert!(refused.status == 503 && refused.body.contains("\"errorType\":\"timeout\""), "{refused:?}");
        assert_eq!(at(MetricFault::Unreachable).instant(RATE, None).await, Err(Unreachable));
        assert!(tokio::time::timeout(within, at(MetricFault::Hangs).instant(RATE, None)).await.is_err());
        let began = tokio::time::Instant::now();
        at(MetricFault::Slow { ms: 1234 }).instant(RATE, None).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(1234));
        let garbage = at(MetricFault::Garbage).instant(RATE, None).await.unwrap();
        assert!(serde_json::from_str::<Value>(&garbage.body).is_err());
    });
}

#[test]
fn a_pod_that_goes_is_no_longer_counted_and_one_that_restarts_shows_no_dip() {
    crate::run(async {
        let querier = querier(Vec::new());
        until(&querier, 60_000).await;
        querier.metrics().fleet(0, |fleet, now| fleet.ended("east-0", now));
        until(&querier, 62_000).await;
        assert_eq!(
            number(&querier, "count(request_total{cluster=\"east\"})").await,
            Some(3.0),
            "at once, by its marker"
        );
        querier.metrics().fleet(0, |fleet, now| {
            fleet.ended("east-1", now);
            fleet.started("east-1", now + 1);
            fleet.served("east-1", now + 1);
        });
        until(&querier, 100_000).await;
        near(number(&querier, RATE).await, 150.0, "the others serve what it served");
        let resets = number(&querier, "sum(resets(request_total[2m]))").await;
        assert_eq!(resets, Some(1.0));
    });
}

#[tokio::test]
async fn clients_that_speak_http_get_the_same() {
    let querier = querier(Vec::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/query", listener.local_addr().unwrap());
    let end = thanos_telemetry::Shutdown::new();
    let served = tokio::spawn(front::serve(listener, querier.clone(), end.clone()));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let form = [("query", "vector(1)"), ("time", "1767225600.5")];
    let expected = querier.instant("vector(1)", Some(1_767_225_600_500)).await.unwrap().body;
    let got = client.get(&url).query(&form).send().await.unwrap().text().await.unwrap();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let posted = client.post(&url).body(body).send().await.unwrap().text().await.unwrap();
    assert_eq!((&got, &posted), (&expected, &expected));
    assert!(got.contains("1767225600.500"), "{got}");
    end.start();
    served.await.unwrap().unwrap();
}
