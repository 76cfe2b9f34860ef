//! Gauntlet's parts with a real Thanos on the other side.
