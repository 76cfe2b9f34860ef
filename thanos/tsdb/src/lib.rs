//! The head: chunk encodings, write-ahead log, series index.
