//! Nothing of a cluster's pods outlives it, however it ends. This program is also the cluster, and what the cluster
//! starts beside programs of pods: it has no test harness, since that would be killed with it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test, of one thread"
)]

use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use clap::Parser;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use simulations_cluster::{Args, Helper};
use thanos_telemetry::{Context, Shutdown, logs};

#[derive(Parser)]
enum Cli {
    #[command(subcommand)]
    Node(Helper),
    Cluster(Args),
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("node" | "cluster") => {}
        // A listing of tests, or a filter for others.
        Some(_) => return ExitCode::SUCCESS,
        None => {
            test();
            return ExitCode::SUCCESS;
        }
    }
    match Cli::parse() {
        Cli::Node(helper) => helper.run(),
        Cli::Cluster(args) => block_on(async {
            logs::init();
            let shutdown = Shutdown::on_signals().unwrap();
            simulations_cluster::run(args, Context { shutdown }).await.unwrap();
            ExitCode::SUCCESS
        }),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

/// How long anything may take that is not measured.
const DEADLINE: Duration = Duration::from_secs(30);

fn test() {
    type End = fn(&Running);
    // What ends the cluster's process; its exit code, where it has one; and how long pods may take from then on.
    let cases: [(&str, End, Option<i32>); 5] = [
        ("it is killed", |r| r.signal(Signal::KILL), None),
        ("its terminal goes", |r| r.signal(Signal::HUP), None),
        ("it is asked once", |r| r.signal(Signal::INT), Some(0)),
        (
            "two signals come a millisecond apart",
            |r| {
                r.signal(Signal::INT);
                std::thread::sleep(Duration::from_millis(1));
                r.signal(Signal::INT);
            },
            Some(0),
        ),
        (
            "it is asked again",
            |r| {
                r.signal(Signal::INT);
                std::thread::sleep(Duration::from_millis(1200));
                r.signal(Signal::TERM);
            },
            Some(130),
        ),
    ];
    for (i, (name, end, expected)) in cases.into_iter().enumerate() {
        let grace = if expected == Some(130) { 60 } else { 2 };
        let mut running = Running::start(i, grace);
        end(&running);
        let status = running.ended();
        let ended = Instant::now();
        assert_eq!(status.code(), expected, "{name}");
        until(
            Duration::from_secs(1),
            || running.processes().is_empty(),
            || format!("{name}: {:?} of its pods live on", running.processes()),
        );
        eprintln!("leftovers: nothing is left when {name} (after {:?})", ended.elapsed());
    }
    a_pod_takes_all_it_started_with_it();
}

fn a_pod_takes_all_it_started_with_it() {
    let mut running = Running::start(99, 0);
    block_on(async {
        let pods = running.pods().await;
        pods.delete("leaves", &DeleteParams::default()).await.unwrap();
    });
    until(DEADLINE, || running.processes().is_empty(), || format!("{:?} are left", running.processes()));
    running.signal(Signal::INT);
    assert!(running.ended().success());
    eprintln!("leftovers: nothing is left of a pod that is deleted");
}

fn until(within: Duration, mut met: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < within, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A cluster in a process of its own, with a pod that does what pods should not.
struct Running {
    child: Child,
    dir: tempfile::TempDir,
    /// In the command line of each of the pod's processes, and of nothing else.
    number: String,
}

impl Running {
    fn start(index: usize, grace: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let number = format!("{}", 1_000_000 + usize::try_from(std::process::id()).unwrap() * 100 + index);
        // Under nohup a hang-up is ignored by all that is started, rightly; here one has to arrive.
        let child = Command::new("env")
            .arg("--default-signal=HUP")
            .arg(std::env::current_exe().unwrap())
            .args(["cluster", "--name", "left", "--dir"])
            .arg(dir.path())
            .spawn()
            .unwrap();
        let running = Self { child, dir, number };
        let script = format!(
            // One that stays in its group, one that has its own session, and one whose parent has gone.
            "trap '' TERM; sleep {n} & setsid sleep {n} & (setsid setsid sleep {n} &) ; sleep {n}; sleep {n}",
            n = running.number
        );
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "leaves"},
            "spec": {"terminationGracePeriodSeconds": grace, "containers": [
                {"name": "c", "image": "none", "command": ["sh", "-c", script]}]}}))
        .unwrap();
        block_on(async {
            let pods = running.pods().await;
            pods.create(&PostParams::default(), &pod).await.unwrap();
        });
        until(DEADLINE, || running.processes().len() == 5, || format!("only {:?}", running.processes()));
        running
    }

    async fn pods(&self) -> Api<Pod> {
        let path = self.dir.path().join("kubeconfig");
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < DEADLINE, "no API server");
            if let Some(client) = client(&path).await {
                return Api::default_namespaced(client);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until(
            DEADLINE,
            || {
                status = self.child.try_wait().unwrap();
                status.is_some()
            },
            || "the cluster's process goes on".to_owned(),
        );
        status.unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Those of its pod that live: numbers, and what they are.
    fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
            let line = read("cmdline").replace('\0', " ");
            let stat = read("stat");
            let dead = stat.rsplit(')').next().unwrap_or_default().trim().starts_with('Z');
            if line.contains(&self.number) && !dead && !line.contains("node exec") {
                found.push(format!("{} {line}", entry.file_name().display()));
            }
        }
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn client(kubeconfig: &Path) -> Option<Client> {
    let file = Kubeconfig::read_from(kubeconfig).ok()?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.ok()?;
    let client = Client::try_from(config).ok()?;
    client.apiserver_version().await.ok()?;
    Some(client)
}
