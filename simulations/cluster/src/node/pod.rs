//! A pod from binding to its end: address, volumes, init containers, containers, status, removal.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, PodSpec};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::EventType;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::command::Facts;
use super::container::{Board, Context, Restart, supervise};
use super::status::{Identity, Phase, pod_status};
use super::times::seconds_of;
use super::volumes::Volumes;
use super::{End, Shared, Wanted};

/// Projected files follow their object within this time at the latest; the bell makes it sooner.
const PROJECT_RETRY: Duration = Duration::from_secs(1);
/// A status that could not be written is written again after this.
const STATUS_RETRY: Duration = Duration::from_millis(500);
/// Log folders of pods that are gone, kept for whoever wants to know why.
const OLD_LOGS_MAX: usize = 200;

/// The label by which a StatefulSet's pod keeps its address.
const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// Runs a pod until it is gone.
pub(super) async fn run(shared: Arc<Shared>, pod: Arc<Pod>, wanted: watch::Receiver<Wanted>, end: End) {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let uid = pod.uid().unwrap_or_default();
    let sticky = pod.labels().contains_key(POD_NAME_LABEL);
    let Some(ip) = shared.addresses.lock().lease(&format!("{namespace}/{name}"), sticky) else {
        tracing::error!(namespace, name, "no address is left for this pod");
        return;
    };
    let folder = format!("{namespace}_{name}_{uid}");
    let dir = shared.config.dir.join("pods").join(&folder);
    let logs_dir = shared.config.logs_dir().join(&folder);
    let logs = logs_dir.clone();
    shared.logs_in_use.lock().insert(logs.clone());
    let (stop, stopped) = watch::channel(None);
    let kubeconfig = match &shared.config.identities {
        Some(_) => dir.join("kubeconfig"),
        None => shared.config.kubeconfig.clone(),
    };
    let identity = Identity {
        pod_ip: ip.to_string(),
        host_ip: shared.config.host_ip().to_string(),
        started: Timestamp::now(),
    };
    let context = Context {
        facts: Facts {
            pod_ip: identity.pod_ip.clone(),
            host_ip: identity.host_ip.clone(),
            node: shared.config.name.clone(),
            kubeconfig,
        },
        shared: shared.clone(),
        pod: pod.clone(),
        namespace: namespace.clone(),
        pod_name: name.clone(),
        ip: IpAddr::V4(ip),
        volumes: Default::default(),
        dir: dir.clone(),
        logs_dir,
        board: Board::default(),
        stop: stopped,
    };
    let ended_by_api = live(context, identity, wanted, &stop, &end).await;
    let _ = std::fs::remove_dir_all(&dir);
    shared.addresses.lock().release(ip);
    if ended_by_api {
        remove_object(&shared, &namespace, &name, &uid).await;
    }
    let in_use = {
        let mut in_use = shared.logs_in_use.lock();
        in_use.remove(&logs);
        in_use.clone()
    };
    forget_old_logs(&shared.config.logs_dir(), &in_use);
}

/// Everything between the address and its return; whether the object still has to be removed.
async fn live(
    mut context: Context,
    identity: Identity,
    wanted: watch::Receiver<Wanted>,
    stop: &watch::Sender<Option<Duration>>,
    end: &End,
) -> bool {
    let mut stopped = context.stop.clone();
    let told = pass_on_end(wanted.clone(), stop, end);
    tokio::pin!(told);
    let reporter = Reporter {
        api: Api::namespaced(context.shared.client.clone(), &context.namespace),
        pod: context.pod.clone(),
        name: context.pod_name.clone(),
        identity,
    };
    // Volumes first; what they miss may come, and the end may come sooner.
    let volumes = tokio::select! {
        volumes = mount(&context, &reporter) => Some(volumes),
        _ = stopped.wait_for(Option::is_some) => None,
        () = &mut told => None,
    };
    if let Some(mut volumes) = volumes {
        context.volumes = std::mem::take(&mut volumes.dirs);
        let context = Arc::new(context);
        let (initialized, is_initialized) = watch::channel(false);
        // A pod whose containers have all ended stays until it is to end.
        let containers = async {
            run_containers(context.clone(), initialized).await;
            let _ = stopped.wait_for(Option::is_some).await;
        };
        tokio::select! {
            () = containers => {}
            () = told => {}
            () = reporter.run(&context.board, is_initialized) => {}
            () = follow_settings(&context, volumes) => {}
        }
    }
    let wanted = wanted.borrow();
    matches!(&*wanted, Wanted::Run(pod) if pod.metadata.deletion_timestamp.is_some())
}

/// Tells the containers when to end, and again when they have less time than before. Does not return.
async fn pass_on_end(mut wanted: watch::Receiver<Wanted>, stop: &watch::Sender<Option<Duration>>, end: &End) {
    loop {
        let shutting_down = end.shutdown().is_started();
        let (grace, ends) = match &*wanted.borrow_and_update() {
            Wanted::Gone => (Duration::ZERO, true),
            Wanted::Run(pod) if shutting_down => (end.grace(pod, grace(pod)), true),
            Wanted::Run(pod) => (grace(pod), pod.metadata.deletion_timestamp.is_some()),
        };
        if ends {
            stop.send_if_modified(|now| {
                let shorter = now.is_none_or(|n| grace < n);
                if shorter {
                    *now = Some(grace);
                }
                shorter
            });
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return std::future::pending().await },
            () = end.shutdown().started(), if !shutting_down => {}
        }
    }
}

fn grace(pod: &Pod) -> Duration {
    let spec = pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
    seconds_of(pod.metadata.deletion_grace_period_seconds.or(spec).unwrap_or(30))
}

async fn mount(context: &Context, reporter: &Reporter) -> Volumes {
    let Some(spec) = context.pod.spec.as_ref() else { return Volumes::default() };
    let claims = context.shared.config.dir.join("volumes");
    let mut bell = context.shared.settings.bell();
    let (mut former, mut noted) = (None, None);
    loop {
        let ready = identify(context).await.and(claims_are_there(context, spec).await).and_then(|()| {
            let mut volumes = Volumes::prepare(spec, &context.dir, &claims, &context.namespace)?;
            volumes.project(&context.shared.settings, &context.namespace)?;
            Ok(volumes)
        });
        let problem = match ready {
            Ok(volumes) => return volumes,
            Err(problem) => problem,
        };
        if noted.as_ref() != Some(&problem) {
            context.shared.note(&context.pod, EventType::Warning, "FailedMount", problem.clone());
            noted = Some(problem.clone());
        }
        for container in &spec.containers {
            let message = problem.clone();
            context
                .board
                .set(&container.name, |s| s.phase = Phase::Waiting { reason: "ContainerCreating", message });
        }
        reporter.write(&context.board, false, &mut former).await;
        tokio::select! {
            Ok(()) = bell.changed() => {}
            () = tokio::time::sleep(PROJECT_RETRY) => {}
        }
    }
}

/// Claims must have been made: only then is there a folder to mount.
async fn claims_are_there(context: &Context, spec: &PodSpec) -> Result<(), String> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.shared.client.clone(), &context.namespace);
    for claim in spec.volumes.iter().flatten().filter_map(|v| v.persistent_volume_claim.as_ref()) {
        match api.get_opt(&claim.claim_name).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(format!("persistentvolumeclaim {:?} not found", claim.claim_name)),
            Err(error) => return Err(format!("persistentvolumeclaim {:?}: {error}", claim.claim_name)),
        }
    }
    Ok(())
}

/// Where pods have kubeconfigs of their own, writes it.
async fn identify(context: &Context) -> Result<(), String> {
    let Some(identities) = &context.shared.config.identities else { return Ok(()) };
    identities.write(&context.shared.client, &context.pod, &context.facts.kubeconfig).await
}

/// Keeps projected files as their objects are.
async fn follow_settings(context: &Context, mut volumes: Volumes) {
    if volumes.projections.is_empty() {
        return std::future::pending().await;
    }
    let mut bell = context.shared.settings.bell();
    while bell.changed().await.is_ok() {
        if let Err(problem) = volumes.project(&context.shared.settings, &context.namespace) {
            tracing::warn!(
                namespace = context.namespace,
                pod = context.pod_name,
                problem,
                "projected volume"
            );
        }
    }
    std::future::pending().await
}

/// Init containers one after the other, then all others at once.
async fn run_containers(context: Arc<Context>, initialized: watch::Sender<bool>) {
    let Some(spec) = context.pod.spec.clone() else { return };
    let policy = match spec.restart_policy.as_deref() {
        Some("Never") => Restart::Never,
        Some("OnFailure") => Restart::OnFailure,
        _ => Restart::Always,
    };
    let mut running = JoinSet::new();
    let spawn = |running: &mut JoinSet<bool>, container: Container, restart| {
        let context = context.clone();
        running.spawn(supervise(context, container, restart));
    };
    for init in spec.init_containers.into_iter().flatten() {
        if init.restart_policy.as_deref() == Some("Always") {
            // A sidecar: the next need not wait for its end.
            spawn(&mut running, init, Restart::Always);
            continue;
        }
        let restart = if policy == Restart::Never { Restart::Never } else { Restart::OnFailure };
        if !supervise(context.clone(), init, restart).await {
            return end_all(running).await;
        }
    }
    initialized.send_replace(true);
    for container in spec.containers {
        spawn(&mut running, container, policy);
    }
    end_all(running).await;
}

async fn end_all(mut running: JoinSet<bool>) {
    while running.join_next().await.is_some() {}
}

/// Who writes the pod's status.
struct Reporter {
    api: Api<Pod>,
    pod: Arc<Pod>,
    name: String,
    identity: Identity,
}

impl Reporter {
    async fn run(&self, board: &Board, mut initialized: watch::Receiver<bool>) {
        let mut former = None;
        loop {
            let is_initialized = *initialized.borrow_and_update();
            let written = self.write(board, is_initialized, &mut former).await;
            tokio::select! {
                () = board.changed.notified() => {}
                Ok(()) = initialized.changed() => {}
                () = tokio::time::sleep(STATUS_RETRY), if !written => {}
            }
        }
    }

    /// Whether the status in the API is what it should be.
    async fn write(&self, board: &Board, initialized: bool, former: &mut Option<Value>) -> bool {
        let now = Timestamp::now();
        let status =
            pod_status(&self.pod, &self.identity, &board.states(), initialized, former.as_ref(), now);
        if former.as_ref() == Some(&status) {
            return true;
        }
        // The uid guards against a successor of the same name.
        let patch = json!({"metadata": {"uid": self.pod.uid()}, "status": status});
        let params = PatchParams { field_manager: Some("node".into()), ..PatchParams::default() };
        match self.api.patch_status(&self.name, &params, &Patch::Merge(&patch)).await {
            Ok(_) => {
                *former = Some(status);
                true
            }
            Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => true,
            Err(error) => {
                tracing::warn!(%error, pod = self.name, "writing pod status");
                false
            }
        }
    }
}

/// The processes are gone: so may the object.
async fn remove_object(shared: &Shared, namespace: &str, name: &str, uid: &str) {
    let api: Api<Pod> = Api::namespaced(shared.client.clone(), namespace);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    for _ in 0..10 {
        match api.delete(name, &params).await {
            Ok(_) => return,
            Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => return,
            Err(error) => {
                tracing::warn!(%error, namespace, name, "removing a pod that has ended");
                tokio::time::sleep(STATUS_RETRY).await;
            }
        }
    }
}

fn forget_old_logs(dir: &Path, in_use: &BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut dirs: Vec<_> = entries
        .flatten()
        .filter(|e| !in_use.contains(&e.path()))
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    if dirs.len() > OLD_LOGS_MAX {
        dirs.sort();
        for (_, path) in dirs.iter().take(dirs.len() - OLD_LOGS_MAX) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_pods_that_run_are_kept_however_many_have_gone_since() {
        let dir = tempfile::tempdir().unwrap();
        let path = |i: usize| dir.path().join(format!("pod-{i:04}"));
        let past = |i: usize| std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + i as u64);
        for i in 0..OLD_LOGS_MAX + 5 {
            std::fs::create_dir(path(i)).unwrap();
            std::fs::File::open(path(i)).unwrap().set_modified(past(i)).unwrap();
        }
        // The two oldest run on.
        forget_old_logs(dir.path(), &BTreeSet::from([path(0), path(1)]));
        let there: Vec<usize> = (0..OLD_LOGS_MAX + 5).filter(|i| path(*i).exists()).collect();
        let want: Vec<usize> = [0, 1].into_iter().chain(5..OLD_LOGS_MAX + 5).collect();
        assert_eq!(there, want);
    }

    #[test]
    fn a_grace_of_any_length_can_be_added_to_a_clock() {
        for (seconds, is) in [(i64::MIN, 0), (-1, 0), (0, 0), (30, 30)] {
            assert_eq!(seconds_of(seconds), Duration::from_secs(is));
        }
        assert!(tokio::time::Instant::now().checked_add(seconds_of(i64::MAX)).is_some());
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"deletionGracePeriodSeconds": i64::MAX}})).unwrap();
        assert_eq!(grace(&pod), crate::node::times::LONGEST);
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {}, "spec": {"containers": [], "terminationGracePeriodSeconds": i64::MAX}}),
        )
        .unwrap();
        assert_eq!(grace(&pod), crate::node::times::LONGEST);
    }
}
