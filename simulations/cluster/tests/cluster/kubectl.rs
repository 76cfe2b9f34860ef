//! kubectl, where there is one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{Sandbox, eventually, within};

const MANIFEST: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: none, command: [sh, -c, "echo hello; exec sleep 1000"]}]
"#;

struct Kubectl {
    config: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        // Its cache would remember another cluster of the same address.
        command.args(line.split_whitespace()).env("KUBECONFIG", &self.config).env("HOME", &self.home);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str) -> (bool, String) {
        let output = within(self.command(line).output()).await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    async fn ok(&self, line: &str) -> String {
        let (success, text) = self.run(line).await;
        assert!(success, "kubectl {line}: {text}");
        text
    }
}

fn is_installed() -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|dir| Path::new(&dir).join("kubectl").is_file())
    });
    if !found {
        tracing::warn!("kubectl is not installed: what it sees of the cluster was not tested");
    }
    found
}

#[tokio::test]
async fn kubectl_gets_along_with_it() {
    let sandbox = Sandbox::start().await;
    if !is_installed() {
        return sandbox.cluster.stop().await;
    }
    let dir = sandbox.dir.path();
    let kubectl = Kubectl { config: sandbox.cluster.kubeconfig_path(), home: dir.to_owned() };
    let file = dir.join("web.yaml");
    std::fs::write(&file, MANIFEST).unwrap();
    let file = file.display();

    assert!(kubectl.ok(&format!("apply -f {file}")).await.contains("deployment.apps/web created"));
    assert!(kubectl.ok(&format!("apply -f {file}")).await.contains("unchanged"));
    kubectl.ok("rollout status deployment/web --timeout=25s").await;
    let table = kubectl.ok("get deploy,pods").await;
    assert!(table.contains("READY   UP-TO-DATE   AVAILABLE   AGE") && table.contains("2/2"), "{table}");
    assert!(kubectl.ok("get deploy web -o jsonpath={.status.readyReplicas}").await.starts_with('2'));
    let described = kubectl.ok("describe deployment web").await;
    assert!(described.contains("2 desired | 2 updated | 2 total | 2 available"), "{described}");
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    let pod = kubectl.ok("get pods -o jsonpath={.items[0].metadata.name}").await;
    assert!(kubectl.ok(&format!("describe pod {pod}")).await.contains("Started container c"));
    assert!(kubectl.ok("explain deployment.spec.replicas").await.contains("<integer>"));
    assert!(kubectl.ok("api-resources").await.contains("deployments"));
    assert!(kubectl.ok("logs deploy/web").await.contains("hello"));

    // --watch tells of what a scale does.
    let mut watch = kubectl.command("get pods --watch --no-headers -o name");
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        BufReader::new(watch.stdout.take().unwrap()).lines()
    };
    kubectl.ok("scale deployment web --replicas=3").await;
    let mut names = std::collections::BTreeSet::new();
    while names.len() < 3 {
        names.insert(within(lines.next_line()).await.unwrap().unwrap());
    }
    watch.kill().await.unwrap();

    kubectl.ok(&format!("apply --server-side --force-conflicts -f {file}")).await;
    eventually(async || kubectl.ok("get pods -o name").await.lines().count().eq(&2).then_some(())).await;
    std::fs::write(dir.join("bad.yaml"), MANIFEST.replace("replicas: 2", "replicaz: 2")).unwrap();
    let (success, text) = kubectl.run(&format!("apply -f {}", dir.join("bad.yaml").display())).await;
    assert!(!success && text.contains("unknown field \"spec.replicaz\""), "{text}");
    let gone = kubectl.ok("delete deployment web --timeout=20s").await;
    assert!(gone.contains("deleted"), "{gone}");
    eventually(async || kubectl.ok("get pods").await.contains("No resources found").then_some(())).await;
    sandbox.cluster.stop().await;
}
