//! TLS for probes: as a kubelet's, they take every certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use thanos_telemetry::any_certificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Makes a connection secure.
pub(super) async fn secure(stream: TcpStream, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let config = any_certificate::config().map_err(io::Error::other)?;
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
