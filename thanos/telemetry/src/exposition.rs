//! The text a scrape reads: Prometheus 0.0.4 and OpenMetrics 1.0.
