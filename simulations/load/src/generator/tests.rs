use super::*;
use axum::http::StatusCode;
use axum::{Router, routing::get};

async fn serve(router: Router) -> (watch::Receiver<Vec<Uri>>, watch::Sender<Vec<Uri>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (tx, rx) = watch::channel(vec![uri]);
    (rx, tx)
}

fn plan(targets: watch::Receiver<Vec<Uri>>, stage: &str) -> Plan {
    Plan {
        stages: vec![stage.parse().unwrap()],
        stretches: vec![],
        arrivals: Arrivals::Even,
        seed: 1,
        targets,
        timeout: Duration::from_secs(5),
        max_in_flight: 1000,
        by_second: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_the_server_is_in_the_latency_of_every_request_it_delayed() {
    // Closed-loop generators wait with the server and report one slow request: coordinated omission.
    let opened = Instant::now();
    let stall_until = opened + Duration::from_millis(600);
    let router = Router::new().route(
        "/",
        get(move || async move {
            tokio::time::sleep_until(stall_until.into()).await;
            "ok"
        }),
    );
    let (targets, _keep) = serve(router).await;
    let summary = Generator::start(plan(targets, "600ms@100"), Shutdown::new()).finish().await;
    assert_eq!((summary.planned, summary.completed), (60, 60), "{summary:?}");
    // The requests were due evenly over the stall, so half of them waited longer than half of it.
    assert!(summary.latency_p50_ms > 200.0 && summary.latency_max_ms > 500.0, "{summary:?}");
}

#[tokio::test]
async fn a_request_counts_in_the_stage_in_which_it_was_due() {
    let late = get(async || tokio::time::sleep(Duration::from_millis(150)).await);
    let (targets, _keep) = serve(Router::new().route("/", late)).await;
    let mut plan = plan(targets, "100ms@50");
    plan.stages.push("100ms@100".parse().unwrap());
    plan.stretches = vec![Duration::from_millis(100); 2];
    let (total, stages) = Generator::start(plan, Shutdown::new()).finish_recorded().await;
    let planned: Vec<u64> = stages.iter().map(|s| s.summary().planned).collect();
    // The fifth is due exactly where the second stage begins.
    assert_eq!((total.summary().completed, planned), (15, vec![4, 11]));
}

#[tokio::test]
async fn a_request_is_kept_with_the_second_in_which_it_was_due_whenever_it_ended() {
    // Even arrivals at 10 a second: 0.1, … 1.0, … 1.5. Those of the first second end in the next.
    let late = get(async || tokio::time::sleep(Duration::from_millis(950)).await);
    let (targets, _keep) = serve(Router::new().route("/", late)).await;
    let mut generator = Generator::start(plan(targets, "1500ms@10"), Shutdown::new());
    generator.drain().await;
    assert_eq!(generator.so_far().0.summary().completed, 15);
    let first = generator.take_due(1);
    let counts: Vec<(u64, u64)> = first.iter().map(|(second, d)| (*second, d.requests())).collect();
    assert_eq!(counts, [(0, 9)]);
    assert_eq!((first[&0].worse_than(Some(900.0)), first[&0].worse_than(Some(20_000.0))), (9, 0));
    assert_eq!(first[&0].recorder().summary().completed, 9);
    let rest: Vec<u64> = generator.take_due(u64::MAX).values().map(Due::requests).collect();
    assert_eq!(rest, [6], "what was taken is gone");
}

#[tokio::test]
async fn failures_are_told_apart_and_nothing_is_left_out() {
    let router = Router::new().route("/", get(async || StatusCode::SERVICE_UNAVAILABLE));
    let (targets, set) = serve(router).await;
    let summary = Generator::start(plan(targets.clone(), "100ms@50"), Shutdown::new()).finish().await;
    assert_eq!((summary.planned, summary.causes["status 503"]), (5, 5));

    // A port that was just closed refuses.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    set.send_replace(vec![format!("http://{free}/").parse().unwrap()]);
    let summary = Generator::start(plan(targets.clone(), "100ms@50"), Shutdown::new()).finish().await;
    assert_eq!((summary.planned, summary.causes["connect refused"]), (5, 5));

    set.send_replace(vec![]);
    let summary = Generator::start(plan(targets, "100ms@50"), Shutdown::new()).finish().await;
    assert_eq!((summary.planned, summary.dropped, summary.own_causes["no target"]), (5, 5, 5));
}

#[tokio::test]
async fn a_service_that_hangs_fails_and_the_generator_is_valid_however_few_slots_there_are() {
    let hangs = Router::new().route("/", get(std::future::pending::<()>));
    let (targets, _keep) = serve(hangs).await;
    let plan = Plan { timeout: Duration::from_millis(500), ..plan(targets, "1s@100") };
    let enough = slots_for(&plan.stages, plan.arrivals, plan.timeout, usize::MAX);
    for (slots, saturated) in [(enough, 0), (30, 30), (3, 85)] {
        let plan = Plan { max_in_flight: slots, ..plan.clone() };
        let s = Generator::start(plan, Shutdown::new()).finish().await;
        assert_eq!((s.planned, s.completed, s.own_failures), (100, 0, 0), "{slots}: {s:?}");
        assert_eq!(s.planned, s.failed + s.saturated, "{slots}: {s:?}");
        assert!(s.saturated >= saturated, "{slots}: {s:?}");
    }
}

#[tokio::test]
async fn slots_that_a_burst_takes_from_a_service_that_answers_are_the_generator_s_own_failure() {
    let slow = Router::new().route("/", get(async || tokio::time::sleep(Duration::from_millis(900)).await));
    let (targets, _keep) = serve(slow).await;
    let mut plan = Plan { max_in_flight: 10, ..plan(targets, "2s@5") };
    plan.stages.push("100ms@1000".parse().unwrap());
    let s = Generator::start(plan, Shutdown::new()).finish().await;
    assert!(s.own_failures > 50 && s.saturated == 0, "{s:?}");
    assert_eq!(s.planned, s.completed + s.own_failures, "{s:?}");
    assert!(
        s.own_causes.contains_key(TOO_FEW_SLOTS) && s.validity().unwrap_err().contains("no slot free"),
        "{s:?}"
    );
}

#[tokio::test]
async fn a_complete_run_accounts_for_every_arrival_and_an_interrupted_one_for_those_until_then() {
    let router = Router::new().route("/", get(async || "ok"));
    let (targets, _keep) = serve(router).await;
    let mut generator = Generator::start(plan(targets.clone(), "200ms@100"), Shutdown::new());
    let account = generator.account().await;
    assert_eq!((account.state.clone(), account.scheduled, account.planned), (State::Complete, 20, 20));
    assert_eq!((account.validity(), account.interrupted()), (Ok(()), None));

    let shutdown = Shutdown::new();
    let mut generator = Generator::start(plan(targets, "60s@100"), shutdown.clone());
    tokio::time::sleep(Duration::from_millis(300)).await;
    shutdown.start();
    let account = generator.account().await;
    assert_eq!((account.state.clone(), account.validity()), (State::Interrupted, Ok(())));
    assert!(account.planned > 5 && account.planned == account.scheduled, "{account:?}");
    assert!(account.ran < account.length && account.expected == 6000.0, "{account:?}");
    assert!(account.interrupted().unwrap().contains("of about 6000 requests were due"));
}

#[tokio::test]
async fn a_thread_that_dies_is_told() {
    let mut dies: Thread<()> = Thread::start("pacer", || panic!("no time left"));
    dies.end("pacer").await;
    assert!(
        matches!(&dies, Thread::Ended(Err(why)) if why == "the pacer panicked: no time left"),
        "{dies:?}"
    );

    // A sender that is gone takes nothing any more, and the pacer sees it before the next arrival.
    let (targets, _keep) = serve(Router::new()).await;
    let mut generator = Generator::start(plan(targets, "600s@0.1"), Shutdown::new());
    generator.sender = Thread::Ended(Err("the sender panicked: x".into()));
    let (due, gone) = mpsc::channel(1);
    drop(gone);
    let schedule = Schedule::new(vec!["600s@0.1".parse().unwrap()], Arrivals::Even, 1);
    let paced = pace(schedule, Instant::now(), &due, &generator.shared, &Shutdown::new());
    assert_eq!((paced.how, paced.first_left), (pace::How::NobodyTakes, Some(Duration::from_secs(10))));
    assert!(paced.at < Duration::from_secs(5));
}

#[tokio::test]
async fn answers_that_are_well_are_told_by_status() {
    let router = Router::new()
        .route("/", get(async || StatusCode::NOT_FOUND))
        .route("/moved", get(async || (StatusCode::FOUND, [("location", "/")])));
    let (targets, set) = serve(router).await;
    let root = targets.borrow()[0].clone();
    let summary = Generator::start(plan(targets.clone(), "100ms@50"), Shutdown::new()).finish().await;
    assert_eq!((summary.completed, summary.causes["status 404"], summary.statuses[&404]), (0, 5, 5));

    let lenient = Request { ok: "200..399,404".parse().unwrap(), ..Request::default() };
    let generator = Generator::start_asking(plan(targets.clone(), "100ms@50"), lenient, Shutdown::new());
    let summary = generator.finish().await;
    assert_eq!((summary.completed, summary.failed, summary.statuses[&404]), (5, 0, 5));

    // A redirect is an answer, and not followed.
    set.send_replace(vec![format!("{root}moved").parse().unwrap()]);
    let summary = Generator::start(plan(targets, "100ms@50"), Shutdown::new()).finish().await;
    assert_eq!((summary.completed, summary.statuses.clone()), (5, BTreeMap::from([(302, 5)])));
}

#[tokio::test]
async fn each_stretch_knows_its_own_lag() {
    let (targets, _keep) = serve(Router::new().route("/", get(async || "ok"))).await;
    let mut plan = plan(targets, "200ms@100");
    plan.stretches = vec![Duration::from_millis(100); 2];
    let (_, stretches) = Generator::start(plan, Shutdown::new()).finish_recorded().await;
    assert!(stretches.iter().all(|s| s.send_lag_ms(1.0) > 0.0), "{stretches:?}");
}
