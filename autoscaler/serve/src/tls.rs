//! Connections by TLS: bounded in number, in age, and in how long a handshake may take.

use std::sync::Arc;
use std::time::Duration;

use autoscaler_certs::{Certificate, Served};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use thanos_telemetry::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Most connections at once. API servers keep one or few each.
const CONNECTIONS_MAX: usize = 256;
/// Deadline of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection is closed in order after this: whoever showed an old certificate, or was shown one, shows a new one.
const AGE_MAX: Duration = Duration::from_secs(1800);
/// How long requests that are under way may take at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// A connection that says nothing is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(30);
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;

/// Who is at the other end: the common name of a client certificate that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub Option<String>);

/// What a server shows; and, if `client_ca` is there, which client certificates it takes, in PEM. Whoever shows none is
/// let in all the same, to be told so.
pub(crate) fn config(served: &Served, client_ca: Option<&str>) -> anyhow::Result<Arc<ServerConfig>> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for ca in Certificate::read_all("requestheader-client-ca-file", pem.as_bytes())? {
                roots.add(ca.der().clone())?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(served.clone()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves until shutdown, then lets requests that are under way end. `config` is asked at every connection.
pub(crate) async fn serve(
    listener: TcpListener,
    config: impl Fn() -> Option<Arc<ServerConfig>>,
    router: Router,
    stop: Shutdown,
) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let turn = turns.clone().acquire_owned().await;
            (turn, listener.accept().await)
        };
        let (turn, stream) = tokio::select! {
            () = stop.started() => break,
            accepted = accepted => accepted,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            // No descriptors are left, or the peer has gone again: others may fare better soon.
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Nobody to show anything to yet.
        let Some(config) = config() else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            if let Err(error) = connection(stream, config, router, stop).await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(turn);
        });
    }
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    router: Router,
    stop: Shutdown,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let _ = stream.set_nodelay(true);
    let stream = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await??;
    let caller = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
    let caller = caller.and_then(|der| Certificate::from_der("client", der.clone().into_owned()).ok());
    let router = router.layer(Extension(Caller(caller.map(|c| c.common_name))));

    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE).max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE / 2)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(64 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.started() => {}
        () = tokio::time::sleep(AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(DRAIN, connection).await?
}

#[cfg(test)]
mod tests;
