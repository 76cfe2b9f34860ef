//! Several addresses: who is asked when one is silent, and that an answer is an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use autoscaler_core::FailureKind;
use autoscaler_querier::Prometheus;

use crate::server::{Reply, Server, ask, nobody, response, source, value};

#[tokio::test]
async fn the_next_address_is_asked_where_nobody_answered() {
    type Handler = fn() -> Reply;
    let silent: [(&str, Handler); 6] = [
        ("502", || response("502 Bad Gateway", "", b"<html>")),
        ("503", || response("503 Service Unavailable", "", b"")),
        ("500", || response("500 Internal Server Error", "", b"boom")),
        ("cannot", || response("503 x", "", br#"{"status":"error","errorType":"unavailable","error":"no"}"#)),
        ("cut", || Reply::Cut(Vec::new())),
        ("hang", || Reply::Hang),
    ];
    for (name, handler) in silent {
        let first = Server::start(move |_| handler()).await;
        let second = Server::start(|_| value(2.0)).await;
        let querier = Prometheus::new(&source(&[&first.url, &second.url])).unwrap();
        let answer = ask(&querier, 2_000).await.unwrap();
        assert_eq!(answer.series[0].value, Some(2.0), "{name}");
        assert!(answer.answered_by.starts_with(&second.url), "{name}: {}", answer.answered_by);
        let before = first.asked();
        assert!(before >= 1, "{name}");
        // It rests: the next query does not wait for it.
        ask(&querier, 2_000).await.unwrap();
        assert_eq!((first.asked(), second.asked()), (before, 2), "{name}");
    }
}

#[tokio::test]
async fn an_address_without_a_server_is_passed_over_at_once() {
    let second = Server::start(|_| value(2.0)).await;
    let first = nobody().await;
    let querier = Prometheus::new(&source(&[&first, &second.url])).unwrap();
    let began = Instant::now();
    assert!(ask(&querier, 60_000).await.is_ok());
    assert!(began.elapsed().as_secs() < 20, "not half of the deadline");
}

#[tokio::test]
async fn what_a_server_says_about_a_query_is_its_answer() {
    for (status, body) in [
        ("400 x", r#"{"status":"error","errorType":"bad_data","error":"parse"}"#),
        ("422 x", r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
        ("503 x", r#"{"status":"error","errorType":"timeout","error":"too slow"}"#),
        ("429 x", r#"{"status":"error","errorType":"too_many_requests","error":"limit"}"#),
        ("401 x", "who are you"),
        ("404 x", "nothing here"),
        ("200 OK", "<html>"),
    ] {
        let first = Server::start(move |_| response(status, "", body.as_bytes())).await;
        let second = Server::start(|_| value(2.0)).await;
        let querier = Prometheus::new(&source(&[&first.url, &second.url])).unwrap();
        ask(&querier, 20_000).await.unwrap_err();
        ask(&querier, 20_000).await.unwrap_err();
        assert_eq!((first.asked(), second.asked()), (2, 0), "{status} {body}");
    }
}

#[tokio::test]
async fn a_slow_first_address_is_still_believed_if_nobody_is_faster() {
    let both: [Server; 2] = [Server::start(|_| Reply::Hang).await, Server::start(|_| Reply::Hang).await];
    let querier = Prometheus::new(&source(&[&both[0].url, &both[1].url])).unwrap();
    let error = ask(&querier, 400).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Timeout);
    assert!(both.iter().all(|s| error.message.contains(&s.url)), "both were asked: {error}");
    assert_eq!((both[0].asked(), both[1].asked()), (1, 1));
}

#[tokio::test]
async fn where_all_are_silent_each_is_told() {
    let first = nobody().await;
    let second = Server::start(|_| response("503 x", "", b"maintenance")).await;
    let querier = Prometheus::new(&source(&[&first, &second.url])).unwrap();
    let error = ask(&querier, 20_000).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(error.message.contains(&first) && error.message.contains("maintenance"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_back_is_preferred_again() {
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let first =
        Server::start(
            move |_| {
                if is_away.load(Ordering::SeqCst) { response("503 x", "", b"") } else { value(1.0) }
            },
        )
        .await;
    let second = Server::start(|_| value(2.0)).await;
    let querier = Prometheus::new(&source(&[&first.url, &second.url])).unwrap();
    assert_eq!(ask(&querier, 20_000).await.unwrap().series[0].value, Some(2.0));
    away.store(false, Ordering::SeqCst);
    assert_eq!(ask(&querier, 20_000).await.unwrap().series[0].value, Some(2.0), "it rests");
    // A rest of one second; the clock is the machine's.
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    assert_eq!(ask(&querier, 20_000).await.unwrap().series[0].value, Some(1.0));
}
