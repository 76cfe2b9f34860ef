//! The parts that every world has, beside the scenario's services.

/// A part: a Deployment or StatefulSet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name, which is also that of its `app` label and of its first container.
    pub name: &'static str,
    /// Where it is.
    pub namespace: &'static str,
    /// Whether it is in the first cluster alone.
    pub first_cluster_only: bool,
    /// Whether a sidecar is beside it.
    pub has_proxy: bool,
}

/// Each of them.
pub const PLATFORM: [Platform; 5] = [
    Platform { name: "destination", namespace: "mesh", first_cluster_only: false, has_proxy: false },
    Platform { name: "scrape", namespace: "monitoring", first_cluster_only: false, has_proxy: true },
    Platform { name: RING, namespace: "monitoring", first_cluster_only: false, has_proxy: false },
    Platform { name: "query", namespace: "monitoring", first_cluster_only: true, has_proxy: false },
    Platform { name: "autoscaler", namespace: "gauntlet-system", first_cluster_only: true, has_proxy: true },
];

/// The Receive ring, a StatefulSet: what policies may scale beside the services.
pub const RING: &str = "receive";
/// Its namespace.
pub const RING_NAMESPACE: &str = "monitoring";
/// Where its file is, which the policy that scales it writes.
pub const RING_CONFIG_MAP: &str = "receive-ring";
/// The file's key there.
pub const RING_KEY: &str = "hashrings.json";
/// Its replicas at the start.
pub const RING_REPLICAS: u16 = 2;

/// Where services are.
pub const SERVICES_NAMESPACE: &str = "default";

/// The container of a sidecar.
pub const PROXY: &str = "proxy";

/// What scales the ring where a scenario brings no policy of its own for it.
pub const RING_POLICY: &str = include_str!("../../scenarios/platform/receive-policy.yaml");
