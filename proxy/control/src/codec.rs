//! Messages that are encoded already, as a gRPC codec, and the service over it: what tonic generates for the API
//! would encode each message for each stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use linkerd2_proxy_api::destination::{GetDestination, Update, destination_server::SERVICE_NAME};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::codegen::{Body as HttpBody, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::index::Question;
use crate::server::{Messages, Server};

/// Held by each stream for as long as it lives, so small; larger messages make it grow.
const BUFFER_BYTES: usize = 512;
const YIELD_BYTES: usize = 32 << 10;
/// A discovery request is a name.
const REQUEST_MAX_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = GetDestination;
    type Encoder = Self;
    type Decoder = ProstDecoder<GetDestination>;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Update, GetDestination>::raw_decoder(Self.buffer_settings())
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// `io.linkerd.proxy.destination.Destination`.
#[derive(Clone, Debug)]
pub struct Destination(Arc<Server>);

impl Destination {
    /// The service.
    pub fn new(server: Server) -> Self {
        Self(Arc::new(server))
    }
}

impl NamedService for Destination {
    const NAME: &'static str = SERVICE_NAME;
}

impl<B> Service<http::Request<B>> for Destination
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = request.uri().path().strip_prefix('/').and_then(|p| p.strip_prefix(SERVICE_NAME));
        let question = match method {
            Some("/Get") => Question::Endpoints,
            Some("/GetProfile") => Question::Profile,
            _ => return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        };
        let method = Method(self.0.clone(), question);
        Box::pin(async move {
            let mut grpc = Grpc::new(Encoded).apply_max_message_size_config(Some(REQUEST_MAX_BYTES), None);
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

struct Method(Arc<Server>, Question);

impl ServerStreamingService<GetDestination> for Method {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<GetDestination>) -> Self::Future {
        let (server, question) = (self.0.clone(), self.1);
        Box::pin(async move { server.answer(question, &request.into_inner()).await.map(Response::new) })
    }
}
