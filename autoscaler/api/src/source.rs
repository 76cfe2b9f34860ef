//! Where a policy's queries go, if not to the controller's own querier.
//!
//! Credentials are never here, only where they are: policies are read by many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A server with Prometheus' HTTP API, in place of the controller's own; nothing is taken over from that one.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Addresses of servers that hold the same, the preferred one first, without user info; `/api/v1/query` hangs
    /// under each. The next one is asked while one is silent.
    #[schemars(
        length(min = 1, max = 8),
        inner(length(min = 1, max = 2048), regex(pattern = "^https?://[^@ ]+$"))
    )]
    pub addresses: Vec<String>,
    /// Path between each address and `/api/v1/query`, for example `/prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = "^/[^?# ]*$"))]
    pub path_prefix: Option<String>,
    /// HTTP proxy on the way, without user info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[^@ ]+$"))]
    pub proxy_url: Option<String>,
    /// Tenant of a server that has several: sent as `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub tenant: Option<String>,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<Header>,
    /// A token, sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretValue>,
    /// User name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// For `https` addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
}

/// A header of every request: with a value as it is, or from a Secret.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Name.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"))]
    pub name: String,
    /// Value, for everybody to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where the value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<SecretValue>,
}

/// User name and password (RFC 7617).
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// User name, for everybody to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub username: Option<String>,
    /// Where the user name is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_from: Option<SecretValue>,
    /// Where the password is.
    pub password: SecretValue,
}

/// TLS to a source.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceTls {
    /// Authorities in PEM, in place of those that the controller's machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<AuthorityValue>,
    /// The controller's own certificate in PEM, leaf first, for servers that want to see one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<SecretValue>,
    /// Its key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretValue>,
    /// Name that the server's certificate must have, if not the address' host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// Take any certificate; whoever is on the way can then answer, and decide how many replicas there are.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// A text in a Secret of the policy's own namespace.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretValue {
    /// Which Secret, and which of its keys.
    pub secret_ref: KeyRef,
}

/// Certificates of authorities: in a Secret or, as they are not secret, in a ConfigMap.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityValue {
    /// Which Secret, and which of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyRef>,
    /// Which ConfigMap, and which of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyRef>,
}

/// A key of an object in the policy's own namespace.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyRef {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in its data.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}
