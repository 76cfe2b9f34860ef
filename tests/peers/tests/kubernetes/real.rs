//! A real control plane: etcd, kube-apiserver and, where workloads are wanted, kube-controller-manager.
//!
//! RBAC is on; who has the admin token may do everything, and service accounts what their roles say. Certificates
//! and keys are made anew each time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use peers::{Address, Process};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::subject::eventually;

const ADMIN_TOKEN: &str = "admin-of-a-test";

/// Who did what, without bodies.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
    "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

/// The binaries that `tests/peers/build etcd kubernetes` makes.
pub(crate) struct Binaries {
    pub(crate) etcd: PathBuf,
    pub(crate) apiserver: PathBuf,
    pub(crate) manager: PathBuf,
}

impl Binaries {
    /// `None`: not built, and the test is to be skipped.
    pub(crate) fn find() -> Option<Self> {
        let [etcd, apiserver, manager] = peers::built(["etcd", "kube-apiserver", "kube-controller-manager"])?;
        Some(Self { etcd, apiserver, manager })
    }
}

/// A running one; killed when dropped, the API server before its store.
pub(crate) struct ControlPlane {
    manager: Option<Process>,
    api: Option<Process>,
    _etcd: Process,
    binaries: Binaries,
    address: Address,
    dir: PathBuf,
}

impl ControlPlane {
    /// Starts etcd and the API server, and waits until it is ready.
    pub(crate) async fn start(dir: &Path, binaries: Binaries) -> Self {
        // A second one in a process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        std::fs::create_dir_all(dir).unwrap();
        let address = Address::claim();
        keys(dir, &address);
        let tokens = format!("{ADMIN_TOKEN},admin,admin,system:masters\n");
        std::fs::write(dir.join("tokens.csv"), tokens).unwrap();
        std::fs::write(dir.join("audit.yaml"), AUDIT).unwrap();
        let (store, peer) = (address.url(2379), address.url(2380));
        let etcd = Process::start(
            "etcd",
            dir,
            &binaries.etcd,
            [
                format!("--data-dir={}", dir.join("etcd").display()),
                format!("--listen-client-urls={store}"),
                format!("--advertise-client-urls={store}"),
                format!("--listen-peer-urls={peer}"),
                // A test's state need not outlive the machine.
                "--unsafe-no-fsync".to_owned(),
            ],
        );
        let mut this = Self { manager: None, api: None, _etcd: etcd, binaries, address, dir: dir.to_owned() };
        this.start_api().await;
        this
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}:6443", self.address)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Starts the API server, again if it was stopped.
    pub(crate) async fn start_api(&mut self) {
        let ip = self.address.to_string();
        let args = [
            format!("--etcd-servers={}", self.address.url(2379)),
            format!("--bind-address={ip}"),
            "--secure-port=6443".to_owned(),
            format!("--advertise-address={ip}"),
            // It would write its own address into Endpoints, which refuse 127.0.0.0/8.
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", self.file("api.crt")),
            format!("--tls-private-key-file={}", self.file("api.key")),
            format!("--service-account-signing-key-file={}", self.file("sa.key")),
            format!("--service-account-key-file={}", self.file("sa.pub")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            format!("--audit-policy-file={}", self.file("audit.yaml")),
            format!("--audit-log-path={}", self.audit_log().display()),
        ];
        self.api = Some(Process::start("kube-apiserver", &self.dir, &self.binaries.apiserver, args));
        let client = self.client().await;
        eventually(async || {
            let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
            (client.request_text(ready).await.ok()? == "ok").then_some(())
        })
        .await;
    }

    /// Kills the API server: from now on connections are refused.
    pub(crate) fn kill_api(&mut self) {
        self.api = None;
    }

    /// Where the API server writes who did what.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// Ends the controllers.
    pub(crate) fn kill_manager(&mut self) {
        self.manager = None;
    }

    /// Starts the controllers of workloads, namespaces, service accounts and garbage.
    pub(crate) async fn start_manager(&mut self) {
        let args = [
            format!("--kubeconfig={}", self.admin_kubeconfig().display()),
            format!("--service-account-private-key-file={}", self.file("sa.key")),
            format!("--root-ca-file={}", self.file("ca.crt")),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--concurrent-gc-syncs=5".to_owned(),
        ];
        let args = args.into_iter();
        self.manager =
            Some(Process::start("kube-controller-manager", &self.dir, &self.binaries.manager, args));
        // Pods are refused until their namespace has its service account.
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client().await);
        eventually(async || accounts.get_opt("default").await.ok().flatten()).await;
    }

    /// A client that may do everything.
    pub(crate) async fn client(&self) -> Client {
        client(&self.admin_kubeconfig()).await
    }

    /// The kubeconfig of who may do everything.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("admin", ADMIN_TOKEN)
    }

    fn kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "east",
            "clusters": [{"name": "east", "cluster": {"server": self.url(), "certificate-authority": self.file("ca.crt")}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "east", "context": {"cluster": "east", "user": name, "namespace": "default"}}],
        });
        let path = self.dir.join(format!("{name}.kubeconfig"));
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }
}

/// A client by a kubeconfig file.
pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config).unwrap()
}

/// A CA with one certificate, and the key that service accounts' tokens are signed with.
fn keys(dir: &Path, address: &Address) {
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "a test's authority");
    let authority_key = KeyPair::generate().unwrap();
    write("ca.crt", authority.self_signed(&authority_key).unwrap().pem());
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new([address.to_string()]).unwrap().signed_by(&key, &issuer).unwrap();
    write("api.crt", certificate.pem());
    write("api.key", key.serialize_pem());
    let account = KeyPair::generate().unwrap();
    write("sa.key", account.serialize_pem());
    write("sa.pub", account.public_key_pem());
}
