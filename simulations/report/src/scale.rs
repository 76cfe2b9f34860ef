//! Numbers on an axis: places, ticks, and how figures are written.

/// Values beyond this are drawn at it: sums of them stay finite.
pub(crate) const VALUE_MAX: f64 = 1e15;

/// A vertical axis, in data units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Axis {
    /// From zero to `max`.
    Linear {
        /// Above zero.
        max: f64,
    },
    /// Powers of ten between whole ones.
    Log {
        /// A power of ten.
        min: f64,
        /// A larger power of ten.
        max: f64,
    },
}

impl Axis {
    /// From zero to a round number that holds `highest`.
    pub(crate) fn linear(highest: f64) -> Self {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = tick_step(highest);
        Self::Linear { max: (highest / step - 1e-9).ceil() * step }
    }

    /// Whole decades around positive values.
    pub(crate) fn log(lowest: f64, highest: f64) -> Self {
        let low = lowest.clamp(1e-6, VALUE_MAX).log10().floor();
        let high = highest.clamp(1e-6, VALUE_MAX).log10().ceil().max(low + 1.0);
        Self::Log { min: 10f64.powf(low), max: 10f64.powf(high) }
    }

    /// Share of the height, 0 at the bottom; values outside are at the edge.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = match *self {
            Self::Linear { max } => value / max,
            Self::Log { min, max } => (value.max(min) / min).log10() / (max / min).log10(),
        };
        share.clamp(0.0, 1.0)
    }

    /// Where lines are drawn.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        match *self {
            Self::Linear { max } => steps(max, tick_step(max)),
            Self::Log { min, max } => {
                let decades = (max / min).log10().round() as i32;
                let every = (decades / 4 + 1).max(1);
                (0..=decades).step_by(every as usize).map(|d| min * 10f64.powi(d)).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that about four make up `length`.
fn tick_step(length: f64) -> f64 {
    let rough = length.clamp(1e-12, VALUE_MAX) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough * 0.999).unwrap_or(10.0 * power)
}

fn steps(max: f64, step: f64) -> Vec<f64> {
    let n = (max / step + 1e-9).floor().clamp(0.0, 20.0) as u32;
    (0..=n).map(|i| f64::from(i) * step).collect()
}

/// Ticks of a time axis in seconds: at most about eight, on lengths that people count in.
pub(crate) fn time_ticks(length_s: f64) -> Vec<f64> {
    const STEPS_S: [f64; 18] = [
        0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
        7_200.0, 10_800.0, 21_600.0,
    ];
    const DAY_S: f64 = 86_400.0;
    let fits = |step: &f64| length_s / step <= 8.0;
    let days = || [0.5, 1.0, 2.0, 7.0, 14.0, 28.0].into_iter().map(|d| d * DAY_S);
    let step = STEPS_S.into_iter().chain(days()).find(fits);
    steps(length_s, step.unwrap_or_else(|| tick_step(length_s / DAY_S) * DAY_S))
}

/// `0:07.6`, `1:20`, `2:03:00`: minutes and seconds, tenths where there are any.
pub(crate) fn clock(seconds: f64) -> String {
    let tenths = (seconds.clamp(0.0, VALUE_MAX) * 10.0).round() as u64;
    let (h, m, s, tenth) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    let start = if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") };
    if tenth > 0 { format!("{start}.{tenth}") } else { start }
}

/// A figure: thousands set apart, as many decimals as it takes to tell it from its neighbours.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e9 {
        return format!("{value:.2e}");
    }
    let text = match size {
        s if s >= 100.0 || s.fract() == 0.0 => format!("{value:.0}"),
        s if s >= 10.0 => format!("{value:.1}"),
        s if s >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    group_thousands(&text)
}

/// Thin spaces between groups of three digits, from five digits on.
fn group_thousands(text: &str) -> String {
    let digits = text.chars().take_while(|c| *c != '.').filter(char::is_ascii_digit).count();
    if digits < 5 {
        return text.to_owned();
    }
    let mut left = digits;
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if c.is_ascii_digit() && left > 0 {
            if left % 3 == 0 && left != digits {
                out.push('\u{202f}');
            }
            left -= 1;
        }
        out.push(c);
    }
    out
}

/// A coordinate: short, and never `-0` or not a number.
pub(crate) fn coordinate(value: f64) -> String {
    let value = if value.is_finite() { (value * 100.0).round() / 100.0 + 0.0 } else { 0.0 };
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        for (highest, max, ticks) in
            [(16.0, 20.0, 5), (206.0, 300.0, 4), (3.0, 3.0, 4), (0.0, 1.0, 3), (0.7, 0.8, 5), (4e14, 4e14, 5)]
        {
            let axis = Axis::linear(highest);
            let Axis::Linear { max: found } = axis else { panic!("linear") };
            assert!((found / max - 1.0).abs() < 1e-9, "{highest}: {axis:?}");
            assert_eq!(axis.ticks().len(), ticks, "{highest}: {:?}", axis.ticks());
        }
        assert_eq!(Axis::linear(16.0), Axis::Linear { max: 20.0 });
        assert_eq!(Axis::log(52.0, 3131.0), Axis::Log { min: 10.0, max: 10_000.0 });
        assert_eq!(Axis::log(52.0, 3131.0).ticks(), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert!((Axis::log(10.0, 1000.0).place(100.0) - 0.5).abs() < 1e-9);
        assert_eq!(time_ticks(120.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0]);
        for (length_s, step, count) in [
            (7.0, 1.0, 8),
            (900.0, 120.0, 8),
            (3_600.0, 600.0, 7),
            (86_400.0, 10_800.0, 9),
            (7.0 * 86_400.0, 86_400.0, 8),
            (3.2e10, 1e5 * 86_400.0, 4),
        ] {
            let ticks = time_ticks(length_s);
            assert_eq!((ticks[1], ticks.len()), (step, count), "{length_s}");
        }
    }

    #[test]
    fn figures_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (52.94, "52.9"),
            (3047.2, "3047"),
            (24630.0, "24\u{202f}630"),
            (0.05, "0.05"),
            (-3.0, "-3"),
            (1.165, "1.17"),
        ] {
            assert_eq!(number(value), text);
        }
        for (value, text) in [
            (7.6, "0:07.6"),
            (20.0, "0:20"),
            (80.61, "1:20.6"),
            (7380.0, "2:03:00"),
            (59.97, "1:00"),
            (f64::NAN, "0:00"),
        ] {
            assert_eq!(clock(value), text);
        }
    }
}
