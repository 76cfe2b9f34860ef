//! The way to one target: HTTP/1.1 connections that are kept, and lent to one request at a time.
//!
//! A request and its connection are one task, so that at tens of thousands of requests per second nothing is
//! handed from task to task (`docs/benchmarks.md`). The price: an idle connection is looked at only when it is
//! lent again, and one that the server closed meanwhile is thrown away then.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// What is connected to: `HOST:PORT`.
    address: String,
    host: Option<HeaderValue>,
    path: Uri,
    /// The last one used is lent first, so that what a burst opened falls idle and is closed by the server.
    idle: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    send: SendRequest<Empty<Bytes>>,
    wire: Box<Connection<TokioIo<TcpStream>, Empty<Bytes>>>,
}

/// Why a request was not answered well.
#[derive(Debug)]
pub(crate) enum Failure {
    Connect,
    Broken,
    /// The connection ended before the request was on it.
    Unsent,
    Timeout,
    Status(StatusCode),
}

impl Failure {
    /// As it is counted.
    pub(crate) fn cause(&self) -> Cow<'static, str> {
        match self {
            Self::Connect => "connect".into(),
            Self::Broken | Self::Unsent => "broken".into(),
            Self::Timeout => "timeout".into(),
            Self::Status(s) => format!("status {}", s.as_u16()).into(),
        }
    }
}

impl Target {
    pub(crate) fn new(uri: Uri) -> Self {
        let port = uri.port_u16().unwrap_or(80);
        let path = uri.path_and_query().map_or_else(Uri::default, |p| p.clone().into());
        Self {
            address: format!("{}:{port}", uri.host().unwrap_or_default()),
            host: uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok()),
            path,
            uri,
            idle: Mutex::default(),
        }
    }

    /// Asks, and reads the answer to its end.
    pub(crate) async fn get(&self) -> Result<(), Failure> {
        while let Some(kept) = self.lend().await {
            match self.exchange(kept).await {
                // Closed as it was lent: the request is as it was.
                Err(Failure::Unsent) => {}
                ended => return ended,
            }
        }
        self.exchange(self.connect().await?).await
    }

    /// An idle connection that is still open.
    async fn lend(&self) -> Option<Kept> {
        loop {
            let mut kept = self.idle.lock().pop()?;
            // An idle connection has nothing to do but to notice its end.
            let over = poll_fn(|cx| Poll::Ready(Pin::new(&mut kept.wire).poll(cx).is_ready())).await;
            if !over {
                return Some(kept);
            }
        }
    }

    async fn connect(&self) -> Result<Kept, Failure> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address))
            .await
            .map_err(|_| Failure::Connect)?
            .map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (send, wire) = handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
        Ok(Kept { send, wire: Box::new(wire) })
    }

    async fn exchange(&self, Kept { mut send, mut wire }: Kept) -> Result<(), Failure> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone();
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        let (answer, wire) = {
            let mut asking = pin!(ask(&mut send, request));
            tokio::select! {
                biased;
                answer = &mut asking => (answer, Some(wire)),
                _ = &mut wire => {
                    // What it had read is still there to be taken; what it had not sent is given back.
                    drop(wire);
                    (asking.await, None)
                }
            }
        };
        let status = answer?;
        if let Some(wire) = wire.filter(|_| !send.is_closed()) {
            self.idle.lock().push(Kept { send, wire });
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Status(status));
        }
        Ok(())
    }
}

async fn ask(
    send: &mut SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
) -> Result<StatusCode, Failure> {
    let answer = send.try_send_request(request).await;
    let answer =
        answer.map_err(|mut e| if e.take_message().is_some() { Failure::Unsent } else { Failure::Broken })?;
    let status = answer.status();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Failure::Broken)?;
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each request with the same bytes, `per_connection` times, then closes; counts connections.
    async fn serve(answer: &'static [u8], per_connection: usize) -> (Target, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target =
            Target::new(format!("http://{}/path?q", listener.local_addr().unwrap()).parse().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Relaxed);
                let mut buffer = [0; 1024];
                for _ in 0..per_connection {
                    let n = stream.read(&mut buffer).await.unwrap();
                    let asked = String::from_utf8_lossy(&buffer[..n]).to_lowercase();
                    if n == 0 {
                        break;
                    }
                    assert!(asked.starts_with("get /path?q http/1.1\r\nhost: 127.0.0.1:"), "{asked}");
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        (target, connections)
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[tokio::test]
    async fn connections_are_kept_and_those_the_server_closed_are_replaced() {
        let (target, connections) = serve(OK, 3).await;
        for _ in 0..6 {
            target.get().await.unwrap();
            // The server closes after its third answer; let the news arrive.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(connections.load(Relaxed), 2);
    }

    #[tokio::test]
    async fn answers_that_end_in_other_ways_are_read_to_their_end() {
        for (answer, connections) in [
            (&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"[..], 1),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
            (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 2),
        ] {
            let (target, counted) = serve(answer, 9).await;
            target.get().await.unwrap();
            target.get().await.unwrap();
            assert_eq!(counted.load(Relaxed), connections, "{}", answer.escape_ascii());
        }
        let (target, _) = serve(b"HTTP/1.1 200 OK\r\n\r\nto the end", 1).await;
        target.get().await.unwrap();
    }

    #[tokio::test]
    async fn failures_have_causes() {
        for (answer, cause) in [
            (&b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"[..], "status 503"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "broken"),
            (b"nonsense\r\n\r\n", "broken"),
        ] {
            let (target, _) = serve(answer, 1).await;
            assert_eq!(target.get().await.unwrap_err().cause(), cause, "{}", answer.escape_ascii());
        }
        let nowhere = Target::new("/".parse().unwrap());
        assert_eq!(nowhere.get().await.unwrap_err().cause(), "connect");
    }
}
