//! The processes of one test: ours and the real ones, with their usual flags.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::server::{Server, Spec};
use crate::{Address, binary};

/// A folder, and what is started in it.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    gauntlet: PathBuf,
}

impl World {
    /// `gauntlet` is [`crate::gauntlet!`]'s path.
    /// # Panics
    /// When there is no room for a temporary folder.
    #[must_use]
    pub fn new(gauntlet: &str) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("a temporary folder: {e}"));
        Self { dir, gauntlet: gauntlet.into() }
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into its folder, in one step for whoever watches it.
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        let new = self.dir().join(format!("{name}.new"));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// Starts one of our parts; `ready` as in [`Spec`].
    /// # Panics
    /// When it does not become ready.
    pub async fn ours(&self, name: &str, flags: &str, ready: &'static str) -> Server {
        Server::start(self.our_spec(name, flags, ready), Address::claim(), self.dir()).await
    }

    fn our_spec(&self, name: &str, flags: &str, ready: &'static str) -> Spec {
        Spec { name: name.into(), program: self.gauntlet.clone(), flags: flags.into(), ready }
    }

    /// Starts a real system's binary.
    /// # Panics
    /// When it is not built, see [`binary::built`], or does not become ready.
    pub async fn peer(&self, name: &str, program: &str, flags: &str, ready: &'static str) -> Server {
        Server::start(peer_spec(name, program, flags, ready), Address::claim(), self.dir()).await
    }

    /// Our Receive: remote write on 19291, gRPC on 10901, HTTP on 10902.
    /// # Panics
    /// When it does not become ready.
    pub async fn receive(&self, name: &str, flags: &str) -> Server {
        self.receive_at(Address::claim(), name, flags).await
    }

    /// The same, where a ring already has its address.
    /// # Panics
    /// When it does not become ready.
    pub async fn receive_at(&self, at: Address, name: &str, flags: &str) -> Server {
        let flags = format!("thanos receive {RECEIVE} --label replica=\"{name}\" {flags}");
        Server::start(self.our_spec(name, &flags, "10902/-/ready"), at, self.dir()).await
    }

    /// Our querier: HTTP on 9090, gRPC on 10901.
    /// # Panics
    /// When it does not become ready.
    pub async fn query(&self, name: &str, flags: &str) -> Server {
        let flags = format!("thanos query --http-address {{ip}}:9090 --grpc-address {{ip}}:10901 {flags}");
        self.ours(name, &flags, "9090/-/ready").await
    }

    /// Our scraper with this configuration: HTTP on 9091.
    /// # Panics
    /// When it does not become ready.
    pub async fn scrape(&self, name: &str, config: &str) -> Server {
        let file = self.write(&format!("{name}.yml"), config);
        let flags = format!(
            "thanos scrape --web.listen-address {{ip}}:9091 --config.reload-interval 100ms --config.file {}",
            file.display()
        );
        self.ours(name, &flags, "9091/-/ready").await
    }

    /// A real Prometheus with this configuration, taking remote writes: HTTP on 9090.
    /// # Panics
    /// When it does not become ready.
    pub async fn prometheus(&self, name: &str, config: &str, flags: &str) -> Server {
        let file = self.write(&format!("{name}.yml"), config);
        let flags = format!(
            "--web.listen-address={{ip}}:9090 --storage.tsdb.path={{dir}}/data --config.file={} \
             --web.enable-remote-write-receiver --web.enable-lifecycle {flags}",
            file.display()
        );
        self.peer(name, "prometheus", &flags, "9090/-/ready").await
    }

    /// A real Thanos Querier: HTTP on 9090, gRPC on 10901.
    /// # Panics
    /// When it does not become ready.
    pub async fn thanos_query(&self, name: &str, flags: &str) -> Server {
        let flags = format!("query --http-address={{ip}}:9090 --grpc-address={{ip}}:10901 {flags}");
        self.peer(name, "thanos", &flags, "9090/-/ready").await
    }

    /// A real Thanos Query Frontend over a querier: HTTP on 9090.
    /// # Panics
    /// When it does not become ready.
    pub async fn thanos_frontend(&self, name: &str, over: &Server, flags: &str) -> Server {
        let flags = format!(
            "query-frontend --http-address={{ip}}:9090 --query-frontend.downstream-url={} {flags}",
            over.url(9090)
        );
        self.peer(name, "thanos", &flags, "9090/-/ready").await
    }

    /// A real Thanos Receive: remote write on 19291, gRPC on 10901, HTTP on 10902.
    /// # Panics
    /// When it does not become ready.
    pub async fn thanos_receive(&self, name: &str, flags: &str) -> Server {
        self.thanos_receive_at(Address::claim(), name, flags).await
    }

    /// The same, where a ring already has its address.
    /// # Panics
    /// When it does not become ready.
    pub async fn thanos_receive_at(&self, at: Address, name: &str, flags: &str) -> Server {
        let capnproto = "--receive.capnproto-address={ip}:19391";
        // Thanos 0.42.4 prunes tenants if it starts in the first minute of each fourth hour, before their storage is
        // open, and panics (multitsdb.go `Prune`, receive.go "periodic tenant pruning"). What is kept for ever is not
        // pruned.
        let keep = "--tsdb.retention=0d";
        let flags = format!("receive {RECEIVE} {capnproto} {keep} --label=replica=\"{name}\" {flags}");
        Server::start(peer_spec(name, "thanos", &flags, "10902/-/ready"), at, self.dir()).await
    }

    /// A real Thanos Sidecar over a real Prometheus, whose configuration needs external labels: gRPC on 10901, HTTP
    /// on 10902.
    /// # Panics
    /// When it does not become ready.
    pub async fn thanos_sidecar(&self, name: &str, prometheus: &Server) -> Server {
        let flags = format!(
            "sidecar --grpc-address={{ip}}:10901 --http-address={{ip}}:10902 --tsdb.path={{dir}} \
             --prometheus.url={}",
            prometheus.url(9090)
        );
        self.peer(name, "thanos", &flags, "10902/-/ready").await
    }
}

const RECEIVE: &str = "--remote-write.address={ip}:19291 --grpc-address={ip}:10901 --http-address={ip}:10902 \
                       --tsdb.path={dir}/data";

fn peer_spec(name: &str, program: &str, flags: &str, ready: &'static str) -> Spec {
    let program = binary::folder().join(program);
    Spec { name: name.into(), program, flags: flags.into(), ready }
}
