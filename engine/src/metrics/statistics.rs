//! `/v1/statistics`: the counts that people ask for, with each shard's share.

use std::sync::atomic::Ordering;

use fanfare_core::Latency;
use http::StatusCode;
use serde_json::{Value, json};

use crate::http::Response;
use crate::metrics::Snapshot;
use crate::process::Process;

/// The answer to `GET /v1/statistics`.
pub(crate) fn statistics(process: &Process) -> Response {
    let snapshots = process.metrics.snapshots();
    let sum = |pick: fn(&Snapshot) -> u64| snapshots.iter().map(pick).sum::<u64>();
    let pace = process.metrics.pace();
    let shards: Vec<Value> = snapshots.iter().enumerate().map(|(number, of)| shard(number, of)).collect();
    let body = json!({
        "uptime_seconds": process.clock.uptime().as_secs_f64(),
        "driver": process.driver.name,
        "driver_reason": process.driver.reason,
        "draining": process.is_draining(),
        "cpu_percent": pace.cpu_percent,
        "connections": process.connections.load(Ordering::Relaxed),
        "connections_peak": process.metrics.connections_peak.load(Ordering::Relaxed),
        "connections_made": sum(|of| of.stats.welcomed),
        "messages_received": sum(|of| of.stats.commands),
        "rooms": sum(|of| of.stats.home_rooms),
        "published": sum(|of| of.stats.published),
        "published_per_second": pace.published,
        "encoded": sum(|of| of.stats.encoded),
        "delivered": sum(|of| of.stats.delivered),
        "delivered_per_second": pace.delivered,
        "bytes_out": sum(|of| of.stats.delivered_bytes),
        "backlog_bytes": sum(|of| of.stats.backlog_bytes),
        "slow_disconnects": sum(|of| of.stats.slow_disconnects),
        "resident_bytes": fanfare_sys::process::resident_bytes(),
        "publish_to_flush_ms": latency(&snapshots),
        "shards": shards,
    });
    Response::json(StatusCode::OK, &body)
}

fn shard(number: usize, of: &Snapshot) -> Value {
    json!({
        "shard": number,
        "connections": of.stats.connections,
        "rooms": of.stats.home_rooms,
        "published": of.stats.published,
        "delivered": of.stats.delivered,
        "bytes_out": of.stats.delivered_bytes,
        "backlog_bytes": of.stats.backlog_bytes,
        "inbox_depth": of.inbox_depth,
        "slow_disconnects": of.stats.slow_disconnects,
    })
}

fn latency(snapshots: &[Snapshot]) -> Value {
    let all: Vec<&Latency> = snapshots.iter().map(|of| &of.latency).collect();
    json!({
        "mean": mean_ms(&all),
        "p50": quantile_ms(&all, 0.5),
        "p99": quantile_ms(&all, 0.99),
        "p999": quantile_ms(&all, 0.999),
    })
}

/// In milliseconds; 0 where nothing was measured.
fn mean_ms(latencies: &[&Latency]) -> f64 {
    let count: u64 = latencies.iter().flat_map(|of| of.buckets()).map(|(_, count)| count).sum();
    let sum_us: u64 = latencies.iter().map(|of| of.sum_us()).sum();
    if count == 0 { 0.0 } else { (sum_us as f64 / count as f64).round() / 1_000.0 }
}

/// The upper bound of the bucket in which the quantile lies, in milliseconds.
fn quantile_ms(latencies: &[&Latency], quantile: f64) -> f64 {
    let mut counts: Vec<(u64, u64)> = Vec::new();
    for latency in latencies {
        for (index, (upper_us, count)) in latency.buckets().enumerate() {
            match counts.get_mut(index) {
                Some((_, sum)) => *sum += count,
                None => counts.push((upper_us, count)),
            }
        }
    }
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let rank = (total as f64 * quantile).ceil() as u64;
    let mut seen = 0;
    for (upper_us, count) in counts {
        seen += count;
        if seen >= rank && count > 0 {
            return upper_us as f64 / 1_000.0;
        }
    }
    0.0
}
