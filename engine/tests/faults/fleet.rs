//! Many members in one thread: sockets that do not block, looked at by turns. Each member checks that its room's
//! offsets rise by one, and takes the time of every message.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Ended, PATIENCE, Raw, Server, token};
use crate::world::{join, now_us};

/// What all members say of the times between two looks at their sockets: latencies are no finer.
const TURN: Duration = Duration::from_millis(1);

/// One of them.
pub(crate) struct Member {
    raw: Raw,
    /// The offset of the latest message.
    pub(crate) offset: u64,
    pub(crate) pings: u32,
    /// How it ended, and when.
    pub(crate) ended: Option<(Ended, Instant)>,
}

/// All of them.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    /// From the moment when a message was due to its arrival, in microseconds.
    pub(crate) latencies_us: Vec<u64>,
}

impl Fleet {
    /// Connects so many members of one room.
    pub(crate) fn join(server: &Server, room: &str, count: usize) -> Self {
        let token = token("member", "user", json!({}));
        let connect = |_| {
            let raw = Raw::connect(server).upgraded(&token, "");
            Member::join(raw, room)
        };
        Self { members: (0..count).map(connect).collect(), latencies_us: Vec::new() }
    }

    /// Looks after everybody until `done`, asked after each turn.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            for member in &mut self.members {
                member.turn(&mut self.latencies_us);
            }
            if done(self) {
                return;
            }
            assert!(Instant::now() < deadline, "never happened: {what}; offsets {:?}", self.offsets());
            std::thread::sleep(TURN);
        }
    }

    /// Looks after everybody while `work` is done elsewhere, and then until all have the message that it names.
    pub(crate) fn while_working(&mut self, work: impl FnOnce() -> u64 + Send) {
        std::thread::scope(|scope| {
            let working = scope.spawn(work);
            self.until("the end of the work", |_| working.is_finished());
            let last = working.join().unwrap_or_else(|failure| std::panic::resume_unwind(failure));
            self.until("the last message", |fleet| {
                fleet.members.iter().all(|member| member.offset == last || member.ended.is_some())
            });
        });
    }

    /// Nobody has lost the connection.
    pub(crate) fn assert_alive(&self) {
        let ended = self.members.iter().find_map(|member| member.ended.as_ref());
        assert!(ended.is_none(), "a member that did nothing wrong ended: {ended:?}");
    }

    fn offsets(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.offset).collect()
    }

    /// The 99th percentile of the latencies, which are forgotten.
    pub(crate) fn p99(&mut self) -> Duration {
        let mut latencies = std::mem::take(&mut self.latencies_us);
        latencies.sort_unstable();
        Duration::from_micros(latencies[latencies.len() * 99 / 100])
    }
}

impl Member {
    /// Joins over a connection that was welcomed.
    pub(crate) fn join(mut raw: Raw, room: &str) -> Self {
        raw.send_frame(0x81, join(room).as_bytes());
        let (_, joined) = raw.frame().unwrap();
        let joined: Value = serde_json::from_slice(&joined).unwrap();
        assert_eq!(joined["type"], "joined", "{joined}");
        raw.stream.set_nonblocking(true).unwrap();
        Self { raw, offset: joined["offset"].as_u64().unwrap(), pings: 0, ended: None }
    }

    /// Takes what has come.
    pub(crate) fn turn(&mut self, latencies_us: &mut Vec<u64>) {
        if self.ended.is_some() {
            return;
        }
        let open = self.raw.take_in();
        while let Some((first, payload)) = self.raw.whole_frame() {
            match first & 0x0f {
                1 => self.message(std::str::from_utf8(&payload).unwrap(), latencies_us),
                8 => {
                    self.raw.send_frame(0x88, &payload);
                    let code = payload.first_chunk().map_or(1_005, |code| u16::from_be_bytes(*code));
                    self.ended = Some((Ended::Code(code), Instant::now()));
                    return;
                }
                9 => {
                    self.pings += 1;
                    self.raw.send_frame(0x8a, &payload);
                }
                other => panic!("a frame of kind {other}"),
            }
        }
        if !open {
            self.ended = Some((Ended::Cut, Instant::now()));
        }
    }

    fn message(&mut self, text: &str, latencies_us: &mut Vec<u64>) {
        if !text.starts_with("{\"type\":\"say\"") {
            // The word before the end.
            assert!(text.starts_with("{\"type\":\"error\""), "{text}");
            return;
        }
        let offset = number(text, "\"offset\":").unwrap();
        assert_eq!(offset, self.offset + 1, "lost, repeated or out of order: {text}");
        self.offset = offset;
        if let Some(due_us) = number(text, "\"due_us\":") {
            latencies_us.push(now_us().saturating_sub(due_us));
        }
    }
}

/// The number after a key. Reading all of the JSON of every member's copy would take longer than anything else here.
fn number(text: &str, key: &str) -> Option<u64> {
    let digits = &text[text.find(key)? + key.len()..];
    let end = digits.find(|end: char| !end.is_ascii_digit())?;
    digits[..end].parse().ok()
}

/// Publishes a message of about `bytes` that was due then; gives its offset.
pub(crate) fn publish(publisher: &mut Client, room: &str, due_us: u64, bytes: usize) -> u64 {
    publisher.publish(room, json!({"due_us": due_us, "fill": "x".repeat(bytes)}))
}
