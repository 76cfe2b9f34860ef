//! What runs beside the queries: one task resolves a name or reads a file, one asks a store for its Info.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use thanos_storepb::infopb::{InfoRequest, info_client::InfoClient};
use thanos_telemetry::Shutdown;
use tokio::sync::Notify;
use tonic::Code;
use tonic::transport::Channel;

use super::{Config, EndpointSet, now_ms};
use crate::discovery::{self, Found};
use crate::dns::Dns;
use crate::endpoint::{EndpointSpec, Info};
use crate::registry::{Source, at_time};

/// A name may fail this often in a row before answers are called incomplete for it.
const LOOKUPS_MAY_FAIL: u32 = 3;

impl EndpointSet {
    pub(super) fn spawn_source(self: Arc<Self>, source: Source, named: Named, shutdown: &Shutdown) {
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let work = async {
                let (mut known, mut failures, mut last_ms) = (Found::new(), 0, None);
                loop {
                    let found = named.resolve(&self.dns, &known).await;
                    let problem = match &found {
                        Ok(found) => {
                            (failures, last_ms) = (0, Some(now_ms()));
                            found.is_empty().then(|| format!("discovery of {named} found no store"))
                        }
                        Err(error) => {
                            failures += 1;
                            let (text, loud) = match last_ms {
                                None => (format!("discovery of {named} failed: {error}"), true),
                                Some(at) => (
                                    format!(
                                        "discovery of {named} fails: {error}; using its answer {}",
                                        at_time(at)
                                    ),
                                    failures >= LOOKUPS_MAY_FAIL,
                                ),
                            };
                            loud.then_some(text)
                        }
                    };
                    self.listed(source, found.as_ref().map_err(|_| ()), problem);
                    if let Ok(found) = found {
                        known = found;
                    }
                    tokio::time::sleep(named.interval(&self.config)).await;
                }
            };
            tokio::select! { () = work => {}, () = shutdown.started() => {} }
        });
    }
}

/// Asks one store for its Info until the set ends or the task is aborted.
pub(super) async fn watch_store(
    set: Weak<EndpointSet>,
    config: Config,
    key: String,
    channel: Channel,
    goodbye: Arc<AtomicBool>,
    wake: Arc<Notify>,
) {
    let mut client = InfoClient::new(channel).max_decoding_message_size(config.max_message_bytes);
    loop {
        let answer = match tokio::time::timeout(config.info_timeout, client.info(InfoRequest {})).await {
            Err(_) => Err(format!("no answer to Info within {:?}", config.info_timeout)),
            Ok(Err(status)) => Err(status_text(&status)),
            Ok(Ok(info)) => {
                goodbye.store(false, Ordering::Release);
                Ok(Info::from_wire(&info.into_inner(), now_ms()))
            }
        };
        let Some(set) = set.upgrade() else { return };
        set.checked(&key, answer, goodbye.load(Ordering::Acquire));
        drop(set);
        let _ = tokio::time::timeout(config.info_interval, wake.notified()).await;
    }
}

/// A gRPC error in one line, cause included: tonic hides "connection refused" behind "transport error".
pub(crate) fn status_text(status: &tonic::Status) -> String {
    let mut text = match status.code() {
        Code::Unknown | Code::Unavailable => String::new(),
        code => format!("{code:?}: "),
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    let mut deepest = None;
    while let Some(c) = cause {
        deepest = Some(c.to_string());
        cause = c.source();
    }
    text.push_str(&deepest.unwrap_or_else(|| status.message().to_owned()));
    text.truncate(text.floor_char_boundary(500));
    text
}

/// A source of endpoints that changes.
pub(super) enum Named {
    Dns(EndpointSpec),
    File(PathBuf),
}

impl Named {
    async fn resolve(&self, dns: &Dns, known: &Found) -> Result<Found, String> {
        match self {
            Self::Dns(spec) => discovery::resolve(spec, dns, known).await,
            Self::File(path) => {
                let mut found = Found::new();
                for spec in discovery::read_file(path)? {
                    found.extend(discovery::resolve(&spec, dns, known).await?);
                }
                Ok(found)
            }
        }
    }

    fn interval(&self, config: &Config) -> Duration {
        match self {
            Self::Dns(_) => config.sd_dns_interval,
            Self::File(_) => config.sd_file_interval,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(spec) => spec.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
