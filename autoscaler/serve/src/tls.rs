//! Connections by TLS: bounded in number, in age, and in how long a handshake may take.

use std::sync::Arc;
use std::time::Duration;

use autoscaler_certs::{Certificate, Served};
use axum::{Extension, Router};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use thanos_telemetry::Shutdown;
use thanos_telemetry::server::{self, Bounds, ConnectionError};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// API servers keep one or few connections each. One is closed in order after half an hour: whoever showed an old
/// certificate, or was shown one, shows a new one.
const BOUNDS: Bounds = Bounds {
    connections: 256,
    silence: Duration::from_secs(30),
    age: Some(Duration::from_secs(1800)),
    drain: Duration::from_secs(10),
};
/// Deadline of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

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
    let end = stop.clone();
    let connect = |stream| {
        // Without one there is nobody to show anything to yet.
        let config = config()?;
        let (router, stop) = (router.clone(), end.clone());
        Some(async move { connection(stream, config, router, stop).await })
    };
    server::accept(listener, BOUNDS, stop, connect).await;
}

async fn connection(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    router: Router,
    stop: Shutdown,
) -> Result<(), ConnectionError> {
    let stream = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await??;
    let caller = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
    let caller = caller.and_then(|der| Certificate::from_der("client", der.clone().into_owned()).ok());
    let router = router.layer(Extension(Caller(caller.map(|c| c.common_name))));
    server::drive(stream, router, BOUNDS, stop).await
}

#[cfg(test)]
mod tests;
