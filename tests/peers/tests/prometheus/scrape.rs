//! Our scraper and a real Prometheus, shown the same pages in the same order, write the same samples: values, `up`,
//! staleness markers.

mod script;
mod sink;

use std::collections::BTreeMap;

use peers::{World, built, until};
use serde_json::json;

use script::{Script, Target};
use sink::{Point, Sink};

/// A sample as both must have it: which scrape it belongs to, or the time that the page itself gave, and the value.
type Seen = (When, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Scrape(usize),
    Explicit(i64),
}

/// Points by series; the n-th sample of `up` is the n-th scrape.
fn by_scrape(points: &[Point]) -> BTreeMap<String, Vec<Seen>> {
    let mut scrapes: Vec<i64> = points.iter().filter(|p| p.name == "up").map(|p| p.t_ms).collect();
    scrapes.sort_unstable();
    let mut all: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for point in points {
        let when = scrapes.binary_search(&point.t_ms).map_or(When::Explicit(point.t_ms), When::Scrape);
        // How long a scrape took is its own affair.
        let any = point.name == "scrape_duration_seconds" && point.value != "stale";
        let value = if any { "some".into() } else { point.value.clone() };
        all.entry(point.labels.clone()).or_default().push((when, value));
    }
    all.values_mut().for_each(|samples| samples.sort());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_pages_give_the_same_samples() {
    let Some([_]) = built(["prometheus"]) else { return };
    let world = World::new(peers::gauntlet!());
    let sink = Sink::start().await;
    let discovery = world.write("targets.json", "[]");
    let config = |who: &str| {
        format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, external_labels: {{cluster: east}}}}\n\
             scrape_configs:\n\
             - job_name: script\n  \
               file_sd_configs: [{{files: ['{}'], refresh_interval: 100ms}}]\n  \
               metric_relabel_configs:\n  \
               - {{source_labels: [__name__], regex: 'dropped_.*', action: drop}}\n  \
               - {{source_labels: [__name__], regex: 'old_(.*)', target_label: __name__, replacement: 'new_$1'}}\n  \
               - {{regex: 'secret', action: labeldrop}}\n\
             remote_write:\n- url: {}/{who}\n  queue_config: {{batch_send_deadline: 100ms}}\n",
            discovery.display(),
            sink.url,
        )
    };
    let _ours = world.scrape("scrape", &config("ours")).await;
    let _theirs = world.prometheus("prometheus", &config("theirs"), "").await;

    // Now, since Prometheus sends no samples from before its start.
    let script = Script::new();
    let pages = script.len();
    let target = Target::start(script).await;
    let found = json!([{"targets": [target.address], "labels": {"job": "script", "region": "eu"}}]);
    world.write("targets.json", &found.to_string());
    until("every page was seen by both", async || {
        let seen = target.seen();
        if seen.len() == 2 && seen.values().all(|n| *n > pages) {
            Ok(())
        } else {
            Err(format!("{seen:?} of {pages}"))
        }
    })
    .await;
    // The target leaves: its series end.
    world.write("targets.json", "[]");
    let ended = |points: &[Point]| points.iter().any(|p| p.name == "up" && p.value == "stale");
    until("both ended the series", async || {
        let (ours, theirs) = (ended(&sink.points("ours")), ended(&sink.points("theirs")));
        if ours && theirs { Ok(()) } else { Err(format!("ours {ours}, theirs {theirs}")) }
    })
    .await;
    // What is written together with the end of `up` may still be under way.
    let settled = until("the same samples", async || {
        let (ours, theirs) = (by_scrape(&sink.points("ours")), by_scrape(&sink.points("theirs")));
        differences(&ours, &theirs, pages).map(|()| ours.len())
    });
    assert!(settled.await > 20);
}

/// Each side goes on for a while after the last page, not equally long: what is compared are the pages, and that every
/// series has ended.
fn differences(
    ours: &BTreeMap<String, Vec<Seen>>,
    theirs: &BTreeMap<String, Vec<Seen>>,
    pages: usize,
) -> Result<(), String> {
    let mut wrong = Vec::new();
    let scripted = |samples: Option<&Vec<Seen>>| -> Vec<Seen> {
        let scripted = |(when, _): &&Seen| !matches!(when, When::Scrape(n) if *n >= pages);
        samples.into_iter().flatten().filter(scripted).cloned().collect()
    };
    let last =
        |samples: Option<&Vec<Seen>>| samples.and_then(|s| s.last()).map(|(_, value)| value == "stale");
    for labels in ours.keys().chain(theirs.keys().filter(|l| !ours.contains_key(*l))) {
        let (a, b) = (ours.get(labels), theirs.get(labels));
        let (x, y) = (scripted(a), scripted(b));
        if x != y {
            let only = |these: &[Seen], those: &[Seen]| -> Vec<Seen> {
                these.iter().filter(|s| !those.contains(s)).cloned().collect()
            };
            wrong.push(format!("{labels}: only ours {:?}, only theirs {:?}", only(&x, &y), only(&y, &x)));
        } else if last(a) != last(b) {
            wrong.push(format!(
                "{labels}: ended by a staleness marker: ours {:?}, theirs {:?}",
                last(a),
                last(b)
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} series differ:\n{}", wrong.len(), wrong.join("\n")))
    }
}
