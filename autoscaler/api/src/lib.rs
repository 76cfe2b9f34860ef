//! The ScalingPolicy custom resource: types, schema, condition and reason names.
