//! Names and uids from a seed: nothing here draws randomness.

/// The letters of Kubernetes' generated names: no vowels, nothing that reads as another.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A source of identifiers.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    issued: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, issued: 0 }
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.issued = self.issued.wrapping_add(1);
        let mut z = self.seed.wrapping_add(self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A version 4 UUID in form.
    pub(crate) fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    /// Five letters after a `generateName`.
    pub(crate) fn suffix(&mut self) -> String {
        letters(self.next(), 5)
    }
}

/// `len` letters that stand for `number`.
pub(crate) fn letters(mut number: u64, len: usize) -> String {
    let mut out = String::with_capacity(len);
    for _ in 0..len {
        let index = usize::try_from(number % LETTERS.len() as u64).unwrap_or(0);
        out.push(char::from(LETTERS.get(index).copied().unwrap_or(b'x')));
        number /= LETTERS.len() as u64;
    }
    out
}
