//! Exit codes, k6's where it has one.

/// Thresholds did not hold.
pub const THRESHOLDS: u8 = 99;
/// The scenario is wrong (the rest of the program says 64).
pub const CONFIG: u8 = 104;
/// The run was not driven as planned, so that it says nothing.
pub const INVALID_GENERATOR: u8 = 105;
/// Broken off.
pub const INTERRUPTED: u8 = 130;
