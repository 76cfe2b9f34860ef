//! The controller: one tick per policy from evidence to the scale subresource.
