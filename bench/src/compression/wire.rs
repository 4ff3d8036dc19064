//! The engine with clients: off, each message alone, and with the context that a room shares, by turns.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Compression;
use super::markdown::{self, number, size};
use super::parts::{KINDS, SIZES};
use crate::case::{Kind, value_at};
use crate::load::{Outcome, Run};
use crate::results::{is_disturbed, median};
use crate::server::Setup;

/// What the clients offer. The server is the same for all.
const MODES: [(&str, &str); 3] =
    [("off", "--deflate=none"), ("alone", "--deflate=alone"), ("shared", "--deflate=shared")];
/// Members of the room and messages a second: enough deliveries to tell their cost, and neither side saturated.
const ROOMS: [(u32, u32); 2] = [(10, 2_000), (1_000, 50)];
/// So that even the smallest messages are compressed alone where that is the mode.
const ENV: &[(&str, &str)] = &[("FANFARE_COMPRESSION_THRESHOLD", "64")];
/// After this time a run counts as hanging.
const LIMIT: Duration = Duration::from_secs(60);

const BYTES: &str = "bytes_per_delivery";
const PER_DELIVERY: &str = "server_cpu_us_per_delivery";
/// Put beside the load generator's results.
const PER_MESSAGE: &str = "server_cpu_us_per_message";
const IN_STEP: &str = "in_step_percent";
const METRICS: [&str; 7] = [
    BYTES,
    PER_DELIVERY,
    PER_MESSAGE,
    IN_STEP,
    "server_cpu_percent",
    "client_cpu_percent",
    "foreign_cpu_percent",
];

/// Measures every load; returns their entries and how many runs failed.
pub(super) fn measure(of: &Compression<'_>) -> (Vec<Value>, usize) {
    let sizes = if of.quick { &SIZES[1..3] } else { &SIZES[..] };
    let rooms = if of.quick { &ROOMS[1..] } else { &ROOMS[..] };
    let loads = rooms.iter().flat_map(|room| KINDS.iter().map(move |(kind, _)| (room, *kind)));
    let loads: Vec<_> =
        loads.flat_map(|(room, kind)| sizes.iter().map(move |size| (*room, kind, *size))).collect();
    let (mut entries, mut failed) = (Vec::new(), 0);
    for (place, ((members, rate), kind, size)) in (1..).zip(&loads) {
        eprintln!("[{place}/{}] {members} members, {rate} messages/s, {size} B of {kind}", loads.len());
        // Before the measurement a room has its context, and the metrics page has heard of it.
        let duration = if of.quick { "1s" } else { "2500ms" };
        let load = format!(
            "fanout --members {members} --rate {rate} --size {size} --shape {kind} --warmup 500ms --duration {duration}"
        );
        let mut ran: Vec<(&str, Outcome)> = Vec::new();
        for round in 0..of.rounds as usize {
            for turn in 0..MODES.len() {
                // Each round, and each load, begins with another one.
                let (mode, offer) = MODES[(place + round + turn) % MODES.len()];
                let outcome = run(of, &load, offer, *members);
                let told = match &outcome {
                    Outcome::Done(results) => format!(
                        "{} B, {} us a delivery",
                        number(value_at(results, BYTES), 1),
                        number(value_at(results, PER_DELIVERY), 3)
                    ),
                    Outcome::Failed(why) => format!("FAILED: {why}"),
                };
                eprintln!("  {mode:<7} {told}");
                failed += usize::from(matches!(outcome, Outcome::Failed(_)));
                ran.push((mode, outcome));
            }
        }
        entries.push(json!({
            "kind": kind, "size": size, "members": members, "rate": rate, "load": load, "modes": modes(&ran),
            "failures": ran.iter().filter_map(|(mode, outcome)| match outcome {
                Outcome::Done(_) => None,
                Outcome::Failed(why) => Some(json!({"mode": mode, "why": why})),
            }).collect::<Vec<_>>(),
            "disturbed_runs": ran.iter()
                .filter(|(_, outcome)| matches!(outcome, Outcome::Done(results) if is_disturbed(results)))
                .count(),
        }));
    }
    (entries, failed)
}

fn run(of: &Compression<'_>, load: &str, offer: &str, members: u32) -> Outcome {
    let setup = Setup { kind: Kind::Engine, core: Some(of.server_core), shards: 1, env: ENV };
    let args = load.split_whitespace().chain([offer]).collect();
    let run = Run { setup, client_core: Some(of.client_core), args, metrics: true, limit: LIMIT };
    let mut outcome = run.run(of.binaries);
    if let Outcome::Done(results) = &mut outcome
        && let Some(cost_us) = value_at(results, PER_DELIVERY)
    {
        results[PER_MESSAGE] = json!(cost_us * f64::from(members));
    }
    outcome
}

/// The medians of each mode.
fn modes(ran: &[(&str, Outcome)]) -> Value {
    let of_mode = |mode: &str| {
        let results = ran.iter().filter(|(of, _)| *of == mode).filter_map(|(_, outcome)| match outcome {
            Outcome::Done(results) => Some(results),
            Outcome::Failed(_) => None,
        });
        let results: Vec<&Value> = results.collect();
        let medians = METRICS.iter().filter_map(|path| {
            let values: Vec<f64> = results.iter().filter_map(|results| value_at(results, path)).collect();
            Some(((*path).to_owned(), json!({"median": median(&values)?, "values": values})))
        });
        Value::Object(medians.collect::<Map<_, _>>())
    };
    MODES.iter().map(|(mode, _)| ((*mode).to_owned(), of_mode(mode))).collect::<Map<_, _>>().into()
}

/// A row for each load.
pub(super) fn table(loads: &[Value]) -> String {
    let head = [
        "members",
        "kind",
        "data",
        "B off",
        "B alone",
        "B shared",
        "µs/delivery off",
        "µs alone",
        "µs shared",
        "µs/message off",
        "µs alone",
        "µs shared",
        "in step",
    ];
    let rows: Vec<Vec<String>> = loads
        .iter()
        .map(|load| {
            let mut cells = vec![
                number(load["members"].as_f64(), 0),
                load["kind"].as_str().unwrap_or_default().to_owned(),
                size(load["size"].as_u64().unwrap_or_default()),
            ];
            let median = |mode: &str, path: &str| load["modes"][mode][path]["median"].as_f64();
            for (path, digits) in [(BYTES, 0), (PER_DELIVERY, 2), (PER_MESSAGE, 0)] {
                cells.extend(MODES.map(|(mode, _)| number(median(mode, path), digits)));
            }
            cells.push(format!("{} %", number(median("shared", IN_STEP), 1)));
            cells
        })
        .collect();
    let mut text = markdown::table("With clients: bytes on the wire, and the server's CPU", &head, 2, &rows);
    let disturbed: u64 = loads.iter().filter_map(|load| load["disturbed_runs"].as_u64()).sum();
    if disturbed > 0 {
        text += &format!("\n{disturbed} runs were disturbed by other programs: trust none of their times.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_medians_of_every_mode() {
        let done = |bytes: f64| {
            Outcome::Done(json!({BYTES: bytes, PER_DELIVERY: 2.5, PER_MESSAGE: 25.0, IN_STEP: 99.25}))
        };
        let ran = [
            ("off", done(500.0)),
            ("shared", done(90.0)),
            ("shared", done(110.0)),
            ("alone", Outcome::Failed("it hangs".into())),
        ];
        let load = json!({"members": 1_000, "kind": "chat", "size": 8_192, "modes": modes(&ran), "disturbed_runs": 2});
        let text = table(&[load]);
        let row = "| 1,000 | chat | 8 KiB | 500 | - | 100 | 2.50 | - | 2.50 | 25 | - | 25 | 99.2 % |";
        assert!(text.contains(row) && text.contains("2 runs were disturbed"), "{text}");
    }
}
