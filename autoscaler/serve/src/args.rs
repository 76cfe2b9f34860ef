//! Flags that both servers have: where the API server is, where they listen, whose certificate they show.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use autoscaler_certs::{Files, Lifetimes};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use thanos_telemetry::RunError;

/// How long an API server may say nothing; above the length of a watch, or quiet objects would be a fault.
const SILENCE: Duration = Duration::from_secs(45);

/// Where the API server is, and where it calls us.
#[derive(Clone, Debug, clap::Args)]
pub struct ServingArgs {
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context; none: the current one
    #[arg(long)]
    pub context: Option<String>,
    /// Deadline of one call to the API server
    #[arg(long, default_value = "5s", value_parser = thanos_model::parse_duration)]
    pub kube_timeout: Duration,
    /// Where API servers are answered, by TLS
    #[arg(long, default_value = "0.0.0.0:8443")]
    pub secure_listen_address: SocketAddr,
    /// Where /metrics, /live and /ready are served
    #[arg(long, default_value = "0.0.0.0:9095")]
    pub listen_address: SocketAddr,
    /// The certificate.
    #[command(flatten)]
    pub certificate: CertificateArgs,
}

/// Whose certificate is shown: one of our own making, or one that somebody else renews.
#[derive(Clone, Debug, clap::Args)]
pub struct CertificateArgs {
    /// File with a certificate that somebody else renews (cert-manager), in PEM; needs --tls-key-file. Who trusts it is
    /// somebody else's affair too. None: certificates are made and renewed here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert_name", "cert_secret"])]
    pub tls_cert_file: Option<PathBuf>,
    /// File with that certificate's key, in PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,
    /// DNS name or IP address that API servers call, repeated for several; for a Service NAME.NAMESPACE.svc
    #[arg(long, value_name = "NAME")]
    pub cert_name: Vec<String>,
    /// Name of the Secret that replicas share; none: that of the part
    #[arg(long, value_name = "NAME")]
    pub cert_secret: Option<String>,
    /// Namespace of that Secret
    #[arg(long, default_value = "default")]
    pub namespace: String,
    /// How long an authority holds; renewed after two thirds
    #[arg(long, default_value = "365d", value_parser = thanos_model::parse_duration)]
    pub ca_lifetime: Duration,
    /// How long a certificate holds; renewed after two thirds. At most a third of --ca-lifetime
    #[arg(long, default_value = "30d", value_parser = thanos_model::parse_duration)]
    pub cert_lifetime: Duration,
}

/// Whose certificate is shown.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Files(Files),
    Own { names: Vec<String>, lifetimes: Lifetimes },
}

impl CertificateArgs {
    /// As flags say it.
    pub(crate) fn source(&self) -> Result<Source, RunError> {
        let config = |message: &str| RunError::Config(message.to_owned());
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => {
                return Ok(Source::Files(Files { certificate: certificate.clone(), key: key.clone() }));
            }
            (None, None) => {}
            _ => return Err(config("--tls-cert-file and --tls-key-file go together; give both, or neither")),
        }
        if self.cert_name.is_empty() {
            return Err(config(
                "--cert-name: say what API servers call this server, for example \
                 --cert-name=webhook.gauntlet-system.svc; or give --tls-cert-file and --tls-key-file",
            ));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
        if let Some(odd) = self.cert_name.iter().find(|n| n.is_empty() || !n.chars().all(word)) {
            return Err(RunError::Config(format!("--cert-name {odd:?}: is no DNS name or IP address")));
        }
        let lifetimes = Lifetimes::new(self.ca_lifetime, self.cert_lifetime)
            .map_err(|e| RunError::Config(format!("--ca-lifetime, --cert-lifetime: {e}")))?;
        Ok(Source::Own { names: self.cert_name.clone(), lifetimes })
    }
}

impl ServingArgs {
    /// A client of the API server.
    pub(crate) async fn client(&self) -> Result<Client, RunError> {
        let flag = |e: &dyn std::fmt::Display| {
            let flag = if self.context.is_some() { "--context" } else { "--kubeconfig" };
            let name = self.context.as_deref().unwrap_or("current");
            RunError::Config(format!("{flag} {name}: {e}"))
        };
        let mut config = self.config().await.map_err(|e| flag(&e))?;
        // Whoever calls decides whether to repeat.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Client::try_from(config).map_err(|e| flag(&e))
    }

    async fn config(&self) -> anyhow::Result<kube::Config> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        if let Some(file) = &self.kubeconfig {
            return Ok(kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?);
        }
        if self.context.is_some() {
            return Ok(kube::Config::from_kubeconfig(&options).await?);
        }
        Ok(kube::Config::infer().await?)
    }

    /// Deadline of one call; never nothing.
    pub(crate) fn timeout(&self) -> Duration {
        self.kube_timeout.max(Duration::from_millis(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: ServingArgs,
    }

    fn source(line: &[&str]) -> Result<Source, String> {
        let cli = Cli::try_parse_from([&["x"], line].concat()).map_err(|e| e.to_string())?;
        cli.args.certificate.source().map_err(|e| e.to_string())
    }

    #[test]
    fn a_certificate_is_ours_or_somebody_else_s_and_never_half_of_either() {
        assert!(matches!(source(&["--cert-name=a.b.svc", "--cert-name=127.0.0.1"]), Ok(Source::Own { .. })));
        assert!(matches!(source(&["--tls-cert-file=a", "--tls-key-file=b"]), Ok(Source::Files(_))));
        for (line, expected) in [
            (&[][..], "--cert-name: say what API servers call"),
            (&["--tls-cert-file=a"], "go together"),
            (&["--tls-key-file=a"], "go together"),
            (&["--cert-name="], "is no DNS name"),
            (&["--cert-name=a b"], "is no DNS name"),
            (&["--cert-name=a", "--tls-cert-file=a", "--tls-key-file=b"], "cannot be used with"),
            (
                &["--cert-name=a", "--ca-lifetime=1h", "--cert-lifetime=30m"],
                "--ca-lifetime, --cert-lifetime: an",
            ),
        ] {
            let why = source(line).unwrap_err();
            assert!(why.contains(expected), "{line:?}: {why}");
        }
    }
}
