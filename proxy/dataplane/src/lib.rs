//! The sidecar: inbound in front of an app port, outbound by authority, admin on 4191.
