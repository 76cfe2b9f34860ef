//! The read path: endpoints, fan-out, merge, deduplication.
