//! `gauntlet autoscaler explain`: why a policy has the replicas that it has, in sentences.
//!
//! ```text
//!  policy/NAME --records DIR ─► the record that was in force ─┐
//!  FILE ──────────────────────────────────────────────────────┴─► sentences, decided again
//!  policy/NAME ─► API server ─► status ─► sentences
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use autoscaler_api::ScalingPolicy;
use kube::{Api, Client};
use thanos_telemetry::{RunError, cli};

use crate::clock::{Clock, SystemClock};
use crate::records::find::{Asked, Found, find};

mod record;
mod status;
mod when;

use when::{span, time};

/// Deadline of the API server's answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Flags of `gauntlet autoscaler explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// policy/NAME, or the file of a decision record
    #[arg(value_name = "policy/NAME|FILE")]
    pub what: PathBuf,
    /// The policy's namespace
    #[arg(long, short = 'n', default_value = "default")]
    pub namespace: String,
    /// The decision that was in force then: 2026-11-30T16:43:00Z, seconds since 1970, or how long ago (5m); none: the
    /// newest
    #[arg(long)]
    pub at: Option<String>,
    /// The controller's --records-dir, or a copy of it; none: the policy's status is read from the API server
    #[arg(long)]
    pub records: Option<PathBuf>,
    /// The cluster's name in the records, where several have a policy of that name
    #[arg(long)]
    pub cluster: Option<String>,
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context; none: the current one
    #[arg(long)]
    pub context: Option<String>,
}

/// Prints the decision in sentences; one from a record with whether deciding again gives the same bytes.
///
/// # Errors
/// [`RunError::Config`] if there is no such policy, record or time, or the record cannot be read;
/// [`RunError::Failed`] if the API server gives no answer.
pub(crate) async fn run(args: &Args) -> Result<(), RunError> {
    let now_ms = SystemClock.wall_ms();
    let at_ms = args.at.as_deref().map(|text| when::parse(text, now_ms));
    let at_ms = at_ms.transpose().map_err(|why| RunError::Config(format!("--at: {why}")))?;
    let told = match (policy(&args.what), &args.records) {
        (None, _) if at_ms.is_some() || args.records.is_some() => {
            let cure = "--at and --records are for policy/NAME";
            return Err(RunError::Config(format!("{}: {cure}", args.what.display())));
        }
        (None, _) => tell_file(&args.what)?,
        (Some(name), Some(dir)) => from_records(dir, args, name, (at_ms, now_ms))?,
        (Some(name), None) => from_status(args, name, (at_ms, now_ms)).await?,
    };
    crate::print(&told)
}

/// The policy's name, if that is what is asked for; a file of such a path is `./policy/NAME`.
fn policy(what: &Path) -> Option<&str> {
    what.strip_prefix("policy").ok()?.to_str().filter(|name| !name.is_empty() && !name.contains('/'))
}

fn tell_file(path: &Path) -> Result<String, RunError> {
    let text = cli::read_config(path)?;
    record::tell(&text).map_err(|e| RunError::Config(format!("{}: {e}", path.display())))
}

fn from_records(
    dir: &Path,
    args: &Args,
    name: &str,
    (at_ms, now_ms): (Option<i64>, i64),
) -> Result<String, RunError> {
    let (cluster, namespace) = (args.cluster.as_deref(), args.namespace.as_str());
    let found = find(dir, Asked { cluster, namespace, name, at_ms }).map_err(RunError::config)?;
    let told = tell_file(&found.path)?;
    Ok(format!("{}\n{told}", title(&found, at_ms, now_ms)))
}

/// Whose decision it is, how old, and until when it stood.
fn title(found: &Found, at_ms: Option<i64>, now_ms: i64) -> String {
    let Found { owner, at_ms: decided_ms, next_ms, .. } = found;
    let age = match at_ms {
        None => format!("{} ago", span(now_ms.saturating_sub(*decided_ms))),
        Some(at_ms) => format!("{} before {}", span(at_ms.saturating_sub(*decided_ms)), time(at_ms)),
    };
    let until = match next_ms {
        Some(next_ms) => format!("the next that differed was taken at {}", time(*next_ms)),
        None => "none that differs was recorded since".to_owned(),
    };
    format!("Policy {owner}, decided at {}, {age}; {until}.", time(*decided_ms))
}

async fn from_status(
    args: &Args,
    name: &str,
    (at_ms, now_ms): (Option<i64>, i64),
) -> Result<String, RunError> {
    let config = crate::run::config(args.kubeconfig.as_deref(), args.context.as_deref()).await;
    let cure = "or give --records DIR, the controller's --records-dir";
    let config = config.map_err(|e| RunError::Config(format!("--kubeconfig: {e}; correct it, {cure}")))?;
    let client = Client::try_from(config).map_err(RunError::config)?;
    let api: Api<ScalingPolicy> = Api::namespaced(client, &args.namespace);
    let id = format!("{}/{name}", args.namespace);
    let failed = |why: String| RunError::Failed(anyhow::anyhow!("policy {id}: {why}"));
    let found = match tokio::time::timeout(DEADLINE, api.get_opt(name)).await {
        Ok(found) => found.map_err(|e| failed(crate::follow::told(&e)))?,
        Err(_) => return Err(failed(format!("the API server did not answer within {DEADLINE:?}"))),
    };
    let Some(policy) = found else {
        return Err(RunError::Config(format!("there is no policy {id} on this API server; see --namespace")));
    };
    status::tell(&id, policy.status.as_ref(), at_ms, now_ms).map_err(RunError::Config)
}

#[cfg(test)]
mod tests;
