//! Own metrics, kept by `prometheus-client`, served in both text forms.
//!
//! `prometheus-client` writes OpenMetrics only, where a counter family is announced without its `_total`. Text
//! 0.0.4, which promtool and older scrapers read, announces it with; [`Metrics::encode`] writes the one that
//! was asked for.

use std::sync::Arc;

use prometheus_client::registry::Registry;

/// Content type of text 0.0.4.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of OpenMetrics 1.0.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A finished registry: register everything first, then share it.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// Takes a registry that is complete.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// `(content type, body)` for a scraper's `Accept` header.
    pub fn encode(&self, accept: Option<&str>) -> (&'static str, String) {
        let mut body = String::new();
        // Writing into a String cannot fail; a collector that does leaves its family out.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut body, &self.0) {
            tracing::error!(%error, "own metrics could not be encoded");
        }
        if accept.is_some_and(|a| a.contains("application/openmetrics-text")) {
            (OPENMETRICS, body)
        } else {
            (TEXT, to_text_0_0_4(&body))
        }
    }
}

/// Announces counters by their sample's name and drops what 0.0.4 does not know (`# EOF`, `# UNIT`, exemplars
/// are not written by us).
fn to_text_0_0_4(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Held back until the type is known: the name depends on it.
            help = rest.split_once(' ').or(Some((rest, "")));
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|r| r.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take().filter(|(n, _)| *n == name) {
                out.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    #[test]
    fn both_forms_name_counters_as_their_readers_expect() {
        let mut r = Registry::default();
        let c: Counter = Counter::default();
        c.inc();
        r.register("hits", "Hits", c);
        r.register("temp", "Temperature", Gauge::<i64>::default());
        let m = Metrics::new(r);
        let (kind, text) = m.encode(None);
        assert_eq!(kind, TEXT);
        assert_eq!(
            text,
            "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 1\n\
             # HELP temp Temperature.\n# TYPE temp gauge\ntemp 0\n"
        );
        let (kind, text) = m.encode(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        assert_eq!(kind, OPENMETRICS);
        assert!(text.contains("# TYPE hits counter") && text.ends_with("# EOF\n"));
    }
}
