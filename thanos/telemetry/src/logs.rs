//! Logs go to standard error, one line an event, level by `GAUNTLET_LOG` (default `info`).

use tracing_subscriber::EnvFilter;

/// Starts logging; a second call does nothing, so tests may call it freely.
pub fn init() {
    let filter = EnvFilter::try_from_env("GAUNTLET_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,hyper=warn,h2=warn,kube=warn,tower=warn"));
    let json = std::env::var("GAUNTLET_LOG_FORMAT").is_ok_and(|v| v == "json");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
}
