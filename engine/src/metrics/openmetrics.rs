//! `/metrics`: OpenMetrics text, collected when it is asked for.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_protocol::code::CODES;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::audit::Status;
use crate::http::profile::unsaid;
use crate::metrics::{Metrics, Snapshot};
use crate::process::Process;

/// The whole page.
pub(crate) fn render(process: &Process) -> String {
    let mut registry = Registry::default();
    registry.sub_registry_with_prefix("fanfare").register_collector(Box::new(collected(process)));
    // Under the names that every exporter uses, for dashboards that know no Fanfare.
    registry.sub_registry_with_prefix("process").register_collector(Box::new(OfProcess));
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// CPU time and memory.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (user, system) = fanfare_sys::process::cpu_time();
        for (name, help, time) in [
            ("cpu", "CPU time used", user + system),
            ("cpu_user", "CPU time used in user mode", user),
            ("cpu_system", "CPU time used in the kernel", system),
        ] {
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(time.as_secs_f64()).encode(metric)?;
        }
        let (name, help, unit) = ("resident_memory", "Resident memory", Some(&Unit::Bytes));
        let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        encode(true, fanfare_sys::process::resident_bytes(), metric)
    }
}

/// One family of metrics: its samples carry at most one label.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) gauge: bool,
    pub(super) label: &'static str,
    pub(super) samples: Vec<(String, u64)>,
}

#[derive(Debug)]
struct Collected {
    driver: &'static str,
    families: Vec<Family>,
    latency_sum_s: f64,
    latency_count: u64,
    latency: Vec<(f64, u64)>,
}

fn collected(process: &Process) -> Collected {
    let snapshots = process.metrics.snapshots();
    let mut families = of_shards(&snapshots);
    families.extend(super::services::families(&snapshots));
    families.extend(super::compression::families(process, &snapshots));
    families.extend(of_process(process));
    families.extend(process.inspector.iter().flat_map(|inspector| super::inspector::families(inspector)));
    families.extend(super::webhooks::families(process));
    families.extend(super::limits::families(process));
    let mut latency: Vec<(f64, u64)> = Vec::new();
    for snapshot in &snapshots {
        for (index, (upper_us, count)) in snapshot.latency.buckets().enumerate() {
            match latency.get_mut(index) {
                Some((_, sum)) => *sum += count,
                None => latency.push((upper_us as f64 / 1e6, count)),
            }
        }
    }
    // Beyond a minute there is nothing to tell apart.
    let beyond: u64 = latency.iter().filter(|(upper, _)| *upper > 60.0).map(|(_, count)| count).sum();
    latency.retain(|(upper, _)| *upper <= 60.0);
    latency.push((f64::INFINITY, beyond));
    // Nor below ten microseconds: those are counted in the first bucket that is shown.
    let first = latency.iter().position(|(upper, _)| *upper >= 1e-5).unwrap_or(0);
    let below: u64 = latency.drain(..first).map(|(_, count)| count).sum();
    latency[0].1 += below;
    Collected {
        driver: process.driver.name,
        families,
        latency_sum_s: snapshots.iter().map(|of| of.latency.sum_us()).sum::<u64>() as f64 / 1e6,
        latency_count: latency.iter().map(|(_, count)| count).sum(),
        latency,
    }
}

fn of_shards(snapshots: &[Snapshot]) -> Vec<Family> {
    let family = |name, help, unit, gauge, pick: fn(&Snapshot) -> u64| Family {
        name,
        help,
        unit,
        gauge,
        label: "shard",
        samples: snapshots.iter().enumerate().map(|(shard, of)| (shard.to_string(), pick(of))).collect(),
    };
    let bytes = || Some(Unit::Bytes);
    let mut families = vec![
        family("connections", "WebSocket connections now", None, true, |of| of.stats.connections),
        family("rooms", "Rooms that the shard orders", None, true, |of| of.stats.home_rooms),
        family("member_rooms", "Rooms with a member on the shard", None, true, |of| of.stats.member_rooms),
        family("backlog", "Bytes that wait for slow readers", bytes(), true, |of| of.stats.backlog_bytes),
        family("backlogs", "Connections that read too slowly now", None, true, |of| of.stats.backlogs),
        family("tick", "Largest room buffer of the running tick", bytes(), true, |of| of.stats.tick_bytes),
        family("mesh_inbox_depth", "Messages of other shards that wait", None, true, |of| of.inbox_depth),
        family("mesh_outbox_depth", "Messages for full inboxes", None, true, |of| of.outbox_depth),
        family("opened", "WebSockets opened", None, false, |of| of.stats.opened),
        family("welcomed", "WebSockets welcomed", None, false, |of| of.stats.welcomed),
        family("commands", "Commands read", None, false, |of| of.stats.commands),
        family("refused", "Commands refused", None, false, |of| of.stats.refused),
        family("rate_limited", "Commands over the rate", None, false, |of| of.stats.rate_limited),
        family("rate_users", "Users whose use of the rates is remembered", None, true, |of| {
            of.stats.rate_users
        }),
        family("inquiries", "Questions of connections to a backend", None, false, |of| of.stats.inquiries),
        family("inquiries_waiting", "Of these, without an answer yet", None, true, |of| {
            of.stats.inquiries_waiting
        }),
        family("inquiries_unanswered", "Of these, decided without an answer", None, false, |of| {
            of.stats.inquiries_unanswered
        }),
        family("published", "Messages that got a place", None, false, |of| of.stats.published),
        family("encoded", "Payloads encoded: at most one per message and encoding", None, false, |of| {
            of.stats.encoded
        }),
        family("compressed", "Payloads compressed", None, false, |of| of.stats.compressed),
        family("compressors", "Compressors of shared contexts in use", None, true, |of| of.stats.contexts),
        family("compression_resets", "Times a shared context began anew", None, false, |of| {
            of.stats.context_resets
        }),
        family("delivered", "Messages handed to connections", None, false, |of| of.stats.delivered),
        family("delivered_payload", "Bytes handed to connections", bytes(), false, |of| {
            of.stats.delivered_bytes
        }),
        family("kept_messages", "Messages that rooms keep", None, true, |of| of.stats.kept_messages),
        family("kept", "Bytes that rooms keep of their messages", bytes(), true, |of| of.stats.kept_bytes),
        family("evicted", "Kept messages that went early because all took too much", None, false, |of| {
            of.stats.evicted
        }),
        family("message_ids", "Publishers' own message ids remembered", None, true, |of| {
            of.stats.message_ids
        }),
        family("repeated", "Publishes that had been done before and were only answered", None, false, |of| {
            of.stats.repeated
        }),
        family("recovered", "Joins that got all they had missed", None, false, |of| of.stats.recovered),
        family("unrecovered", "Joins that could not get all they had missed", None, false, |of| {
            of.stats.unrecovered
        }),
        family("subscribers", "Readers that rooms remember", None, true, |of| of.stats.subscribers),
        family("subscribers_expired", "Readers that did not come back in time", None, false, |of| {
            of.stats.expired_subscribers
        }),
        family("acknowledged", "Acknowledgements that settled something", None, false, |of| {
            of.stats.acknowledged
        }),
        family("redelivered", "Messages sent again for want of an acknowledgement", None, false, |of| {
            of.stats.redelivered
        }),
        family("dead_letters", "Messages given up and kept", None, true, |of| of.stats.dead_letters),
        family("dead_letters_dropped", "Dead letters that made room or grew too old", None, false, |of| {
            of.stats.dead_letters_dropped
        }),
        family("buried", "Messages that became dead letters", None, false, |of| of.stats.buried),
        family("queue_overflows", "Messages left out because too many waited", None, false, |of| {
            of.stats.overflowed
        }),
        family("store_waiting", "Messages and answers that wait for the store", None, true, |of| {
            of.stats.store_waiting
        }),
        family("store_behind", "Writes on their way to the store", None, true, |of| of.stats.store_behind),
        family("flushes", "Ticks that sent something", None, false, |of| of.stats.flushes),
        family("sends", "Buffers sent to members", None, false, |of| of.stats.flushed_sends),
        family("shed", "Messages dropped for connections that read too slowly", None, false, |of| {
            of.stats.shed
        }),
        family("slow_disconnects", "Connections ended because they read too slowly", None, false, |of| {
            of.stats.slow_disconnects
        }),
    ];
    families.push(closes(snapshots));
    families
}

fn closes(snapshots: &[Snapshot]) -> Family {
    let standard = (1_000..1_016_u16).map(|number| (number, usize::from(number - 1_000)));
    let ours = CODES.iter().map(|code| (code.number(), usize::from(code.number() - 4_000) + 16));
    let samples = standard.chain(ours).filter_map(|(number, index)| {
        let count = snapshots.iter().map(|of| of.stats.closes[index]).sum::<u64>();
        (count > 0).then(|| (number.to_string(), count))
    });
    Family {
        name: "closes",
        help: "Connections closed, by the code in the close frame; 1006: lost without one",
        unit: None,
        gauge: false,
        label: "code",
        samples: samples.collect(),
    }
}

fn of_process(process: &Process) -> Vec<Family> {
    let metrics = &process.metrics;
    let one = |name, help, unit, gauge, value| Family {
        name,
        help,
        unit,
        gauge,
        label: "",
        samples: vec![(String::new(), value)],
    };
    let by = |name, help, counts| Family {
        name,
        help,
        unit: None,
        gauge: false,
        label: "reason",
        samples: Metrics::reasons(counts).into_iter().map(|(reason, n)| (reason.to_owned(), n)).collect(),
    };
    let http = process.crowd.len() as u64;
    let of_store = process.store.iter().flat_map(|store| {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let healthy = u64::from(store.healthy.load(Ordering::Relaxed));
        [
            one("store_healthy", "1 while the store takes writes", None, true, healthy),
            one("store_commits", "Transactions of the store", None, false, count(&store.commits)),
            one("store_failures", "Transactions that failed", None, false, count(&store.failures)),
            one("store_messages", "Messages stored", None, false, count(&store.messages)),
            one("store_written", "Bytes of stored messages", Some(Unit::Bytes), false, count(&store.bytes)),
            one("store_commit_microseconds", "Time in transactions", None, false, count(&store.commit_us)),
            one("store_longest_microseconds", "Longest transaction", None, true, count(&store.longest_us)),
        ]
    });
    let of_store: Vec<Family> = of_store.collect();
    let of_profiles = process.config.profiles.iter().zip(&process.profile_connections);
    let of_profiles = Family {
        name: "profile_connections",
        help: "WebSocket connections now that speak another system's wire",
        unit: None,
        gauge: true,
        label: "profile",
        samples: of_profiles.map(|(of, n)| (of.name.to_string(), n.load(Ordering::Relaxed) as u64)).collect(),
    };
    let mut families = vec![
        by("handshake_failures", "Requests and upgrades refused", &metrics.handshakes_failed),
        by("auth_failures", "Tokens refused", &metrics.auth_failed),
        one("ended_connections", "Ended connections remembered", None, true, process.ended.len() as u64),
        one("http_connections", "HTTP connections now", None, true, http),
        of_profiles,
        one(
            "accept_errors",
            "Accepts that failed",
            None,
            false,
            metrics.accepts_failed.load(Ordering::Relaxed),
        ),
        one("panics", "Panics caught", None, false, metrics.panics.load(Ordering::Relaxed)),
        one("unsaid", "Messages that a profile failed on", None, false, unsaid()),
        one(
            "draining",
            "1 while the server sends its clients away",
            None,
            true,
            u64::from(process.is_draining()),
        ),
    ];
    families.extend(of_store);
    families.extend(process.audit.status().into_iter().flat_map(of_audit));
    families
}

fn of_audit(audit: &Status) -> [Family; 6] {
    let one = |name, help, gauge, value: u64| Family {
        name,
        help,
        unit: None,
        gauge,
        label: "",
        samples: vec![(String::new(), value)],
    };
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let healthy = !audit.failing.load(Ordering::Relaxed);
    let error = audit.last_error();
    [
        one("audit_healthy", "1 while lines can be written", true, u64::from(healthy)),
        one("audit_lines", "Lines written", false, count(&audit.written)),
        one("audit_waiting", "Lines that wait for the disk", true, count(&audit.waiting)),
        one("audit_dropped", "Lines that found the queue full and are missing", false, count(&audit.dropped)),
        one("audit_failures", "Writes that failed", false, count(&audit.failures)),
        Family {
            name: "audit_last_error",
            help: "What went wrong last",
            unit: None,
            gauge: true,
            label: "error",
            samples: (!error.is_empty()).then_some((error, 1)).into_iter().collect(),
        },
    ]
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.families {
            let kind = if family.gauge { MetricType::Gauge } else { MetricType::Counter };
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), kind)?;
            if let ("", [(_, count)]) = (family.label, &family.samples[..]) {
                encode(family.gauge, *count, metric)?;
                continue;
            }
            for (value, count) in &family.samples {
                let labels = [(family.label, value.as_str())];
                encode(family.gauge, *count, metric.encode_family(&labels)?)?;
            }
        }
        let build = [("version", env!("CARGO_PKG_VERSION")), ("driver", self.driver)];
        let mut metric =
            encoder.encode_descriptor("build_info", "Version and driver", None, MetricType::Gauge)?;
        encode(true, 1, metric.encode_family(&build)?)?;
        let mut metric = encoder.encode_descriptor(
            "publish_to_flush",
            "From reading a publish to the end of its flush, one sample for each room, shard and tick",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        metric.encode_histogram::<NoLabelSet>(self.latency_sum_s, self.latency_count, &self.latency, None)
    }
}

fn encode(
    gauge: bool,
    value: u64,
    encoder: prometheus_client::encoding::MetricEncoder<'_>,
) -> Result<(), fmt::Error> {
    if gauge {
        ConstGauge::new(value.cast_signed()).encode(encoder)
    } else {
        ConstCounter::new(value).encode(encoder)
    }
}
