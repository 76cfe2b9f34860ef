//! kubectl's verbs.

use std::process::Stdio;

use crate::subject::{Subject, eventually, within};

struct Kubectl<'a>(&'a Subject);

impl Kubectl<'_> {
    async fn run(&self, line: &str) -> (bool, String) {
        let output = within(self.0.kubectl(line).expect("kubectl").output()).await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    async fn ok(&self, line: &str) -> String {
        let (success, text) = self.run(line).await;
        assert!(success, "kubectl {line}: {text}");
        text
    }

    /// Writes a manifest; its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.server.home.join(format!("{}-{name}.yaml", self.0.namespace));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn is_installed(s: &Subject) -> bool {
    if s.server.kubectl.is_none() {
        tracing::warn!("kubectl is not installed: what it sees of the API was not tested");
    }
    s.server.kubectl.is_some()
}

pub(crate) async fn reads_and_writes(s: Subject) {
    if !is_installed(&s) {
        return;
    }
    let kubectl = Kubectl(&s);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, labels: {app: x}}\ndata: {k: v}\n";
    let file = kubectl.file("map", map);
    assert!(kubectl.ok(&format!("apply -f {file}")).await.contains("configmap/m created"));
    assert!(kubectl.ok(&format!("apply -f {file}")).await.contains("configmap/m unchanged"));
    let changed = kubectl.file("changed", &map.replace("k: v", "k: w"));
    let (differs, diff) = kubectl.run(&format!("diff -f {changed}")).await;
    assert!(!differs && diff.contains("+  k: w"), "{diff}");
    assert!(kubectl.ok(&format!("apply -f {changed}")).await.contains("configured"));
    assert!(kubectl.ok("get configmap m -o jsonpath={.data.k}").await.ends_with('w'));
    let table = kubectl.ok("get cm -l app=x").await;
    assert!(table.starts_with("NAME   DATA   AGE\nm      1 "), "{table}");
    assert!(kubectl.ok("describe cm m").await.contains("Data\n===="), "describe");
    assert!(kubectl.ok("label cm m tier=y").await.contains("labeled"));
    assert!(kubectl.ok("annotate cm m note=z").await.contains("annotated"));
    assert!(kubectl.ok("patch cm m --type=merge -p {\"data\":{\"k\":\"x\"}}").await.contains("patched"));
    assert!(kubectl.ok("patch cm m -p {\"data\":{\"l\":\"1\"}}").await.contains("patched"));
    assert!(
        kubectl
            .ok(&format!("apply --server-side --force-conflicts -f {file}"))
            .await
            .contains("serverside-applied")
    );
    assert!(kubectl.ok(&format!("replace -f {file}")).await.contains("replaced"));
    let (success, text) = kubectl.run(&format!("create -f {file}")).await;
    assert!(!success && text.contains("AlreadyExists"), "{text}");
    let (success, text) = kubectl.run("get cm none").await;
    assert!(
        !success && text.contains("Error from server (NotFound): configmaps \"none\" not found"),
        "{text}"
    );
    let odd = kubectl.file("odd", &map.replace("\ndata:", "\ndate:"));
    let (success, text) = kubectl.run(&format!("apply -f {odd}")).await;
    assert!(!success && text.contains("unknown field \"date\""), "{text}");
    assert!(kubectl.ok("explain deployment.spec.replicas").await.contains("<integer>"));
    assert!(kubectl.ok("api-resources").await.contains("deployments"));
    assert!(kubectl.ok("get events").await.contains("No resources found"));
    assert!(kubectl.ok("delete cm m").await.contains("deleted"));
    assert!(kubectl.ok("wait --for=delete cm/m --timeout=10s").await.len() < 200);
}

/// What is made from flags: newer ones send it as protobuf.
pub(crate) async fn creates(s: Subject) {
    if !is_installed(&s) {
        return;
    }
    let kubectl = Kubectl(&s);
    for line in [
        "create configmap lit --from-literal=k=v",
        "create secret generic sec --from-literal=k=v",
        "create secret docker-registry reg --docker-server=x --docker-username=u --docker-password=p",
        "create serviceaccount acc",
        "create deployment dep --image=none --replicas=0 --port=80",
        "create role rol --verb=get,list --resource=pods",
        "create rolebinding bin --role=rol --serviceaccount=default:acc",
        "create service clusterip ser --tcp=80:8080",
        "expose deployment dep --name=exp --port=80",
    ] {
        assert!(!kubectl.ok(line).await.is_empty(), "{line}");
    }
    assert!(kubectl.ok("get configmap lit -o jsonpath={.data.k}").await.ends_with('v'));
    assert!(kubectl.ok("get secret sec -o jsonpath={.data.k}").await.ends_with("dg=="));
    assert!(kubectl.ok("get role rol -o jsonpath={.rules[0].verbs}").await.contains(r#"["get","list"]"#));
    assert!(kubectl.ok("get service ser -o jsonpath={.spec.ports[0].targetPort}").await.ends_with("8080"));
    let image = "get deployment dep -o jsonpath={.spec.template.spec.containers[0].image}";
    assert!(kubectl.ok(image).await.ends_with("none"));
    assert!(kubectl.ok("auth can-i create pods").await.contains("yes"));
    assert!(kubectl.ok("auth whoami").await.contains("Username"));
}

const MIXED: &str = r#"
apiVersion: nothing.example/v2
kind: Nothing
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after}
data: {a: b}
"#;

const LIST: &str = r#"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}
- {apiVersion: v1, kind: Secret, metadata: {name: two}, stringData: {a: b}}
"#;

const TYPED_LIST: &str = r#"
apiVersion: v1
kind: ConfigMapList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: three}, data: {a: b}}
"#;

pub(crate) async fn applies_lists_and_mixed_files(s: Subject) {
    if !is_installed(&s) {
        return;
    }
    let kubectl = Kubectl(&s);
    let list = kubectl.file("list", LIST);
    let applied = kubectl.ok(&format!("apply -f {list}")).await;
    assert!(applied.contains("configmap/one created") && applied.contains("secret/two created"), "{applied}");
    let typed = kubectl.file("typed", TYPED_LIST);
    assert!(kubectl.ok(&format!("apply -f {typed}")).await.contains("configmap/three created"));
    let mixed = kubectl.file("mixed", MIXED);
    let (success, text) = kubectl.run(&format!("apply -f {mixed}")).await;
    assert!(
        !success && text.contains(r#"no matches for kind "Nothing" in version "nothing.example/v2""#),
        "{text}"
    );
    assert!(text.contains("configmap/after created"), "the rest of the file is applied: {text}");
    let secret = kubectl.ok("get secret two -o jsonpath={.data.a}").await;
    assert!(secret.ends_with("Yg=="), "{secret}");
}

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: none, command: [sh, -c, "echo hello; exec sleep 1000"]}]
"#;

pub(crate) async fn runs_workloads(s: Subject) {
    if !is_installed(&s) {
        return;
    }
    let kubectl = Kubectl(&s);
    let file = kubectl.file("web", WEB);
    assert!(kubectl.ok(&format!("apply -f {file}")).await.contains("deployment.apps/web created"));
    kubectl.ok("rollout status deployment/web --timeout=50s").await;
    kubectl.ok("wait deployment/web --for=condition=Available --timeout=50s").await;
    let table = kubectl.ok("get deploy,pods").await;
    assert!(table.contains("READY   UP-TO-DATE   AVAILABLE   AGE") && table.contains("2/2"), "{table}");
    assert!(table.contains("READY   STATUS    RESTARTS   AGE") && table.contains("Running"), "{table}");
    let described = kubectl.ok("describe deployment web").await;
    assert!(described.contains("2 desired | 2 updated | 2 total | 2 available"), "{described}");
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    let pod = kubectl.ok("get pods -o jsonpath={.items[0].metadata.name}").await;
    let described = eventually(async || {
        let text = kubectl.ok(&format!("describe pod {pod}")).await;
        text.contains("Started container c").then_some(text)
    })
    .await;
    assert!(described.contains("IP:") && described.contains("127."), "{described}");
    // A real API server asks the node's kubelet for logs, and ours is none.
    if !s.is_real() {
        assert!(kubectl.ok("logs deploy/web").await.contains("hello"));
    }

    // --watch tells of what a scale does.
    let mut watch = s.kubectl("get pods --watch --no-headers -o name").unwrap();
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        BufReader::new(watch.stdout.take().unwrap()).lines()
    };
    assert!(kubectl.ok("scale deployment web --replicas=3").await.contains("scaled"));
    let (success, text) = kubectl.run("scale deployment web --current-replicas=7 --replicas=4").await;
    assert!(!success && text.contains("xpected replicas to be 7"), "{text}");
    let mut names = std::collections::BTreeSet::new();
    while names.len() < 3 {
        names.insert(within(lines.next_line()).await.unwrap().unwrap());
    }
    watch.kill().await.unwrap();

    kubectl.ok(&format!("apply --server-side --force-conflicts -f {file}")).await;
    eventually(async || kubectl.ok("get pods -o name").await.lines().count().eq(&2).then_some(())).await;
    assert!(kubectl.ok("set env deployment/web A=1").await.contains("updated"));
    kubectl.ok("rollout status deployment/web --timeout=50s").await;
    assert!(kubectl.ok("rollout history deployment/web").await.contains("REVISION"));
    assert!(kubectl.ok("rollout undo deployment/web").await.contains("rolled back"));
    let sets = kubectl.ok("get replicasets -o name").await.lines().count();
    assert!(kubectl.ok("rollout undo deployment/web --to-revision=2").await.contains("rolled back"));
    kubectl.ok("rollout status deployment/web --timeout=50s").await;
    assert_eq!(kubectl.ok("get replicasets -o name").await.lines().count(), sets, "no set is made anew");
    kubectl.ok("rollout restart deployment/web").await;
    kubectl.ok("rollout status deployment/web --timeout=50s").await;
    let gone = kubectl.ok("delete deployment web --timeout=30s").await;
    assert!(gone.contains("deleted"), "{gone}");
    eventually(async || kubectl.ok("get pods").await.contains("No resources found").then_some(())).await;
}
