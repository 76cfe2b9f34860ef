//! A real API server takes `manifests/`: every overlay, field by field.

use std::path::Path;
use std::process::Command;

use peers::{Binaries, ControlPlane};

use crate::kubectl;

const OVERLAYS: [&str; 4] = [
    "base/autoscaler",
    "overlays/single-cluster",
    "overlays/two-clusters/east",
    "overlays/two-clusters/west",
];

fn run(kubeconfig: &Path, home: &Path, args: &[&str]) -> Result<String, String> {
    let program = kubectl().expect("kubectl is built with the API server");
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests"));
    let out = Command::new(program)
        .args(args)
        .current_dir(root)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .output()
        .expect("kubectl runs");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

/// An overlay as somebody would write it, with what the API server calls. kustomize takes no absolute paths.
fn with_servers(home: &Path) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests")).canonicalize().unwrap();
    let folder = home.canonicalize().unwrap().join("overlay");
    std::fs::create_dir_all(&folder).unwrap();
    let up = "../".repeat(folder.components().count() - 1);
    let at = |path: &str| format!("{up}{}/{path}", root.strip_prefix("/").unwrap().display());
    let text = format!(
        "namespace: gauntlet-system\nresources: [{}]\ncomponents: [{}, {}]\n\
         configMapGenerator: [{{name: cluster, literals: [CLUSTER=default]}}]\n",
        at("base"),
        at("components/webhook"),
        at("components/external-metrics"),
    );
    std::fs::write(folder.join("kustomization.yaml"), text).unwrap();
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_takes_every_overlay() {
    let Some(binaries) = Binaries::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(&dir.path().join("real"), binaries).await;
    let (kubeconfig, home) = (plane.admin_kubeconfig(), dir.path());
    let apply = ["apply", "--server-side", "--validate=strict"];
    // A dry run keeps nothing, so that what the rest stands on is made first.
    run(&kubeconfig, home, &[&apply[..], &["-k", "crds"]].concat()).unwrap();
    run(&kubeconfig, home, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=20s"])
        .unwrap();
    run(&kubeconfig, home, &[&apply[..], &["-f", "base/namespace.yaml"]].concat()).unwrap();
    for overlay in OVERLAYS {
        let all = [&apply[..], &["--dry-run=server", "-k", overlay]].concat();
        let told = run(&kubeconfig, home, &all).unwrap_or_else(|e| panic!("{overlay}: {e}"));
        assert!(told.contains("deployment.apps/autoscaler "), "{overlay}: {told}");
        // Either of two clusters has all that it needs to go on alone.
        if overlay.contains("two-clusters") {
            assert!(told.contains("deployment.apps/query "), "{overlay}: {told}");
            assert!(told.contains("deployment.apps/query-local "), "{overlay}: {told}");
        }
    }
    let servers = with_servers(home);
    let told = run(&kubeconfig, home, &[&apply[..], &["--dry-run=server", "-k", &servers]].concat()).unwrap();
    for expected in [
        "deployment.apps/webhook ",
        "deployment.apps/external-metrics ",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/gauntlet-autoscaler ",
        "apiservice.apiregistration.k8s.io/v1beta1.external.metrics.k8s.io ",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    // What is wrong is refused here, or the above says nothing.
    let wrong = home.join("wrong.yaml");
    std::fs::write(
        &wrong,
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replica: 1}}\n",
    )
    .unwrap();
    let wrong = wrong.display().to_string();
    let refused = run(&kubeconfig, home, &[&apply[..], &["--dry-run=server", "-f", &wrong]].concat());
    assert!(refused.is_err_and(|e| e.contains("replica")), "an unknown field was taken");
}
