//! What takes time, in virtual time; the sockets are real.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt as _, Full};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::metrics::{Direction, Peer, Registry};
use crate::stream::BodyError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const SETTINGS: Settings = Settings {
    connect_timeout: CONNECT_TIMEOUT,
    idle_timeout: Duration::from_secs(20),
    write_stall: Duration::from_secs(60),
};

fn connections(addr: SocketAddr) -> Arc<Connections> {
    let registry = Arc::new(Registry::forgetting_after(Duration::from_secs(600)));
    Arc::new(Connections::new(addr, SETTINGS, registry.transport(Direction::Inbound, Peer::Dst)))
}

fn request() -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = http::Uri::from_static("http://app/");
    *request.version_mut() = http::Version::HTTP_2;
    request
}

/// An address that answers nothing: the queue of its listener is full. Both must be kept.
fn black_hole() -> (SocketAddr, impl Sized) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let fill: Vec<_> = (0..3)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&addr);
            socket
        })
        .collect();
    (addr.as_socket().unwrap(), (listener, fill))
}

/// Serves one connection, until it is told to stop: then it is kept, and nothing more is read from it.
fn serve_until(listener: TcpListener, stop: Arc<Notify>) {
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = ::h2::server::handshake(stream).await.unwrap();
        let mut kept = Vec::new();
        loop {
            tokio::select! {
                request = connection.accept() => match request {
                    Some(Ok(request)) => kept.push(request),
                    _ => return,
                },
                () = stop.notified() => std::future::pending::<()>().await,
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_connection_share_its_failure() {
    let (addr, _kept) = black_hole();
    let (pool, began) = (connections(addr), Instant::now());
    // One who leaves takes nothing along.
    let impatient = tokio::time::timeout(CONNECT_TIMEOUT / 2, pool.send(request(), || ()));
    let waiting = join_all((0..40).map(|_| pool.send(request(), || panic!("sent"))));
    let (impatient, results) = tokio::join!(impatient, waiting);
    assert!(impatient.is_err());
    for result in results {
        assert!(
            matches!(result, Err(SendError::NotSent { error, .. }) if error.kind() == io::ErrorKind::TimedOut)
        );
    }
    assert!(began.elapsed() < CONNECT_TIMEOUT * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_retired_pool_sends_nothing_and_frees_those_who_wait() {
    let (addr, _kept) = black_hole();
    let pool = connections(addr);
    let waiting = pool.send(request(), || panic!("sent"));
    let retire = async {
        tokio::task::yield_now().await;
        pool.retire();
    };
    let began = Instant::now();
    let (result, ()) = tokio::join!(waiting, retire);
    assert!(matches!(result, Err(SendError::NotSent { .. })));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_pings_is_dead() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (pool, stop) = (connections(listener.local_addr().unwrap()), Arc::new(Notify::new()));
    serve_until(listener, stop.clone());
    let (sent, was_sent) = tokio::sync::oneshot::channel();
    let asking = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.send(request(), || sent.send(()).unwrap()).await })
    };
    was_sent.await.unwrap();
    stop.notify_one();
    tokio::time::pause();
    let began = Instant::now();
    let result = asking.await.unwrap();
    assert!(matches!(result, Err(SendError::Broken { error: BodyError::Dead, .. })), "{result:?}");
    let limit = keepalive::PING_INTERVAL + keepalive::PING_TIMEOUT;
    assert!(began.elapsed() <= limit + Duration::from_secs(1), "{:?}", began.elapsed());
    while !pool.state.lock().open.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn informational_responses_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = connections(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connection = ::h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut hints = Response::new(());
        *hints.status_mut() = http::StatusCode::EARLY_HINTS;
        respond.send_informational(hints).unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        while connection.accept().await.is_some() {}
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (s, mut request) = (seen.clone(), request());
    request.extensions_mut().insert(exchange::OnInformational(Arc::new(move |r| s.lock().push(r.status()))));
    let response = pool.send(request, || ()).await.unwrap();
    assert_eq!(response.status(), http::StatusCode::OK);
    assert_eq!(*seen.lock(), [http::StatusCode::EARLY_HINTS]);
}

#[tokio::test]
async fn a_peer_that_is_no_http2_server_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = connections(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let result = pool.send(request(), || panic!("sent")).await;
    assert!(matches!(result, Err(SendError::NotSent { .. })), "{result:?}");
}

/// The queue of the listener takes the connection, and nobody reads it.
#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_the_request_and_then_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (pool, began) = (connections(listener.local_addr().unwrap()), Instant::now());
    let mut sent_after = None;
    let result = pool.send(request(), || sent_after = Some(began.elapsed())).await;
    assert!(matches!(result, Err(SendError::Broken { error: BodyError::Dead, reused: false })), "{result:?}");
    assert!(sent_after.unwrap() >= CONNECT_TIMEOUT, "{sent_after:?}");
    let limit = CONNECT_TIMEOUT + keepalive::PING_INTERVAL + keepalive::PING_TIMEOUT;
    assert!(began.elapsed() <= limit + Duration::from_secs(1), "{:?}", began.elapsed());
}

/// A body larger than the peer's window, which the peer does not read.
#[tokio::test]
async fn an_upload_ends_when_its_peer_takes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    serve_until(listener, Arc::default());
    let (mut sender, connection) =
        ::h2::client::handshake(tokio::net::TcpStream::connect(addr).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let (response, sink) = sender.send_request(request().map(|_| ()), false).unwrap();
    let body = Full::new(Bytes::from(vec![b'u'; 1 << 20])).map_err(|never| -> BodyError { match never {} });
    let mut upload = upload::Upload::new(sink, body.boxed(), SETTINGS.write_stall);
    // What fits is on its way before time stands still.
    let mut first = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..2 {
        tokio::select! {
            biased;
            _ = first.tick() => {}
            result = std::future::poll_fn(|cx| upload.poll(cx)) => panic!("{result:?}"),
        }
    }
    tokio::time::pause();
    let began = Instant::now();
    let result = std::future::poll_fn(|cx| upload.poll(cx)).await;
    assert!(matches!(result, Err(BodyError::Stalled(limit)) if limit == SETTINGS.write_stall), "{result:?}");
    assert!(began.elapsed() <= SETTINGS.write_stall, "{:?}", began.elapsed());
    assert!(upload.untouched().is_none());
    assert_eq!(response.await.unwrap_err().reason(), Some(::h2::Reason::CANCEL));
}
