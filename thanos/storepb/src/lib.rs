//! The wire: StoreAPI, Info, remote write, and their conversions to the model.
//!
//! Contracts are in `proto/` (see its README for the upstream they follow); `gen/` is generated from them and
//! held to them by a test. [`convert`] is the only place where wire types and model types meet.

/// Package `thanos`: StoreAPI and RemoteWrite.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod thanos {
    include!("gen/thanos.rs");

    /// Package `thanos.info`.
    pub mod info {
        include!("gen/thanos.info.rs");
    }
}

/// Package `prometheus_copy`: remote write 1.0.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod prometheus_copy {
    include!("gen/prometheus_copy.rs");
}

pub mod convert;

pub use prometheus_copy as prompb;
pub use thanos as storepb;
pub use thanos::info as infopb;
