//! Bytes in are bytes out, for every method, framing and version, and what an app gets wrong is put right or said.

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::support::*;

/// How a sender frames a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    None,
    Length,
    Chunks,
}

const FRAMINGS: [Framing; 3] = [Framing::None, Framing::Length, Framing::Chunks];

fn body(framing: Framing) -> Body {
    match framing {
        Framing::None => full(""),
        Framing::Length => full("one two"),
        Framing::Chunks => {
            let pieces = ["one", " ", "two"].map(|p| Ok(Frame::data(Bytes::from_static(p.as_bytes()))));
            BodyExt::boxed(StreamBody::new(futures::stream::iter(pieces).then(|p| async { p })))
        }
    }
}

/// The app answers in the framing that the path names, with the method and the body that it got.
async fn answer(request: Request<hyper::body::Incoming>) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let got = incoming.collect().await.unwrap().to_bytes();
    let mut response = match head.uri.path() {
        // The library of this app would send one.
        _ if head.method == Method::HEAD => Response::new(full("")),
        "/length" => Response::new(body(Framing::Length)),
        "/chunks" => Response::new(body(Framing::Chunks)),
        _ => Response::new(full("")),
    };
    let said = format!("{}:{}", head.method, String::from_utf8_lossy(&got));
    response.headers_mut().insert("got", said.parse().unwrap());
    response
}

#[tokio::test]
async fn bytes_in_are_bytes_out_for_every_method_framing_and_version() {
    let app = App::start(answer).await;
    let inbound = Proxy::inbound_to(app.addr, "").await;
    let file = endpoints(&[("web:80", &[inbound.inbound()])]);
    let outbound = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "SEARCH", "M-SEARCH"];
    let mut tried = 0;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = h1();
        for method in methods.map(|m| Method::from_bytes(m.as_bytes()).unwrap()) {
            for framing in FRAMINGS {
                for (path, back) in [("/none", ""), ("/length", "one two"), ("/chunks", "one two")] {
                    let host = if version == Version::HTTP_2 {
                        "web".into()
                    } else {
                        outbound.outbound().to_string()
                    };
                    let request =
                        Request::builder().method(method.clone()).uri(format!("http://{host}{path}"));
                    let mut request = request.body(body(framing)).unwrap();
                    let (status, headers, got) = if version == Version::HTTP_2 {
                        send_h2(outbound.outbound(), request).await
                    } else {
                        request.headers_mut().insert("host", "web".parse().unwrap());
                        if framing == Framing::Chunks {
                            // Else the client's own library leaves the body of a GET out.
                            request.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
                        }
                        send(&client, request).await
                    };
                    let sent = if framing == Framing::None { "" } else { "one two" };
                    let case = format!("{version:?} {method} {framing:?} {path}");
                    assert_eq!(status, 200, "{case}: {headers:?} {got}");
                    assert_eq!(headers["got"], format!("{method}:{sent}"), "{case}");
                    assert_eq!(got, if method == Method::HEAD { "" } else { back }, "{case}");
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 2 * 10 * 9);
}

#[tokio::test]
async fn a_get_with_chunks_keeps_them() {
    for method in ["GET", "HEAD", "DELETE"] {
        let app = RawApp::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
        let proxy = Proxy::inbound_to(app.addr, "").await;
        let request = format!(
            "{method} /_mget HTTP/1.1\r\nhost: web\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = raw(proxy.inbound(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        app.saw("0\r\n\r\n").await;
        let seen = app.text();
        assert!(seen.contains("transfer-encoding: chunked\r\n") && seen.contains("5\r\nhello\r\n"), "{seen}");
    }
}

/// What an app answers, and what its client of HTTP/1.1 must get: parts that are there and parts that are not.
#[tokio::test]
async fn what_an_app_gets_wrong_is_put_right_or_said() {
    /// Answer, whether the app closes, parts that the client gets, parts that it does not.
    type Case = (&'static str, bool, &'static [&'static str], &'static [&'static str]);
    let table: [Case; 11] = [
        // Both lengths: the chunks count (RFC 9112 §6.3).
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n6\r\nokmore\r\n0\r\n\r\n",
            false,
            &["HTTP/1.1 200", "okmore"],
            &["content-length"],
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 60\r\n\r\n6\r\nokmore\r\n0\r\n\r\n",
            false,
            &["HTTP/1.1 200", "okmore", "\r\n0\r\n\r\n"],
            &["content-length"],
        ),
        // Codings that nobody undoes.
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            false,
            &["HTTP/1.1 502", "codings"],
            &["200"],
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok", true, &["HTTP/1.1 502"], &["200"]),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
            true,
            &["HTTP/1.1 200", "2\r\nok\r\n", "0\r\n\r\n"],
            &["identity"],
        ),
        // An app of HTTP/1.0, with and without a length.
        (
            "HTTP/1.0 200 OK\r\n\r\nto the end",
            true,
            &["HTTP/1.1 200", "to the end\r\n0\r\n\r\n"],
            &["HTTP/1.0"],
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
            true,
            &["HTTP/1.1 200", "content-length: 2", "ok"],
            &["HTTP/1.0"],
        ),
        // Spaces and folds (RFC 9112 §5.1, §5.2).
        (
            "HTTP/1.1 200 OK\r\nx-spaced : 1\r\nx-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
            false,
            &["HTTP/1.1 200", "x-spaced: 1\r\n", "x-folded: a"],
            &["x-spaced :", "\r\n b"],
        ),
        // Unasked, and not HTTP at all.
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            false,
            &["502"],
            &["101 S"],
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", true, &["HTTP/1.1 502"], &["SSH"]),
        // A challenge of an app that is a proxy.
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n",
            false,
            &["HTTP/1.1 407", "proxy-authenticate: Basic realm=x"],
            &[],
        ),
    ];
    for (answer, close, has, has_not) in table {
        let app = RawApp::answering(answer, close).await;
        let proxy = Proxy::inbound_to(app.addr, "").await;
        let got = raw(proxy.inbound(), b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await;
        assert!(has.iter().all(|p| got.contains(p)), "{answer:?}: {got:?}");
        assert!(!has_not.iter().any(|p| got.contains(p)), "{answer:?}: {got:?}");
    }
}

#[tokio::test]
async fn more_fields_than_are_taken_are_said() {
    let fields: String = (0..102).map(|i| format!("x-{i}: 1\r\n")).collect();
    let answer: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n").into_boxed_str());
    let app = RawApp::answering(answer, false).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let got = raw(proxy.inbound(), b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 502") && got.contains("more than 100 fields"), "{got}");
    proxy.metrics_when(|m| m.sum("inbound_http_errors_total", &["bad_response"]) == 1.0).await;
}

/// A body that breaks off must not look whole, least of all to a client that knows no chunks.
#[tokio::test]
async fn a_broken_answer_is_a_reset_to_a_client_of_http10() {
    let broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let app = RawApp::answering(broken, true).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut old = RawClient::connect(proxy.inbound()).await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let (text, proper) = old.rest().await;
    assert!(!proper, "ended as if whole: {text:?}");
    let mut new = RawClient::connect(proxy.inbound()).await;
    new.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (text, _) = new.rest().await;
    assert!(!text.contains("\r\n0\r\n\r\n"), "{text:?}");
}

#[tokio::test]
async fn interim_responses_reach_who_knows_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let app = RawApp::answering(hints, false).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let mut client = RawClient::connect(proxy.inbound()).await;
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n").await;
        let got = client.until("\r\n\r\nok").await;
        let (first, second) = got.split_once("\r\n\r\n").unwrap();
        assert_eq!(first, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload");
        assert!(second.starts_with("HTTP/1.1 200 OK\r\n"), "{second}");
    }
    let old = raw(proxy.inbound(), b"GET / HTTP/1.0\r\nhost: web\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
}

#[tokio::test]
async fn an_absolute_target_for_the_app_stays_absolute() {
    let app = RawApp::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let request =
        b"GET http://example.com/ip HTTP/1.1\r\nhost: example.com\r\nproxy-authorization: Basic dTpw\r\n\
                    connection: close\r\n\r\n";
    let got = raw(proxy.inbound(), request).await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    let seen = app.text();
    assert!(seen.starts_with("GET http://example.com/ip HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic dTpw\r\n"), "{seen}");
}
