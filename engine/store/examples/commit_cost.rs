//! What a commit costs, how large the file grows, and how long a start takes after an unclean end.
//!
//! `cargo run --release -p fanfare-store --example commit_cost -- FOLDER [MESSAGES] [ROOMS] [KEEP]`
//!
//! With KEEP, each message beyond so many in a room lets the oldest go, as a room's history does. The folder should be on the disk that is meant, not in memory. The unclean end is a copy of the file, taken while
//! it is open.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_core::{Entry, Epoch, Write};
use fanfare_protocol::{Body, EventName, RoomName};
use fanfare_store::{Check, Store};

/// Time given to each batch size.
const EACH: Duration = Duration::from_secs(3);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("give a folder");
    let mut number = |otherwise| arguments.next().map_or(otherwise, |text| text.parse().expect("a number"));
    let (messages, rooms, keep): (u64, u64, u64) = (number(1_000_000), number(1_000), number(u64::MAX));
    let path = Path::new(&folder).join("commit_cost.fanfare");
    let _ = std::fs::remove_file(&path);

    println!("messages of 128 bytes, in {rooms} rooms that take turns");
    println!("{:>6} {:>9} {:>9} {:>11} {:>12}", "batch", "p50 us", "p99 us", "messages/s", "bytes/message");
    let mut load = Load { count: 0, rooms, keep };
    for batch in [1, 10, 100, 1_000] {
        measure(&path, batch, &mut load);
    }

    println!("\nstart after an unclean end");
    let mut store = Store::open(&path, Check::Nothing).expect("opens");
    while load.count < messages {
        let writes = load.batch(1_000);
        store.apply(writes.iter()).expect("applies");
    }
    let copy = path.with_extension("copy");
    std::fs::copy(&path, &copy).expect("copies");
    let second = path.with_extension("second");
    std::fs::copy(&path, &second).expect("copies");
    drop(store);
    start(&copy, load.count, Check::Nothing);
    println!("with every page checked");
    start(&second, load.count, Check::Pages);
    println!("after a clean end, nothing checked");
    start(&path, load.count, Check::Nothing);
    std::fs::remove_file(&path).expect("removes");
    std::fs::remove_file(&copy).expect("removes");
    std::fs::remove_file(&second).expect("removes");
}

fn measure(path: &Path, batch: usize, load: &mut Load) {
    let mut store = Store::open(path, Check::Nothing).expect("opens");
    let (before_bytes, before) = (bytes_of(path), load.count);
    let mut costs = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < EACH {
        let writes = load.batch(batch);
        let begun = Instant::now();
        store.apply(writes.iter()).expect("applies");
        costs.push(begun.elapsed().as_micros());
    }
    let seconds = begun.elapsed().as_secs_f64();
    costs.sort_unstable();
    let at = |share: usize| costs[(costs.len() - 1) * share / 100];
    let made = load.count - before;
    let grown = bytes_of(path).saturating_sub(before_bytes) as f64 / made as f64;
    println!("{batch:>6} {:>9} {:>9} {:>11.0} {grown:>12.0}", at(50), at(99), made as f64 / seconds);
}

fn start(path: &Path, messages: u64, check: Check) {
    let megabytes = bytes_of(path) >> 20;
    let begun = Instant::now();
    let store = Store::open(path, check).expect("opens");
    let opened = begun.elapsed();
    let loaded = store.load(&mut |_| {}).expect("loads");
    println!(
        "  {megabytes} MiB: opened in {opened:?}, {} of {messages} messages kept and loaded in {:?}",
        loaded.messages,
        begun.elapsed() - opened
    );
    assert!(loaded.damage.is_empty());
}

fn bytes_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Appends to rooms in turn.
struct Load {
    count: u64,
    rooms: u64,
    keep: u64,
}

impl Load {
    fn batch(&mut self, size: usize) -> Vec<Write> {
        let mut writes = Vec::with_capacity(2 * size);
        (0..size).for_each(|_| self.next(&mut writes));
        writes
    }

    fn next(&mut self, writes: &mut Vec<Write>) {
        let (room, offset) = (self.count % self.rooms, self.count / self.rooms + 1);
        self.count += 1;
        let entry = Entry {
            offset,
            at_ms: self.count / 100,
            expires_ms: u64::MAX,
            timestamp_unix_ms: 1_800_000_000_000 + self.count,
            event: EventName::parse("say").expect("an event"),
            user: Some(RoomName::of_user("u-12345")),
            body: Body::Json(Bytes::from(format!("\"{:0>126}\"", self.count))),
            message_id: format!("{:026}", self.count).into(),
            is_publishers_id: self.count.is_multiple_of(10),
            roles: Vec::new(),
            not_for_publisher: false,
            priority: 5,
        };
        let room = RoomName::parse(&format!("chat:{room}")).expect("a room");
        writes.push(Write::Append { room: room.clone(), epoch: Epoch(7), entry: Box::new(entry) });
        if let Some(to) = offset.checked_sub(self.keep) {
            writes.push(Write::Trim { room, to });
        }
    }
}
