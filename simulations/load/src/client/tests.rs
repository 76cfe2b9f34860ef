use super::*;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn target(uri: &str, request: Request) -> Target {
    Target::new(uri.parse().unwrap(), Arc::new(Client::new(request, 100)))
}

async fn ask(target: &Target) -> Result<Answer, Failure> {
    target.ask(&Way::default()).await
}

/// Answers each request with the same bytes, `per_connection` times, then closes; counts connections.
async fn serve(answer: &[u8], per_connection: usize) -> (String, Arc<AtomicUsize>) {
    let answer = answer.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/path?q", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Relaxed);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                for _ in 0..per_connection {
                    let n = stream.read(&mut buffer).await.unwrap();
                    let asked = String::from_utf8_lossy(&buffer[..n]).to_lowercase();
                    if n == 0 {
                        break;
                    }
                    // A server that speaks 1.0 is spoken to in 1.0 from then on.
                    let head =
                        [" /path?q http/1.1\r\nhost: 127.0.0.1:", " /path?q http/1.0\r\nhost: 127.0.0.1:"];
                    assert!(head.iter().any(|h| asked.contains(h)), "{asked}");
                    // A client that has seen enough may be gone.
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
    (uri, connections)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn connections_are_kept_and_those_the_server_closed_are_replaced() {
    let (uri, connections) = serve(OK, 3).await;
    let target = target(&uri, Request::default());
    for _ in 0..6 {
        ask(&target).await.unwrap();
        // The server closes after its third answer; let the news arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connections.load(Relaxed), 2);
}

#[tokio::test]
async fn a_server_that_closes_a_kept_connection_under_a_request_is_asked_once_more_where_that_is_safe() {
    // Answers the first on each connection, and closes when the second is there.
    async fn rude() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(OK).await;
                let _ = stream.read(&mut buffer).await;
            }
        });
        uri
    }
    for (method, retried, again) in [("GET", true, true), ("PUT", true, true), ("POST", false, false)] {
        let request = Request { method: method.parse().unwrap(), ..Request::default() };
        let target = target(&rude().await, request);
        ask(&target).await.unwrap();
        let way = Way::default();
        let second = target.ask(&way).await;
        assert_eq!((way.was_retried(), second.is_ok()), (retried, again), "{method}: {second:?}");
    }
    // On a new connection a close is the answer.
    let (uri, _) = serve(b"", 1).await;
    let way = Way::default();
    let error = target(&uri, Request::default()).ask(&way).await.unwrap_err();
    assert_eq!((error.counted(), way.was_retried()), ((false, "closed"), false));
}

#[tokio::test]
async fn answers_that_end_in_other_ways_are_read_to_their_end() {
    let many =
        [&b"HTTP/1.1 200 OK\r\n"[..], &b"x: y\r\n".repeat(90), b"content-length: 2\r\n\r\nok"].concat();
    let large =
        [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'y'; 60_000], b"\r\ncontent-length: 2\r\n\r\nok"].concat();
    let body = [&b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n"[..], &[b'x'; 3_000_000]].concat();
    for (answer, connections, status, body_bytes) in [
        (&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"[..], 1, 200, 2),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx: y\r\n\r\n", 1, 200, 2),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1, 204, 0),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", 1, 304, 0),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 2, 200, 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 2, 200, 2),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 1, 200, 2),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 1, 200, 2),
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            1,
            200,
            2,
        ),
        (&many, 1, 200, 2),
        (&large, 1, 200, 2),
        (&body, 1, 200, 3_000_000),
    ] {
        let (uri, counted) = serve(answer, 9).await;
        let target = target(&uri, Request::default());
        let shown = answer[..answer.len().min(80)].escape_ascii();
        for _ in 0..2 {
            assert_eq!(ask(&target).await, Ok(Answer { status, body_bytes }), "{shown}");
        }
        assert_eq!(counted.load(Relaxed), connections, "{shown}");
    }
    let (uri, _) = serve(b"HTTP/1.1 200 OK\r\n\r\nto the end", 1).await;
    assert_eq!(ask(&target(&uri, Request::default())).await.unwrap().body_bytes, 10);
    // A head's answer has no body, whatever it says.
    let (uri, counted) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 9).await;
    let head = target(&uri, Request { method: http::Method::HEAD, ..Request::default() });
    for _ in 0..2 {
        assert_eq!(ask(&head).await, Ok(Answer { status: 200, body_bytes: 0 }));
    }
    assert_eq!(counted.load(Relaxed), 1);
}

#[tokio::test]
async fn failures_have_causes() {
    let head =
        [&b"HTTP/1.1 200 OK\r\n"[..], &b"x: y\r\n".repeat(9000), b"content-length: 2\r\n\r\nok"].concat();
    for (answer, cause) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"[..], "body cut short"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", "body cut short"),
        (b"HTTP/1.1 200 OK\r\ncontent-len", "closed"),
        (b"nonsense\r\n\r\n", "malformed answer"),
        (&head, "answer's head too large"),
        (b"", "closed"),
    ] {
        let (uri, _) = serve(answer, 1).await;
        let error = ask(&target(&uri, Request::default())).await.unwrap_err();
        assert_eq!(error.counted(), (false, cause), "{}", answer[..answer.len().min(80)].escape_ascii());
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (uri, cause) in [
        (format!("http://{free}/"), "connect refused"),
        ("http://nobody.invalid/".to_owned(), "resolve"),
        ("/".to_owned(), "resolve"),
    ] {
        let error = ask(&target(&uri, Request::default())).await.unwrap_err();
        assert_eq!(error.counted(), (false, cause), "{uri}");
    }
    let (uri, _) = serve(OK, 1).await;
    let error = ask(&target(&uri.replace("http:", "https:"), Request::default())).await.unwrap_err();
    assert_eq!(error.counted(), (true, "no TLS configuration"));
}

#[tokio::test]
async fn the_wait_for_a_connection_is_told_from_the_wait_for_an_answer() {
    // Nobody accepts; once the queue is full, nobody is connected either.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let limit = Duration::from_millis(100);
    let mut kept = Vec::new();
    while let Ok(Ok(s)) = tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
        kept.push(s);
    }
    let unlimited = target(&format!("http://{address}/"), Request::default());
    let way = Way::default();
    assert!(tokio::time::timeout(limit, unlimited.ask(&way)).await.is_err());
    assert_eq!(way.timed_out().counted(), (false, "connect timeout"));

    let limited = Request { connect_timeout: Some(limit), ..Request::default() };
    let error = ask(&target(&format!("http://{address}/"), limited)).await.unwrap_err();
    assert_eq!(error.counted(), (false, "connect timeout"));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_uri = format!("http://{}/", silent.local_addr().unwrap());
    let way = Way::default();
    let target = target(&silent_uri, Request { connect_timeout: Some(limit), ..Request::default() });
    assert!(tokio::time::timeout(3 * limit, target.ask(&way)).await.is_err());
    assert_eq!(way.timed_out().counted(), (false, "timeout"));
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tx, mut rx) = tokio::sync::mpsc::channel(9);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while !text.contains("\r\n\r\n") || text.contains("content-length: 5") && !text.ends_with("hello")
            {
                let n = stream.read(&mut buffer).await.unwrap();
                text += std::str::from_utf8(&buffer[..n]).unwrap();
            }
            stream.write_all(OK).await.unwrap();
            tx.send(text).await.unwrap();
        }
    });
    let mut request = Request { method: http::Method::POST, body: "hello".into(), ..Request::default() };
    request.headers.append("x-a", "1".parse().unwrap());
    request.headers.append("x-a", "2".parse().unwrap());
    request.keep_alive = false;
    let target = target(&format!("http://me:secret@{address}/p?q"), request);
    for _ in 0..2 {
        ask(&target).await.unwrap();
        let asked = rx.recv().await.unwrap();
        assert!(asked.starts_with(&format!("POST /p?q HTTP/1.1\r\nhost: {address}\r\n")), "{asked}");
        for line in [
            concat!("user-agent: gauntlet/", env!("CARGO_PKG_VERSION")),
            "authorization: Basic bWU6c2VjcmV0",
            "x-a: 1",
            "x-a: 2",
            "content-length: 5",
            "connection: close",
        ] {
            assert!(asked.contains(&format!("{line}\r\n")), "{line} is not in {asked}");
        }
        assert!(asked.ends_with("\r\n\r\nhello"), "{asked}");
    }
}

#[tokio::test]
async fn idle_connections_are_bounded_over_all_targets() {
    let client = Arc::new(Client::new(Request::default(), 3));
    let (mut servers, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (uri, connections) = serve(OK, 9).await;
        targets.push(Target::new(uri.parse().unwrap(), client.clone()));
        servers.push(connections);
    }
    for t in &targets {
        let asked = (0..2).map(|_| ask(t));
        assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
        assert!(client.idle.load(Relaxed) <= 3);
    }
    assert_eq!(client.idle.load(Relaxed), 3);
    assert_eq!(targets.iter().map(|t| t.idle.lock().len()).sum::<usize>(), 3);
    drop(targets);
    assert_eq!(client.idle.load(Relaxed), 0);
}

mod secure {
    use super::*;
    use crate::tls::Tls;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use hyper_util::server::conn::auto;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio_rustls::TlsAcceptor;

    /// Serves HTTP/1 and HTTP/2; says what the request was in the status: 201 for HTTP/2, 200 for HTTP/1.
    async fn answer(
        request: http::Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
        let http2 = request.version() == http::Version::HTTP_2;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(Response::builder().status(if http2 { 201 } else { 200 }).body(Full::new(body)).unwrap())
    }

    /// With a certificate for localhost, or plain; counts connections.
    async fn serve(tls: Option<&[&[u8]]>, streams: u32) -> (u16, Option<String>, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut pem = None;
        let acceptor = tls.map(|protocols| {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            pem = Some(made.cert.pem());
            let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key.into())
                .unwrap();
            config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            TlsAcceptor::from(Arc::new(config))
        });
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http2().max_concurrent_streams(streams);
                    // Clients that do not trust it go away.
                    let _ = match acceptor {
                        None => server.serve_connection(TokioIo::new(stream), service_fn(answer)).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => {
                                server.serve_connection(TokioIo::new(stream), service_fn(answer)).await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        (port, pem, connections)
    }

    fn file(pem: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, pem).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn https_is_trusted_by_file_or_not_at_all() {
        let (port, pem, _) = serve(Some(&[b"h2", b"http/1.1"]), 100).await;
        let (_dir, path) = file(&pem.unwrap());
        let trusting = Some(Tls::of_file(&path).unwrap());
        let other = file(&rcgen::generate_simple_self_signed(vec![]).unwrap().cert.pem());
        for (host, tls, http2, want) in [
            ("localhost", trusting.clone(), false, Ok(200)),
            ("localhost", trusting.clone(), true, Ok(201)),
            ("127.0.0.1", trusting, false, Err("tls: ")),
            ("127.0.0.1", Some(Tls::insecure().unwrap()), false, Ok(200)),
            ("localhost", Some(Tls::insecure().unwrap()), true, Ok(201)),
            ("localhost", Some(Tls::of_file(&other.1).unwrap()), false, Err("tls: invalid peer certificate")),
        ] {
            let request = Request { tls, http2, ..Request::default() };
            match (ask(&target(&format!("https://{host}:{port}/"), request)).await, want) {
                (Ok(answer), Ok(status)) => assert_eq!(answer.status, status),
                (Err(failure), Err(cause)) => {
                    let (own, found) = failure.counted();
                    assert!(!own && found.starts_with(cause), "{host}: {found}");
                }
                (found, want) => panic!("{host} {http2}: {found:?}, not {want:?}"),
            }
        }
    }

    #[tokio::test]
    async fn http2_is_never_quietly_http1() {
        for protocols in [&[&b"http/1.1"[..]][..], &[]] {
            let (port, _, _) = serve(Some(protocols), 100).await;
            let request = Request { tls: Some(Tls::insecure().unwrap()), http2: true, ..Request::default() };
            let failure = ask(&target(&format!("https://localhost:{port}/"), request)).await.unwrap_err();
            assert!(failure.counted().1.starts_with("tls: "), "{failure:?}");
        }
        let (uri, _) = super::serve(OK, 9).await;
        let failure = ask(&target(&uri, Request { http2: true, ..Request::default() })).await.unwrap_err();
        assert!(!failure.counted().0, "{failure:?}");
    }

    #[tokio::test]
    async fn http2_requests_share_connections_up_to_what_the_server_allows() {
        for (streams, requests, least, most) in [(100, 50, 1, 1), (100, 250, 3, 3), (10, 40, 1, 5)] {
            let (port, _, counted) = serve(None, streams).await;
            let request = Request {
                http2: true,
                method: http::Method::POST,
                body: vec![b'x'; 100_000].into(),
                ..Request::default()
            };
            let target = target(&format!("http://127.0.0.1:{port}/"), request);
            let target = &target;
            let ask = async || target.ask(&Way::default()).await;
            let answers = futures::future::join_all((0..requests).map(|_| ask())).await;
            assert!(
                answers.iter().all(|a| *a == Ok(Answer { status: 201, body_bytes: 100_000 })),
                "{answers:?}"
            );
            let connections = counted.load(Relaxed);
            assert!((least..=most).contains(&connections), "{streams} {requests}: {connections}");
            // Those there are used again.
            assert!(ask().await.is_ok());
            assert_eq!((counted.load(Relaxed), target.shared.connections()), (connections, connections));
        }
    }

    #[tokio::test]
    async fn without_keep_alive_each_request_has_a_connection() {
        for http2 in [false, true] {
            let (port, _, counted) = serve(None, 100).await;
            let request = Request { http2, keep_alive: false, ..Request::default() };
            let target = target(&format!("http://localhost:{port}/"), request);
            for _ in 0..3 {
                ask(&target).await.unwrap();
            }
            assert_eq!(counted.load(Relaxed), 3, "http2: {http2}");
        }
    }

    #[test]
    fn certificates_that_are_none_say_so() {
        let (_dir, path) = file("no certificate\n");
        assert!(Tls::of_file(&path).unwrap_err().contains("ca.pem: it holds no certificate in PEM"));
        assert!(
            Tls::of_file(std::path::Path::new("/does/not/exist")).unwrap_err().contains("/does/not/exist")
        );
    }
}
