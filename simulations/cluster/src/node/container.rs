//! One container: start it, watch over it, start it again, end it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::runtime::events::EventType;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Shared;
use super::command::{self, Facts, Prepared};
use super::logfile::{self, LogFile};
use super::probe::{self, Check, Checker, Probe};
use super::running::{Key, Running};
use super::status::{ContainerState, Ended, Phase};
use super::times::seconds_of;
use crate::sweep;

/// A command that could not be worked out is tried again this often.
const CONFIG_RETRY: Duration = Duration::from_secs(1);

/// A killed process ends as soon as the machine gets to it; one whose parent takes no notice stays in its group.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// The states of a pod's containers, and the bell for who writes its status.
#[derive(Debug, Default)]
pub(super) struct Board {
    states: Mutex<BTreeMap<String, ContainerState>>,
    pub(super) changed: Notify,
}

impl Board {
    pub(super) fn set(&self, container: &str, change: impl FnOnce(&mut ContainerState)) {
        let mut states = self.states.lock();
        let state = states.entry(container.to_owned()).or_default();
        let before = state.clone();
        change(state);
        if *state != before {
            self.changed.notify_one();
        }
    }

    pub(super) fn states(&self) -> BTreeMap<String, ContainerState> {
        self.states.lock().clone()
    }
}

/// When to start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

/// What all containers of a pod share.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: Arc<Pod>,
    pub(super) namespace: String,
    pub(super) pod_name: String,
    pub(super) ip: IpAddr,
    pub(super) facts: Facts,
    pub(super) volumes: BTreeMap<String, PathBuf>,
    pub(super) dir: PathBuf,
    pub(super) logs_dir: PathBuf,
    pub(super) board: Board,
    /// `Some(grace)`: end, and be gone in this time.
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

#[derive(Default)]
struct Probes {
    startup: Option<Probe>,
    readiness: Option<Probe>,
    liveness: Option<Probe>,
}

/// Runs a container until its policy or the pod's end says no more; whether the last run succeeded.
pub(super) async fn supervise(context: Arc<Context>, container: Container, restart: Restart) -> bool {
    let config = &context.shared.config;
    let (first_backoff, max_backoff) = config.restart_backoff;
    let mut stop = context.stop.clone();
    let mut backoff = first_backoff;
    let mut instance = 0u64;
    loop {
        if stop.borrow().is_some() {
            return false;
        }
        let (prepared, probes) = match prepare(&context, &container) {
            Ok(ready) => ready,
            Err(message) => {
                context.note(
                    EventType::Warning,
                    "Failed",
                    format!("container {}: {message}", container.name),
                );
                context.board.set(&container.name, |s| {
                    s.phase = Phase::Waiting { reason: "CreateContainerConfigError", message };
                });
                sleep_or_stop(CONFIG_RETRY, &mut stop).await;
                continue;
            }
        };
        let began = Instant::now();
        let ended = run_once(&context, &container, &prepared, probes, instance, &mut stop).await;
        let succeeded = ended.exit_code == 0;
        let again = stop.borrow().is_none()
            && match restart {
                Restart::Always => true,
                Restart::OnFailure => !succeeded,
                Restart::Never => false,
            };
        if !again {
            context.board.set(&container.name, |s| {
                s.ready = false;
                s.phase = Phase::Ended(ended);
            });
            return succeeded;
        }
        if began.elapsed() > max_backoff * 2 {
            backoff = first_backoff;
        }
        let how = format!("container {} ended with code {}", container.name, ended.exit_code);
        context.note(EventType::Warning, "BackOff", format!("{how} {}; starting it again", ended.message));
        context.board.set(&container.name, |s| {
            s.ready = false;
            s.last = Some(ended);
            s.phase = Phase::Waiting {
                reason: "CrashLoopBackOff",
                message: format!("back-off {backoff:?} restarting failed container={}", container.name),
            };
        });
        sleep_or_stop(backoff, &mut stop).await;
        backoff = (backoff * 2).min(max_backoff);
        instance += 1;
    }
}

impl Context {
    fn note(&self, kind: EventType, reason: &str, note: String) {
        self.shared.note(&self.pod, kind, reason, note);
    }

    /// What processes of a container carry.
    fn mark(&self, container: &str) -> String {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        format!("{}/{uid}/{container}", self.shared.config.mark)
    }
}

async fn sleep_or_stop(time: Duration, stop: &mut watch::Receiver<Option<Duration>>) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _ = stop.wait_for(Option::is_some) => {}
    }
}

fn prepare(context: &Context, container: &Container) -> Result<(Prepared, Probes), String> {
    let config = &context.shared.config;
    let settings = |kind, name: &str| context.shared.settings.get(kind, &context.namespace, name);
    let prepared = command::prepare(
        container,
        &context.pod,
        &context.facts,
        &context.volumes,
        &config.programs,
        settings,
    )?;
    let probe = |spec: &Option<_>| spec.as_ref().map(|s| Probe::new(s, container, context.ip)).transpose();
    let probes = Probes {
        startup: probe(&container.startup_probe)?,
        readiness: probe(&container.readiness_probe)?,
        liveness: probe(&container.liveness_probe)?,
    };
    Ok((prepared, probes))
}

async fn run_once(
    context: &Arc<Context>,
    container: &Container,
    prepared: &Prepared,
    probes: Probes,
    instance: u64,
    stop: &mut watch::Receiver<Option<Duration>>,
) -> Ended {
    let started = Timestamp::now();
    let mut child = match start(context, container, prepared, instance).await {
        Ok(child) => child,
        Err(error) => {
            let message = format!("cannot start {}: {error}", prepared.program.display());
            let finished = Timestamp::now();
            return Ended { exit_code: 128, signal: None, reason: "StartError", message, started, finished };
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let key = (context.namespace.clone(), context.pod_name.clone(), container.name.clone());
    // However this call ends, the group is noted no longer than it runs.
    let _noted = group.map(|group| {
        // Killed at once where the node has ended meanwhile: it is waited for all the same.
        context.shared.running.started(key.clone(), group);
        Noted { running: context.shared.running.clone(), key }
    });
    context.board.set(&container.name, |s| {
        s.phase = Phase::Running { since: started };
        s.restarts = instance;
        s.started = probes.startup.is_none();
        s.ready = probes.readiness.is_none() && s.started;
    });
    context.note(EventType::Normal, "Started", format!("Started container {}", container.name));
    let unhealthy = Arc::new(Notify::new());
    // Dropped with this call: probes end with the process.
    let _probing = start_probes(context, container, prepared, probes, &unhealthy);
    let status = wait(&mut child, group, context, stop, &unhealthy).await;
    if let Some(group) = group {
        clear(group).await;
    }
    if context.shared.config.helper.as_ref() != Some(&prepared.program) {
        let mark = context.mark(&container.name);
        let _ = tokio::task::spawn_blocking(move || sweep::end_marked(&mark, GONE_WITHIN)).await;
    }
    ended(status, started)
}

/// A container's entry among what runs.
struct Noted {
    running: Arc<Running>,
    key: Key,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.running.ended(&self.key);
    }
}

/// Ends what the process started and left behind, and waits until it is gone: it may hold ports that the next one
/// needs. The group's number is free for others from then on, and has not gone round before.
async fn clear(group: Pid) {
    let deadline = Instant::now() + GONE_WITHIN;
    let mut there = kill_process_group(group, Signal::KILL);
    while there.is_ok() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(2)).await;
        there = test_kill_process_group(group);
    }
}

fn ended(status: io::Result<ExitStatus>, started: Timestamp) -> Ended {
    let finished = Timestamp::now();
    match status {
        Ok(status) => {
            let signal = status.signal();
            let exit_code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
            let reason = if exit_code == 0 { "Completed" } else { "Error" };
            Ended { exit_code, signal, reason, message: String::new(), started, finished }
        }
        Err(error) => Ended {
            exit_code: 137,
            signal: None,
            reason: "ContainerStatusUnknown",
            message: error.to_string(),
            started,
            finished,
        },
    }
}

/// Waits for the process; asks it to end when the pod ends or it is unhealthy, and makes it when its grace is over.
async fn wait(
    child: &mut Child,
    group: Option<Pid>,
    context: &Context,
    stop: &mut watch::Receiver<Option<Duration>>,
    unhealthy: &Notify,
) -> io::Result<ExitStatus> {
    let signal = |signal| {
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    };
    let own_grace = context.pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
    let own_grace = seconds_of(own_grace.unwrap_or(30));
    let mut kill_at: Option<Instant> = None;
    loop {
        let asked = *stop.borrow_and_update();
        if let Some(grace) = asked {
            if grace.is_zero() {
                signal(Signal::KILL);
            } else if kill_at.is_none() {
                signal(Signal::TERM);
            }
            let end = Instant::now() + grace;
            kill_at = Some(kill_at.map_or(end, |k| k.min(end)));
        }
        let deadline = kill_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        tokio::select! {
            status = child.wait() => return status,
            changed = stop.changed() => {
                if changed.is_err() {
                    // The worker is gone: nobody waits for this process.
                    signal(Signal::KILL);
                    return child.wait().await;
                }
            }
            () = unhealthy.notified(), if kill_at.is_none() => {
                context.note(EventType::Warning, "Unhealthy", "a liveness or startup probe failed".into());
                signal(Signal::TERM);
                kill_at = Some(Instant::now() + own_grace);
            }
            () = tokio::time::sleep_until(deadline), if kill_at.is_some() => {
                signal(Signal::KILL);
                return child.wait().await;
            }
        }
    }
}

async fn start(
    context: &Context,
    container: &Container,
    prepared: &Prepared,
    instance: u64,
) -> io::Result<Child> {
    let log_dir = context.logs_dir.join(&container.name);
    let log = LogFile::begin(&log_dir, instance, context.shared.config.log_max_bytes)?;
    let dir = work_dir(context, container, prepared)?;
    let (reader, writer) = io::pipe()?;
    let mark = context.mark(&container.name);
    let how = command::Start { helper: context.shared.config.helper.as_deref(), mark: &mark };
    let mut command = command::process(prepared, &prepared.program, &prepared.args, &dir, how)?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = context.shared.spawner.spawn(command).await?;
    tokio::spawn(logfile::pump(pipe::Receiver::from_owned_fd(reader.into())?, log));
    Ok(child)
}

fn work_dir(context: &Context, container: &Container, prepared: &Prepared) -> io::Result<PathBuf> {
    let dir = match container.working_dir.as_deref().unwrap_or_default() {
        "" => context.dir.join("containers").join(&container.name),
        wanted => {
            let rewritten = PathBuf::from(command::rewrite(wanted, &prepared.mounts));
            if rewritten.is_dir() { rewritten } else { context.dir.join("containers").join(&container.name) }
        }
    };
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn start_probes(
    context: &Arc<Context>,
    container: &Container,
    prepared: &Prepared,
    probes: Probes,
    unhealthy: &Arc<Notify>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if probes.startup.is_none() && probes.readiness.is_none() && probes.liveness.is_none() {
        return tasks;
    }
    let started = Instant::now();
    let mark = context.mark(&container.name);
    let check = InContainer { context: context.clone(), prepared: prepared.clone(), mark };
    let (context, unhealthy) = (context.clone(), unhealthy.clone());
    let name = container.name.clone();
    tasks.spawn(async move {
        if let Some(startup) = &probes.startup {
            let mut passed = false;
            startup
                .run(started, &check, |verdict| {
                    passed = verdict;
                    false
                })
                .await;
            if !passed {
                unhealthy.notify_one();
                return;
            }
            context.board.set(&name, |s| s.started = true);
        }
        let readiness = async {
            match &probes.readiness {
                Some(probe) => {
                    let tell = |ready| {
                        context.board.set(&name, |s| s.ready = ready);
                        true
                    };
                    probe.run(started, &check, tell).await;
                }
                None => context.board.set(&name, |s| s.ready = true),
            }
        };
        let liveness = async {
            if let Some(probe) = &probes.liveness {
                let tell = |alive: bool| {
                    if !alive {
                        unhealthy.notify_one();
                    }
                    alive
                };
                probe.run(started, &check, tell).await;
            }
        };
        tokio::join!(readiness, liveness);
    });
    tasks
}

/// Checks from within a container: with its command's environment and mounts.
struct InContainer {
    context: Arc<Context>,
    prepared: Prepared,
    mark: String,
}

impl Checker for InContainer {
    async fn check(&self, check: &Check) -> bool {
        let words = match check {
            Check::Http { address, https, request } => return probe::http(*address, *https, request).await,
            Check::Tcp(address) => return probe::tcp(*address).await,
            Check::Exec(words) => words,
        };
        let words: Vec<String> = words.iter().map(|w| command::rewrite(w, &self.prepared.mounts)).collect();
        let Some((program, args)) = words.split_first() else { return false };
        let shared = &self.context.shared;
        let program = shared.config.programs.get(program).cloned().unwrap_or_else(|| PathBuf::from(program));
        let how = command::Start { helper: shared.config.helper.as_deref(), mark: &self.mark };
        let started = command::process(&self.prepared, &program, args, &self.context.dir, how);
        let Ok(mut command) = started else { return false };
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        match shared.spawner.spawn(command).await {
            // Killed when dropped, as it is when the probe's time is over.
            Ok(mut child) => child.wait().await.is_ok_and(|status| status.success()),
            Err(_) => false,
        }
    }
}
