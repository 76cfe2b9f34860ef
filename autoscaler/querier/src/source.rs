//! Where queries go and what they carry: plain data, judged once, printed without its secrets.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use thanos_model::{HttpUrl, Scrubber, Secret, secret};

/// Most addresses of one source.
pub const ADDRESSES_MAX: usize = 8;
/// Most headers of one source.
pub const HEADERS_MAX: usize = 32;
/// How Cortex, Mimir and their kin are told the tenant.
pub const TENANT_HEADER: &str = "x-scope-orgid";
/// Most series of one answer, unless told.
const SERIES_DEFAULT: usize = 1000;
/// Headers that the protocol sets.
const RESERVED: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A Prometheus API server, or several that hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Addresses, the preferred one first; the next is asked while one is silent. Path and query of each are kept.
    pub addresses: Vec<HttpUrl>,
    /// Put between each address' path and `/api/v1/query`; may be empty.
    pub path_prefix: String,
    /// An HTTP proxy on the way.
    pub proxy: Option<HttpUrl>,
    /// Further headers. Values are taken for secrets.
    pub headers: Vec<(String, Secret)>,
    /// Tenant of a server that has several; no secret.
    pub tenant: Option<String>,
    /// How requests prove who sends them.
    pub authorization: Option<Authorization>,
    /// For `https` addresses.
    pub tls: Tls,
    /// Most series of one answer; bounds its bytes as well.
    pub max_series: usize,
}

/// How requests prove who sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A token (RFC 6750).
    Bearer(Secret),
    /// User name and password (RFC 7617). The name counts as a secret: some services put a token there.
    Basic {
        /// Without a colon.
        username: Secret,
        /// May be empty.
        password: Secret,
    },
}

/// TLS to a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities in PEM, instead of those that this machine trusts.
    pub ca: Option<Secret>,
    /// What we show to servers that want to know us.
    pub client: Option<ClientCertificate>,
    /// The name that the server's certificate must have, if not the address' host. The handshake asks for the host.
    pub server_name: Option<String>,
    /// Take any certificate: whoever is in the way can answer.
    pub insecure_skip_verify: bool,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain in PEM, leaf first.
    pub certificate: Secret,
    /// The key in PEM.
    pub key: Secret,
}

/// What is wrong with a source. `field` has the words of the policy's `source`, for example `tls.ca`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SourceError {
    /// Which part.
    pub field: String,
    /// What is wrong with it, and the cure; without secrets.
    pub message: String,
}

impl SourceError {
    /// An error from its two parts.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Source {
    /// One address and nothing else.
    pub fn new(address: HttpUrl) -> Self {
        Self {
            addresses: vec![address],
            path_prefix: String::new(),
            proxy: None,
            headers: Vec::new(),
            tenant: None,
            authorization: None,
            tls: Tls::default(),
            max_series: SERIES_DEFAULT,
        }
    }

    /// Everything that must not be printed, to take it out of what servers say.
    pub fn scrubber(&self) -> Scrubber {
        let mut secrets: Vec<Secret> =
            self.addresses.iter().chain(&self.proxy).flat_map(HttpUrl::secrets).collect();
        secrets.extend(self.headers.iter().flat_map(|(_, value)| secret::in_header(value.expose())));
        match &self.authorization {
            Some(Authorization::Bearer(token)) => secrets.push(token.clone()),
            Some(Authorization::Basic { username, password }) => {
                secrets.extend([basic(username, password), username.clone(), password.clone()]);
                secrets.push(secret::pair(username.expose(), password.expose()));
            }
            None => {}
        }
        secrets.extend(self.tls.client.iter().map(|c| c.key.clone()));
        Scrubber::new(secrets)
    }

    /// Judges all but TLS, and puts together what requests need.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, SourceError> {
        if self.addresses.is_empty() || self.addresses.len() > ADDRESSES_MAX {
            let message = format!("there are {}; name 1 to {ADDRESSES_MAX}", self.addresses.len());
            return Err(SourceError::new("addresses", message));
        }
        if self.path_prefix.contains(['?', '#', '\\']) || self.path_prefix.split('/').any(|s| s == "..") {
            let message = "is no path; write for example /prometheus".to_owned();
            return Err(SourceError::new("pathPrefix", message));
        }
        let shared = self.shared_headers()?;
        let endpoint = |(i, address): (usize, &HttpUrl)| {
            let mut headers = shared.clone();
            if let Some((username, password)) = address.user_info() {
                if headers.contains_key(AUTHORIZATION) {
                    let message =
                        format!("{address} has user info beside another authorization; keep one of them");
                    return Err(SourceError::new(format!("addresses[{i}]"), message));
                }
                let basic = authorization(&Authorization::Basic { username, password })
                    .map_err(|e| SourceError::new(format!("addresses[{i}]"), e.message))?;
                headers.insert(AUTHORIZATION, basic);
            }
            let address = address.without_user_info().joined(&self.path_prefix).joined("api/v1/query");
            Ok(Endpoint { shown: address.to_string().into(), url: address, headers })
        };
        self.addresses.iter().enumerate().map(endpoint).collect()
    }

    fn shared_headers(&self) -> Result<HeaderMap, SourceError> {
        if self.headers.len() > HEADERS_MAX {
            let message = format!("there are {}; name at most {HEADERS_MAX}", self.headers.len());
            return Err(SourceError::new("headers", message));
        }
        let mut headers = HeaderMap::new();
        for (i, (name, value)) in self.headers.iter().enumerate() {
            let field = format!("headers[{i}]");
            let Ok(parsed) = name.trim().parse::<HeaderName>() else {
                return Err(SourceError::new(field, format!("{name:?} is no name of a header")));
            };
            if RESERVED.contains(&parsed.as_str()) {
                return Err(SourceError::new(field, format!("{parsed} follows from the request; remove it")));
            }
            if headers.insert(parsed.clone(), header(&field, value)?).is_some() {
                return Err(SourceError::new(field, format!("{parsed} is there twice; keep one")));
            }
        }
        if let Some(tenant) = &self.tenant {
            let value = tenant.parse::<HeaderValue>().ok().filter(|_| !tenant.trim().is_empty());
            let Some(value) = value else {
                return Err(SourceError::new(
                    "tenant",
                    "is empty or not one line of text; write the tenant's name",
                ));
            };
            if headers.insert(HeaderName::from_static(TENANT_HEADER), value).is_some() {
                return Err(SourceError::new("tenant", "is among the headers too; keep one of them"));
            }
        }
        if let Some(given) = &self.authorization
            && headers.insert(AUTHORIZATION, authorization(given)?).is_some()
        {
            let field = match given {
                Authorization::Bearer(_) => "bearerToken",
                Authorization::Basic { .. } => "basicAuth",
            };
            return Err(SourceError::new(field, "is there beside a header Authorization; keep one of them"));
        }
        Ok(headers)
    }
}

/// One address, as it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// As it may be printed.
    pub(crate) shown: Arc<str>,
    /// Where the query is posted to; without user info.
    pub(crate) url: HttpUrl,
    /// All but those of the protocol; what is secret among them is marked so.
    pub(crate) headers: HeaderMap,
}

fn authorization(given: &Authorization) -> Result<HeaderValue, SourceError> {
    match given {
        Authorization::Bearer(token) if token.expose().is_empty() => {
            Err(SourceError::new("bearerToken", "is empty; write a token into it"))
        }
        Authorization::Bearer(token) => {
            header("bearerToken", &Secret::from(format!("Bearer {}", token.expose())))
        }
        Authorization::Basic { username, .. } if username.expose().contains(':') => {
            Err(SourceError::new("basicAuth.username", "has a colon, which ends a user name (RFC 7617)"))
        }
        Authorization::Basic { username, password } => {
            let value = format!("Basic {}", basic(username, password).expose());
            header("basicAuth", &Secret::from(value))
        }
    }
}

/// What stands behind `Basic`.
fn basic(username: &Secret, password: &Secret) -> Secret {
    STANDARD.encode(format!("{}:{}", username.expose(), password.expose())).into()
}

fn header(field: &str, value: &Secret) -> Result<HeaderValue, SourceError> {
    let mut value: HeaderValue = value.expose().parse().map_err(|_| {
        SourceError::new(field, "is not one line of visible ASCII; look for a line break in it")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
