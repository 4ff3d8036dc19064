//! The compressor alone, without sockets: bytes and CPU of each of a row of messages, on their own and through a context
//! that begins anew every so many.

use std::hint::black_box;

use bytes::Bytes;
use fanfare_bench::thread_cpu_ns;
use fanfare_loadgen::random::Random;
use fanfare_loadgen::shape::Shape;
use fanfare_protocol::deflate::Deflater;
use fanfare_protocol::{Body, Message, json as wire, ws};
use serde_json::{Value, json};

use super::markdown::{number, size, table};

/// Kinds of messages.
pub(super) const KINDS: [(&str, Shape); 3] =
    [("progress", Shape::Progress), ("chat", Shape::Chat), ("random", Shape::Random)];
/// Bytes of a message's data.
pub(super) const SIZES: [usize; 4] = [128, 326, 1_024, 8_192];
/// Bytes of whole messages, shorter than any of the engine's own: where is the end of it?
const SHORT: [usize; 5] = [32, 64, 100, 128, 200];
const LEVELS: [u32; 4] = [1, 4, 6, 9];
/// The engine's own.
const LEVEL: u32 = 6;
/// Messages after which a context begins anew.
const RESETS: [usize; 3] = [16, 64, 256];

/// How much is compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Messages in a row.
    messages: u32,
    /// How often; the fastest counts.
    passes: u32,
}

pub(super) const FULL: Work = Work { messages: 512, passes: 3 };
pub(super) const QUICK: Work = Work { messages: 256, passes: 1 };

/// What a message takes on the average, as a frame.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: f64,
    cpu_us: f64,
}

/// Measures messages with their envelopes, and short ones without.
pub(super) fn measure(work: &Work) -> (Vec<Value>, Vec<Value>) {
    let (mut of_messages, mut of_short) = (Vec::new(), Vec::new());
    for (kind, shape) in KINDS {
        eprintln!("parts: {kind}, {} messages in a row", work.messages);
        for bytes in SIZES {
            let row: Vec<_> = (0..work.messages).map(|number| message(shape, number, bytes)).collect();
            of_messages.extend(LEVELS.map(|level| entry(kind, bytes, level, &row, work)));
        }
        for bytes in SHORT {
            let members = |number| format!("{{{}}}", shape.members(number, bytes - 2)).into_bytes();
            let row: Vec<_> = (0..work.messages).map(members).collect();
            of_short.push(entry(kind, bytes, LEVEL, &row, work));
        }
    }
    (of_messages, of_short)
}

/// A message as the engine sends it, its data of so many bytes as in the load generator's.
fn message(shape: Shape, number: u32, data: usize) -> Vec<u8> {
    let offset = u64::from(number) + 1;
    let stamp = format!("{:016x}{number:08x}", 90_000_000_000 + offset * 10_123_457);
    let around = r#"{"t":"",}"#.len() + stamp.len();
    let data = format!(r#"{{"t":"{stamp}",{}}}"#, shape.members(number, data - around));
    let id = message_id(number);
    let body = Body::Json(Bytes::from(data));
    let message = Message {
        event: "load",
        room: "load:0",
        offset,
        epoch: "k3f9a1b2",
        message_id: &id,
        timestamp_unix_ms: 1_763_634_600_123 + 10 * offset,
        user_id: Some("load-1000"),
        priority: 0,
        body: &body,
    };
    let mut text = Vec::new();
    wire::encode_message(&message, &mut text);
    text
}

/// A time in front, and random bits behind.
fn message_id(number: u32) -> String {
    let mut random = Random::new(number.into());
    let digits = (0..16).map(|_| char::from(b"0123456789abcdefghjkmnpqrstvwxyz"[random.below(32) as usize]));
    "01k9zv3m8q".chars().chain(digits).collect()
}

fn entry(kind: &str, size: usize, level: u32, row: &[Vec<u8>], work: &Work) -> Value {
    let plain: usize = row.iter().map(|message| ws::header_len(message.len()) + message.len()).sum();
    let told = |cost: Cost| json!({"bytes": cost.bytes, "cpu_us": cost.cpu_us});
    let mut entry = json!({
        "kind": kind, "size": size, "level": level,
        "plain_bytes": plain as f64 / row.len() as f64,
        "alone": told(cost(level, 1, row, work)),
    });
    for reset in RESETS {
        entry[format!("context_{reset}")] = told(cost(level, reset, row, work));
    }
    entry
}

/// Of a row of messages whose context begins anew every `reset`.
fn cost(level: u32, reset: usize, row: &[Vec<u8>], work: &Work) -> Cost {
    let (mut deflater, mut out) = (Deflater::new(level, 15), Vec::new());
    let (mut bytes, mut fastest_ns) = (0, u64::MAX);
    for _ in 0..work.passes {
        bytes = 0;
        let begin = thread_cpu_ns();
        for (number, message) in row.iter().enumerate() {
            if number % reset == 0 {
                deflater.begin_anew();
            }
            out.clear();
            deflater.compress_next(black_box(message), &mut out);
            bytes += ws::header_len(out.len()) + black_box(&out).len();
        }
        fastest_ns = fastest_ns.min(thread_cpu_ns() - begin);
    }
    let each = row.len() as f64;
    Cost { bytes: bytes as f64 / each, cpu_us: fastest_ns as f64 / 1e3 / each }
}

/// A row for each kind, size and level.
pub(super) fn messages_table(entries: &[Value]) -> String {
    let title = "Compressing a message with its envelope: bytes on the wire / CPU in µs";
    costs_table(title, "data", entries)
}

/// A row for each kind and size.
pub(super) fn short_table(entries: &[Value]) -> String {
    costs_table("Short messages without an envelope: bytes on the wire / CPU in µs", "message", entries)
}

fn costs_table(title: &str, of: &str, entries: &[Value]) -> String {
    let resets = RESETS.map(|reset| format!("anew every {reset}"));
    let head = ["kind", of, "level", "plain", "alone"];
    let head: Vec<&str> = head.into_iter().chain(resets.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let cost = |form: &str| {
                let (bytes, cpu) = (entry[form]["bytes"].as_f64(), entry[form]["cpu_us"].as_f64());
                format!("{} / {}", number(bytes, 0), number(cpu, 1))
            };
            let mut cells = vec![
                entry["kind"].as_str().unwrap_or_default().to_owned(),
                size(entry["size"].as_u64().unwrap_or_default()),
                entry["level"].to_string(),
                number(entry["plain_bytes"].as_f64(), 0),
                cost("alone"),
            ];
            cells.extend(RESETS.map(|reset| cost(&format!("context_{reset}"))));
            cells
        })
        .collect();
    table(title, &head, 1, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_saves_bytes_of_what_repeats_and_both_tables_have_all_rows() {
        let (messages, short) = measure(&Work { messages: 32, passes: 1 });
        assert_eq!((messages.len(), short.len()), (KINDS.len() * SIZES.len() * LEVELS.len(), 15));
        for entry in &messages {
            let bytes = |form: &str| entry[form]["bytes"].as_f64().unwrap();
            assert!(bytes("context_64") < bytes("alone") || entry["kind"] == "random", "{entry}");
            let data = entry["size"].as_f64().unwrap();
            assert!(entry["plain_bytes"].as_f64().unwrap() > data + 100.0);
        }
        assert_eq!(messages_table(&messages).lines().count(), messages.len() + 5);
        assert!(short_table(&short).contains("| chat | 32 B | 6 |"));
    }
}
