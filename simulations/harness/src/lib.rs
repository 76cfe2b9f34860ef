//! The harness: stands up clusters, runs load and faults through the production processes, and judges.
