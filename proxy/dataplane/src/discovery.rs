//! Where endpoints come from: the mesh's control plane, a file, or nowhere; and names that it does not know from the
//! system's resolver.

pub(crate) mod destination;
pub(crate) mod dns;
pub(crate) mod file;

use std::sync::Arc;

use crate::outbound::{Addresses, Known, Route};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Destination(destination::Client),
    File(file::Watched),
    Nowhere,
}

impl Source {
    /// Keeps a route's endpoints up to date until it is dropped. `name`: what else may be asked for.
    pub(crate) async fn follow(self, route: Arc<Route>, name: Option<(String, u16)>) {
        let known = async {
            match self {
                Self::Destination(client) => client.follow(&route).await,
                Self::File(watched) => watched.follow(&route).await,
                Self::Nowhere => route.publish(&Addresses::new(), Known::Missing),
            }
        };
        match &name {
            // In one task: nobody else publishes.
            Some((host, port)) => drop(tokio::join!(known, dns::stand_in(&route, host, *port))),
            None => known.await,
        }
    }
}
