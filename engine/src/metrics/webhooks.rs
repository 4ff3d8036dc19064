//! Backends that are told, by name, and the one that is asked.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::registry::Unit;

use super::openmetrics::Family;
use crate::process::Process;
use crate::webhook::Status;

/// Nothing where neither is configured.
pub(super) fn families(process: &Process) -> Vec<Family> {
    let mut families = Vec::new();
    if !process.webhooks.is_empty() {
        families.extend(of_webhooks(process));
    }
    families.extend(of_hooks(process));
    families
}

fn of_webhooks(process: &Process) -> Vec<Family> {
    let family = |name, help, unit, gauge, pick: fn(&Status) -> &AtomicU64| Family {
        name,
        help,
        unit,
        gauge,
        label: "webhook",
        samples: process
            .webhooks
            .iter()
            .map(|of| (of.name.clone(), pick(of).load(Ordering::Relaxed)))
            .collect(),
    };
    vec![
        family("webhook_queued", "Events that wait to be taken", None, true, |of| &of.queued),
        family("webhook_queue", "Bytes of events that wait", Some(Unit::Bytes), true, |of| &of.queued_bytes),
        family("webhook_posted", "Events that were taken", None, false, |of| &of.posted),
        family("webhook_failed", "Attempts that failed", None, false, |of| &of.failed),
        family("webhook_given_up", "Events given up after all attempts", None, false, |of| &of.given_up),
        family("webhook_dropped", "Events that found the queue full", None, false, |of| &of.dropped),
        family("webhook_backing_off", "Requests that wait for their next attempt", None, true, |of| {
            &of.backing_off
        }),
        family("webhook_requests", "Attempts", None, false, |of| &of.requests),
        family("webhook_request_microseconds", "Time in attempts", None, false, |of| &of.request_us),
    ]
}

fn of_hooks(process: &Process) -> Vec<Family> {
    let Some(hooks) = &process.hooks else { return Vec::new() };
    let status = &hooks.status;
    let of = |name, help, gauge, label, samples| Family { name, help, unit: None, gauge, label, samples };
    let one = |name, help, gauge, value| of(name, help, gauge, "", vec![(String::new(), value)]);
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    vec![
        one("hook_waiting", "Questions that wait for an answer", true, count(&status.waiting)),
        one("hook_asked", "Questions that were posted", false, count(&status.asked)),
        one("hook_allowed", "Questions answered with allow", false, count(&status.allowed)),
        one("hook_denied", "Questions answered with deny", false, count(&status.denied)),
        of("hook_failed", "Questions without an answer", false, "reason", status.failures()),
        one("hook_request_microseconds", "Time in questions", false, count(&status.request_us)),
        one("hook_open", "1 while the backend is left alone", true, u64::from(hooks.is_open())),
    ]
}
