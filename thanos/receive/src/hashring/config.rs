//! Thanos' hashring file.

use serde::Deserialize;

use super::{Algorithm, Endpoint, Hashrings, Ring};

/// A ring of more nodes is a mistake: a thousand sections each are worked out ahead.
const ENDPOINTS_MAX: usize = 1000;

/// Why a hashring file is of no use. The ring before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// Nothing in it: the writer has not written yet.
    #[error("the file is empty")]
    Empty,
    /// Not JSON of this form.
    #[error("not a hashring configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// A ring that cannot be used.
    #[error("hashring {name:?}: {why}")]
    Ring {
        /// Its name, or its place in the list.
        name: String,
        /// What is wrong and what to do.
        why: String,
    },
}

/// Unknown keys are passed over, as Thanos does: the file is also other versions' file.
#[derive(Deserialize)]
struct WireRing {
    #[serde(default)]
    hashring: String,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    tenant_matcher_type: WireMatcher,
    #[serde(default)]
    endpoints: Vec<WireEndpoint>,
    algorithm: Option<Algorithm>,
    #[serde(default)]
    external_labels: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    shuffle_sharding_config: WireShuffle,
}

#[derive(Deserialize, Default, Clone, Copy)]
enum WireMatcher {
    #[default]
    #[serde(rename = "exact", alias = "")]
    Exact,
    #[serde(rename = "glob")]
    Glob,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireEndpoint {
    Address(String),
    Full {
        address: String,
        #[serde(default)]
        az: String,
    },
}

#[derive(Deserialize, Default)]
struct WireShuffle {
    #[serde(default)]
    shard_size: u64,
}

/// Which tenants a ring takes.
#[derive(Debug)]
pub(super) enum TenantMatch {
    All,
    Exact(Vec<String>),
    Glob(Vec<String>),
}

impl TenantMatch {
    pub(super) fn matches(&self, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(names) => names.iter().any(|n| n == tenant),
            Self::Glob(patterns) => patterns.iter().any(|p| glob(p.as_bytes(), tenant.as_bytes())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Exact(names) | Self::Glob(names) => names.len(),
        }
    }
}

/// `*` and `?`, in time proportional to pattern × text.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The star takes one more.
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

pub(super) fn parse(
    json: &str,
    default: Algorithm,
    replication_factor: usize,
) -> Result<Hashrings, RingError> {
    if json.trim().is_empty() {
        return Err(RingError::Empty);
    }
    // Go writes an empty list as null.
    let wire: Vec<WireRing> = serde_json::from_str::<Option<_>>(json)?.unwrap_or_default();
    if wire.is_empty() {
        return Err(RingError::Empty);
    }
    let mut rings = Vec::new();
    for (i, w) in wire.into_iter().enumerate() {
        let name = if w.hashring.is_empty() { format!("#{i}") } else { w.hashring.clone() };
        let bad = |why: &str| RingError::Ring { name: name.clone(), why: why.to_owned() };
        if w.shuffle_sharding_config.shard_size > 0 {
            return Err(bad("shuffle_sharding_config is not supported yet; remove it"));
        }
        if !w.external_labels.is_empty() {
            return Err(bad("external_labels is not supported yet; remove it"));
        }
        let endpoints: Vec<Endpoint> = w
            .endpoints
            .into_iter()
            .map(|e| match e {
                WireEndpoint::Address(address) => Endpoint { address, az: String::new() },
                WireEndpoint::Full { address, az } => Endpoint { address, az },
            })
            .collect();
        if endpoints.is_empty() || endpoints.len() > ENDPOINTS_MAX {
            return Err(bad(&format!(
                "it has {} endpoints; 1 to {ENDPOINTS_MAX} are possible",
                endpoints.len()
            )));
        }
        for (at, e) in endpoints.iter().enumerate() {
            if e.address.parse::<http::uri::Authority>().is_err() {
                return Err(bad(&format!("endpoint {:?} is not HOST:PORT", e.address)));
            }
            if endpoints[..at].iter().any(|other| other.address == e.address) {
                return Err(bad(&format!("endpoint {} is listed twice", e.address)));
            }
        }
        let algorithm = w.algorithm.unwrap_or(default);
        if algorithm == Algorithm::Hashmod && endpoints.iter().any(|e| !e.az.is_empty()) {
            return Err(bad("hashmod knows no zones; use ketama, or remove az"));
        }
        let tenants = match (w.tenants, w.tenant_matcher_type) {
            (t, _) if t.is_empty() => TenantMatch::All,
            (t, WireMatcher::Exact) => TenantMatch::Exact(t),
            (t, WireMatcher::Glob) => {
                if let Some(p) = t.iter().find(|p| p.contains(['[', '\\'])) {
                    return Err(bad(&format!("tenant pattern {p:?}: only * and ? are supported yet")));
                }
                TenantMatch::Glob(t)
            }
        };
        rings.push((tenants, Ring::new(w.hashring, endpoints, algorithm, replication_factor)));
    }
    Ok(Hashrings { rings })
}
