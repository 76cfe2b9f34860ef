//! `gauntlet cluster`: one embedded cluster for whoever wants to try it with kubectl.

use std::collections::BTreeSet;
use std::path::PathBuf;

use thanos_telemetry::{Context, RunError, Running};

use crate::preflight::{self, Needs};
use crate::{Cluster, ClusterConfig, Dns, Zone};

/// Run an embedded Kubernetes cluster: API server, controllers, DNS, and pods as local processes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Name of the cluster, of its kubeconfig context and of its node.
    #[arg(long, default_value = "local")]
    pub name: String,
    /// Folder for logs, pods' files, claims and the kubeconfig; kept at the end.
    #[arg(long, default_value = "gauntlet-cluster")]
    pub dir: PathBuf,
    /// DNS domain [default: NAME.local].
    #[arg(long)]
    pub domain: Option<String>,
    /// A program for pods, as `NAME=PATH`; NAME is what `command[0]` or `image` says. May be repeated.
    /// `gauntlet` is always there.
    #[arg(long = "program", value_name = "NAME=PATH")]
    pub programs: Vec<String>,
}

/// Starts the cluster, says how to reach it, and stays until it is asked to end.
///
/// # Errors
/// A flag is wrong, or the cluster cannot start.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(stay(args, ctx))
}

async fn stay(args: Args, ctx: Context) -> Result<(), RunError> {
    let config = configure(&args)?;
    // What pods will need is theirs to say.
    let needs = Needs {
        octets: 1,
        ports: BTreeSet::new(),
        open_files: 1024,
        tasks: 64,
        memory_bytes: 0,
        dir: args.dir.clone(),
        disk_bytes: 0,
    };
    let findings = preflight::findings(&needs);
    findings.iter().filter(|f| !f.fatal).for_each(|f| tracing::warn!("{f}"));
    preflight::refuse(&findings)?;
    let cluster = Cluster::start(config).await?;
    let zones = vec![Zone::new(cluster.domain(), cluster.client())];
    let dns = Dns::serve(cluster.dns_addr(), zones).await.map_err(|e| RunError::Failed(e.into()))?;
    tracing::info!(
        api = cluster.api_url(),
        dns = %dns.addr(),
        domain = cluster.domain(),
        "cluster {:?} is up; to use it: export KUBECONFIG={}",
        cluster.name(),
        cluster.kubeconfig_path().display()
    );
    ctx.shutdown.started().await;
    drop(dns);
    cluster.stop().await;
    Ok(())
}

fn configure(args: &Args) -> Result<ClusterConfig, RunError> {
    let is_label = |s: &str| {
        !s.is_empty()
            && s.len() <= 63
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !s.starts_with('-')
            && !s.ends_with('-')
    };
    if !is_label(&args.name) {
        return Err(RunError::Config(format!(
            "--name {:?}: must be a DNS label: lower-case letters, digits and inner dashes, at most 63",
            args.name
        )));
    }
    let mut config = ClusterConfig::new(&args.name, &args.dir);
    if let Some(domain) = &args.domain {
        if !domain.split('.').all(is_label) {
            return Err(RunError::Config(format!("--domain {domain:?}: must be DNS labels joined by dots")));
        }
        config.domain.clone_from(domain);
    }
    let own = std::env::current_exe().map_err(|e| RunError::Failed(e.into()))?;
    config = config.program("gauntlet", own);
    for program in &args.programs {
        let Some((name, path)) = program.split_once('=').filter(|(n, p)| !n.is_empty() && !p.is_empty())
        else {
            return Err(RunError::Config(format!("--program {program:?}: must be NAME=PATH")));
        };
        if !std::path::Path::new(path).is_file() {
            return Err(RunError::Config(format!("--program {name}: there is no file {path}")));
        }
        config = config.program(name, path);
    }
    Ok(config)
}
