//! What a `GetProfile` stream says: what a name or an address is, and whether its port carries HTTP. Routes,
//! retries and splits of ServiceProfiles are not served.

use std::sync::Arc;

use linkerd2_proxy_api::destination::{DestinationProfile, RetryBudget};
use linkerd2_proxy_api::meta::{Metadata, Resource, metadata};

use crate::endpoints::Endpoint;

/// A service and one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Where it is.
    pub namespace: Arc<str>,
    /// What it is called there.
    pub service: Arc<str>,
    /// The one that was asked for.
    pub port: u16,
    /// The cluster's, which ends the names of services.
    pub domain: Arc<str>,
}

/// What is known of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The service, if it is one's.
    pub service: Option<Parent>,
    /// Where to go at once, without balancing: it is a pod's.
    pub endpoint: Option<Endpoint>,
    /// The port carries something else than HTTP.
    pub opaque: bool,
}

impl Profile {
    /// As it is told.
    pub fn message(&self) -> DestinationProfile {
        let resource = |s: &Parent| Resource {
            group: "core".to_owned(),
            kind: "Service".to_owned(),
            name: s.service.to_string(),
            namespace: s.namespace.to_string(),
            port: u32::from(s.port),
            ..Default::default()
        };
        let parent =
            self.service.as_ref().map(|s| Metadata { kind: Some(metadata::Kind::Resource(resource(s))) });
        let name = |s: &Parent| format!("{}.{}.svc.{}", s.service, s.namespace, s.domain);
        DestinationProfile {
            // As the API prescribes, what is no service leaves the name empty.
            fully_qualified_name: self.service.as_ref().map(name).unwrap_or_default(),
            opaque_protocol: self.opaque,
            retry_budget: Some(retry_budget()),
            endpoint: self.endpoint.as_ref().map(|e| e.message(true)),
            parent_ref: parent,
            ..Default::default()
        }
    }
}

/// Linkerd's default: a fifth more requests, and ten a second at least.
fn retry_budget() -> RetryBudget {
    let ttl = prost_types::Duration { seconds: 10, nanos: 0 };
    RetryBudget { retry_ratio: 0.2, min_retries_per_second: 10, ttl: Some(ttl) }
}
