//! Load: an open-loop generator with planned arrivals, and the small services it is aimed at.
