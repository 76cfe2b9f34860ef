//! The decision: a pure function of policy, evidence, replicas and time.
