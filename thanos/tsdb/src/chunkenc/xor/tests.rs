use proptest::prelude::*;

use super::*;

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|(t, v)| (*t, v.to_bits())).collect()
}

#[test]
fn known_bytes() {
    // Worked out by hand from the format: t=1 → zigzag 2; 1.0 = 0x3ff0…; Δ=1; same value → 0 bit; ΔΔ=0 → 0,
    // then 2.0 xor 1.0 = 0x7ff0…: 11, leading 1, width 11, eleven ones.
    let c = XorChunk::from_samples([(1, 1.0), (2, 1.0), (3, 2.0)]).unwrap();
    let mut want = vec![0, 3, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 1];
    // 0 │ 0 │ 11 00001 001011 11111111111 → 0011 0000 1001 0111 1111 1111 1100…
    want.extend([0b0011_0000, 0b1001_0111, 0b1111_1111, 0b1100_0000]);
    assert_eq!(c.bytes(), want);
    assert_eq!(decode(c.bytes()).unwrap(), [(1, 1.0), (2, 1.0), (3, 2.0)]);
}

#[test]
fn every_delta_size_and_its_borders() {
    let mut samples = vec![(0, 0.0), (1000, 0.0)];
    let mut delta = 1000i64;
    for bits in [14u32, 17, 20, 40] {
        let half = 1i64 << (bits - 1);
        for dod in [-half, -half + 1, half - 1, half, half + 1, 1, -1] {
            delta += dod;
            let last = samples[samples.len() - 1].0;
            samples.push((last + delta, dod as f64));
        }
    }
    let c = XorChunk::from_samples(samples.iter().copied()).unwrap();
    assert_eq!(decode(c.bytes()).unwrap(), samples);
}

#[test]
fn a_regular_unchanging_series_costs_two_bits_a_sample() {
    let c = XorChunk::from_samples((0..120).map(|i| (1_700_000_000_000 + i * 1000, 42.0))).unwrap();
    // header 2, first sample 6 + 8, second 2 + one bit, 118 × 2 bits.
    assert_eq!(c.bytes().len(), 2 + 6 + 8 + 2 + (1 + 118 * 2_usize).div_ceil(8));
}

#[test]
fn a_full_chunk_refuses_the_next_sample() {
    let mut c = XorChunk::from_samples((0..65_535).map(|i| (i, 0.0))).unwrap();
    assert_eq!(c.append(65_535, 0.0), Err(ChunkError::Full));
    assert_eq!(decode(c.bytes()).unwrap().len(), 65_535);
}

#[test]
fn truncation_anywhere_is_an_error() {
    let c = XorChunk::from_samples((0..20).map(|i| (i * 999, (i as f64).sqrt()))).unwrap();
    for end in 0..c.bytes().len() {
        assert!(decode(&c.bytes()[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn decodes_what_was_encoded(samples in prop::collection::vec((any::<i64>(), any::<u64>()), 0..300)) {
        let samples: Vec<_> = samples.into_iter().map(|(t, v)| (t, f64::from_bits(v))).collect();
        let c = XorChunk::from_samples(samples.iter().copied()).unwrap();
        prop_assert_eq!(bits(&decode(c.bytes()).unwrap()), bits(&samples));
    }

    #[test]
    fn garbage_never_panics(data in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(samples) = decode(&data) {
            prop_assert!(samples.len() <= data.len() * 4);
        }
    }

    #[test]
    fn flipped_bits_never_panic(n in 1usize..120, at: prop::sample::Index, bit in 0u8..8) {
        let c = XorChunk::from_samples((0..n).map(|i| (i as i64 * 15_000, (i as f64).sin()))).unwrap();
        let mut data = c.into_bytes();
        let i = at.index(data.len());
        data[i] ^= 1 << bit;
        let _ = decode(&data);
    }
}
