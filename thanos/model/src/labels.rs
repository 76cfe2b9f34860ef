//! A series' identity: sorted label pairs, cheap to clone.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// One name and value. Both are shared, so cloning a label copies no text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Label name.
    pub name: Arc<str>,
    /// Label value, never empty inside a [`Labels`].
    pub value: Arc<str>,
}

impl Label {
    /// A label from any two strings.
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A sorted set of labels. Order between two sets is Prometheus' (`labels.Compare`): pairwise by name, then
/// value, then the shorter first; it is the order in which StoreAPI streams series.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// No labels.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sorts, drops empty values, and of equal names keeps the last given.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Self {
        let mut v: Vec<Label> = labels.into_iter().collect();
        if !v.windows(2).all(|w| w[0].name < w[1].name) {
            v.sort_by(|a, b| a.name.cmp(&b.name));
            // A stable sort keeps equal names in the order given; reversed, dedup keeps the last.
            v.reverse();
            v.dedup_by(|a, b| a.name == b.name);
            v.reverse();
        }
        v.retain(|l| !l.value.is_empty());
        Self(v.into())
    }

    /// From pairs of anything stringlike.
    pub fn from_pairs<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self::new(pairs.into_iter().map(|(n, v)| Label::new(n, v)))
    }

    /// The value of `name`, or `""` where it is absent: PromQL does not tell the two apart.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |l| &l.value)
    }

    /// Whether `name` is set.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Label> {
        self.0.binary_search_by(|l| (*l.name).cmp(name)).ok().map(|i| &self.0[i])
    }

    /// The value of `__name__`, or `""`.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Labels in name order.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the labels for which `keep` is true.
    pub fn filtered(&self, mut keep: impl FnMut(&Label) -> bool) -> Self {
        if self.0.iter().all(&mut keep) {
            return self.clone();
        }
        Self(self.0.iter().filter(|l| keep(l)).cloned().collect())
    }

    /// Without `name`.
    pub fn without(&self, name: &str) -> Self {
        self.filtered(|l| &*l.name != name)
    }

    /// With `name` set to `value`; an empty value removes it.
    pub fn with(&self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self::new(self.0.iter().cloned().chain([Label::new(name, value)]))
    }

    /// With all of `over`, which wins where both have a name.
    pub fn overlaid(&self, over: &Labels) -> Self {
        if over.is_empty() {
            return self.clone();
        }
        Self::new(self.0.iter().chain(over.0.iter()).cloned())
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<T: IntoIterator<Item = Label>>(iter: T) -> Self {
        Self::new(iter)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `{a="b", c="d"}` with the metric name in front, as Prometheus prints a series.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        f.write_str("{")?;
        for (i, l) in self.0.iter().filter(|l| &*l.name != METRIC_NAME).enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}={:?}", l.name, l.value)?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_deduplicates_and_drops_empty_values() {
        let l = Labels::from_pairs([("z", "1"), ("a", "first"), ("e", ""), ("a", "last")]);
        assert_eq!(l.iter().map(|l| (&*l.name, &*l.value)).collect::<Vec<_>>(), [("a", "last"), ("z", "1")]);
        assert_eq!(l.get("absent"), "");
        assert_eq!(l.without("a").len(), 1);
        assert_eq!(l.with("z", "").len(), 1);
    }

    #[test]
    fn orders_as_prometheus_compares() {
        let short = Labels::from_pairs([("a", "1")]);
        let long = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let later = Labels::from_pairs([("a", "2")]);
        assert!(short < long && long < later);
    }

    #[test]
    fn prints_like_a_series() {
        let l = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        assert_eq!(l.to_string(), r#"up{job="a\"b"}"#);
    }
}
