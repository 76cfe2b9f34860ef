//! Bits, most significant first, as Prometheus' `bstream`.

/// Writes bits to the end of a byte vector.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Unused low bits of the last byte, 0..=7.
    free: u32,
}

impl BitWriter {
    /// Starts after whole bytes.
    pub(super) fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes the low `count` (0..=64) bits of `value`.
    pub(super) fn write(&mut self, value: u64, count: u32) {
        if count == 0 {
            return;
        }
        let mut left = count;
        // Left-aligned, so that the next bit to write is always the top one.
        let mut rest = value << (64 - count);
        if self.free > 0 {
            if let Some(last) = self.bytes.last_mut() {
                *last |= (rest >> (64 - self.free)) as u8;
            }
            if left <= self.free {
                self.free -= left;
                return;
            }
            rest <<= self.free;
            left -= self.free;
            self.free = 0;
        }
        while left > 8 {
            self.bytes.push((rest >> 56) as u8);
            rest <<= 8;
            left -= 8;
        }
        self.bytes.push((rest >> 56) as u8);
        self.free = 8 - left;
    }

    /// Writes an unsigned LEB128 number, each byte through the bit stream.
    pub(super) fn write_uvarint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.write(v & 0x7f | 0x80, 8);
            v >>= 7;
        }
        self.write(v, 8);
    }

    /// Writes a zigzag number (Go's `binary.PutVarint`).
    pub(super) fn write_varint(&mut self, v: i64) {
        self.write_uvarint(((v << 1) ^ (v >> 63)) as u64);
    }
}

/// Reads bits; `None` is "the data ended".
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at_bit: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at_bit: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at_bit
    }

    /// The next 57 bits or more, left-aligned; zeros follow the end. Callers check [`Self::left`].
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        let (byte, bit) = (self.at_bit / 8, self.at_bit % 8);
        let window = self.bytes.get(byte..).unwrap_or(&[]);
        let word = match window.first_chunk::<8>() {
            Some(eight) => u64::from_be_bytes(*eight),
            None => {
                let mut eight = [0; 8];
                eight[..window.len()].copy_from_slice(window);
                u64::from_be_bytes(eight)
            }
        };
        word << bit
    }

    /// Moves on by what was peeked at.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        let to = self.at_bit + count as usize;
        (to <= self.bytes.len() * 8).then(|| self.at_bit = to)
    }

    /// Reads `count` (0..=64) bits.
    #[inline]
    pub(super) fn read(&mut self, count: u32) -> Option<u64> {
        if count > 57 {
            let high = self.read(count - 32)?;
            return Some(high << 32 | self.read(32)?);
        }
        if count == 0 {
            return Some(0);
        }
        let value = self.peek() >> (64 - count);
        self.skip(count)?;
        Some(value)
    }

    /// Reads an unsigned LEB128 number of at most 64 bits.
    pub(super) fn read_uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.read(8)?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a zigzag number.
    pub(super) fn read_varint(&mut self) -> Option<i64> {
        self.read_uvarint().map(|u| (u >> 1) as i64 ^ -((u & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(fields in prop::collection::vec((any::<u64>(), 0u32..=64), 0..50)) {
            let mut w = BitWriter::default();
            for (v, n) in &fields {
                w.write(*v, *n);
            }
            let mut r = BitReader::new(w.bytes());
            for (v, n) in &fields {
                let want = if *n == 64 { *v } else { v & ((1 << n) - 1) };
                prop_assert_eq!(r.read(*n), Some(want));
            }
            prop_assert!(r.left() < 8);
        }

        #[test]
        fn varints_read_back(u: u64, i: i64, shift in 0u32..8) {
            let mut w = BitWriter::default();
            w.write(0, shift);
            w.write_uvarint(u);
            w.write_varint(i);
            let mut r = BitReader::new(w.bytes());
            r.skip(shift);
            prop_assert_eq!((r.read_uvarint(), r.read_varint()), (Some(u), Some(i)));
        }
    }
}
