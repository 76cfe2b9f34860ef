use std::collections::BTreeMap;

use simulations_cluster::ClusterConfig;

use super::*;

/// Cuts per link and lane, without those that are open.
fn cuts(links: &Links) -> BTreeMap<String, (usize, usize)> {
    let counts = links
        .0
        .iter()
        .map(|l| (format!("{}>{}", l.from, l.to), (*l.api_cuts.borrow(), *l.pods_cuts.borrow())));
    counts.filter(|(_, counts)| *counts != (0, 0)).collect()
}

#[tokio::test]
async fn a_cut_is_of_every_link_of_its_cluster_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut clusters = Vec::new();
    for name in ["a", "b", "c"] {
        clusters.push(Cluster::start(ClusterConfig::new(name, dir.path().join(name))).await.unwrap());
    }
    let links = Links::start(&clusters).await.unwrap();
    let expected = |list: &[(&str, (usize, usize))]| -> BTreeMap<String, (usize, usize)> {
        list.iter().map(|(link, counts)| ((*link).to_owned(), *counts)).collect()
    };
    let whole = links.cut("b", &Lane::ALL);
    assert_eq!(cuts(&links), expected(&[("a>b", (1, 1)), ("b>a", (1, 1)), ("b>c", (1, 1)), ("c>b", (1, 1))]));
    let api = links.cut("a", &[Lane::Api]);
    assert_eq!(cuts(&links)["a>b"], (2, 1));
    drop(whole);
    assert_eq!(cuts(&links), expected(&[("a>b", (1, 0)), ("a>c", (1, 0)), ("b>a", (1, 0)), ("c>a", (1, 0))]));
    drop(api);
    assert_eq!(cuts(&links), expected(&[]));

    // The other cluster's API server, by the address that a cluster's pods are told.
    let url = links.api_url("a", "b").unwrap();
    assert_ne!(url, clusters[1].api_url());
    let client = kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    client.apiserver_version().await.unwrap();
    let _cut = links.cut("b", &[Lane::Api]);
    let unanswered = tokio::time::timeout(std::time::Duration::from_millis(100), client.apiserver_version());
    assert!(unanswered.await.is_err());
    assert!(links.api_url("a", "a").is_none() && links.route("b", "c").is_some());
    for cluster in clusters {
        cluster.stop().await;
    }
}
