//! The querier: Prometheus' HTTP API over the global view.
