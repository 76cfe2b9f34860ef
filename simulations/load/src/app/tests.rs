use std::time::Instant;

use clap::Parser;
use http::{Method, StatusCode, Uri};
use thanos_telemetry::Shutdown;

use super::upstream::Upstream;
use super::*;

/// Reads flags as the binary does.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    app: App,
}

fn app(flags: &[&str]) -> App {
    Cli::try_parse_from(["app"].iter().chain(flags)).unwrap_or_else(|e| panic!("{e}")).app
}

/// A free address. Another process may take it in between; then the test fails and says so.
async fn free() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Runs an app until its shutdown; it listens already.
async fn start(flags: &[&str]) -> (SocketAddr, Shutdown) {
    let listen = free().await;
    let shutdown = Shutdown::new();
    let address = listen.to_string();
    let flags = [flags, &["--listen", &address]].concat();
    tokio::spawn(run(app(&flags), Context { shutdown: shutdown.clone() }));
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(listen).await.is_ok() {
            return (listen, shutdown);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{flags:?} does not listen");
}

fn client(addr: SocketAddr) -> Upstream {
    let uri: Uri = format!("http://{addr}/").parse().unwrap();
    Upstream::new("--upstream", &uri, None, Duration::from_secs(20)).unwrap()
}

async fn get(client: &Upstream, path: &str) -> (StatusCode, String) {
    let (status, body) = client.ask(Method::GET, path).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Statuses of so many requests at once, sorted.
async fn at_once(client: &Upstream, n: usize) -> Vec<u16> {
    let all = (0..n).map(|_| async { client.ask(Method::GET, "/").await.unwrap().0.as_u16() });
    let mut statuses = futures::future::join_all(all).await;
    statuses.sort_unstable();
    statuses
}

fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find(|l| l.starts_with(name) && l[name.len()..].starts_with(['{', ' ']));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn web_works_on_so_many_at_once_and_front_passes_the_answer_on() {
    // The same over both protocols.
    for grpc in [false, true] {
        let more: &[&str] = if grpc { &["--grpc"] } else { &[] };
        let work = ["web", "--service-time=100ms", "--concurrency=2", "--queue=2"];
        let (web, _) = start(&[&work, more].concat()).await;
        let proxy = format!("--proxy={web}");
        let through = ["front", "--upstream=http://web.default.svc.cluster.local/", &proxy];
        let (front, _) = start(&[&through, more].concat()).await;

        let started = Instant::now();
        let statuses = at_once(&client(front), 5).await;
        // Two worked on, two queued, one refused; two rounds of work.
        let refused = if grpc { 502 } else { 503 };
        assert_eq!(statuses, [200, 200, 200, 200, refused], "gRPC: {grpc}");
        assert!(started.elapsed() >= Duration::from_millis(200));
    }
}

#[tokio::test]
async fn a_job_waits_for_a_worker_and_its_sender_is_answered_when_it_is_done() {
    let (queue, _) = start(&["queue", "--linger=0s", "--poll=100ms"]).await;
    let url = format!("--queue=http://{queue}/");
    let (exporter, _) = start(&["exporter", &url, "--name=mail"]).await;
    let senders = client(queue);
    let jobs = tokio::spawn(async move { at_once(&senders, 6).await });
    let page = async || get(&client(exporter), "/metrics").await;
    let depth = async || value(&page().await.1, "rabbitmq_detailed_queue_messages_ready");
    for _ in 0..500 {
        if depth().await == 6.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(depth().await, 6.0, "nobody works yet");
    assert!(page().await.1.contains("{vhost=\"/\",queue=\"mail\"} 6"));

    let began = Instant::now();
    let (_, leave) = start(&["worker", &url, "--service-time=50ms", "--concurrency=2"]).await;
    assert_eq!(jobs.await.unwrap(), [200; 6]);
    // Two at once: three rounds.
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(value(&page().await.1, "rabbitmq_detailed_queue_messages"), 0.0);
    leave.start();
}

#[tokio::test]
async fn an_exporter_that_cannot_ask_says_nothing_of_an_empty_queue() {
    let nobody = free().await;
    let (exporter, _) = start(&["exporter", &format!("--queue=http://{nobody}/")]).await;
    let (status, page) = get(&client(exporter), "/metrics").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!page.contains("rabbitmq"), "{page}");
}

#[tokio::test]
async fn inference_shares_its_steps_and_shows_who_runs_and_who_waits() {
    // About a second each; with this stream no answer is short.
    let flags = [
        "--slots=2",
        "--step=10ms",
        "--step-per-request=0s",
        "--output-tokens=100",
        "--prompt-tokens=10",
        "--stream=a",
    ];
    let (server, _) = start(&[&["inference"], &flags[..]].concat()).await;
    let ask = client(server);
    let sender = ask.clone();
    let all = tokio::spawn(async move { at_once(&sender, 4).await });
    let mut seen = (0.0, 0.0);
    for _ in 0..500 {
        let (_, page) = get(&ask, "/metrics").await;
        seen = (value(&page, "vllm:num_requests_running"), value(&page, "vllm:num_requests_waiting"));
        if seen == (2.0, 2.0) {
            assert!(value(&page, "vllm:kv_cache_usage_perc") > 0.0);
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(seen, (2.0, 2.0), "two run, two wait");
    assert_eq!(all.await.unwrap(), [200; 4]);
    let (_, page) = get(&ask, "/metrics").await;
    assert_eq!(value(&page, "vllm:num_requests_running") + value(&page, "vllm:num_requests_waiting"), 0.0);
}

#[tokio::test]
async fn llama_cpp_answers_nothing_but_503_while_the_model_is_loaded() {
    let (server, _) = start(&["inference", "--names=llama-cpp", "--start-up=300ms"]).await;
    let ask = client(server);
    let before = [get(&ask, "/health").await.0, get(&ask, "/metrics").await.0];
    assert_eq!(before, [StatusCode::SERVICE_UNAVAILABLE; 2]);
    for _ in 0..500 {
        if get(&ask, "/health").await.0 == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, page) = get(&ask, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(value(&page, "llamacpp:requests_deferred"), 0.0);
}

/// The answer to a request with a body, head and all.
async fn post(addr: SocketAddr, path: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: \
         {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn completions_are_as_long_as_they_are_asked_to_be() {
    let flags = ["inference", "--model=m", "--kv-tokens=2000", "--step=1ms", "--step-per-request=0s"];
    let (server, _) = start(&flags).await;
    let asked = async |body: &str| post(server, "/v1/completions", body).await;
    let answer = asked(r#"{"model": "m", "prompt": "12345678", "max_tokens": 5}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for part in [
        r#""prompt_tokens":2"#,
        r#""completion_tokens":5"#,
        r#""text":" ok ok ok ok ok""#,
        r#""finish_reason":"length""#,
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(asked(r#"{"max_tokens": 2000}"#).await.starts_with("HTTP/1.1 400"), "more than the cache holds");
    assert!(asked(r#"{"stream": true}"#).await.starts_with("HTTP/1.1 400"));
    let (_, page) = get(&client(server), "/metrics").await;
    assert_eq!(value(&page, "vllm:generation_tokens_total"), 5.0);
}
