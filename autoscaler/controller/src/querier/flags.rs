//! The querier of all policies without a source of their own, as flags say it.

use std::path::PathBuf;

use autoscaler_querier::{Source, SourceError, SourceFiles};
use thanos_model::{HttpUrl, Secret};
use thanos_telemetry::RunError;

/// Flags of the querier. Credentials are files, since a command line is read by many; they are read again each second.
#[derive(Clone, Debug, clap::Args)]
pub struct QueryArgs {
    /// Address that the Prometheus HTTP API hangs under, without /api/v1; repeated for servers that hold the same, of
    /// which the next is asked while one is silent
    #[arg(long = "query-url", value_name = "URL", required = true)]
    pub urls: Vec<Secret>,
    /// HTTP proxy on the way to the querier, for example the mesh sidecar's outbound port
    #[arg(long = "query-proxy-url", value_name = "URL")]
    pub proxy_url: Option<Secret>,
    /// Tenant of a querier that has several, sent as X-Scope-OrgID
    #[arg(long = "query-tenant", value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Header of every query, repeated for several; what is secret belongs into --query-header-file
    #[arg(long = "query-header", value_name = "NAME: VALUE")]
    pub headers: Vec<Secret>,
    /// File with the value of a header of every query, repeated for several
    #[arg(long = "query-header-file", value_name = "NAME=FILE")]
    pub header_files: Vec<String>,
    /// File with a token, sent as Authorization: Bearer
    #[arg(long = "query-bearer-token-file", value_name = "FILE")]
    pub bearer_token_file: Option<PathBuf>,
    /// User name of basic authentication
    #[arg(long = "query-basic-username", value_name = "NAME")]
    pub basic_username: Option<Secret>,
    /// File with the password of basic authentication
    #[arg(long = "query-basic-password-file", value_name = "FILE")]
    pub basic_password_file: Option<PathBuf>,
    /// File with the authorities that may vouch for the querier, in PEM; none: those that this machine trusts
    #[arg(long = "query-ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// File with a certificate to show to the querier, in PEM
    #[arg(long = "query-client-cert-file", value_name = "FILE")]
    pub client_cert_file: Option<PathBuf>,
    /// File with that certificate's key, in PEM
    #[arg(long = "query-client-key-file", value_name = "FILE")]
    pub client_key_file: Option<PathBuf>,
    /// Name that the querier's certificate must have, if not its address' host
    #[arg(long = "query-server-name", value_name = "NAME")]
    pub server_name: Option<String>,
    /// Take any certificate: whoever is on the way can answer in the querier's place
    #[arg(long = "query-insecure-skip-verify")]
    pub insecure_skip_verify: bool,
}

impl QueryArgs {
    /// As the querier's crate has it.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag.
    pub(crate) fn source(&self, max_series: usize) -> Result<SourceFiles, RunError> {
        let url = |flag: &str, text: &Secret| {
            HttpUrl::parse(text.expose()).map_err(|e| RunError::Config(format!("{flag} {e}")))
        };
        let urls: Result<Vec<_>, _> = self.urls.iter().map(|text| url("--query-url", text)).collect();
        let mut urls = urls?.into_iter();
        let Some(first) = urls.next() else {
            return Err(RunError::Config("--query-url: name one, for example http://query:9090".into()));
        };
        let mut base = Source::new(first);
        base.addresses.extend(urls);
        base.proxy = self.proxy_url.as_ref().map(|text| url("--query-proxy-url", text)).transpose()?;
        base.tenant = self.tenant.clone();
        for header in &self.headers {
            let Some((name, value)) = header.expose().split_once(':') else {
                return Err(RunError::Config("--query-header: has no colon; write 'NAME: VALUE'".into()));
            };
            base.headers.push((name.trim().to_owned(), value.trim().into()));
        }
        base.tls.server_name = self.server_name.clone();
        base.tls.insecure_skip_verify = self.insecure_skip_verify;
        base.max_series = max_series;

        let mut files = SourceFiles::new(base);
        for pair in &self.header_files {
            let Some((name, file)) = pair.split_once('=') else {
                return Err(RunError::Config(format!("--query-header-file {pair:?}: write NAME=FILE")));
            };
            files.headers.push((name.to_owned(), file.into()));
        }
        files.bearer_token = self.bearer_token_file.clone();
        let both =
            |a: &str, b: &str| RunError::Config(format!("{a} needs {b} as well; give both, or neither"));
        files.basic = match (&self.basic_username, &self.basic_password_file) {
            (Some(user), Some(file)) => Some((user.clone(), file.clone())),
            (Some(_), None) => return Err(both("--query-basic-username", "--query-basic-password-file")),
            (None, Some(_)) => return Err(both("--query-basic-password-file", "--query-basic-username")),
            (None, None) => None,
        };
        if files.basic.is_some() && files.bearer_token.is_some() {
            let message = "--query-bearer-token-file stands beside --query-basic-username; keep one of them";
            return Err(RunError::Config(message.into()));
        }
        files.ca = self.ca_file.clone();
        files.client = match (&self.client_cert_file, &self.client_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (Some(_), None) => return Err(both("--query-client-cert-file", "--query-client-key-file")),
            (None, Some(_)) => return Err(both("--query-client-key-file", "--query-client-cert-file")),
            (None, None) => None,
        };
        Ok(files)
    }
}

/// The flag that a part of the source came by.
pub(crate) fn wrong(error: &SourceError) -> RunError {
    let flag = match error.field.split('[').next().unwrap_or_default() {
        "proxyUrl" => "--query-proxy-url",
        "headers" => "--query-header",
        "tenant" => "--query-tenant",
        "bearerToken" => "--query-bearer-token-file",
        "basicAuth.username" => "--query-basic-username",
        "basicAuth.password" | "basicAuth" => "--query-basic-password-file",
        "tls.ca" => "--query-ca-file",
        "tls.certificate" => "--query-client-cert-file",
        "tls.key" => "--query-client-key-file",
        "tls.serverName" => "--query-server-name",
        "tls.insecureSkipVerify" => "--query-insecure-skip-verify",
        "maxSeries" => "--max-series",
        _ => "--query-url",
    };
    RunError::Config(format!("{flag}: {}", error.message))
}
