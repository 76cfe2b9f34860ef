//! Float samples, Gorilla's way as Prometheus writes it (`tsdb/chunkenc/xor.go`, format in its
//! `docs/format/chunks.md`):
//!
//! ```text
//! count:u16 │ t0:varint v0:64 │ Δ1:uvarint v1:xor │ ΔΔ2:prefix code v2:xor │ …
//! ```
//!
//! The delta of deltas is `0`, or `10`+14, `110`+17, `1110`+20, `1111`+64 bits. A value is `0` (as before), or
//! `10` + the meaningful bits at the last place, or `11` + 5 bits leading zeros + 6 bits width + those bits.

use super::ChunkError;
use super::bits::{BitReader, BitWriter};

const HEADER_BYTES: usize = 2;
/// Room for a chunk of a regular series, so that most chunks allocate once.
const FIRST_CAPACITY_BYTES: usize = 128;
/// "No value window was written yet".
const NO_WINDOW: u32 = 0xff;

/// A chunk that is being appended to.
#[derive(Clone, Debug)]
pub struct XorChunk {
    bits: BitWriter,
    count: u16,
    t: i64,
    t_delta: i64,
    value_bits: u64,
    leading: u32,
    trailing: u32,
}

impl Default for XorChunk {
    fn default() -> Self {
        Self::new()
    }
}

impl XorChunk {
    /// An empty chunk.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(FIRST_CAPACITY_BYTES);
        bytes.extend([0; HEADER_BYTES]);
        Self {
            bits: BitWriter::after(bytes),
            count: 0,
            t: 0,
            t_delta: 0,
            value_bits: 0,
            leading: NO_WINDOW,
            trailing: 0,
        }
    }

    /// Encodes `samples` at once.
    ///
    /// # Errors
    /// [`ChunkError::Full`] beyond 65,535 samples.
    pub fn from_samples(samples: impl IntoIterator<Item = (i64, f64)>) -> Result<Self, ChunkError> {
        let mut chunk = Self::new();
        for (t, v) in samples {
            chunk.append(t, v)?;
        }
        Ok(chunk)
    }

    /// Adds a sample. Time should rise; the encoding holds any sequence.
    ///
    /// # Errors
    /// [`ChunkError::Full`]: the header counts to 65,535.
    pub fn append(&mut self, t_ms: i64, value: f64) -> Result<(), ChunkError> {
        let count = self.count.checked_add(1).ok_or(ChunkError::Full)?;
        let delta = t_ms.wrapping_sub(self.t);
        match self.count {
            0 => {
                self.bits.write_varint(t_ms);
                self.bits.write(value.to_bits(), 64);
                self.t_delta = 0;
            }
            1 => {
                self.bits.write_uvarint(delta as u64);
                self.write_value(value.to_bits());
                self.t_delta = delta;
            }
            _ => {
                self.write_delta_of_delta(delta.wrapping_sub(self.t_delta));
                self.write_value(value.to_bits());
                self.t_delta = delta;
            }
        }
        self.t = t_ms;
        self.value_bits = value.to_bits();
        self.count = count;
        self.bits.bytes_mut()[..HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }

    fn write_delta_of_delta(&mut self, dod: i64) {
        // The range of n bits is -(2^(n-1)-1) ..= 2^(n-1): not two's complement, one further up.
        let fits = |bits: u32| (-((1 << (bits - 1)) - 1)..=1 << (bits - 1)).contains(&dod);
        match dod {
            0 => self.bits.write(0, 1),
            _ if fits(14) => self.bits.write(0b10 << 14 | dod as u64 & 0x3fff, 16),
            _ if fits(17) => self.bits.write(0b110 << 17 | dod as u64 & 0x1_ffff, 20),
            _ if fits(20) => self.bits.write(0b1110 << 20 | dod as u64 & 0xf_ffff, 24),
            _ => {
                self.bits.write(0b1111, 4);
                self.bits.write(dod as u64, 64);
            }
        }
    }

    fn write_value(&mut self, value_bits: u64) {
        let xor = value_bits ^ self.value_bits;
        if xor == 0 {
            return self.bits.write(0, 1);
        }
        // Five bits hold the leading zeros.
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            self.bits.write(0b10, 2);
            return self.bits.write(xor >> self.trailing, 64 - self.leading - self.trailing);
        }
        let width = 64 - leading - trailing;
        // A width of 64 does not fit six bits and is written as 0, which no change needs.
        self.bits.write(u64::from(0b11 << 11 | leading << 6 | width & 0x3f), 13);
        self.bits.write(xor >> trailing, width);
        (self.leading, self.trailing) = (leading, trailing);
    }

    /// Samples in it.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its bytes as they go to disk or wire; further appends change the header and the last byte.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The finished chunk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bits.into_bytes()
    }
}

/// Walks the samples of a chunk; after an error it ends.
#[derive(Clone, Debug)]
pub struct XorIter<'a> {
    bits: BitReader<'a>,
    total: u16,
    done: u16,
    t: i64,
    t_delta: i64,
    value_bits: u64,
    leading: u32,
    width: u32,
}

impl<'a> XorIter<'a> {
    /// Starts at the first sample.
    ///
    /// # Errors
    /// The header is missing, or promises more samples than so many bytes can hold.
    pub fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let (header, body) =
            data.split_first_chunk::<HEADER_BYTES>().ok_or(ChunkError::NoHeader(data.len()))?;
        let total = u16::from_be_bytes(*header);
        let bits = BitReader::new(body);
        // 72 bits for the first sample, 9 for the second, 2 for every other at the least.
        let most = match bits.left() {
            0..72 => 0,
            72..81 => 1,
            more => (more - 81) / 2 + 2,
        };
        if usize::from(total) > most {
            return Err(ChunkError::Truncated { sample: u16::try_from(most).unwrap_or(total), total });
        }
        Ok(Self { bits, total, done: 0, t: 0, t_delta: 0, value_bits: 0, leading: 0, width: 64 })
    }

    /// Samples that the header promises; the data can hold that many.
    pub fn total(&self) -> usize {
        usize::from(self.total)
    }

    fn step(&mut self) -> Result<(), ChunkError> {
        let ended = ChunkError::Truncated { sample: self.done, total: self.total };
        match self.done {
            0 => {
                self.t = self.bits.read_varint().ok_or(ended)?;
                self.value_bits = self.bits.read(64).ok_or(ended)?;
                return Ok(());
            }
            1 => self.t_delta = self.bits.read_uvarint().ok_or(ended)? as i64,
            _ => {
                let dod = self.read_delta_of_delta().ok_or(ended)?;
                self.t_delta = self.t_delta.wrapping_add(dod);
            }
        }
        self.t = self.t.wrapping_add(self.t_delta);
        self.read_value()?.ok_or(ended)
    }

    #[inline]
    fn read_delta_of_delta(&mut self) -> Option<i64> {
        let size = match self.bits.peek().leading_ones() {
            0 => {
                self.bits.skip(1)?;
                return Some(0);
            }
            1 => 14,
            2 => 17,
            3 => 20,
            _ => {
                self.bits.skip(4)?;
                return self.bits.read(64).map(|b| b as i64);
            }
        };
        self.bits.skip(match size {
            14 => 2,
            17 => 3,
            _ => 4,
        })?;
        let raw = self.bits.read(size)? as i64;
        Some(if raw > 1 << (size - 1) { raw - (1 << size) } else { raw })
    }

    /// `Ok(None)` is "the data ended".
    #[inline]
    fn read_value(&mut self) -> Result<Option<()>, ChunkError> {
        let head = self.bits.peek();
        if head >> 63 == 0 {
            return Ok(self.bits.skip(1));
        }
        if head >> 62 == 0b10 {
            if self.bits.skip(2).is_none() {
                return Ok(None);
            }
        } else {
            let leading = (head >> 57 & 0x1f) as u32;
            let width = match (head >> 51 & 0x3f) as u32 {
                0 => 64,
                w => w,
            };
            if self.bits.skip(13).is_none() {
                return Ok(None);
            }
            if leading + width > 64 {
                return Err(ChunkError::Corrupt(self.done, "a value is wider than 64 bits"));
            }
            (self.leading, self.width) = (leading, width);
        }
        let Some(meaningful) = self.bits.read(self.width) else { return Ok(None) };
        self.value_bits ^= meaningful << (64 - self.leading - self.width);
        Ok(Some(()))
    }
}

impl Iterator for XorIter<'_> {
    type Item = Result<(i64, f64), ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done >= self.total {
            return None;
        }
        match self.step() {
            Ok(()) => {
                self.done += 1;
                Some(Ok((self.t, f64::from_bits(self.value_bits))))
            }
            Err(e) => {
                self.done = self.total;
                Some(Err(e))
            }
        }
    }
}

/// All samples of a chunk, in the order written. Memory is bounded by 16 bytes for every 2 bits of data.
///
/// # Errors
/// The bytes are not an XOR chunk.
pub fn decode(data: &[u8]) -> Result<Vec<(i64, f64)>, ChunkError> {
    let iter = XorIter::new(data)?;
    let mut out = Vec::with_capacity(iter.total());
    for sample in iter {
        out.push(sample?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
