//! Names that the proxy promises: metrics, labels, latency buckets, headers and ports.
