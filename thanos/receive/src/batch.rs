//! Series of one tenant as they came: what can be stored, and what was refused at once.

use std::ops::Range;

use bytes::BytesMut;
use thanos_storepb::storepb;
use thanos_tsdb::Batch as Samples;

use crate::decode::encode;
use crate::error::{Kind, WriteError};

/// Series of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) tenant: String,
    /// What can be stored; its labels are as the protocol asks for.
    pub(crate) series: Samples,
    /// Why the first series that cannot be stored anywhere was refused, and how many were.
    refused: Option<(String, usize)>,
    /// Exemplars that came with good series.
    pub(crate) exemplars: u64,
}

/// What a series brings besides floats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Besides {
    pub(crate) histograms: usize,
    pub(crate) exemplars: usize,
}

impl Batch {
    pub(crate) fn new(tenant: String) -> Self {
        Self { tenant, ..Self::default() }
    }

    /// Takes a series, or refuses it: the rest of the request is none the worse for it.
    pub(crate) fn add(
        &mut self,
        labels: &[(&str, &str)],
        samples: impl ExactSizeIterator<Item = (i64, f64)>,
        besides: Besides,
    ) {
        if let Err(why) = check_labels(labels) {
            return self.refuse(|| format!("{why} in series {}", show(labels.iter().copied())));
        }
        self.exemplars += besides.exemplars as u64;
        if besides.histograms > 0 {
            let n = besides.histograms;
            self.refuse(|| {
                let series = show(labels.iter().copied());
                format!("{n} native histogram samples in series {series}: not stored yet")
            });
        }
        if samples.len() > 0 {
            self.series.push(labels.iter().copied(), samples);
        }
    }

    fn refuse(&mut self, why: impl FnOnce() -> String) {
        match &mut self.refused {
            Some((_, count)) => *count += 1,
            None => self.refused = Some((why(), 1)),
        }
    }

    /// What was refused, as an answer.
    pub(crate) fn refusal(&self) -> Option<WriteError> {
        let (first, count) = self.refused.as_ref()?;
        let more = if *count > 1 { format!(" (and {} more series)", count - 1) } else { String::new() };
        Some(Kind::Invalid.error(format!("{first}{more}")))
    }

    /// Some series with `tenant_label` set to the tenant, whatever they say themselves: what storage is given.
    pub(crate) fn for_storage(&self, which: &[usize], tenant_label: &str) -> Samples {
        let mut out = Samples::default();
        for series in which.iter().filter_map(|i| self.series.get(*i)) {
            let before = series.labels().take_while(|(name, _)| *name < tenant_label);
            let after = series.labels().skip_while(|(name, _)| *name <= tenant_label);
            let tenant = std::iter::once((tenant_label, self.tenant.as_str()));
            out.push(before.chain(tenant).chain(after), series.samples().iter().copied());
        }
        out
    }

    /// Copy number `copy` of some series. In the two fields that every Thanos reads: up to 0.42 it does not know the
    /// list of tenants, and would acknowledge it without storing anything.
    pub(crate) fn copy_request(&self, which: &[usize], copy: usize) -> storepb::WriteRequest {
        let mut room = BytesMut::new();
        let series = which.iter().filter_map(|i| self.series.get(*i));
        storepb::WriteRequest {
            timeseries: series.map(|s| encode(s, &mut room)).collect(),
            tenant: self.tenant.clone(),
            // On the wire copies count from 1; 0 is "not replicated".
            replica: copy as i64 + 1,
            ..Default::default()
        }
    }

    /// Every series.
    pub(crate) fn all(&self) -> Range<usize> {
        0..self.series.len()
    }

    /// A series for a message.
    pub(crate) fn show(&self, index: usize) -> String {
        self.series.get(index).map_or_else(String::new, |s| show(s.labels()))
    }
}

/// What the protocol asks of labels: some, with names and values, sorted, each once.
fn check_labels(labels: &[(&str, &str)]) -> Result<(), &'static str> {
    if labels.is_empty() {
        return Err("no labels");
    }
    if labels.iter().any(|l| l.0.is_empty()) {
        return Err("empty label name");
    }
    if labels.iter().any(|l| l.1.is_empty()) {
        return Err("empty label value");
    }
    for pair in labels.windows(2) {
        match pair[0].0.cmp(pair[1].0) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Err("duplicate label name"),
            std::cmp::Ordering::Greater => return Err("labels not sorted"),
        }
    }
    Ok(())
}

/// A series for a message: as it came, and not endless.
fn show<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    const CHARS_MAX: usize = 300;
    let pairs: Vec<String> = labels.take(20).map(|(name, value)| format!("{name}={value:?}")).collect();
    let text = format!("{{{}}}", pairs.join(", "));
    if text.chars().count() <= CHARS_MAX {
        text
    } else {
        text.chars().take(CHARS_MAX).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use thanos_storepb::prompb::TimeSeries;

    use super::*;

    #[test]
    fn copies_are_sent_as_every_thanos_reads_them() {
        let mut batch = Batch::new("team".into());
        for name in ["a", "b", "c"] {
            batch.add(&[("__name__", name)], [(1, 2.0)].into_iter(), Besides::default());
        }
        let request = batch.copy_request(&[0, 2], 1);
        let names: Vec<_> = request
            .timeseries
            .iter()
            .map(|s| TimeSeries::decode(&s[..]).unwrap().labels[0].value.clone())
            .collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!((request.tenant.as_str(), request.replica), ("team", 2));
        assert!(request.timeseries_tenant_data.is_empty());
    }

    #[test]
    fn the_tenant_has_its_place_among_the_labels() {
        for (labels, want) in [
            (&[("a", "1")][..], &[("a", "1"), ("tenant", "team")][..]),
            (&[("a", "1"), ("z", "2")], &[("a", "1"), ("tenant", "team"), ("z", "2")]),
            (&[("tenant", "mine"), ("z", "2")], &[("tenant", "team"), ("z", "2")]),
        ] {
            let mut batch = Batch::new("team".into());
            batch.add(labels, [(1, 2.0)].into_iter(), Besides::default());
            let stored = batch.for_storage(&[0], "tenant");
            assert_eq!(stored.iter().flat_map(|s| s.labels()).collect::<Vec<_>>(), want);
        }
    }
}
