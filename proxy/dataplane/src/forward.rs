//! One request to one address: send, wait, measure, stream back. Shared by both directions.
//!
//! Time runs from the event that it is about: for a response from the end of its request, for a body from its last
//! piece, whoever's turn that was; only a deadline that the client asked for runs from the request's arrival.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use proxy_core::classify::{Class, Eos, StreamError};
use tokio::time::{Instant, sleep_until};

use crate::body::{Held, Meter, ProxyBody, Streamed};
use crate::caller::Caller;
use crate::client::{Pool, ResponseBody, SendError};
use crate::descriptors;
use crate::headers;
use crate::interim;
use crate::io::Far;
use crate::limits::Limits;
use crate::message::{Call, Protocol, Role};
use crate::metrics::{Cause, Registry, Target, Traffic};
use crate::refusal::Refusal;
use crate::stream::{BodyError, stream_error};
use crate::tunnel;
use crate::upload::{Progress, RequestBody, Turn};

/// A client is looked for after this long, and then less and less often: most requests are over before.
const LOOK_FIRST: Duration = Duration::from_millis(250);
const LOOK_LAST: Duration = Duration::from_secs(2);

/// Where a request goes.
pub(crate) struct Destination<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) target: &'a Arc<Target>,
    pub(crate) role: Role,
    /// Whether its word counts on what it did not do.
    pub(crate) trusted: bool,
}

/// How an attempt ended without a response.
pub(crate) enum Failed {
    /// Not sent: may be sent elsewhere.
    NotSent { request: Box<Request<RequestBody>>, refusal: Refusal },
    /// Sent, and refused before it was processed: may be sent again, and anywhere. Here it is, if its body is whole.
    NotProcessed { request: Option<Box<Request<RequestBody>>> },
    /// Sent, and the connection broke; `reused` if it had served before.
    Broken { reused: bool },
    /// Sent, and the deadline passed.
    Timeout(Refusal),
    /// It was the client who broke it, or stopped.
    Client(Refusal),
    /// Sent, and what came back cannot be passed on.
    BadResponse(Refusal),
    /// The proxy in front of the target says that it did not get there.
    Declined(Refusal),
    /// Not sent, for want of something of our own.
    Own(Refusal),
}

/// Gives a request the body that goes on.
pub(crate) fn with_body(mut request: Request<Incoming>, caller: &Caller) -> Request<RequestBody> {
    // In a request of HTTP/1.0 it has to be ignored (RFC 9110 §10.1.1).
    let expects = caller.hears_interim()
        && request
            .headers()
            .get(http::header::EXPECT)
            .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if caller.protocol == Protocol::H1 && !caller.hears_interim() {
        request.headers_mut().remove(http::header::EXPECT);
    }
    let wire = expects.then(|| caller.wire.clone());
    request.map(|body| RequestBody::new(body, wire))
}

/// Sends and measures. `held` is told what the response's head says of its end, and what it gives is kept by the
/// response until it is over.
pub(crate) async fn attempt(
    to: Destination<'_>,
    registry: &Registry,
    mut request: Request<RequestBody>,
    limits: &Limits,
    caller: &Arc<Caller>,
    held: impl FnOnce(Option<Eos>) -> Held,
) -> Result<Response<ProxyBody>, Failed> {
    let grpc = Call::of(request.headers()) == Call::Grpc;
    let protocol = Protocol::of(request.version());
    let upload = request.body().progress().cloned();
    let tunnel = headers::asks_for_a_tunnel(&request).then(|| hyper::upgrade::on(&mut request));
    if protocol == Protocol::H1 {
        interim::pass_on(&mut request, caller, upload.clone());
    }
    let started = Instant::now();
    let counted = || to.target.request(registry.now_ms());
    let fail = |error| to.target.response(None, Class::Error(error));
    let ended = {
        let mut send = pin!(to.pool.send(request, protocol, counted));
        tokio::select! {
            biased;
            sent = &mut send => Ok(sent),
            ended = patience(limits, started, upload.as_deref(), caller) => Err(ended),
        }
    };
    let sent = match ended {
        Ok(sent) => sent,
        Err(Ended::Timeout) => {
            fail(StreamError::Timeout);
            return Err(Failed::Timeout(Refusal::Timeout(limits.waited())));
        }
        Err(Ended::Client(refusal)) => return Err(Failed::Client(refusal)),
    };
    match sent {
        Ok((mut response, lease)) => {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS && tunnel.is_none() {
                fail(StreamError::Unclassified);
                return Err(Failed::BadResponse(Refusal::BadResponse("101 that nobody asked for".into())));
            }
            if let Some(words) = headers::declined(&response).filter(|_| to.trusted) {
                fail(StreamError::Unclassified);
                return Err(Failed::Declined(Refusal::Declined(words)));
            }
            if let Err(unknown) = headers::prepare_response(&mut response, to.role) {
                fail(StreamError::Unclassified);
                return Err(Failed::BadResponse(Refusal::BadResponse(unknown.to_string())));
            }
            let meter = Meter::new(to.target.clone(), started, grpc, &response);
            let held = held(meter.eos());
            if let Some(ours) = tunnel.as_ref().filter(|_| is_tunnel(&response)).cloned() {
                let theirs = hyper::upgrade::on(&mut response);
                tokio::spawn(through(ours, theirs, meter, held, limits.stream_idle(), caller.clone()));
                return Ok(response.map(|_| ProxyBody::full(bytes::Bytes::new())));
            }
            let caller = caller.clone();
            Ok(response.map(|inner| {
                ProxyBody::Streamed(Box::new(Streamed::new(
                    inner, meter, lease, held, limits, caller, upload,
                )))
            }))
        }
        Err(SendError::NotSent { mut request, error }) => {
            if let Some(ours) = tunnel {
                request.extensions_mut().insert(ours);
            }
            tracing::debug!(addr = %to.addr, %error, "cannot connect");
            if descriptors::are_wanting(&error) {
                return Err(Failed::Own(Refusal::NoDescriptors));
            }
            // Where an app listens is nobody's business; where a service's endpoint is, its own client's.
            let whom = if to.role == Role::Inbound { "the app".into() } else { to.addr.to_string() };
            let refusal = Refusal::Unreachable { whom, error };
            Err(Failed::NotSent { request, refusal })
        }
        Err(SendError::NotProcessed { request, error }) => {
            tracing::debug!(addr = %to.addr, %error, "not processed");
            fail(stream_error(&error));
            Err(Failed::NotProcessed { request })
        }
        Err(SendError::Broken { error, reused }) => {
            tracing::debug!(addr = %to.addr, %error, "no response");
            if let Some(refusal) = upload.and_then(|u| by_client(u.turn().0)) {
                return Err(Failed::Client(refusal));
            }
            let class = stream_error(&error);
            fail(class);
            Err(if class == StreamError::Timeout {
                Failed::Timeout(Refusal::Timeout(started.elapsed()))
            } else {
                match error {
                    BodyError::TooLarge => Failed::BadResponse(Refusal::HeadTooLarge),
                    BodyError::Stream(e) if e.is_parse_too_large() => {
                        Failed::BadResponse(Refusal::HeadTooLarge)
                    }
                    BodyError::Stream(e) if e.is_parse() => {
                        Failed::BadResponse(Refusal::BadResponse(e.to_string()))
                    }
                    _ => Failed::Broken { reused },
                }
            })
        }
    }
}

/// Why a response is not waited for any longer.
enum Ended {
    Timeout,
    Client(Refusal),
}

/// Resolves once the response is not waited for any longer.
async fn patience(limits: &Limits, started: Instant, upload: Option<&Progress>, caller: &Caller) -> Ended {
    let mut timer = pin!(sleep_until(started));
    let mut look = LOOK_FIRST;
    let mut next_look = started + look;
    loop {
        let (turn, since) = upload.map_or((Turn::Done, started), Progress::turn);
        if let Some(refusal) = by_client(turn) {
            return Ended::Client(refusal);
        }
        let of_turn = match turn {
            Turn::Done => limits.response(),
            _ => limits.upload_idle(),
        };
        let due = of_turn.map(|d| since + d);
        let due = due.into_iter().chain(limits.deadline()).min();
        timer.as_mut().reset(due.map_or(next_look, |due| due.min(next_look)));
        timer.as_mut().await;
        let now = Instant::now();
        if due.is_some_and(|due| now >= due) {
            // The body may have moved since.
            let moved = upload.is_some_and(|u| u.turn() != (turn, since));
            let asked = limits.deadline().is_some_and(|d| now >= d);
            match turn {
                _ if asked => return Ended::Timeout,
                _ if moved => {}
                Turn::Client => return Ended::Client(Refusal::ClientStalled(now - since)),
                _ => return Ended::Timeout,
            }
        }
        if now >= next_look {
            match caller.far() {
                Far::Gone => return Ended::Client(Refusal::Left),
                // Whoever only ended its own side waits for the answer; whoever left looks the same from here.
                Far::HalfClosed if now >= started + limits.half_close() => {
                    return Ended::Client(Refusal::Left);
                }
                _ => {}
            }
            look = (look * 2).min(LOOK_LAST);
            next_look = now + look;
            let gives_up = started + limits.half_close();
            if now < gives_up {
                next_look = next_look.min(gives_up);
            }
        }
    }
}

fn by_client(turn: Turn) -> Option<Refusal> {
    match turn {
        Turn::Left => Some(Refusal::Left),
        Turn::Malformed => Some(Refusal::BadBody),
        Turn::Client | Turn::Target | Turn::Done => None,
    }
}

/// Whether the connection is the two ends' own from here on.
fn is_tunnel(response: &Response<ResponseBody>) -> bool {
    // Only a request that asked gets here; CONNECT's answer is any 2xx.
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || (response.status().is_success() && response.extensions().get::<OnUpgrade>().is_some())
}

/// Joins the two ends of a tunnel; what the request held is held until it is over.
async fn through(
    ours: OnUpgrade,
    theirs: OnUpgrade,
    mut meter: Meter,
    held: Held,
    idle: Duration,
    caller: Arc<Caller>,
) {
    let (open, abort) = caller.tunnel();
    meter.first_frame();
    let joined = async {
        let (ours, theirs) = tokio::try_join!(ours, theirs).map_err(std::io::Error::other)?;
        tunnel::join(TokioIo::new(ours), TokioIo::new(theirs), idle).await
    };
    let ended = tokio::select! {
        ended = joined => ended,
        () = abort.cancelled() => Ok(()),
    };
    let class = match ended {
        Ok(()) => meter.over(|eos| eos.end(None)),
        Err(error) => {
            tracing::debug!(%error, "tunnel broke");
            meter.over(Eos::canceled)
        }
    };
    held.over(class);
    drop(open);
}

/// Answers a request with the refusal, and counts it.
pub(crate) fn refuse(
    traffic: &Traffic,
    refusal: &Refusal,
    version: Version,
    call: Call,
) -> Response<ProxyBody> {
    traffic.refused(refusal.cause());
    tracing::debug!(%refusal, "refused");
    refusal.response(version, call)
}

/// Counts a request whose client leaves before there is a response: dropping it undefused is that event.
pub(crate) struct Leaving<'a>(Option<&'a Traffic>);

impl<'a> Leaving<'a> {
    pub(crate) fn watch(traffic: &'a Traffic) -> Self {
        Self(Some(traffic))
    }

    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(traffic) = self.0 {
            traffic.refused(Cause::Canceled);
        }
    }
}
