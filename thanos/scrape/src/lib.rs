//! Scrape: discovery, relabelling, exposition in, remote write out.
