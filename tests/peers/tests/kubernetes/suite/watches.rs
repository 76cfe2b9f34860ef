//! Watches: nothing is missed from where they start, and what cannot be told is said to be gone.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use serde_json::{Value, json};

use super::objects::config_map;
use crate::subject::{Subject, within};

fn told(event: WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(o) => format!("added {}", o.name_any()),
        WatchEvent::Modified(o) => format!("modified {}", o.name_any()),
        WatchEvent::Deleted(o) => format!("deleted {}", o.name_any()),
        WatchEvent::Error(e) => format!("error {} {}", e.code, e.reason),
        WatchEvent::Bookmark(b) => format!("bookmark {:?}", b.metadata.annotations.keys()),
    }
}

pub(crate) async fn tell_everything_from_where_they_start(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    api.create(&PostParams::default(), &config_map("before", json!({"app": "x"}))).await.unwrap();
    let from = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.create(&PostParams::default(), &config_map("other", json!({}))).await.unwrap();
    api.create(&PostParams::default(), &config_map("a", json!({"app": "x"}))).await.unwrap();
    let label = |value: Value| Patch::Merge(json!({"metadata": {"labels": {"app": value}}}));
    let params = PatchParams::default();
    api.patch("a", &params, &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    api.patch("a", &params, &label(Value::Null)).await.unwrap();
    api.patch("a", &params, &label(json!("x"))).await.unwrap();
    let watch = api.watch(&WatchParams::default().labels("app=x"), &from).await.unwrap();
    // The last one happens while the watch is on.
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events: Vec<String> = within(watch.map_ok(told).take(5).try_collect()).await.unwrap();
    // Losing the label looks like a deletion, getting it like a birth.
    assert_eq!(events, ["added a", "modified a", "deleted a", "added a", "deleted a"]);

    // From the middle on, the rest and no more.
    let watch = api.watch(&WatchParams::default().labels("app=x"), &from).await.unwrap();
    let second = within(
        watch
            .try_filter_map(async |e| {
                Ok(match e {
                    WatchEvent::Modified(o) => o.resource_version(),
                    _ => None,
                })
            })
            .boxed()
            .next(),
    )
    .await
    .unwrap()
    .unwrap();
    let watch = api.watch(&WatchParams::default().labels("app=x"), &second).await.unwrap();
    let events: Vec<String> = within(watch.map_ok(told).take(3).try_collect()).await.unwrap();
    assert_eq!(events, ["deleted a", "added a", "deleted a"]);
}

pub(crate) async fn begin_with_the_present(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name, json!({"app": "x"}))).await.unwrap();
    }
    for from in ["", "0"] {
        let watch = s.core(&format!(
            "configmaps?watch=true&labelSelector=app%3Dx&timeoutSeconds=1&resourceVersion={from}"
        ));
        let reply = s.get(&watch).await;
        let mut names: Vec<String> = reply
            .text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .map(|e| {
                format!(
                    "{} {}",
                    e["type"].as_str().unwrap(),
                    e["object"]["metadata"]["name"].as_str().unwrap()
                )
            })
            .collect();
        names.sort();
        assert_eq!(names, ["ADDED a", "ADDED b"], "from {from:?}");
    }
}

pub(crate) async fn stream_their_list(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name, json!({"app": "x"}))).await.unwrap();
    }
    let config = watcher::Config::default().labels("app=x").streaming_lists();
    let mut stream = watcher(api.clone(), config).boxed();
    let mut seen = Vec::new();
    loop {
        match within(stream.next()).await.unwrap().unwrap() {
            watcher::Event::InitApply(o) => seen.push(o.name_any()),
            watcher::Event::InitDone => break,
            _ => {}
        }
    }
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
    api.create(&PostParams::default(), &config_map("c", json!({"app": "x"}))).await.unwrap();
    let watcher::Event::Apply(next) = within(stream.next()).await.unwrap().unwrap() else {
        panic!("no event")
    };
    assert_eq!(next.name_any(), "c", "and it goes on from there");
    // The end of the list is a bookmark that says so.
    let query = "configmaps?watch=true&labelSelector=app%3Dx&timeoutSeconds=1&sendInitialEvents=true\
                 &allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let reply = s.get(&s.core(query)).await;
    let events: Vec<Value> = reply.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let last = events.iter().find(|e| e["type"] == "BOOKMARK").expect("a bookmark");
    assert_eq!(last["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(last["object"]["kind"], "ConfigMap");
    // It cannot be asked for in half.
    let reply = s.get(&s.core("configmaps?watch=true&sendInitialEvents=true")).await;
    assert_eq!(reply.status().0, 422);
}

pub(crate) async fn too_old_is_gone(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let old = &s.server.old_revision;
    let watch = api.watch(&WatchParams::default(), old).await.unwrap();
    let events: Vec<String> = within(watch.map_ok(told).take(1).try_collect()).await.unwrap();
    assert_eq!(events, ["error 410 Expired"], "in the stream, as everything else");
    let reply =
        s.get(&s.core(&format!("configmaps?watch=true&resourceVersion={old}&timeoutSeconds=2"))).await;
    assert_eq!((reply.code, reply.text.lines().count()), (200, 1), "and then it ends");
}

pub(crate) async fn end_when_asked(s: Subject) {
    let began = std::time::Instant::now();
    let reply = s.get(&s.core("configmaps?watch=true&timeoutSeconds=1&labelSelector=none")).await;
    assert_eq!((reply.code, reply.text.as_str()), (200, ""));
    assert!(reply.content_type.starts_with("application/json"), "{}", reply.content_type);
    assert!(began.elapsed().as_millis() >= 900);
    let reply = s.get(&s.core("configmaps?watch=true&timeoutSeconds=x")).await;
    assert_eq!(reply.status().0, 400);
}
