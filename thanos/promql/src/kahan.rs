//! Sums that keep what rounding loses (Neumaier's variant of Kahan's algorithm, as Prometheus' `kahansum`).

/// A running sum and its lost low-order part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) lost: f64,
}

impl Kahan {
    pub(crate) fn new(sum: f64) -> Self {
        Self { sum, lost: 0.0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, v: f64) {
        let t = self.sum + v;
        if t.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - t) + v;
        } else {
            self.lost += (v - t) + self.sum;
        }
        self.sum = t;
    }

    #[inline]
    pub(crate) fn value(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.lost *= factor;
    }
}

/// An average that sums as long as the sum fits, and goes on incrementally when it would overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    acc: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.acc = Kahan::new(v);
            return;
        }
        if !self.incremental {
            let mut next = self.acc;
            next.add(v);
            if !next.sum.is_infinite() {
                self.acc = next;
                return;
            }
            self.incremental = true;
            self.acc.sum /= self.count - 1.0;
            self.acc.lost /= self.count - 1.0;
        }
        self.acc.scale((self.count - 1.0) / self.count);
        self.acc.add(v / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        let n = if self.incremental { 1.0 } else { self.count };
        self.acc.sum / n + self.acc.lost / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_small_terms_and_survives_overflow() {
        let mut k = Kahan::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|v| k.add(v));
        assert_eq!(k.value(), 2.0);
        let mut m = Mean::default();
        [f64::MAX, f64::MAX, f64::MAX].into_iter().for_each(|v| m.add(v));
        assert!((m.value() / f64::MAX - 1.0).abs() < 1e-15, "{}", m.value());
        let mut m = Mean::default();
        [1.0, 2.0, 6.0].into_iter().for_each(|v| m.add(v));
        assert_eq!(m.value(), 3.0);
    }
}
