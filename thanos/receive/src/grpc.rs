//! The gRPC side: StoreAPI, Info, and copies from peers.

mod snappy;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use thanos_storepb::infopb::info_server::InfoServer;
use thanos_storepb::storepb::store_server::StoreServer;
use thanos_storepb::storepb::writeable_store_server::{WriteableStore, WriteableStoreServer};
use thanos_storepb::storepb::{WriteRequest, WriteResponse};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower::util::MapRequestLayer;

use crate::batch::Batch;
use crate::decode::decode_all;
use crate::error::Kind;
use crate::peers::MESSAGE_BYTES_MAX;
use crate::store::HeadStore;
use crate::write::Writer;

/// Requests of one connection at once.
const STREAMS_MAX: u32 = 256;
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Takes copies.
struct Replica(Writer);

#[tonic::async_trait]
impl WriteableStore for Replica {
    async fn remote_write(&self, request: Request<WriteRequest>) -> Result<Response<WriteResponse>, Status> {
        let r = request.into_inner();
        let copy = u64::try_from(r.replica)
            .map_err(|_| Kind::Invalid.error(format!("replica {} is negative", r.replica)).to_grpc())?;
        // Newer senders fill the list of tenants, older ones the two fields.
        let batches: Result<Vec<Batch>, Status> = if r.timeseries_tenant_data.is_empty() {
            batch(r.tenant, &r.timeseries).map(|one| vec![one])
        } else {
            let tuples = r.timeseries_tenant_data.into_iter();
            tuples.map(|t| batch(t.tenant, &t.timeseries)).collect()
        };
        let batches = batches?;
        match self.0.write(batches, copy).await {
            Ok(()) => Ok(Response::new(WriteResponse {})),
            Err(e) => Err(e.to_grpc()),
        }
    }
}

fn batch(tenant: String, series: &[Bytes]) -> Result<Batch, Status> {
    let mut batch = Batch::new(tenant);
    let not_a_series = || Kind::Invalid.error("a series is not a prometheus.TimeSeries").to_grpc();
    decode_all(series, &mut batch).ok_or_else(not_a_series)?;
    Ok(batch)
}

/// Serves until `until`, then finishes what is in flight.
pub(crate) async fn serve(
    listener: TcpListener,
    store: HeadStore,
    writer: Writer,
    until: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let info = InfoServer::new(store.clone());
    let store = StoreServer::new(store).accept_compressed(Gzip);
    let replica = WriteableStoreServer::new(Replica(writer))
        .accept_compressed(Gzip)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .layer(MapRequestLayer::new(snappy::decompress))
        .add_service(info)
        .add_service(store)
        .add_service(replica)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), until)
        .await
}
