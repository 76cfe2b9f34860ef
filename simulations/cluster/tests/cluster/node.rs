//! Pods as processes.

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams, Patch, PatchParams};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Sandbox, eventually, is_ready, within};

/// A pod of one container that runs a shell script; `more` adds to the container, `spec` to the pod.
fn pod(name: &str, script: &str, more: Value, spec: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "none", "command": ["sh", "-c", script]}]}});
    json_patch_merge(&mut pod["spec"]["containers"][0], more);
    json_patch_merge(&mut pod["spec"], spec);
    pod
}

fn json_patch_merge(into: &mut Value, from: Value) {
    for (key, value) in from.as_object().cloned().unwrap_or_default() {
        into[key] = value;
    }
}

async fn apply(sandbox: &Sandbox, object: &Value) {
    sandbox.cluster.apply_yaml(&object.to_string()).await.unwrap();
}

async fn logged(sandbox: &Sandbox, name: &str, line: &str) -> String {
    eventually(async || {
        let logs = sandbox.logs(name).await;
        logs.lines().any(|l| l == line).then_some(logs)
    })
    .await
}

fn restarts(pod: Option<&Pod>) -> i32 {
    pod.and_then(|p| p.status.as_ref()?.container_statuses.as_ref()?.first()).map_or(0, |c| c.restart_count)
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended; it waits for its parent only.
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim().starts_with('Z'))
}

fn claim(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}})
}

/// What the pod's first container waits for.
fn waits_for(pod: Option<&Pod>) -> Option<String> {
    let containers = pod?.status.as_ref()?.container_statuses.as_ref()?;
    containers.first()?.state.as_ref()?.waiting.as_ref()?.message.clone().filter(|m| !m.is_empty())
}

/// Why a pod has no node.
fn unscheduled(pod: Option<&Pod>) -> Option<String> {
    let conditions = pod?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?.message.clone()
}

#[tokio::test]
async fn a_pod_waits_until_the_node_takes_it() {
    let sandbox = Sandbox::start().await;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(sandbox.client());
    apply(&sandbox, &pod("q", "exec sleep 1000", json!({}), json!({"nodeSelector": {"disk": "ssd"}}))).await;
    nodes.cordon("test").await.unwrap();
    // From here on the node knows that it is cordoned.
    let cordoned = |p: Option<&Pod>| unscheduled(p).is_some_and(|m| m.contains("were unschedulable"));
    sandbox.pod("q", cordoned).await;
    apply(&sandbox, &pod("p", "exec sleep 1000", json!({}), json!({}))).await;
    let seen = sandbox.pod("p", |p: Option<&Pod>| unscheduled(p).is_some() || is_ready(p)).await.unwrap();
    assert_eq!(unscheduled(Some(&seen)).unwrap(), "0/1 nodes are available: 1 node(s) were unschedulable.");
    assert_eq!(seen.spec.unwrap().node_name, None);
    nodes.uncordon("test").await.unwrap();
    let ready = sandbox.ready("p").await;
    assert_eq!(unscheduled(Some(&ready)), None);
    let why = |p: Option<&Pod>| unscheduled(p).is_some_and(|m| m.contains("node affinity/selector"));
    sandbox.pod("q", why).await;
    let label = json!({"metadata": {"labels": {"disk": "ssd"}}});
    nodes.patch("test", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    sandbox.ready("q").await;
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn more_pods_than_the_node_takes_wait_for_room() {
    let sandbox = Sandbox::with(|config| config.pods_max = 1).await;
    for name in ["a", "b"] {
        apply(&sandbox, &pod(name, "exec sleep 1000", json!({}), json!({}))).await;
    }
    let first = sandbox.ready("a").await;
    let waits = sandbox.pod("b", |p: Option<&Pod>| unscheduled(p).is_some()).await;
    assert_eq!(unscheduled(waits.as_ref()).unwrap(), "0/1 nodes are available: 1 Too many pods.");
    sandbox.pods().delete("a", &DeleteParams::default()).await.unwrap();
    sandbox.gone("a", &first.uid().unwrap()).await;
    sandbox.ready("b").await;
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn a_pod_with_an_endless_grace_ends_when_it_is_asked_to() {
    let sandbox = Sandbox::start().await;
    let forever = json!({"terminationGracePeriodSeconds": i64::MAX});
    apply(&sandbox, &pod("p", "exec sleep 1000", json!({}), forever)).await;
    let ready = sandbox.ready("p").await;
    sandbox.pods().delete("p", &DeleteParams::default()).await.unwrap();
    sandbox.gone("p", &ready.uid().unwrap()).await;
    assert!(sandbox.cluster.running("default", "c").is_empty());
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn a_container_gets_what_its_spec_says() {
    let sandbox = Sandbox::start().await;
    apply(&sandbox, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg"}, "data": {"key": "value"}})).await;
    let more = json!({
        "image": "registry.example/shell:1", "command": null,
        "args": ["-c", "echo $NAME $ADDR $KEY $(EXPANDED) $HOME_IS; cat /etc/cfg/key; echo; sed -n 's/^current-context: //p' $KUBECONFIG; exec sleep 1000"],
        "env": [
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "ADDR", "value": "$(POD_IP):80"},
            {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "key"}}},
            {"name": "EXPANDED", "value": "expanded"},
            {"name": "HOME_IS", "value": "dir=/etc/cfg"}],
        "volumeMounts": [{"name": "cfg", "mountPath": "/etc/cfg"}],
    });
    apply(&sandbox, &pod("p", "", more, json!({"volumes": [{"name": "cfg", "configMap": {"name": "cfg"}}]})))
        .await;
    let ready = sandbox.ready("p").await;
    let ip = ready.status.unwrap().pod_ip.unwrap();
    let logs = logged(&sandbox, "p", "test").await;
    let lines: Vec<&str> = logs.lines().collect();
    let dir = sandbox.dir.path().canonicalize().unwrap();
    let (start, home) = lines[0].rsplit_once(' ').unwrap();
    assert_eq!(start, format!("p {ip}:80 value expanded"));
    assert!(
        home.starts_with(&format!("dir={}", dir.display())),
        "the mount path became the volume's folder: {home}"
    );
    assert_eq!(lines[1..], ["value", "test"]);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn a_killed_container_comes_back_with_its_volumes() {
    let sandbox = Sandbox::start().await;
    let script = "echo run >> /data/runs; wc -l < /data/runs; sleep 1000 & echo child $!; wait";
    let more = json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    apply(&sandbox, &pod("p", script, more, json!({"volumes": [{"name": "data", "emptyDir": {}}]}))).await;
    let before = sandbox.ready("p").await;
    let logs = eventually(async || Some(sandbox.logs("p").await).filter(|l| l.contains("child "))).await;
    let child = logs.lines().last().unwrap().trim_start_matches("child ").to_owned();
    assert!(is_alive(&child));
    let process = sandbox.cluster.process("default", "p", "c").unwrap();
    assert!(process.signal(Signal::KILL));
    let after = sandbox.pod("p", |p: Option<&Pod>| restarts(p) == 1 && is_ready(p)).await.unwrap();
    assert_eq!(after.uid(), before.uid());
    let last =
        after.status.unwrap().container_statuses.unwrap().remove(0).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.signal), (137, Some(9)));
    logged(&sandbox, "p", "2").await;
    assert!(!is_alive(&child), "its whole process group went");
    let previous = LogParams { previous: true, ..LogParams::default() };
    assert!(sandbox.pods().logs("p", &previous).await.unwrap().starts_with("1\n"));
    assert!(!process.signal(Signal::KILL), "what runs now is another");
    let unknown = sandbox.cluster.process("default", "p", "other").unwrap_err();
    assert!(unknown.to_string().contains("default/p/other"), "{unknown}");
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn ending_is_polite_first_and_certain_at_last() {
    let sandbox = Sandbox::start().await;
    let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let stubborn = "trap '' TERM; echo up; while :; do sleep 0.05; done";
    apply(&sandbox, &pod("polite", polite, json!({}), json!({"terminationGracePeriodSeconds": 20}))).await;
    apply(&sandbox, &pod("stubborn", stubborn, json!({}), json!({}))).await;
    apply(&sandbox, &pod("forced", stubborn, json!({}), json!({"terminationGracePeriodSeconds": 600}))).await;
    for name in ["polite", "stubborn", "forced"] {
        logged(&sandbox, name, "up").await;
    }
    let began = Instant::now();
    let end = async |name: &str, params: DeleteParams| {
        let uid = sandbox.pods().get(name).await.unwrap().uid().unwrap();
        sandbox.pods().delete(name, &params).await.unwrap();
        sandbox.gone(name, &uid).await;
        let dir = sandbox.cluster.logs_dir().join(format!("default_{name}_{uid}/c/0.log"));
        std::fs::read_to_string(dir).unwrap()
    };
    let said = end("polite", DeleteParams::default()).await;
    assert!(said.contains(" bye\n") && began.elapsed() < Duration::from_secs(15), "{said}");
    let began = Instant::now();
    end("stubborn", DeleteParams::default()).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it had its grace");
    // A deletion that would take ten minutes is overruled by one that takes none.
    sandbox.pods().delete("forced", &DeleteParams::default()).await.unwrap();
    end("forced", DeleteParams::default().grace_period(0)).await;
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn readiness_follows_the_probe() {
    let sandbox = Sandbox::start().await;
    let probe =
        json!({"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1});
    let more = json!({"readinessProbe": probe, "ports": [{"name": "web", "containerPort": 8080}]});
    apply(&sandbox, &pod("p", "exec sleep 1000", more, json!({}))).await;
    let started = |p: Option<&Pod>| {
        p.and_then(|p| p.status.as_ref()?.container_statuses.as_ref()?.first())
            .is_some_and(|c| c.started == Some(true))
    };
    let running = sandbox.pod("p", started).await.unwrap();
    assert!(!is_ready(Some(&running)), "nobody answers yet");
    // Every 127.x.y.z is this machine: the test itself answers in the container's place.
    let ip = running.status.unwrap().pod_ip.unwrap();
    let listener = TcpListener::bind((ip, 8080)).await.unwrap();
    let (status, told) = tokio::sync::watch::channel("200 OK");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let n = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..n].starts_with(b"GET /ready HTTP/1.1\r\n"));
            let reply = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", *told.borrow());
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    sandbox.ready("p").await;
    status.send_replace("503 Service Unavailable");
    sandbox.pod("p", |p: Option<&Pod>| !is_ready(p)).await;
    assert_eq!(restarts(sandbox.pods().get_opt("p").await.unwrap().as_ref()), 0, "unready is not unhealthy");
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn an_unhealthy_container_is_started_again() {
    let sandbox = Sandbox::start().await;
    let probe = json!({"exec": {"command": ["test", "!", "-e", "/data/sick"]}, "periodSeconds": 1, "failureThreshold": 1});
    let more = json!({"livenessProbe": probe, "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let script = "if [ -e /data/sick ]; then rm /data/sick; else touch /data/sick; fi; exec sleep 1000";
    apply(&sandbox, &pod("p", script, more, json!({"volumes": [{"name": "data", "emptyDir": {}}]}))).await;
    sandbox.pod("p", |p: Option<&Pod>| restarts(p) == 1 && is_ready(p)).await;
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn projected_files_follow_their_object() {
    let sandbox = Sandbox::start().await;
    let more = json!({"volumeMounts": [{"name": "cfg", "mountPath": "/etc/cfg"}]});
    let spec = json!({"volumes": [{"name": "cfg", "configMap": {"name": "cfg"}}]});
    let script = "last=; while :; do now=$(cat /etc/cfg/key); [ \"$now\" = \"$last\" ] || echo $now; last=$now; sleep 0.02; done";
    apply(&sandbox, &pod("p", script, more, spec)).await;
    // Its volume is missing: it waits, and says for what.
    let waits = |p: Option<&Pod>| {
        p.and_then(|p| {
            p.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()?.waiting.as_ref()
        })
        .and_then(|w| w.message.as_deref())
        .is_some_and(|m| m.contains("\"cfg\" not found"))
    };
    sandbox.pod("p", waits).await;
    apply(&sandbox, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg"}, "data": {"key": "one"}})).await;
    logged(&sandbox, "p", "one").await;
    let maps: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    let began = Instant::now();
    maps.patch("cfg", &PatchParams::default(), &Patch::Merge(json!({"data": {"key": "two"}}))).await.unwrap();
    let logs = logged(&sandbox, "p", "two").await;
    assert_eq!(logs, "one\ntwo\n", "and nothing half written in between");
    assert!(began.elapsed() < Duration::from_secs(10));
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn init_containers_run_first_and_jobs_end() {
    let sandbox = Sandbox::start().await;
    let spec = json!({"restartPolicy": "Never", "volumes": [{"name": "d", "emptyDir": {}}], "initContainers": [
        {"name": "i", "image": "none", "command": ["sh", "-c", "echo from init > /d/f"], "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]});
    let more = json!({"volumeMounts": [{"name": "d", "mountPath": "/d"}]});
    let phase = |wanted: &'static str| {
        move |p: Option<&Pod>| {
            p.and_then(|p| p.status.as_ref()?.phase.as_deref()).is_some_and(|phase| phase == wanted)
        }
    };
    apply(&sandbox, &pod("good", "cat /d/f", more.clone(), spec.clone())).await;
    apply(&sandbox, &pod("bad", "exit 3", more, spec)).await;
    sandbox.pod("good", phase("Succeeded")).await;
    assert_eq!(sandbox.logs("good").await, "from init\n");
    let bad = sandbox.pod("bad", phase("Failed")).await.unwrap();
    let ended = bad.status.unwrap().container_statuses.unwrap().remove(0).state.unwrap().terminated.unwrap();
    assert_eq!(ended.exit_code, 3);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let sandbox = Sandbox::start().await;
    let message = |p: Option<&Pod>| -> Option<String> {
        let state = p?.status.as_ref()?.container_statuses.as_ref()?.first()?;
        let waiting = state.state.as_ref().and_then(|s| s.waiting.as_ref()?.message.clone());
        let ended = state.last_state.as_ref().and_then(|s| s.terminated.as_ref()?.message.clone());
        Some(format!("{} {}", waiting.unwrap_or_default(), ended.unwrap_or_default()))
    };
    let says = |word: &'static str| move |p: Option<&Pod>| message(p).is_some_and(|m| m.contains(word));
    for (name, more, spec, word) in [
        ("image", json!({"command": null, "image": "nosuch"}), json!({}), "image \"nosuch\" is no program"),
        ("program", json!({"command": ["/no/such/program"]}), json!({}), "/no/such/program"),
        ("volume", json!({}), json!({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}), "volume \"h\""),
        ("probe", json!({"readinessProbe": {"tcpSocket": {"port": "nosuch"}}}), json!({}), "nosuch"),
    ] {
        apply(&sandbox, &pod(name, "exec sleep 1000", more, spec)).await;
        sandbox.pod(name, says(word)).await;
    }
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn nothing_outlives_the_cluster() {
    let sandbox = Sandbox::start().await;
    // `$$` is how a pod's command writes a dollar sign.
    let script = "trap '' TERM; sleep 1000 & echo $$$$ $!; while :; do wait; done";
    apply(&sandbox, &pod("p", script, json!({}), json!({}))).await;
    let pids = eventually(async || Some(sandbox.logs("p").await).filter(|l| l.contains('\n'))).await;
    assert!(pids.split_whitespace().all(is_alive), "{pids}");
    within(sandbox.cluster.stop()).await;
    assert!(!pids.split_whitespace().any(is_alive), "{pids}");
}

#[tokio::test]
async fn logs_can_be_followed_and_cut() {
    use futures::{AsyncBufReadExt as _, TryStreamExt as _};
    let sandbox = Sandbox::start().await;
    let script =
        "for i in 1 2 3; do echo line $i; done; while [ ! -e /d/go ]; do sleep 0.02; done; echo last";
    let more = json!({"volumeMounts": [{"name": "d", "mountPath": "/d"}]});
    let spec = json!({"restartPolicy": "Never", "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "go"}}]});
    apply(&sandbox, &pod("p", script, more, spec)).await;
    // A claim that nobody has made is waited for.
    let waiting = sandbox.pod("p", |p: Option<&Pod>| waits_for(p).is_some()).await.unwrap();
    assert_eq!(waits_for(Some(&waiting)).unwrap(), "persistentvolumeclaim \"go\" not found");
    assert_eq!(waiting.status.unwrap().phase.as_deref(), Some("Pending"));
    assert!(!sandbox.dir.path().join("volumes/default_go").exists());
    apply(&sandbox, &claim("go")).await;
    logged(&sandbox, "p", "line 3").await;
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    let cut = sandbox.pods().logs("p", &tail).await.unwrap();
    let (time, text) = cut.split_once(' ').unwrap();
    assert!(time.starts_with("20") && text == "line 3\n", "{cut}");
    let follow = LogParams { follow: true, ..LogParams::default() };
    let lines = sandbox.pods().log_stream("p", &follow).await.unwrap().lines();
    std::fs::write(sandbox.dir.path().join("volumes/default_go/go"), "").unwrap();
    let lines: Vec<String> = within(lines.try_collect()).await.unwrap();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "last"], "and it ends with the container");
    sandbox.cluster.stop().await;
}

/// Three processes of a pod, by number: its own, one of its group, and one that left it.
async fn family(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; echo $$$$; wait";
    apply(sandbox, &pod(name, script, json!({}), json!({"terminationGracePeriodSeconds": 600}))).await;
    let logs = eventually(async || Some(sandbox.logs(name).await).filter(|l| l.lines().count() == 3)).await;
    logs.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_cluster_that_is_dropped_ends_its_processes() {
    let sandbox = Sandbox::start().await;
    let processes = family(&sandbox, "p").await;
    assert!(processes.iter().all(|pid| is_alive(pid)), "{processes:?}");
    drop(sandbox);
    eventually(async || processes.iter().all(|pid| !is_alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_pod_takes_what_left_its_group_with_it() {
    let sandbox = Sandbox::start().await;
    let (gone, stays) = (family(&sandbox, "gone").await, family(&sandbox, "stays").await);
    let uid = sandbox.pods().get("gone").await.unwrap().uid().unwrap();
    sandbox.pods().delete("gone", &DeleteParams::default()).await.unwrap();
    sandbox.gone("gone", &uid).await;
    assert!(gone.iter().all(|pid| !is_alive(pid)) && stays.iter().all(|pid| is_alive(pid)));
    sandbox.cluster.stop_at_once(&[]).await;
    assert!(stays.iter().all(|pid| !is_alive(pid)));
}

#[tokio::test]
async fn an_end_at_once_is_polite_to_those_that_are_named() {
    let sandbox = Sandbox::start().await;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    for name in ["spared", "other"] {
        apply(&sandbox, &pod(name, script, json!({}), json!({"terminationGracePeriodSeconds": 20}))).await;
        logged(&sandbox, name, "up").await;
    }
    let logs = sandbox.cluster.logs_dir();
    sandbox.cluster.stop_at_once(&["spared"]).await;
    let mut said = std::collections::BTreeMap::new();
    for folder in std::fs::read_dir(logs).unwrap().flatten() {
        let name = folder.file_name().into_string().unwrap().split('_').nth(1).unwrap().to_owned();
        said.insert(name, std::fs::read_to_string(folder.path().join("c/0.log")).unwrap().contains(" bye\n"));
    }
    assert_eq!(said, [("other".to_owned(), false), ("spared".to_owned(), true)].into());
}

#[tokio::test]
async fn running_pods_are_told_in_the_order_in_which_they_were_created() {
    let sandbox = Sandbox::start().await;
    let names = ["z", "a", "m"];
    for name in names {
        apply(&sandbox, &pod(name, "exec sleep 1000", json!({}), json!({}))).await;
    }
    // It starts nothing, and so does not run.
    apply(&sandbox, &pod("never", "", json!({"command": ["/no/such/program"]}), json!({}))).await;
    for name in names {
        sandbox.ready(name).await;
    }
    assert_eq!(sandbox.cluster.running("default", "c"), names);
    assert!(sandbox.cluster.running("default", "other").is_empty());
    sandbox.cluster.stop_at_once(&[]).await;
}

#[tokio::test]
async fn a_folder_is_one_clusters() {
    let sandbox = Sandbox::start().await;
    let config = || simulations_cluster::ClusterConfig::new("second", sandbox.dir.path());
    let error = simulations_cluster::Cluster::start(config()).await.unwrap_err().to_string();
    assert!(error.contains(&sandbox.dir.path().display().to_string()) && error.contains("in use"), "{error}");
    let Sandbox { cluster, dir } = sandbox;
    cluster.stop().await;
    let config = simulations_cluster::ClusterConfig::new("second", dir.path());
    simulations_cluster::Cluster::start(config).await.unwrap().stop().await;
}
