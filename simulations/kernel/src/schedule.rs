//! What goes wrong, and when.

use serde::{Deserialize, Serialize};

use crate::streams::Streams;

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault<K> {
    /// What its randomness goes by. It stays its own when others are taken out of the schedule.
    pub name: String,
    /// What goes wrong.
    pub kind: K,
    /// From when on, in milliseconds since the world began.
    pub from_ms: u64,
    /// Up to when, exclusive.
    pub to_ms: u64,
}

impl<K> Fault<K> {
    /// Whether it is on.
    pub fn is_on(&self, at_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }

    /// How long it lasts, in milliseconds.
    pub fn lasts_ms(&self) -> u64 {
        self.to_ms.saturating_sub(self.from_ms)
    }

    /// The streams that are this fault's alone.
    pub fn streams(&self, world: &Streams) -> Streams {
        world.of("fault").of(&self.name)
    }
}

/// All that goes wrong in a world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule<K> {
    /// In no order that matters.
    pub faults: Vec<Fault<K>>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { faults: Vec::new() }
    }
}

impl<K> Schedule<K> {
    /// Those that are on, in the order in which they are listed.
    pub fn on(&self, at_ms: u64) -> impl Iterator<Item = &Fault<K>> {
        self.faults.iter().filter(move |fault| fault.is_on(at_ms))
    }

    /// When the last of them is over, in milliseconds since the world began.
    pub fn over_ms(&self) -> u64 {
        self.faults.iter().map(|fault| fault.to_ms).max().unwrap_or(0)
    }

    /// Every time at which something begins or ends, ascending, each once.
    pub fn edges_ms(&self) -> Vec<u64> {
        let mut edges: Vec<u64> = self.faults.iter().flat_map(|f| [f.from_ms, f.to_ms]).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// The same schedule in the words of another, wider list of kinds.
    pub fn map<L>(self, f: impl Fn(K) -> L) -> Schedule<L> {
        let map = |fault: Fault<K>| Fault {
            kind: f(fault.kind),
            name: fault.name,
            from_ms: fault.from_ms,
            to_ms: fault.to_ms,
        };
        Schedule { faults: self.faults.into_iter().map(map).collect() }
    }

    /// The faults of some kinds, with their names.
    pub fn only<L>(&self, f: impl Fn(&K) -> Option<L>) -> Schedule<L> {
        let take = |fault: &Fault<K>| {
            let (name, from_ms, to_ms) = (fault.name.clone(), fault.from_ms, fault.to_ms);
            f(&fault.kind).map(|kind| Fault { name, kind, from_ms, to_ms })
        };
        Schedule { faults: self.faults.iter().filter_map(take).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, kind: u8, from_ms: u64, to_ms: u64) -> Fault<u8> {
        Fault { name: name.into(), kind, from_ms, to_ms }
    }

    #[test]
    fn a_fault_is_on_from_its_beginning_up_to_its_end() {
        let schedule =
            Schedule { faults: vec![fault("a", 1, 10, 20), fault("b", 2, 20, 30), fault("c", 3, 5, 5)] };
        let on = |at| schedule.on(at).map(|f| f.kind).collect::<Vec<_>>();
        for (at, expected) in
            [(5, vec![]), (9, vec![]), (10, vec![1]), (19, vec![1]), (20, vec![2]), (30, vec![])]
        {
            assert_eq!(on(at), expected, "{at}");
        }
        assert_eq!((schedule.over_ms(), schedule.edges_ms()), (30, vec![5, 10, 20, 30]));
        assert_eq!(Schedule::<u8>::default().over_ms(), 0);
    }

    #[test]
    fn a_faults_randomness_is_its_names() {
        let world = Streams::new(1);
        let bits = |fault: &Fault<u8>| fault.streams(&world).stream("x").bits();
        assert_eq!(bits(&fault("a", 1, 0, 1)), bits(&fault("a", 2, 7, 9)));
        assert_ne!(bits(&fault("a", 1, 0, 1)), bits(&fault("b", 1, 0, 1)));
    }

    #[test]
    fn a_schedule_can_be_written_down_and_read_again() {
        let schedule = Schedule { faults: vec![fault("a", 1, 10, 20)] };
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(text, r#"{"faults":[{"name":"a","kind":1,"fromMs":10,"toMs":20}]}"#);
        assert_eq!(serde_json::from_str::<Schedule<u8>>(&text).unwrap(), schedule);
        assert_eq!(schedule.clone().map(u16::from).only(|k| u8::try_from(*k).ok()), schedule);
    }
}
