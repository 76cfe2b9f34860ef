//! `promtool check metrics` accepts every page of ours.
