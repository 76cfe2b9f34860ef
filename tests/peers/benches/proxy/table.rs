//! Trials of one load, side by side.

use std::collections::BTreeMap;
use std::fmt;

use peers::usage::Figures;

use crate::load::{Load, Trial};
use crate::side::Kind;

/// See the module.
pub(crate) struct Table {
    name: &'static str,
    load: Load,
    trials: BTreeMap<Kind, Vec<Trial>>,
}

impl Table {
    pub(crate) fn new(name: &'static str, load: Load) -> Self {
        Self { name, load, trials: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, kind: Kind, trial: Trial) {
        self.trials.entry(kind).or_default().push(trial);
    }

    /// The largest send lag.
    pub(crate) fn lag_ms(&self) -> Option<f64> {
        self.trials.values().flatten().map(|t| t.lag_p99_ms).max_by(f64::total_cmp)
    }

    /// One figure of every trial of a side.
    fn figures(&self, kind: Kind, of: impl Fn(&Trial) -> f64) -> Figures {
        let trials = self.trials.get(&kind).map(Vec::as_slice).unwrap_or_default();
        Figures::new(trials.iter().map(of).collect())
    }

    /// Beyond the same load without a proxy, of the same repetition.
    fn added_us(&self, kind: Kind, of: impl Fn(&Trial) -> f64) -> Figures {
        let direct = self.trials.get(&Kind::Direct).map(Vec::as_slice).unwrap_or_default();
        let trials = self.trials.get(&kind).map(Vec::as_slice).unwrap_or_default();
        Figures::new(trials.iter().zip(direct).map(|(t, d)| (of(t) - of(d)) * 1e3).collect())
    }

    fn per_cpu_second(&self, kind: Kind) -> Figures {
        self.figures(kind, |t| 1e6 / t.cost_us)
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, kind: Kind) -> fmt::Result {
        let cost = (kind != Kind::Direct).then(|| format!("{:.0}", self.per_cpu_second(kind)));
        write!(f, "\n{:<16}{:>26}", kind.name(), cost.unwrap_or_default())?;
        match self.load {
            Load::Open { .. } if kind == Kind::Direct => {
                let (p50, p99) =
                    (self.figures(kind, |t| t.p50_ms * 1e3), self.figures(kind, |t| t.p99_ms * 1e3));
                write!(f, "{:>26}{:>26}  in all", format!("{p50:.0}"), format!("{p99:.0}"))
            }
            Load::Open { .. } => {
                let (p50, p99) = (self.added_us(kind, |t| t.p50_ms), self.added_us(kind, |t| t.p99_ms));
                write!(f, "{:>26}{:>26}", format!("{p50:.0}"), format!("{p99:.0}"))
            }
            Load::Closed => {
                let (rps, busy) = (self.figures(kind, |t| t.rps), self.figures(kind, |t| t.busy * 100.0));
                write!(f, "{:>26}{:>26}", format!("{rps:.0}"), format!("{busy:.0}"))
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [third, fourth] = match self.load {
            Load::Open { .. } => ["p50 added, µs", "p99 added, µs"],
            Load::Closed => ["rps", "of its core, %"],
        };
        write!(f, "{}\n{:<16}{:>26}{third:>26}{fourth:>26}", self.name, "", "requests/CPU-second")?;
        for kind in self.trials.keys() {
            self.row(f, *kind)?;
        }
        let ours = [Kind::Outbound, Kind::Inbound];
        for theirs in [Kind::Envoy, Kind::Nginx].into_iter().filter(|k| self.trials.contains_key(k)) {
            let [outbound, inbound] =
                ours.map(|k| self.per_cpu_second(k).median() / self.per_cpu_second(theirs).median());
            let name = theirs.name();
            write!(f, "\nrequests/CPU-second, ours/{name}: outbound {outbound:.2}, inbound {inbound:.2}")?;
        }
        Ok(())
    }
}
