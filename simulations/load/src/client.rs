//! The way to one target: connections that are kept. With HTTP/1.1 each is lent to one request at a time, with HTTP/2
//! many requests share one.
//!
//! An HTTP/1.1 request and its connection are one task, so that at tens of thousands of requests per second nothing is
//! handed from task to task (`docs/benchmarks.md`). The price: an idle connection is looked at only when it is
//! lent again, and one that the server closed meanwhile is thrown away then.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;
use http::{Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

mod connect;
mod failure;
mod http2;

use connect::{Peer, Stream};
pub(crate) use failure::Failure;

use crate::request::{Parts, Request};

/// What all targets of a generator share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) request: Request,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Idle connections to all targets, and how many there may be: one for each request that may be under way.
    idle: AtomicUsize,
    idle_max: usize,
}

impl Client {
    pub(crate) fn new(request: Request, idle_max: usize) -> Self {
        let tls = request.tls.as_ref().map(|tls| tls.offering(request.http2));
        Self { request, tls, idle: AtomicUsize::new(0), idle_max }
    }
}

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    client: Arc<Client>,
    peer: Peer,
    parts: Parts,
    /// The last one used is lent first, so that what a burst opened falls idle and is closed by the server.
    idle: Mutex<Vec<Kept>>,
    shared: http2::Shared,
}

#[derive(Debug)]
struct Kept {
    send: SendRequest<Full<Bytes>>,
    wire: Box<Connection<TokioIo<Stream>, Full<Bytes>>>,
}

/// An answer that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
}

/// How far a request has come, for whoever gives up on it.
#[derive(Debug, Default)]
pub(crate) struct Way {
    connecting: AtomicBool,
    retried: AtomicBool,
}

impl Way {
    /// The cause of a request whose time is over.
    pub(crate) fn timed_out(&self) -> Failure {
        Failure::service(if self.connecting.load(Relaxed) { "connect timeout" } else { "timeout" })
    }

    /// Whether it was sent a second time.
    pub(crate) fn was_retried(&self) -> bool {
        self.retried.load(Relaxed)
    }
}

impl Target {
    pub(crate) fn new(uri: Uri, client: Arc<Client>) -> Self {
        let parts = Parts::new(&uri, &client.request);
        let peer = Peer::new(&parts.host, parts.port, parts.https, client.tls.clone(), client.request.http2);
        Self { uri, client, peer, parts, idle: Mutex::default(), shared: http2::Shared::default() }
    }

    /// Asks, and reads the answer to its end.
    pub(crate) async fn ask(&self, way: &Way) -> Result<Answer, Failure> {
        if self.client.request.http2 { self.ask_http2(way).await } else { self.ask_http1(way).await }
    }

    async fn ask_http1(&self, way: &Way) -> Result<Answer, Failure> {
        while let Some(kept) = self.lend().await {
            match self.exchange(kept).await {
                // Closed as it was lent: the request is as it was.
                Err(Failure::Unsent) => {}
                // A server may close a kept connection at any time, and so while a request is on its way (RFC 9112
                // §9.3.1). Asked again on a new connection, once, and told.
                Err(Failure::Ended(_)) if self.parts.idempotent() => {
                    way.retried.store(true, Relaxed);
                    break;
                }
                ended => return ended,
            }
        }
        let fresh = self.within_connect_timeout(way, self.connect()).await?;
        self.exchange(fresh).await
    }

    async fn ask_http2(&self, way: &Way) -> Result<Answer, Failure> {
        let place = self.shared.place(!self.client.request.keep_alive);
        let new = place.is_new();
        match self.ask_at(&place, way).await {
            Err(Failure::Unsent) => {}
            Err(Failure::Ended(_)) if self.parts.idempotent() && !new => way.retried.store(true, Relaxed),
            ended => return ended,
        }
        drop(place);
        self.ask_at(&self.shared.place(!self.client.request.keep_alive), way).await
    }

    async fn ask_at(&self, place: &http2::Place, way: &Way) -> Result<Answer, Failure> {
        let mut send = match place.is_new() {
            false => place.send(&self.peer).await?,
            true => self.within_connect_timeout(way, place.send(&self.peer)).await?,
        };
        read(send.try_send_request(self.request()).await).await
    }

    async fn within_connect_timeout<T>(
        &self,
        way: &Way,
        connecting: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        way.connecting.store(true, Relaxed);
        let connected = match self.client.request.connect_timeout {
            None => connecting.await,
            Some(limit) => {
                let ended = tokio::time::timeout(limit, connecting).await;
                ended.unwrap_or(Err(Failure::service("connect timeout")))
            }
        };
        way.connecting.store(false, Relaxed);
        connected
    }

    /// An idle connection that is still open.
    async fn lend(&self) -> Option<Kept> {
        loop {
            let mut kept = self.idle.lock().pop()?;
            self.client.idle.fetch_sub(1, Relaxed);
            // An idle connection has nothing to do but to notice its end.
            let over = poll_fn(|cx| Poll::Ready(Pin::new(&mut kept.wire).poll(cx).is_ready())).await;
            if !over {
                return Some(kept);
            }
        }
    }

    fn keep(&self, kept: Kept) {
        let Client { request, idle, idle_max, .. } = &*self.client;
        if request.keep_alive && idle.fetch_add(1, Relaxed) < *idle_max {
            self.idle.lock().push(kept);
        } else if request.keep_alive {
            idle.fetch_sub(1, Relaxed);
        }
    }

    async fn connect(&self) -> Result<Kept, Failure> {
        let stream = self.peer.connect().await?;
        let (send, wire) = handshake(TokioIo::new(stream)).await.map_err(|e| Failure::asking(&e))?;
        Ok(Kept { send, wire: Box::new(wire) })
    }

    fn request(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.client.request.body.clone()));
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.headers_mut() = self.parts.headers.clone();
        request
    }

    async fn exchange(&self, Kept { mut send, mut wire }: Kept) -> Result<Answer, Failure> {
        let (answer, wire) = {
            let mut asking = pin!(async { read(send.try_send_request(self.request()).await).await });
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
        let answer = answer?;
        if let Some(wire) = wire.filter(|_| !send.is_closed()) {
            self.keep(Kept { send, wire });
        }
        Ok(answer)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.client.idle.fetch_sub(self.idle.get_mut().len(), Relaxed);
    }
}

/// Reads an answer to its end. Bodies are counted, not kept.
async fn read(
    answer: Result<Response<Incoming>, TrySendError<http::Request<Full<Bytes>>>>,
) -> Result<Answer, Failure> {
    let answer = answer.map_err(|mut e| match e.take_message() {
        Some(_) => Failure::Unsent,
        None => Failure::asking(e.error()),
    })?;
    let (status, mut body_bytes) = (answer.status().as_u16(), 0);
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::reading(&e))?;
        body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(Answer { status, body_bytes })
}

#[cfg(test)]
mod tests;
