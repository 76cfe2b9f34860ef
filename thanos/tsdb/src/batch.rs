//! Samples on their way in: many series in few allocations, since a request has thousands of them.

use thanos_model::TimestampMs;

/// Samples of several series, as they came.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Names and values of all series' labels, one after the other.
    text: String,
    /// Where each name and each value ends in `text`.
    text_ends: Vec<usize>,
    samples: Vec<(TimestampMs, f64)>,
    /// Where each series ends in `text_ends` and `samples`.
    series_ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Adds a series. Its labels rise by name and none is empty, as in [`thanos_model::Labels`]: series are known by
    /// what is given here.
    pub fn push<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        samples: impl IntoIterator<Item = (TimestampMs, f64)>,
    ) {
        for text in labels.into_iter().flat_map(|(name, value)| [name, value]) {
            self.text.push_str(text);
            self.text_ends.push(self.text.len());
        }
        self.samples.extend(samples);
        self.series_ends.push((self.text_ends.len(), self.samples.len()));
        debug_assert!(
            self.get(self.len() - 1).is_none_or(|s| s.labels().is_sorted_by(|a, b| a.0 < b.0)),
            "labels not sorted"
        );
    }

    /// Series.
    pub fn len(&self) -> usize {
        self.series_ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series_ends.is_empty()
    }

    /// The series at `index`, in the order given.
    pub fn get(&self, index: usize) -> Option<BatchSeries<'_>> {
        let (text_to, samples_to) = *self.series_ends.get(index)?;
        let before = index.checked_sub(1).and_then(|i| self.series_ends.get(i));
        let (text_from, samples_from) = before.copied().unwrap_or_default();
        Some(BatchSeries {
            text: &self.text,
            text_start: text_from.checked_sub(1).map_or(0, |i| self.text_ends[i]),
            text_ends: &self.text_ends[text_from..text_to],
            samples: &self.samples[samples_from..samples_to],
        })
    }

    /// All series, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = BatchSeries<'_>> {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

/// One series of a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct BatchSeries<'a> {
    text: &'a str,
    text_start: usize,
    text_ends: &'a [usize],
    samples: &'a [(TimestampMs, f64)],
}

impl<'a> BatchSeries<'a> {
    /// Names and values, by name.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let (text, mut start) = (self.text, self.text_start);
        self.text_ends.chunks_exact(2).map(move |ends| {
            let label = (&text[start..ends[0]], &text[ends[0]..ends[1]]);
            start = ends[1];
            label
        })
    }

    /// Milliseconds since the epoch, value.
    pub fn samples(&self) -> &'a [(TimestampMs, f64)] {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_back_what_was_pushed(
            series in prop::collection::vec(
                (
                    prop::collection::btree_map("\\PC{1,4}", "\\PC{1,4}", 0..4),
                    prop::collection::vec((any::<i64>(), -1e9..1e9), 0..3),
                ),
                0..6,
            ),
        ) {
            let mut batch = Batch::default();
            for (labels, samples) in &series {
                batch.push(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())), samples.iter().copied());
            }
            let got: Vec<_> = batch
                .iter()
                .map(|s| (s.labels().map(|(n, v)| (n.into(), v.into())).collect(), s.samples().to_vec()))
                .collect();
            prop_assert_eq!(got, series);
        }
    }
}
