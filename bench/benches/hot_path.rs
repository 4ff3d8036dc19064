//! What one message costs in the protocol crate alone: reading the command, writing the message once,
//! compressing it once, unmasking.
//!
//! `cargo bench -p fanfare-bench`. The machine's noise is above 10 %: compare runs of one minute with each
//! other, not with a number from another day.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfare_protocol::deflate::Deflater;
use fanfare_protocol::{Body, Message, json, ws};

/// A publish of 149 bytes, as small as chat messages are.
const PUBLISH: &str = concat!(
    r#"{"type":"publish","id":17,"room":"surgery:1","event":"schedule_update","#,
    r#""data":{"status":"in_progress","theatre":3,"note":"running late","by":"u-42"}}"#
);
const _: () = assert!(PUBLISH.len() == 149);

const DATA: &[u8] = br#"{"status":"in_progress","theatre":3,"note":"running late","by":"u-42"}"#;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Bytes(PUBLISH.len() as u64));
    group.bench_function("decode_publish_149_b", |bencher| {
        bencher.iter(|| json::decode(black_box(PUBLISH.as_bytes()), &mut |request| drop(black_box(request))));
    });
    let body = Body::Json(Bytes::from_static(DATA));
    let message = Message {
        event: "schedule_update",
        room: "surgery:1",
        offset: 123_456,
        epoch: "k3f9a1b2",
        message_id: "01K9ZV3M8QJ4T5W6X7Y8Z9A0BC",
        timestamp_unix_ms: 1_763_634_600_123,
        user_id: Some("u-42"),
        body: &body,
    };
    let mut out = Vec::with_capacity(4_096);
    group.bench_function("encode_message", |bencher| {
        bencher.iter(|| {
            out.clear();
            json::encode_message(black_box(&message), &mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

/// 1 KiB of records, as an application's list is.
fn records() -> Vec<u8> {
    let mut text = Vec::from(*b"[");
    for id in 0_u32.. {
        let record = format!(
            r#"{{"id":{},"room":"theatre-{}","status":"{}","minutes":{}}},"#,
            10_000 + id * 7_919 % 90_000,
            id % 5,
            ["scheduled", "in_progress", "delayed"][id as usize % 3],
            5 * (id * 31 % 48)
        );
        if text.len() + record.len() > 1_024 {
            break;
        }
        text.extend_from_slice(record.as_bytes());
    }
    text.resize(1_023, b' ');
    text.push(b']');
    text
}

fn compress(criterion: &mut Criterion) {
    let payload = records();
    let mut group = criterion.benchmark_group("deflate");
    group.throughput(Throughput::Bytes(payload.len() as u64));
    for level in [1, 6] {
        let mut deflater = Deflater::new(level, 15);
        let mut out = Vec::with_capacity(4_096);
        group.bench_function(format!("once_1_kib_level_{level}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                deflater.compress(black_box(&payload), &mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn unmask(criterion: &mut Criterion) {
    let mut payload = vec![0x5a; 8 * 1_024];
    let mut group = criterion.benchmark_group("mask");
    group.throughput(Throughput::Bytes(payload.len() as u64));
    group.bench_function("unmask_8_kib", |bencher| {
        bencher.iter(|| ws::apply_mask(black_box(&mut payload), black_box([0x37, 0xfa, 0x21, 0x3d])));
    });
    group.finish();
}

criterion_group!(benches, decode, compress, unmask);
criterion_main!(benches);
