//! What the parts of the hot path cost in time. `cargo bench -p fanfare-bench`.
//!
//! The machine's noise is above 10 %: compare runs of one minute with each other, not with a number from
//! another day. `fanfare-instructions` counts the same parts in instructions, which no noise changes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfare_bench::parts;

fn hot_path(criterion: &mut Criterion) {
    for make in parts::all() {
        let mut part = make();
        let Some((group, name)) = part.name.split_once('/') else { continue };
        let mut group = criterion.benchmark_group(group);
        if let Some(bytes) = part.bytes {
            group.throughput(Throughput::Bytes(bytes as u64));
        }
        group.bench_function(name, |bencher| bencher.iter(&mut part.run));
        group.finish();
    }
}

criterion_group!(benches, hot_path);
criterion_main!(benches);
