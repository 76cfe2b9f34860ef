//! One of two stores dies: warnings where Thanos warns, and where it goes silent ours still says so.

use peers::queries::{instant, other};
use peers::traffic::now_ms;
use peers::write::push;
use peers::{World, built, until};
use serde_json::Value;
use thanos_model::Labels;

fn warns(body: &Value) -> bool {
    body["warnings"].as_array().is_some_and(|w| !w.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_is_said_for_as_long_as_it_is_lost() {
    let Some([_]) = built(["thanos"]) else { return };
    let world = World::new(peers::gauntlet!());
    let stays = world.receive("stays", r#"--label site="a""#).await;
    let mut dies = world.receive("dies", r#"--label site="b""#).await;
    let t_ms = now_ms() - 1000;
    let series = [(Labels::from_pairs([("__name__", "seen")]), vec![(t_ms, 1.0)])];
    for receive in [&stays, &dies] {
        push(&format!("{}/api/v1/receive", receive.url(19291)), &series).await.unwrap();
    }
    let endpoints = format!("--endpoint {}:10901 --endpoint {}:10901", stays.at, dies.at);
    let real = world.thanos_query("query-real", &endpoints).await;
    let ours = world.query("query-ours", &endpoints).await;
    let at = t_ms as f64 / 1000.0 + 1.0;
    let ask = async |base: String| instant(&base, "count(seen)", at).await;
    for querier in [&real, &ours] {
        until("both stores are seen", async || {
            let (_, body) = ask(querier.url(9090)).await?;
            let whole = body["data"]["result"][0]["value"][1] == "2" && !warns(&body);
            if whole { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }

    dies.kill();
    let half = |(status, body): (u16, Value)| {
        assert_eq!((status, &body["data"]["result"][0]["value"][1]), (200, &Value::from("1")), "{body}");
        body
    };
    // At once: both know a store that they cannot ask.
    let (by_real, by_ours) =
        (half(ask(real.url(9090)).await.unwrap()), half(ask(ours.url(9090)).await.unwrap()));
    assert!(warns(&by_real), "{by_real}");
    assert!(warns(&by_ours), "{by_ours}");
    assert!(by_ours["warnings"].to_string().contains(&dies.at.to_string()), "{by_ours}");

    // Seconds later, Thanos has forgotten it, and answers as if that were all there is.
    until("Thanos goes silent", async || {
        let (_, body) = ask(real.url(9090)).await?;
        if warns(&body) { Err(body.to_string()) } else { Ok(()) }
    })
    .await;
    let strict = [("query", "count(seen)"), ("time", &*at.to_string()), ("partial_response", "false")];
    assert_eq!(other(&real.url(9090), "query", &strict).await.unwrap().0, 200);
    let by_ours = half(ask(ours.url(9090)).await.unwrap());
    assert!(warns(&by_ours) && by_ours["warnings"].to_string().contains(&dies.at.to_string()), "{by_ours}");
    let (status, body) = other(&ours.url(9090), "query", &strict).await.unwrap();
    assert_eq!((status, body["status"].as_str()), (503, Some("error")), "{body}");

    // Back again, both see all.
    dies.again().await;
    for querier in [&real, &ours] {
        until("the store is back", async || {
            let (_, body) = ask(querier.url(9090)).await?;
            let whole = body["data"]["result"][0]["value"][1] == "2" && !warns(&body);
            if whole { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }
}
