//! A real control plane: etcd, kube-apiserver and, where workloads are wanted, kube-controller-manager.
//!
//! RBAC is on; who has the admin token may do everything, and service accounts what their roles say. Other API servers
//! can be registered with it (the aggregation layer is on). Certificates and keys are made anew each time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::{Address, Process, built, until};

const ADMIN_TOKEN: &str = "admin-of-a-test";

/// The name by which the API server shows itself to the ones that are registered with it.
const FRONT_PROXY: &str = "front-proxy-client";

/// Who did what, without bodies.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
    "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

/// The binaries that `tests/peers/build etcd kubernetes` makes.
#[derive(Clone, Debug)]
pub struct Binaries {
    etcd: PathBuf,
    apiserver: PathBuf,
    manager: PathBuf,
}

impl Binaries {
    /// `None`: not built, and the test is to be skipped.
    #[must_use]
    pub fn find() -> Option<Self> {
        let [etcd, apiserver, manager] = built(["etcd", "kube-apiserver", "kube-controller-manager"])?;
        Some(Self { etcd, apiserver, manager })
    }
}

/// A running one; killed when dropped, the API server before its store.
#[derive(Debug)]
pub struct ControlPlane {
    manager: Option<Process>,
    api: Option<Process>,
    _etcd: Process,
    binaries: Binaries,
    address: Address,
    dir: PathBuf,
}

impl ControlPlane {
    /// Starts etcd and the API server, and waits until it is ready.
    /// # Panics
    /// When it does not become ready.
    pub async fn start(dir: &Path, binaries: Binaries) -> Self {
        // A second one in a process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        std::fs::create_dir_all(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let address = Address::claim();
        keys(dir, &address).unwrap_or_else(|e| panic!("keys in {}: {e}", dir.display()));
        write(dir, "tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"));
        write(dir, "audit.yaml", AUDIT);
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

    /// The API server's.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:6443", self.address)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Starts the API server, again if it was stopped.
    /// # Panics
    /// When it does not become ready.
    pub async fn start_api(&mut self) {
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
            format!("--proxy-client-cert-file={}", self.file("front-proxy.crt")),
            format!("--proxy-client-key-file={}", self.file("front-proxy.key")),
            format!("--requestheader-client-ca-file={}", self.file("ca.crt")),
            format!("--requestheader-allowed-names={FRONT_PROXY}"),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        ];
        self.api = Some(Process::start("kube-apiserver", &self.dir, &self.binaries.apiserver, args));
        let client = self.client().await;
        until("the API server is ready", async || {
            let ready = http::Request::get("/readyz").body(Vec::new()).map_err(|e| e.to_string())?;
            let told = client.request_text(ready).await.map_err(|e| e.to_string())?;
            if told == "ok" { Ok(()) } else { Err(told) }
        })
        .await;
    }

    /// Kills the API server: from now on connections are refused.
    pub fn kill_api(&mut self) {
        self.api = None;
    }

    /// Where the API server writes who did what.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// Ends the controllers.
    pub fn kill_manager(&mut self) {
        self.manager = None;
    }

    /// Starts the controllers of workloads, namespaces, service accounts and garbage.
    /// # Panics
    /// When they do not come to work.
    pub async fn start_manager(&mut self) {
        self.start_manager_with(&[]).await;
    }

    /// The same with flags besides.
    /// # Panics
    /// When they do not come to work.
    pub async fn start_manager_with(&mut self, flags: &[&str]) {
        let args = [
            format!("--kubeconfig={}", self.admin_kubeconfig().display()),
            format!("--service-account-private-key-file={}", self.file("sa.key")),
            format!("--root-ca-file={}", self.file("ca.crt")),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--concurrent-gc-syncs=5".to_owned(),
        ];
        let args = args.into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
        self.manager =
            Some(Process::start("kube-controller-manager", &self.dir, &self.binaries.manager, args));
        // Pods are refused until their namespace has its service account.
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client().await);
        until("the service account of the namespace default", async || {
            let account = accounts.get_opt("default").await.map_err(|e| e.to_string())?;
            account.ok_or_else(|| "there is none".to_owned())
        })
        .await;
    }

    /// A client that may do everything.
    /// # Panics
    /// Never: its kubeconfig is ours.
    pub async fn client(&self) -> Client {
        let path = self.admin_kubeconfig();
        client(&path).await.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The kubeconfig of who may do everything.
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "east",
            "clusters": [{"name": "east", "cluster": {"server": self.url(), "certificate-authority": self.file("ca.crt")}}],
            "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
            "contexts": [{"name": "east", "context": {"cluster": "east", "user": "admin", "namespace": "default"}}],
        });
        write(&self.dir, "admin.kubeconfig", &config.to_string())
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

/// A client by a kubeconfig file.
async fn client(kubeconfig: &Path) -> Result<Client, Box<dyn std::error::Error>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(Client::try_from(config)?)
}

/// A CA with two certificates, the API server's as a server and as a client, and the key that service accounts'
/// tokens are signed with.
fn keys(dir: &Path, address: &Address) -> Result<(), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "a test's authority");
    let authority_key = KeyPair::generate()?;
    write(dir, "ca.crt", &authority.self_signed(&authority_key)?.pem());
    let issuer = Issuer::new(authority, authority_key);
    let mut front_proxy = CertificateParams::default();
    front_proxy.distinguished_name.push(DnType::CommonName, FRONT_PROXY);
    for (name, params) in
        [("api", CertificateParams::new([address.to_string()])?), ("front-proxy", front_proxy)]
    {
        let key = KeyPair::generate()?;
        write(dir, &format!("{name}.crt"), &params.signed_by(&key, &issuer)?.pem());
        write(dir, &format!("{name}.key"), &key.serialize_pem());
    }
    let account = KeyPair::generate()?;
    write(dir, "sa.key", &account.serialize_pem());
    write(dir, "sa.pub", &account.public_key_pem());
    Ok(())
}
