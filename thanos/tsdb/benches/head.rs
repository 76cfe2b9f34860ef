//! Chunk encode and decode, and append through the log. Ids are chosen once: renaming one resets its history.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use thanos_model::Labels;
use thanos_tsdb::chunkenc::{XorChunk, xor};
use thanos_tsdb::{Batch, Db, Options};

const NOW: i64 = 1_700_000_000_000;

/// A counter scraped every 15 s with a few milliseconds of jitter.
fn counter() -> Vec<(i64, f64)> {
    (0..120).map(|i| (NOW + i * 15_000 + i * 7 % 5, (i * i % 97 + i * 40) as f64)).collect()
}

fn chunks(c: &mut Criterion) {
    let samples = counter();
    let encoded = XorChunk::from_samples(samples.iter().copied()).unwrap_or_default();
    let mut g = c.benchmark_group("xor");
    g.throughput(Throughput::Elements(120));
    g.bench_function("encode_120", |b| {
        b.iter(|| XorChunk::from_samples(black_box(&samples).iter().copied()))
    });
    g.bench_function("decode_120", |b| b.iter(|| xor::decode(black_box(encoded.bytes()))));
    g.finish();
}

fn append(c: &mut Criterion) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let Ok((db, _)) = Db::open(dir.path(), Options::default()) else { return };
    let series: Vec<Labels> = (0..1000)
        .map(|i| {
            let pairs = (0..10).map(|l| (format!("label_{l}"), format!("value_{}", i / (l + 1))));
            Labels::from_pairs(pairs.chain([("__name__".into(), "requests_total".into())]))
        })
        .collect();
    let mut t = NOW;
    let mut g = c.benchmark_group("head");
    g.throughput(Throughput::Elements(1000));
    g.bench_function("append_1000_series", |b| {
        b.iter_batched(
            || {
                t += 15_000;
                let mut batch = Batch::default();
                for labels in &series {
                    batch.push(labels.iter().map(|l| (&*l.name, &*l.value)), [(t, t as f64)]);
                }
                (t, batch)
            },
            |(now, batch)| db.append(now, &[batch]),
            BatchSize::SmallInput,
        );
    });
    g.finish();
}

criterion_group!(benches, chunks, append);
criterion_main!(benches);
