//! How large the demo is: what it shows is the same at any size, and a machine that is slow, or busy with something else,
//! shows it better with less.

use std::collections::BTreeMap;
use std::time::Duration;

use simulations_cluster::machine;

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its name.
    pub name: &'static str,
    /// Small documents a second ([`machine::work`]) with which it has room.
    pub needs: u32,
    /// What it sets in the demo's scenario.
    set: &'static [(&'static str, &'static str)],
}

/// The largest first; the last is for whoever has no more.
///
/// Measured on two cores of an Intel Xeon in a release build: they do 410,000 to 530,000 documents a second when idle, and
/// 345,000 to 375,000 beside two processes of niceness 10 that want all of them. There the full demo takes 0.4 cores at
/// rest and 0.8 under load, which are 180,000 documents; while its pods start it takes what there is.
pub const SIZES: [Size; 2] = [
    Size { name: "full", needs: 200_000, set: &[] },
    Size {
        name: "light",
        needs: 100_000,
        set: &[
            ("load.stages.quiet.rate", "14"),
            ("load.stages.step.rate", "140"),
            ("load.stages.drop.rate", "14"),
            ("expect[0].reaches.atLeast", "10"),
            ("expect[2].reaches.atLeast", "10"),
        ],
    },
];

impl Size {
    /// What it sets, as `--set` would.
    pub fn overrides(&self) -> BTreeMap<String, String> {
        self.set.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
    }
}

/// The size for a machine that does so much, and what to say of it.
pub fn fitting(work: f64) -> (Size, String) {
    let [.., least] = SIZES;
    let size = SIZES.into_iter().find(|size| work >= f64::from(size.needs)).unwrap_or(least);
    let mut told = format!("{} size: this machine does {work:.0} small documents a second", size.name);
    if size.name != SIZES[0].name {
        told.push_str(&format!(", the full size wants {}", SIZES[0].needs));
    }
    if work < f64::from(least.needs) {
        told.push_str(&format!(
            "; even this one wants {}, so rows may fail for want of a processor: stop other work, or take a release build",
            least.needs
        ));
    }
    (size, told)
}

/// Looks at the machine as it is now. Blocks.
pub fn measured() -> (Size, String) {
    fitting(machine::work(LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn the_largest_that_fits_is_taken_and_too_little_is_said() {
        for (work, size, warns) in [
            (1e9, "full", false),
            (200_000.0, "full", false),
            (199_999.0, "light", false),
            (10.0, "light", true),
        ] {
            let (found, told) = fitting(work);
            assert_eq!((found.name, told.contains("may fail")), (size, warns), "{work}: {told}");
        }
    }

    #[test]
    fn every_size_is_a_sound_demo() {
        for size in SIZES {
            let loaded =
                builtin::load("demo", &size.overrides()).unwrap_or_else(|e| panic!("{}: {e}", size.name));
            let rates: Vec<f64> =
                loaded.scenario.load.iter().flat_map(|l| l.stages.iter().map(|s| s.rate.to_rps)).collect();
            assert!(rates[1] >= 10.0 * rates[0] && rates[2] == rates[0], "{}: {rates:?}", size.name);
        }
    }
}
