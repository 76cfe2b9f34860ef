use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const PART: Range = Range { from_ms: 1_767_225_600_000, step_ms: 15_000, points: 3 };

fn matrix(values: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{values}]}}]}}}}"#
    )
}

const GOOD: &str = r#"[1767225600,"10"],[1767225615,"20.5"],[1767225630.000,"0"]"#;

#[test]
fn one_series_without_gaps_becomes_points() {
    let points = decode(matrix(GOOD).as_bytes(), PART).unwrap();
    assert_eq!(points.iter().map(|p| p.value).collect::<Vec<_>>(), [10.0, 20.5, 0.0]);
    assert_eq!(points[2].at_s - points[0].at_s, 30.0);
}

#[test]
fn anything_else_is_said_with_its_time() {
    for (body, want) in [
        (matrix(&GOOD.replace("\"20.5\"", "\"NaN\"")), "\"NaN\" at 2026-01-01T00:00:15Z is no rate"),
        (matrix(&GOOD.replace("\"20.5\"", "\"+Inf\"")), "\"+Inf\" at 2026-01-01T00:00:15Z"),
        (matrix(&GOOD.replace("\"20.5\"", "\"-1\"")), "\"-1\" at 2026-01-01T00:00:15Z"),
        (matrix(&GOOD.replace(r#"[1767225615,"20.5"],"#, "")), "no value at 2026-01-01T00:00:15Z"),
        (matrix(""), "no value at 2026-01-01T00:00:00Z"),
        (matrix(GOOD).replace("matrix", "vector"), "returned a vector"),
        (matrix(GOOD).replace("[{\"metric\"", "[{},{\"metric\""), "returned 2 series; exactly one"),
        (matrix(GOOD).replace(r#""values""#, r#""histograms":[1],"values""#), "histograms"),
        (r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.into(), "returned 0 series"),
        (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.into(), "refused: parse error"),
        ("<html>".into(), "not the Prometheus API's"),
    ] {
        let error = decode(body.as_bytes(), PART).unwrap_err();
        assert!(error.contains(want), "{want:?} is not in: {error}");
    }
}

/// Answers every request with the same, and keeps what it was asked.
async fn serve(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !String::from_utf8_lossy(&asked).contains("step=") {
            let mut some = [0; 4096];
            let n = stream.read(&mut some).await.unwrap();
            assert_ne!(n, 0, "closed early");
            asked.extend_from_slice(&some[..n]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, asked)
}

fn scenario(url: &str) -> Scenario {
    let text = format!(
        "name: recorded\nclusters: [east]\nservices: {{web: {{}}}}\nload:\n  name: users\n  to: web\n  series: {{url: \
         \"{url}\", query: 'sum(rate(x[1m]))', from: 2026-01-01T00:00:00Z, to: 2026-01-01T00:00:44Z, step: 15s, speed: 2, \
         scale: 3}}\n"
    );
    let loaded = simulations_scenario::parse("t.yaml", &text, &Default::default(), &|_| Err("no".into()));
    loaded.unwrap().scenario
}

#[tokio::test]
async fn a_query_is_asked_once_and_played() {
    let body = matrix(GOOD);
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let (url, asked) = serve(answer).await;
    let mut s = scenario(&url);
    // Known before it is asked: 30 seconds at twice the speed.
    let marks: Vec<String> = s.marks().into_iter().map(|(name, _)| name).collect();
    assert_eq!((s.duration(), marks), (Duration::from_secs(15), vec!["users".to_owned(), "end".to_owned()]));
    fetch(&mut s).await.unwrap();
    let shown: Vec<String> = s.load.iter().flat_map(|l| l.course()).map(|s| s.to_string()).collect();
    assert_eq!(shown, ["7.5s@30..61.5", "7.5s@61.5..0"]);
    assert_eq!(s.duration(), Duration::from_secs(15));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /prefix/api/v1/query_range HTTP/1.1"), "{asked}");
    let form = "query=sum%28rate%28x%5B1m%5D%29%29&start=1767225600.000&end=1767225630.000&step=15.000";
    assert!(asked.ends_with(form), "{asked}");
}

#[tokio::test]
async fn what_does_not_answer_is_said_with_the_loads_path() {
    let answer = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngone";
    let (url, asked) = serve(answer.into()).await;
    let error = fetch(&mut scenario(&url)).await.unwrap_err();
    assert_eq!(error, format!("load.series: {url}: 502 Bad Gateway: \"gone\""));
    asked.await.unwrap();
    // Nobody listens there any more.
    let error = fetch(&mut scenario(&url)).await.unwrap_err();
    assert!(error.contains("cannot be asked"), "{error}");
    let secret = url.replace("http://", "http://me:hunter2@");
    let error = fetch(&mut scenario(&secret)).await.unwrap_err();
    assert!(error.contains(&format!("{url}: cannot be asked")) && !error.contains("hunter2"), "{error}");
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(values in "\\PC{0,80}", at in proptest::prelude::any::<i64>()) {
        let part = Range { from_ms: at / 4, ..PART };
        drop(decode(values.as_bytes(), part));
        drop(decode(matrix(&values).as_bytes(), part));
    }
}
