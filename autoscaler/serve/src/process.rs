//! What both servers are made of: ports, the certificate, readiness, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use autoscaler_certs::{Keeper, Publisher, Reader, SecretStore, Served};
use axum::Router;
use kube::Client;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Metrics, RunError, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::{ServingArgs, Source};
use crate::{clock, tls};

/// A process whose ports are open.
pub(crate) struct Process {
    pub client: Client,
    pub served: Served,
    /// What must go on for as long as the process does.
    pub tasks: JoinSet<()>,
    secure: TcpListener,
    admin: TcpListener,
    certified: watch::Receiver<bool>,
}

impl Process {
    /// Reads flags, opens ports, and begins to keep a certificate; `secret` is its usual Secret, and `reader` calls it.
    ///
    /// # Errors
    /// [`RunError::Config`] names the flag.
    pub(crate) async fn open(args: &ServingArgs, secret: &str, reader: Reader) -> Result<Self, RunError> {
        let source = args.certificate.source()?;
        let client = args.client().await?;
        let served = Served::default();
        if let Source::Files(files) = &source {
            let wrong = |e: autoscaler_certs::CertError| {
                RunError::Config(format!("--tls-cert-file, --tls-key-file: {e}"))
            };
            files.load(&served).await.map_err(wrong)?;
        }
        let secure = admin::bind("--secure-listen-address", args.secure_listen_address).await?;
        let admin = admin::bind("--listen-address", args.listen_address).await?;
        let mut tasks = JoinSet::new();
        let (settled, certified) = watch::channel(served.is_set());
        match source {
            Source::Files(files) => {
                let shown = served.clone();
                tasks.spawn(async move {
                    // It was loaded above, and is followed from here on.
                    settled.send_replace(true);
                    files.follow(shown).await;
                });
            }
            Source::Own { names, lifetimes } => {
                let timeout = args.timeout();
                let name = args.certificate.cert_secret.as_deref().unwrap_or(secret);
                let namespace = &args.certificate.namespace;
                let secret = SecretStore::new(client.clone(), namespace, name, names, lifetimes, timeout);
                let readers = vec![Publisher::new(client.clone(), reader, timeout)];
                let keeper = Keeper { secret, readers, served: served.clone(), settled };
                tasks.spawn(keeper.run(clock::now_ms));
            }
        }
        Ok(Self { client, served, tasks, secure, admin, certified })
    }

    /// Serves until shutdown; ready once there is a certificate and `complete` says so.
    ///
    /// # Errors
    /// A task ended that never should.
    pub(crate) async fn run(
        mut self,
        registry: Registry,
        router: Router,
        config: impl Fn() -> Option<Arc<ServerConfig>> + Send + Sync + 'static,
        mut complete: watch::Receiver<bool>,
        stop: Shutdown,
    ) -> Result<(), RunError> {
        let readiness = Readiness::default();
        let admin = {
            let router = admin::router(Metrics::new(registry), readiness.clone());
            tokio::spawn(admin::serve(self.admin, router, stop.clone()))
        };
        let secure = tokio::spawn(tls::serve(self.secure, config, router, stop.clone()));
        let (mut certified, ready) = (self.certified, readiness.clone());
        self.tasks.spawn(async move {
            let both = async {
                let _ = certified.wait_for(|c| *c).await;
                let _ = complete.wait_for(|c| *c).await;
            };
            both.await;
            ready.set(true);
            tracing::info!("ready");
            std::future::pending::<()>().await;
        });
        let ended = tokio::select! {
            () = stop.started() => Ok(()),
            Some(ended) = self.tasks.join_next() => Err(match ended {
                Err(e) => anyhow::anyhow!("a task ended: {e}"),
                Ok(()) => anyhow::anyhow!("a task ended"),
            }),
        };
        readiness.set(false);
        stop.start();
        self.tasks.abort_all();
        let _ = tokio::time::timeout(Duration::from_secs(12), secure).await;
        let _ = tokio::time::timeout(Duration::from_secs(2), admin).await;
        ended.map_err(RunError::Failed)
    }
}
