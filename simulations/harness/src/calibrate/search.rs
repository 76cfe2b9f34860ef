//! The highest rate that holds: doubling until one does not, then halving the gap. Pure.

/// Where the search begins, requests per second.
const FIRST_RPS: f64 = 8.0;

/// Below this nothing is tried: a service that does not hold it holds nothing.
const LEAST_RPS: f64 = 0.5;

/// Above this nothing is tried: one generator on one machine is no judge of more.
const MOST_RPS: f64 = 8_192.0;

/// The gap, as a share of the rate that holds, at which the search ends.
const GAP_SHARE: f64 = 0.05;

/// A search. Tells a rate, and is told whether it held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Search {
    held: Option<f64>,
    broke: Option<f64>,
}

impl Search {
    /// What to try next; none where the search has ended.
    pub fn next(&self) -> Option<f64> {
        match (self.held, self.broke) {
            (None, None) => Some(FIRST_RPS),
            (Some(held), None) => Some(held * 2.0).filter(|r| *r <= MOST_RPS),
            (None, Some(broke)) => Some(broke / 2.0).filter(|r| *r >= LEAST_RPS),
            (Some(held), Some(broke)) => {
                // Whole requests, or tenths of one.
                let parts = if broke > 10.0 { 1.0 } else { 10.0 };
                let middle = ((held + broke) / 2.0 * parts).floor() / parts;
                let near = broke - held <= held * GAP_SHARE;
                (!near && middle > held && middle < broke).then_some(middle)
            }
        }
    }

    /// What became of a rate.
    pub fn tell(&mut self, rate_rps: f64, held: bool) {
        if held {
            self.held = Some(self.held.map_or(rate_rps, |h| h.max(rate_rps)));
        } else {
            self.broke = Some(self.broke.map_or(rate_rps, |b| b.min(rate_rps)));
        }
    }

    /// The highest rate that held.
    pub fn held(&self) -> Option<f64> {
        self.held
    }

    /// The lowest that did not.
    pub fn broke(&self) -> Option<f64> {
        self.broke
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a service that holds every rate up to `capacity` is found to hold, and after how many probes.
    fn find(capacity: f64) -> (Option<f64>, Option<f64>, u32) {
        let (mut search, mut probes) = (Search::default(), 0);
        while let Some(rate) = search.next() {
            search.tell(rate, rate <= capacity);
            probes += 1;
            assert!(probes < 30, "{capacity} {search:?}");
        }
        (search.held(), search.broke(), probes)
    }

    #[test]
    fn the_capacity_is_found_to_a_twentieth_or_a_request() {
        for (capacity, held, broke) in [
            (27.9, 27.0, 28.0),
            (8.0, 8.0, 8.2),
            (100.0, 100.0, 104.0),
            (1000.0, 992.0, 1024.0),
            (0.7, 0.7, 0.8),
        ] {
            let found = find(capacity);
            let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-6);
            assert!(near(found.0, held) && near(found.1, broke), "{capacity}: {found:?}");
        }
        for tenths in 6..20_000 {
            let capacity = f64::from(tenths) / 10.0;
            let (held, broke, probes) = find(capacity);
            let (held, broke) = (held.unwrap(), broke.unwrap());
            assert!(held <= capacity && capacity < broke, "{capacity}: {held} {broke}");
            // A whole request, or a tenth, counts where a twentieth is less than it.
            let gap = (held * GAP_SHARE).max(if broke > 10.0 { 2.0 } else { 0.2 });
            assert!(broke - held <= gap + 1e-6, "{capacity}: {held} {broke}");
            assert!(probes <= 16, "{capacity}: {probes}");
        }
    }

    #[test]
    fn it_ends_where_nothing_or_everything_holds() {
        assert_eq!(find(0.0), (None, Some(0.5), 5));
        assert_eq!(find(f64::INFINITY), (Some(8192.0), None, 11));
    }
}
