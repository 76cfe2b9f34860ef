use super::*;
use clap::Parser;
use thanos_telemetry::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &[&str]) -> Result<Args, String> {
    let line = std::iter::once("load").chain(line.iter().copied());
    Cli::try_parse_from(line).map(|c| c.args).map_err(|e| e.to_string())
}

async fn start(line: &[&str]) -> Result<(), RunError> {
    let args = parse(line).unwrap();
    run(args, Context { shutdown: Shutdown::new() }).await
}

/// Answers every request with this status.
async fn serve(status: u16) -> String {
    serve_after(status, Duration::ZERO).await
}

async fn serve_after(status: u16, time: Duration) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    tokio::time::sleep(time).await;
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    uri
}

#[test]
fn wrong_flags_are_named_with_what_is_right() {
    let stage = ["--stage", "1s@1"];
    for (line, wants) in [
        (&["--url", "ftp://host/"][..], &["--url", "neither http nor https", "write http://HOST"][..]),
        (&["localhost:8080"], &["URL", "no scheme", "write http://HOST"]),
        (&["http://h/", "-H", "x"], &["--header", "write 'Name: value'"]),
        (&["http://h/", "-H", "content-length: 3"], &["--header", "cannot be set"]),
        (&["http://h/", "-X", "CONNECT"], &["--method", "tunnel"]),
        (&["http://h/", "-X", "a b"], &["--method", "write GET"]),
        (&["http://h/", "--ok", "2xx"], &["--ok", "write 200..399"]),
        (&["http://h/", "-d", "x", "--body-file", "y"], &["--body", "--body-file", "cannot be used with"]),
        (&["http://h/", "-k", "--cacert", "y"], &["--insecure", "--cacert", "cannot be used with"]),
        (&["http://h/", "--timeout", "10"], &["--timeout", "write for example 30s"]),
        (&[], &["URL", "required"]),
    ] {
        let error = parse(&[line, &stage].concat()).unwrap_err();
        for want in wants {
            assert!(error.contains(want), "{line:?}: {want:?} is not in: {error}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_told_before_anything_is_sent() {
    for (line, wants) in [
        (&["http://h/", "--stage", "1s@0"][..], &["--stage", "no request is due"][..]),
        (&["http://h/", "--stage", "9s@9", "--timeout", "0s"], &["--timeout 0", "10s"]),
        (&["http://h/", "--stage", "9s@9", "--connect-timeout", "0s"], &["--connect-timeout 0"]),
        (&["http://h/", "--stage", "9s@9", "-d", "@/does/not/exist"], &["--body @/does/not/exist"]),
        (
            &["http://h/", "--stage", "9s@9", "--body-file", "/does/not/exist"],
            &["--body-file /does/not/exist"],
        ),
        (&["https://h/", "--stage", "9s@9", "--cacert", "/does/not/exist"], &["--cacert /does/not/exist"]),
        (
            &["http://h/", "--stage", "9s@9", "--max-in-flight", "999999999999"],
            &["--max-in-flight", "ulimit -n"],
        ),
        (&["http://h/", "--series", "/does/not/exist"], &["/does/not/exist"]),
    ] {
        match start(line).await {
            Err(RunError::Config(error)) => {
                for want in wants {
                    assert!(error.contains(want), "{line:?}: {want:?} is not in: {error}");
                }
            }
            other => panic!("{line:?}: {other:?}"),
        }
    }
}

#[test]
fn flags_become_the_request() {
    let args = parse(&[
        "http://h/a",
        "--url",
        "http://i/b",
        "-H",
        "x: 1",
        "-H",
        "x: 2",
        "-d",
        "hello",
        "--no-keepalive",
        "--http2",
        "--ok",
        "200,404",
        "--connect-timeout",
        "3s",
        "--stage",
        "1s@1",
    ])
    .unwrap();
    let urls = args.all_urls().unwrap();
    assert_eq!(urls, ["http://h/a", "http://i/b"]);
    let r = args.request(&urls).unwrap();
    assert_eq!((r.method.as_str(), &r.body[..]), ("POST", &b"hello"[..]));
    assert_eq!(r.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((r.keep_alive, r.http2, r.connect_timeout), (false, true, Some(Duration::from_secs(3))));
    assert!(r.ok.contains(404) && !r.ok.contains(201) && r.tls.is_none());

    for (line, method) in
        [(&["-X", "put", "-d", "x"][..], "PUT"), (&["-X", "Delete"], "DELETE"), (&[], "GET")]
    {
        let args = parse(&[&["http://h/", "--stage", "1s@1"][..], line].concat()).unwrap();
        assert_eq!(args.request(&[]).unwrap().method.as_str(), method);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"a\r\n\0b\n").unwrap();
    let at = format!("@{}", file.path().display());
    for line in [["-d", &at], ["--body-file", &at[1..]], ["--data", &at]] {
        let args = parse(&[&["http://h/", "--stage", "1s@1"][..], &line].concat()).unwrap();
        assert_eq!(&args.request(&[]).unwrap().body[..], b"a\r\n\0b\n", "as it is, line ends too");
    }
}

#[tokio::test]
async fn a_run_ends_well_whatever_became_of_its_requests() {
    for status in [200, 404, 503] {
        let ended = start(&[&serve(status).await, "--stage", "200ms@50", "--arrivals", "even"]).await;
        // On a busy machine the generator may be late, and says so; it is no verdict on the service.
        let late = |e: &RunError| e.exit_code() == 105 && e.to_string().contains("sent late");
        assert!(ended.as_ref().err().is_none_or(late), "{status}: {ended:?}");
    }
}

#[tokio::test]
async fn a_run_that_is_broken_off_exits_with_130_and_says_what_part_ran() {
    let uri = serve(200).await;
    let args = parse(&[&uri, "--stage", "60s@50", "--json"]).unwrap();
    let shutdown = Shutdown::new();
    let (running, soon) = (run(args, Context { shutdown: shutdown.clone() }), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        shutdown.start();
    });
    match tokio::join!(running, soon).0 {
        Err(RunError::Verdict { code: 130, message }) => {
            assert!(message.starts_with("interrupted after ") && message.contains("of 60.0 s"), "{message}");
            assert!(message.contains("of about 3000 requests were due"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn too_few_slots_name_the_flag() {
    // Answers, but slower than two slots allow for.
    let uri = serve_after(200, Duration::from_millis(100)).await;
    let line = [&uri, "--stage", "300ms@100", "--timeout", "10s", "--max-in-flight", "2"];
    match start(&line).await {
        Err(RunError::Verdict { code: 105, message }) => {
            assert!(message.contains("raise --max-in-flight"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

fn account(state: State) -> Account {
    Account {
        state,
        scheduled: 3,
        planned: 3,
        lost: 0,
        length: Duration::from_secs(30),
        ran: Duration::from_secs(2),
        expected: 45.0,
    }
}

#[test]
fn the_table_and_the_json_tell_statuses_causes_and_what_part_ran() {
    let mut r = Recorder::default();
    for (status, end) in [(200, crate::recorder::End::Ok), (404, crate::recorder::End::Failed("status 404"))]
    {
        r.sent(Duration::ZERO);
        r.ended(Duration::from_millis(10), end);
        r.answer(status, 5);
    }
    r.not_sent(crate::recorder::NotSent::Saturated);
    let report = Report::new(&account(State::Interrupted), &r, &[("2s@1".into(), &r)]);
    let text = report.text();
    for want in [
        "interrupted after 2.0 of 30.0 s: 3 of about 45 requests were due\n",
        "planned    3\n",
        "completed  1\n",
        "failed     1  1 × status 404\n",
        "dropped    1  1 × the service held every slot\n",
        "statuses   1 × 200, 1 × 404\n",
        "received   10 bytes",
        "p50 never  p95 never  p99 never until answered well\n",
        "2s@1                 planned 3",
    ] {
        assert!(text.contains(want), "{want:?} is not in:\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["state"], "interrupted");
    assert_eq!((&json["planned"], &json["scheduled"], &json["saturated"]), (&3.into(), &3.into(), &1.into()));
    assert_eq!(json["statuses"], serde_json::json!({"200": 1, "404": 1}));
    assert_eq!(json["failuresAsSlowest"]["latencyP95Ms"], serde_json::Value::Null);
    assert_eq!(json["stages"][0]["stage"], "2s@1");

    let died = Report::new(&Account { scheduled: 9, ..account(State::Died("x".into())) }, &r, &[]);
    assert!(
        died.text().contains("the generator died (x)") && died.text().contains("3 of 9"),
        "{}",
        died.text()
    );
}

#[test]
fn the_verdict_tells_the_worst() {
    let well = Recorder::default();
    let mut dropped = Recorder::default();
    dropped.dropped();
    let lost = Account { planned: 2, ..account(State::Complete) };
    for (account, recorder, want) in [
        (account(State::Complete), &well, None),
        (account(State::Complete), &dropped, Some(105)),
        (account(State::Interrupted), &dropped, Some(130)),
        (account(State::Died("x".into())), &well, Some(105)),
        (lost, &well, Some(105)),
    ] {
        let code = verdict(&account, recorder, &[]).err().map(|e| e.exit_code());
        assert_eq!(code, want, "{account:?}");
    }
}

#[test]
fn a_stage_that_was_sent_late_makes_the_run_invalid_however_little_it_weighs() {
    let stage = |in_time: u32, late: u32| {
        let mut r = Recorder::default();
        (0..in_time).for_each(|_| r.sent(Duration::from_micros(100)));
        (0..late).for_each(|_| r.sent(Duration::from_millis(80)));
        r
    };
    for (late, named) in [((96, 4), false), ((90, 10), true), ((0, 1), true), ((0, 0), false)] {
        let (long, short) = (stage(100_000, 0), stage(late.0, late.1));
        let mut total = long.clone();
        total.merge(&short);
        assert_eq!(total.summary().validity(), Ok(()), "the whole hides it");
        let stages = [("60s@1000".to_owned(), &long), ("1s@100".to_owned(), &short)];
        let told = verdict(&account(State::Complete), &total, &stages);
        assert_eq!(told.is_err(), named, "{late:?}");
        if let Err(error) = &told {
            let text = error.to_string();
            assert!(text.contains("1s@100 (p95 80") && !text.contains("60s@1000"), "{text}");
            assert_eq!(error.exit_code(), 105);
        }
        let report = Report::new(&account(State::Complete), &total, &stages);
        assert_eq!(report.text().contains("invalid run: the generator itself sent late in 1s@100"), named);
    }
}
