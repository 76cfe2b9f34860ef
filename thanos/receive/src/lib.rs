//! Receive: remote write in, hashring and replication, head and WAL, StoreAPI out.
