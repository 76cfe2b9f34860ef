//! Who may ask: API servers, by the client certificate of their aggregation layer.
//!
//! An API server authenticates whoever asks it, checks its RBAC for the path (resource METRIC of the group, verb `list`
//! or `get`, in the namespace), and only then passes the request on with the front proxy's certificate. So this
//! certificate is the authentication here, and that RBAC the authorization: nobody else is answered, and no
//! SubjectAccessReview repeats what was asked already.
//!
//! Source: ConfigMap `kube-system/extension-apiserver-authentication`, written by every kube-apiserver with
//! `--requestheader-client-ca-file`.

use std::collections::BTreeMap;

/// Name of the ConfigMap.
pub const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// Its namespace.
pub const NAMESPACE: &str = "kube-system";

/// The aggregation layer's certificates: who signs them, and which names they may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxy {
    /// Authorities in PEM.
    pub ca_pem: String,
    /// Common names; empty: any that the authorities signed.
    pub allowed_names: Vec<String>,
}

impl FrontProxy {
    /// Of the ConfigMap's data.
    ///
    /// # Errors
    /// One sentence: what is missing, and which flag of the API server brings it.
    pub fn of(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let ca_pem = data.get("requestheader-client-ca-file").filter(|pem| !pem.trim().is_empty()).ok_or_else(|| {
            format!(
                "ConfigMap {NAMESPACE}/{CONFIG_MAP} has no requestheader-client-ca-file: the API server's aggregation \
                 layer is off; start it with --requestheader-client-ca-file"
            )
        })?;
        let names = data.get("requestheader-allowed-names").map_or("[]", String::as_str);
        let allowed_names: Vec<String> = serde_json::from_str(names).map_err(|e| {
            format!("requestheader-allowed-names of ConfigMap {NAMESPACE}/{CONFIG_MAP} is no list: {e}")
        })?;
        Ok(Self { ca_pem: ca_pem.clone(), allowed_names })
    }

    /// Whether a certificate with this common name, whose signature was checked, may ask; `None`: none was shown.
    ///
    /// # Errors
    /// HTTP status, reason, and one sentence.
    pub fn admit(&self, common_name: Option<&str>) -> Result<(), (u16, &'static str, String)> {
        let Some(name) = common_name else {
            let message = "only API servers are answered, by their front proxy's client certificate; ask through the \
                           API server: kubectl get --raw /apis/external.metrics.k8s.io/v1beta1/…";
            return Err((401, "Unauthorized", message.to_owned()));
        };
        if self.allowed_names.is_empty() || self.allowed_names.iter().any(|allowed| allowed == name) {
            return Ok(());
        }
        let name: String = name.chars().take(64).collect();
        Err((
            403,
            "Forbidden",
            format!("{name:?} is not among requestheader-allowed-names of the API server"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_front_proxy_is_admitted_and_nobody_else() {
        let ca = ("requestheader-client-ca-file", "PEM");
        let named =
            FrontProxy::of(&data(&[ca, ("requestheader-allowed-names", r#"["front-proxy-client"]"#)]))
                .unwrap();
        let any = FrontProxy::of(&data(&[ca, ("requestheader-allowed-names", "[]")])).unwrap();
        assert_eq!(any, FrontProxy::of(&data(&[ca])).unwrap());
        for (proxy, name, expected) in [
            (&named, Some("front-proxy-client"), None),
            (&named, Some("kubelet"), Some(403)),
            (&named, Some(""), Some(403)),
            (&named, None, Some(401)),
            (&any, Some("whoever"), None),
            (&any, None, Some(401)),
        ] {
            assert_eq!(proxy.admit(name).err().map(|e| e.0), expected, "{name:?}");
        }
    }

    #[test]
    fn an_api_server_without_aggregation_is_told() {
        for pairs in [&[][..], &[("requestheader-client-ca-file", " ")], &[("client-ca-file", "PEM")]] {
            assert!(FrontProxy::of(&data(pairs)).unwrap_err().contains("--requestheader-client-ca-file"));
        }
        let odd = data(&[("requestheader-client-ca-file", "PEM"), ("requestheader-allowed-names", "x")]);
        assert!(FrontProxy::of(&odd).unwrap_err().contains("is no list"));
    }
}
