//! Which address is asked first: the first of the list that does not rest. Pure: time is an argument.
//!
//! ```text
//!  well ── silent ──► rests 1 s ── over: one query tries it ── silent ──► rests 2 s … at most 30 s
//!   ▲                                     │ answered
//!   └─────────────────────────────────────┘
//! ```

/// First and longest rest.
const REST_FIRST_MS: u64 = 1_000;
const REST_LONGEST_MS: u64 = 30_000;

/// What is known of a source's addresses. Times are milliseconds of any clock that only goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health(Vec<Address>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Address {
    /// Times that it was silent since it last answered.
    silences: u32,
    rests_until_ms: u64,
    /// Its rest is over, and a query finds out.
    tried: bool,
}

impl Health {
    /// All well.
    pub(crate) fn new(addresses: usize) -> Self {
        Self(vec![Address::default(); addresses])
    }

    /// All addresses in the order in which one query shall ask them. One whose rest is over comes first for this query
    /// alone: if it is still silent, no other has to find out.
    pub(crate) fn order(&mut self, now_ms: u64) -> Vec<usize> {
        let mut well = Vec::with_capacity(self.0.len());
        let mut resting = Vec::new();
        for (i, address) in self.0.iter_mut().enumerate() {
            if address.silences == 0 {
                well.push(i);
            } else if address.rests_until_ms <= now_ms {
                address.rests_until_ms = now_ms.saturating_add(rest_ms(address.silences));
                address.tried = true;
                well.push(i);
            } else {
                resting.push(i);
            }
        }
        // Where all rest, the one that was silent least often.
        resting.sort_by_key(|i| self.0.get(*i).map_or(u32::MAX, |a| a.silences));
        well.extend(resting);
        well
    }

    /// It answered, whatever the answer.
    pub(crate) fn answered(&mut self, i: usize) {
        if let Some(address) = self.0.get_mut(i) {
            *address = Address::default();
        }
    }

    /// It did not answer: no connection, none in time, or a proxy without anybody behind it.
    pub(crate) fn silent(&mut self, i: usize, now_ms: u64) {
        let Some(address) = self.0.get_mut(i) else { return };
        // Many queries under way at once are one silence.
        if address.silences == 0 || address.tried {
            address.silences = address.silences.saturating_add(1);
            address.rests_until_ms = now_ms.saturating_add(rest_ms(address.silences));
            address.tried = false;
        }
    }
}

fn rest_ms(silences: u32) -> u64 {
    let doublings = silences.saturating_sub(1).min(16);
    (REST_FIRST_MS << doublings).min(REST_LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_well_is_asked_first() {
        let mut health = Health::new(3);
        assert_eq!(health.order(0), [0, 1, 2]);
        health.silent(0, 0);
        assert_eq!(health.order(999), [1, 2, 0], "it rests");
        health.silent(1, 999);
        assert_eq!(health.order(999), [2, 0, 1]);
        health.answered(0);
        assert_eq!(health.order(999), [0, 2, 1]);
    }

    #[test]
    fn one_query_finds_out_whether_a_rest_was_enough() {
        let mut health = Health::new(2);
        health.silent(0, 0);
        assert_eq!(health.order(1_000), [0, 1]);
        assert_eq!(health.order(1_000), [1, 0], "the others do not wait for it");
        health.silent(0, 1_500);
        assert_eq!(health.order(3_499), [1, 0], "two seconds now");
        assert_eq!(health.order(3_500), [0, 1]);
        health.answered(0);
        assert_eq!(health.order(3_500), [0, 1]);
        assert_eq!(health.order(3_500), [0, 1]);
    }

    #[test]
    fn queries_under_way_at_once_are_one_silence() {
        let mut health = Health::new(2);
        (0..20).for_each(|late_ms| health.silent(0, late_ms));
        assert_eq!(health.order(1_000), [0, 1]);
    }

    #[test]
    fn rests_grow_to_half_a_minute() {
        let mut health = Health::new(2);
        let mut now_ms = 0;
        let mut rests = Vec::new();
        for _ in 0..8 {
            health.silent(0, now_ms);
            let over = (now_ms..).find(|at| health.clone().order(*at)[0] == 0).unwrap();
            assert_eq!(health.order(over), [0, 1]);
            rests.push(over - now_ms);
            now_ms = over;
        }
        assert_eq!(rests, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn one_address_is_asked_whether_it_rests_or_not() {
        let mut health = Health::new(1);
        health.silent(0, 0);
        assert_eq!(health.order(1), [0]);
        health.silent(7, u64::MAX);
        assert_eq!(Health::new(0).order(0), Vec::<usize>::new());
    }
}
