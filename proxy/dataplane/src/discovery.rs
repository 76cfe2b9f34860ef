//! Where endpoints come from: the mesh's control plane, a file, or nowhere.

pub(crate) mod destination;
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
    /// Keeps a route's endpoints up to date until it is dropped.
    pub(crate) async fn follow(self, route: Arc<Route>) {
        match self {
            Self::Destination(client) => client.follow(&route).await,
            Self::File(watched) => watched.follow(&route).await,
            Self::Nowhere => route.publish(&Addresses::new(), Known::Missing),
        }
    }
}
