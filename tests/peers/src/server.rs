//! A part or a peer that serves on an address of its own and can be started again there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::{Address, Process};

/// What a [`Server`] is started from. In flags, `{ip}` stands for its address and `{dir}` for a folder of its own.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Names the process, its log and its folder.
    pub name: String,
    /// The binary.
    pub program: PathBuf,
    /// Separated by white space.
    pub flags: String,
    /// Port and path that answer 200 once it is ready, as in `10902/-/ready`.
    pub ready: &'static str,
}

/// A process at an address.
#[derive(Debug)]
pub struct Server {
    /// Its address; outlives the process.
    pub at: Address,
    program: PathBuf,
    args: Vec<OsString>,
    name: String,
    dir: PathBuf,
    ready: String,
    process: Process,
}

impl Server {
    /// Starts it at `at`, with its folder under `dir`, and waits until it is ready.
    /// # Panics
    /// When it cannot be started or does not become ready.
    pub async fn start(spec: Spec, at: Address, dir: &Path) -> Self {
        let mut server = Self::start_unready(spec, at, dir);
        server.ready().await;
        server
    }

    /// Starts it at `at`, with its folder under `dir`.
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_unready(spec: Spec, at: Address, dir: &Path) -> Self {
        let Spec { name, program, flags, ready } = spec;
        let own = dir.join(&name);
        std::fs::create_dir_all(&own).unwrap_or_else(|e| panic!("{}: {e}", own.display()));
        let fill =
            |flag: &str| flag.replace("{ip}", &at.to_string()).replace("{dir}", &own.to_string_lossy());
        let args: Vec<OsString> = flags.split_whitespace().map(|f| fill(f).into()).collect();
        let process = Process::start(&name, dir, &program, &args);
        let (port, path) = ready.split_once('/').unwrap_or((ready, ""));
        let ready = format!("http://{at}:{port}/{path}");
        Self { at, program, args, name, dir: dir.to_owned(), ready, process }
    }

    /// Waits until it is ready.
    /// # Panics
    /// When it ends or takes too long.
    pub async fn ready(&mut self) {
        self.process.ready(&self.ready).await;
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end in order and waits.
    /// # Panics
    /// When it takes too long.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Starts it again, once it has ended, with the same flags, folder and address.
    /// # Panics
    /// When it does not become ready.
    pub async fn again(&mut self) {
        self.process = Process::start(&self.name, &self.dir, &self.program, &self.args);
        self.ready().await;
    }

    /// What it has written so far, earlier runs included.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        self.at.url(port)
    }
}
