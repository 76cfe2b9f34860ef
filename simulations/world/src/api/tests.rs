use futures::StreamExt as _;
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use simulations_kernel::Clock;

use super::*;

struct Place {
    server: ApiServer,
    faults: ApiFaults,
    trace: Trace,
}

impl Place {
    fn with(faults: Vec<(ApiFault, u64, u64)>) -> Self {
        let fault = |(i, (kind, from_ms, to_ms)): (usize, (ApiFault, u64, u64))| Fault {
            name: format!("f{i}"),
            kind,
            from_ms,
            to_ms,
        };
        let schedule = Arc::new(Schedule { faults: faults.into_iter().enumerate().map(fault).collect() });
        let server = ApiServer::new(1, 100, Clock::starting_at_ms(0));
        let trace = Trace::complete();
        let faults = ApiFaults::new(&server, "a", schedule, &Streams::new(1), &trace);
        Self { server, faults, trace }
    }

    /// The way with its faults.
    fn maps(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.faults.client())
    }

    /// The server as it is.
    fn really(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.server.client())
    }
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

fn always(kind: ApiFaultKind) -> ApiFault {
    ApiFault { scope: Scope::all(), permille: 1000, kind }
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const SOON: Duration = Duration::from_secs(60);

#[test]
fn calls_are_read_from_their_paths() {
    for (method, path, verb, resource) in [
        (Method::GET, "/api/v1/namespaces/x/pods", Verb::List, "pods"),
        (Method::GET, "/api/v1/pods?watch=true&x=y", Verb::Watch, "pods"),
        (Method::GET, "/api/v1/pods?watch=false", Verb::List, "pods"),
        (Method::GET, "/api/v1/namespaces/x", Verb::Get, "namespaces"),
        (Method::PATCH, "/apis/apps/v1/namespaces/x/deployments/web/scale", Verb::Patch, "deployments/scale"),
        (Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/x/leases/l", Verb::Update, "leases"),
        (Method::POST, "/apis/coordination.k8s.io/v1/namespaces/x/leases", Verb::Create, "leases"),
        (Method::DELETE, "/api/v1/namespaces/x/pods/p", Verb::Delete, "pods"),
    ] {
        let called = Called::of(&method, &path.parse().unwrap());
        assert_eq!(called, Called { verb, resource: resource.to_owned() }, "{path}");
    }
}

#[test]
fn what_is_refused_changes_nothing_and_what_fails_after_does() {
    for (kind, answer, is_there) in [
        (ApiFaultKind::Refused { status: 409, retry_after_s: None }, Some(409), false),
        (ApiFaultKind::Refused { status: 429, retry_after_s: Some(7) }, Some(429), false),
        (ApiFaultKind::Unreachable, None, false),
        (ApiFaultKind::Hangs, None, false),
        (ApiFaultKind::HangsAfter, None, true),
        (ApiFaultKind::FailsAfter { status: 504 }, Some(504), true),
        (ApiFaultKind::Late { ms: 59_000 }, Some(201), true),
    ] {
        crate::run(async {
            let place = Place::with(vec![(always(kind.clone()), 0, 100_000)]);
            let made =
                tokio::time::timeout(SOON, place.maps().create(&PostParams::default(), &map("m"))).await;
            let code = match made {
                Ok(Ok(_)) => Some(201),
                Ok(Err(kube::Error::Api(status))) => Some(status.code),
                Ok(Err(_)) | Err(_) => None,
            };
            assert_eq!(code, answer, "{kind:?}");
            assert_eq!(place.really().get_opt("m").await.unwrap().is_some(), is_there, "{kind:?}");
            sleep(100).await;
            place.maps().create(&PostParams::default(), &map("after")).await.unwrap();
        });
    }
}

#[test]
fn a_fault_keeps_to_its_scope_and_its_share() {
    crate::run(async {
        let scope = Scope::of(&[Verb::Create], "configmaps");
        let kind = ApiFaultKind::Refused { status: 500, retry_after_s: None };
        let place = Place::with(vec![(ApiFault { scope, permille: 300, kind }, 0, 1_000_000)]);
        let mut refused = 0;
        for i in 0..300 {
            refused +=
                u32::from(place.maps().create(&PostParams::default(), &map(&format!("m{i}"))).await.is_err());
            place.maps().list(&ListParams::default()).await.unwrap();
        }
        assert!((60..120).contains(&refused), "{refused}");
        let lines = place.trace.lines();
        assert_eq!(lines.iter().filter(|l| l.contains(" a Create Refused")).count(), refused as usize);
        let lists = lines.iter().filter(|l| l.starts_with("0 a List /api/v1/namespaces/default/configmaps"));
        assert_eq!(lists.filter(|l| l.ends_with(" 200")).count(), 300);
    });
}

#[test]
fn a_list_can_be_older_than_it_is() {
    crate::run(async {
        let place = Place::with(vec![(always(ApiFaultKind::StaleList { behind: 2 }), 10_000, 20_000)]);
        for name in ["a", "b", "c", "d"] {
            place.really().create(&PostParams::default(), &map(name)).await.unwrap();
        }
        let count = async || place.maps().list(&ListParams::default()).await.unwrap().items.len();
        assert_eq!(count().await, 4);
        sleep(10).await;
        assert_eq!(count().await, 2);
        sleep(10).await;
        assert_eq!(count().await, 4);
    });
}

/// What a watch tells, as `KIND name@second`, until it ends or a minute has gone.
async fn watched(faults: Vec<(ApiFault, u64, u64)>) -> Vec<String> {
    let place = Place::with(faults);
    let api = place.maps();
    let begin = Instant::now();
    let params = WatchParams::default().timeout(200);
    let mut stream = api.watch(&params, "0").await.unwrap().boxed();
    let writer = tokio::spawn({
        let really = place.really();
        async move {
            for name in ["a", "b", "c"] {
                really.create(&PostParams::default(), &map(name)).await.unwrap();
                sleep(10).await;
            }
        }
    });
    let mut told = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(SOON, stream.next()).await {
        let what = match event.unwrap() {
            WatchEvent::Added(map) => format!("ADDED {}", map.metadata.name.unwrap()),
            WatchEvent::Bookmark(_) => "BOOKMARK".to_owned(),
            WatchEvent::Error(status) => format!("ERROR {}", status.code),
            other => format!("{other:?}"),
        };
        told.push(format!("{what}@{}", begin.elapsed().as_secs()));
        if begin.elapsed() >= SOON {
            break;
        }
    }
    writer.await.unwrap();
    told
}

#[test]
fn watches_are_cut_late_repeated_and_gone() {
    for (kind, expected) in [
        (None, vec!["ADDED a@0", "ADDED b@10", "ADDED c@20", "BOOKMARK@30", "BOOKMARK@60"]),
        (Some(ApiFaultKind::NoBookmarks), vec!["ADDED a@0", "ADDED b@10", "ADDED c@20", "BOOKMARK@60"]),
        (
            Some(ApiFaultKind::WatchRepeats),
            vec![
                "ADDED a@0",
                "ADDED b@10",
                "ADDED b@10",
                "ADDED c@20",
                "ADDED c@20",
                "BOOKMARK@30",
                "BOOKMARK@30",
                "BOOKMARK@60",
            ],
        ),
        (
            Some(ApiFaultKind::WatchLate { ms: 5000 }),
            vec!["ADDED a@0", "ADDED b@15", "ADDED c@25", "BOOKMARK@35", "BOOKMARK@60"],
        ),
        (Some(ApiFaultKind::WatchCut { every_ms: 1000 }), vec!["ADDED a@0"]),
        (Some(ApiFaultKind::WatchGone { every_ms: 1000 }), vec!["ADDED a@0", "ERROR 410@5"]),
    ] {
        let faults = kind.clone().map(|kind| (always(kind), 5000, 40_000));
        let told = crate::run(watched(faults.into_iter().collect()));
        assert_eq!(told, expected, "{kind:?}");
    }
}

#[test]
fn kinds_without_a_type_pass_as_well() {
    crate::run(async {
        let place = Place::with(Vec::new());
        let resource = kube::api::ApiResource::erase::<ConfigMap>(&());
        let api: Api<DynamicObject> = Api::all_with(place.faults.client(), &resource);
        assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 0);
    });
}
