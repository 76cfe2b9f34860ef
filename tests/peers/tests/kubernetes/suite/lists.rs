//! Lists: selectors, pages, forms.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::objects::{config_map, deployment};
use crate::subject::{Subject, refusal};

async fn fill(s: &Subject, count: usize) -> Api<ConfigMap> {
    let api: Api<ConfigMap> = s.api();
    for n in 0..count {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        let labels = json!({"app": "x", "parity": parity, "n": n.to_string()});
        api.create(&PostParams::default(), &config_map(&format!("c{n}"), labels)).await.unwrap();
    }
    api
}

pub(crate) async fn selectors_select(s: Subject) {
    let api = fill(&s, 4).await;
    for (labels, fields, expected) in [
        ("parity=even", "", "c0 c2"),
        ("parity==odd,n!=3", "", "c1"),
        ("n in (0,3)", "", "c0 c3"),
        ("n notin (0,3),parity", "", "c1 c2"),
        ("!parity", "", ""),
        ("!other,parity=even", "", "c0 c2"),
        ("other!=y,parity=odd", "", "c1 c3"),
        ("", "metadata.name=c1", "c1"),
        ("parity", "metadata.name!=c1", "c0 c2 c3"),
        ("n>1", "", "c2 c3"),
        ("n > 0,n<3", "", "c1 c2"),
        ("parity>1", "", ""),
        ("parity in (even,),n notin (0)", "", "c2"),
    ] {
        let found = api.list(&ListParams::default().labels(labels).fields(fields)).await.unwrap();
        let names: Vec<String> =
            found.items.iter().map(|c| c.name_any()).filter(|n| n != "kube-root-ca.crt").collect();
        assert_eq!(names.join(" "), expected, "{labels:?} {fields:?}");
    }
    for (labels, fields) in [
        ("a b (x)", ""),
        ("=x", ""),
        ("((", ""),
        ("", "spec.none=1"),
        ("", "x"),
        ("n=a b", ""),
        ("n=-x", ""),
        ("n>x", ""),
        ("n,", ""),
        ("n in (a b)", ""),
        ("a/b/c=x", ""),
        ("!n=x", ""),
    ] {
        let (code, reason, _) = refusal(api.list(&ListParams::default().labels(labels).fields(fields)).await);
        assert_eq!((code, reason.as_str()), (400, "BadRequest"), "{labels:?} {fields:?}");
    }
}

pub(crate) async fn come_in_pages(s: Subject) {
    let api = fill(&s, 7).await;
    let (mut names, mut token, mut sizes) = (Vec::new(), None, Vec::new());
    let mut version = None;
    loop {
        let mut params = ListParams::default().limit(3).labels("app=x");
        params.continue_token = token;
        let page = api.list(&params).await.unwrap();
        // With a selector nobody counts what is left.
        assert_eq!(page.metadata.remaining_item_count, None);
        let at = page.metadata.resource_version.clone();
        assert_eq!(version.get_or_insert_with(|| at.clone()), &at, "all pages are of one time");
        names.extend(page.items.iter().map(|c| c.name_any()));
        sizes.push(page.items.len());
        token = page.metadata.continue_.filter(|t| !t.is_empty());
        // What comes between the pages is not in them.
        if sizes.len() == 1 {
            api.create(&PostParams::default(), &config_map("c3a", json!({"app": "x"}))).await.unwrap();
        }
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]);
    assert_eq!(sizes, [3, 3, 1]);
    let page = s.get(&s.apps("deployments?limit=1")).await;
    assert_eq!(page.body["metadata"].get("continue"), None, "nothing is left of nothing");
    for name in ["a", "b", "c"] {
        s.post(&s.apps("deployments"), &deployment(name)).await;
    }
    let page = s.get(&s.apps("deployments?limit=1")).await;
    assert_eq!(page.body["metadata"]["remainingItemCount"], 2, "{page:?}");
    let bad = ListParams { continue_token: Some("nonsense".into()), limit: Some(1), ..ListParams::default() };
    assert_eq!(refusal(api.list(&bad).await).0, 400);
}

pub(crate) async fn collections_go_together(s: Subject) {
    let api = fill(&s, 4).await;
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("parity=odd"))
        .await
        .unwrap();
    let left = api.list(&ListParams::default().labels("app=x")).await.unwrap();
    let names: Vec<String> = left.items.iter().map(|c| c.name_any()).collect();
    assert_eq!(names, ["c0", "c2"]);
}

pub(crate) async fn take_other_forms(s: Subject) {
    let api = fill(&s, 2).await;
    let meta = api.list_metadata(&ListParams::default().labels("app=x")).await.unwrap();
    assert_eq!(meta.items.len(), 2);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let listed = s.send("GET", &s.core("configmaps?labelSelector=app%3Dx"), "", table, "").await.body;
    assert_eq!(
        (listed["kind"].as_str(), listed["apiVersion"].as_str()),
        (Some("Table"), Some("meta.k8s.io/v1"))
    );
    let headings: Vec<&str> =
        listed["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(headings, ["Name", "Data", "Age"]);
    assert_eq!(listed["rows"][0]["cells"][0], "c0");
    assert_eq!(listed["rows"][0]["cells"][1], 1, "numbers are numbers");
    assert_eq!(listed["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let one = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let one = s.send("GET", &s.core("configmaps/c0"), "", one, "").await.body;
    assert_eq!((one["kind"].as_str(), one.get("data")), (Some("PartialObjectMetadata"), None));
    let neither = s.send("GET", &s.core("configmaps/c0"), "", "text/html", "").await;
    assert_eq!(neither.code, 406);
}

pub(crate) async fn versions_are_looked_at(s: Subject) {
    fill(&s, 1).await;
    let maps = s.core("configmaps");
    for (query, expected) in [
        ("resourceVersion=0", 200),
        ("resourceVersion=abc", 400),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Other", 422),
    ] {
        let reply = s.get(&format!("{maps}?{query}")).await;
        assert_eq!(reply.code, expected, "{query}: {}", reply.text);
    }
    let before = s.get(&maps).await.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    s.post(&maps, &json!({"metadata": {"name": "later", "labels": {"app": "x"}}})).await;
    let count = async |query: &str| {
        let list = s.get(&format!("{maps}?labelSelector=app%3Dx&resourceVersion={before}{query}")).await;
        list.body["items"].as_array().map(Vec::len)
    };
    assert_eq!(count("&resourceVersionMatch=Exact").await, Some(1), "as it was");
    assert_eq!(count("&resourceVersionMatch=NotOlderThan").await, Some(2));
}
