//! A source whose credentials are files, read again when they change: mounted Secrets, tokens that are renewed.
//!
//! Files are compared by content. Their times say less: what a kubelet or an agent writes is swapped by a link, and two
//! writes may fall into one tick of a file system's clock.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use thanos_model::Secret;

use crate::prometheus::Prometheus;
use crate::querier::{Outcome, Querier};
use crate::source::{Authorization, ClientCertificate, Source, SourceError};

/// Largest file: a bundle of every public authority has a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A source, and the files that complete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFiles {
    /// What is known without files.
    pub base: Source,
    /// A bearer token.
    pub bearer_token: Option<PathBuf>,
    /// A user, and the file of the password.
    pub basic: Option<(Secret, PathBuf)>,
    /// Names of headers, and the files of their values.
    pub headers: Vec<(String, PathBuf)>,
    /// Authorities in PEM.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key in PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl SourceFiles {
    /// No files.
    pub fn new(base: Source) -> Self {
        Self { base, bearer_token: None, basic: None, headers: Vec::new(), ca: None, client: None }
    }

    /// Reads all files. Blocks.
    ///
    /// # Errors
    /// Which file cannot be read: missing, over a MiB, not UTF-8.
    pub fn load(&self) -> Result<Source, SourceError> {
        let mut source = self.base.clone();
        if let Some(path) = &self.bearer_token {
            source.authorization = Some(Authorization::Bearer(read("bearerToken", path)?));
        }
        if let Some((username, path)) = &self.basic {
            let password = read("basicAuth.password", path)?;
            source.authorization = Some(Authorization::Basic { username: username.clone(), password });
        }
        for (name, path) in &self.headers {
            source.headers.push((name.clone(), read("headers", path)?));
        }
        if let Some(path) = &self.ca {
            source.tls.ca = Some(read("tls.ca", path)?);
        }
        if let Some((certificate, key)) = &self.client {
            source.tls.client = Some(ClientCertificate {
                certificate: read("tls.certificate", certificate)?,
                key: read("tls.key", key)?,
            });
        }
        Ok(source)
    }
}

/// The text of a file without the blanks around it, which editors and `echo` leave.
fn read(field: &str, path: &Path) -> Result<Secret, SourceError> {
    let fail = |e: &dyn std::fmt::Display| SourceError::new(field, format!("{}: {e}", path.display()));
    let file = std::fs::File::open(path).map_err(|e| fail(&e))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(fail(&format!("is over {FILE_BYTES_MAX} bytes")));
    }
    Ok(Secret::from(text.trim()))
}

/// A querier whose credentials follow their files.
#[derive(Debug)]
pub struct Rotating {
    files: SourceFiles,
    current: ArcSwap<Prometheus>,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    source: Source,
    problem: Option<SourceError>,
}

impl Rotating {
    /// Reads the files for the first time. Blocks.
    ///
    /// # Errors
    /// Which file, or which part of the source, is wrong.
    pub fn open(files: SourceFiles) -> Result<Self, SourceError> {
        let source = files.load()?;
        let current = ArcSwap::from_pointee(Prometheus::new(&source)?);
        Ok(Self { files, current, last: Mutex::new(Last { source, problem: None }) })
    }

    /// The querier of now.
    pub fn current(&self) -> Arc<Prometheus> {
        self.current.load_full()
    }

    /// Reads the files again; says whether anything changed. Blocks. What cannot be used, a pair of which half is
    /// written for example, changes nothing and is looked at again the next time.
    ///
    /// # Errors
    /// What is wrong with them, once; the credentials of before go on.
    pub fn look(&self) -> Result<bool, SourceError> {
        let mut last = self.last.lock();
        let renewed = self.files.load().and_then(|source| {
            if source == last.source {
                return Ok(None);
            }
            Ok(Some((self.current.load().renewed(&source)?, source)))
        });
        match renewed {
            Ok(None) => {
                last.problem = None;
                Ok(false)
            }
            Ok(Some((querier, source))) => {
                self.current.store(Arc::new(querier));
                *last = Last { source, problem: None };
                Ok(true)
            }
            Err(problem) if last.problem.as_ref() == Some(&problem) => Ok(false),
            Err(problem) => {
                last.problem = Some(problem.clone());
                Err(problem)
            }
        }
    }

    /// Looks at the files again and again; never ends.
    pub async fn follow(self: Arc<Self>, every: Duration) {
        if self.files == SourceFiles::new(self.files.base.clone()) {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(every).await;
            let this = self.clone();
            // A file may be on a disk that does not answer.
            match tokio::task::spawn_blocking(move || this.look()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!("the querier's credentials were renewed"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the querier's credentials were not renewed; those of before go on")
                }
                Err(error) => tracing::error!(%error, "the querier's credentials were not looked at"),
            }
        }
    }
}

impl Querier for Rotating {
    fn instant(&self, query: &str, time_ms: i64, deadline: Duration) -> BoxFuture<'static, Outcome> {
        self.current.load().instant(query, time_ms, deadline)
    }
}
