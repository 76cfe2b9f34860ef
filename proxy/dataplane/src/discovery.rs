//! Where endpoints come from: the mesh's control plane, a file, or nowhere; and names that it does not know from the
//! system's resolver.

pub(crate) mod destination;
pub(crate) mod dns;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Endpoints of a service as discovery describes them.
pub(crate) type Addresses = BTreeMap<SocketAddr, Described>;

/// What discovery says of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) labels: BTreeMap<String, String>,
    /// [`Described::USUAL_WEIGHT`] is 1, as in Linkerd's API; 0 is none said.
    pub(crate) weight: u32,
}

/// What discovery knows of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Not yet answered.
    Unknown,
    /// There is no such service.
    Missing,
    /// The same, but something else may know it and was not asked yet.
    Perhaps,
    /// Something else knows it.
    Elsewhere,
    /// It exists, perhaps without a ready endpoint.
    Exists,
}

/// Who wants to know. All but [`Self::authority`] is called by one task only.
pub(crate) trait Follower: Send + Sync {
    /// Whose endpoints.
    fn authority(&self) -> &str;
    /// A random number, for pauses.
    fn random(&self) -> u64;
    /// How long nobody asked for it.
    fn unused_for_ms(&self) -> u64;
    /// What discovery knows.
    fn publish(&self, addresses: &Addresses, known: Known);
    /// Discovery cannot be reached: the endpoints stay, and the scrape says so.
    fn stale(&self);
    /// What something else knows, unless discovery has learnt better.
    fn publish_elsewhere(&self, addresses: &Addresses);
    /// Resolves when something else is to be asked.
    fn asked_elsewhere(&self) -> impl Future<Output = ()> + Send;
    /// It may know more, or less, by now.
    fn ask_elsewhere_again(&self);
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Destination(destination::Client),
    File(file::Watched),
    Nowhere,
}

impl Source {
    /// Keeps a route's endpoints up to date until it is dropped. `name`: what else may be asked for.
    pub(crate) async fn follow(self, route: Arc<impl Follower>, name: Option<(String, u16)>) {
        let known = async {
            match self {
                Self::Destination(client) => client.follow(&*route).await,
                Self::File(watched) => watched.follow(&*route).await,
                Self::Nowhere => route.publish(&Addresses::new(), Known::Missing),
            }
        };
        match &name {
            // In one task: nobody else publishes.
            Some((host, port)) => drop(tokio::join!(known, dns::stand_in(&*route, host, *port))),
            None => known.await,
        }
    }
}

impl Described {
    /// A weight of 1.
    pub(crate) const USUAL_WEIGHT: u32 = 10_000;

    pub(crate) fn parts(&self) -> u32 {
        if self.weight == 0 { Self::USUAL_WEIGHT } else { self.weight }
    }

    pub(crate) fn weight(&self) -> f32 {
        self.parts() as f32 / Self::USUAL_WEIGHT as f32
    }
}
