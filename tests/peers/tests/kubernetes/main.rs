//! Gauntlet's parts with a real Kubernetes on the other side.
