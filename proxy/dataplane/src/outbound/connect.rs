//! CONNECT: a connection of the app's own through this proxy, to an endpoint of a service or to any address.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::timeout_at;

use super::route::{Route, Tried};
use super::{Counted, Outbound};
use crate::body::ProxyBody;
use crate::caller::Caller;
use crate::descriptors;
use crate::limits::Limits;
use crate::metrics::Admitted;
use crate::refusal::Refusal;
use crate::tunnel;

impl Outbound {
    /// Connects, and joins both ends once the client was told so. Counts as a request in flight until it is over.
    pub(super) async fn connect(
        &self,
        route: &Arc<Route>,
        mut request: Request<Incoming>,
        admitted: (Admitted, Counted),
        limits: &Limits,
        caller: &Arc<Caller>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let mut tried = Tried::default();
        let mut attempts = 0;
        let far = loop {
            let endpoint = route.endpoint(&tried, self.config.fail_fast, limits.find_by()).await?;
            tried.add(endpoint.addr);
            attempts += 1;
            match timeout_at(limits.find_by(), endpoint.pool.connect_opaque()).await {
                Ok(Ok(far)) => break far,
                Ok(Err(error)) if descriptors::are_wanting(&error) => return Err(Refusal::NoDescriptors),
                Ok(Err(error)) if attempts >= Tried::MAX => {
                    return Err(Refusal::Unreachable { whom: endpoint.addr.to_string(), error });
                }
                Ok(Err(error)) => tracing::debug!(addr = %endpoint.addr, %error, "cannot connect"),
                Err(_) => return Err(Refusal::Timeout(limits.waited())),
            }
        };
        let near = hyper::upgrade::on(&mut request);
        let (open, abort) = caller.tunnel();
        let idle = limits.stream_idle();
        tokio::spawn(async move {
            let joined = async {
                let near = near.await.map_err(std::io::Error::other)?;
                tunnel::join(TokioIo::new(near), far, idle).await
            };
            let ended = tokio::select! {
                ended = joined => ended,
                () = abort.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "tunnel ended");
            }
            drop((admitted, open));
        });
        Ok(Response::new(ProxyBody::full(bytes::Bytes::new())))
    }
}
