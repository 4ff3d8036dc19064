//! The wall clock is set, by an hour, a day, twenty years, forwards and back. Nobody is disconnected, nothing happens all at
//! once, tokens live as long as they were to live; timestamps follow the clock.
//!
//! The machine's clock is not touched: a library that is loaded before the others adds to `CLOCK_REALTIME` what a file says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::fleet::Member;
use crate::support::{Client, Ended, Options, Raw, Server, eventually, token};
use crate::world::{closes, connections, skipped};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
const HEARTBEAT: Duration = Duration::from_millis(500);

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_s;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("FANFARE_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd < 0 ? MAP_FAILED : mmap(0, sizeof *offset_s, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) offset_s = page;
    if (fd >= 0) close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && offset_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *offset_s;
    return result;
}
"#;

/// A wall clock that can be set.
struct WallClock {
    folder: PathBuf,
    offset_s: i64,
}

impl WallClock {
    /// Nothing where there is no C compiler.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("fanfare-clock-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut clock = Self { folder, offset_s: 0 };
        clock.set(0);
        let source = clock.folder.join("clock.c");
        fs::write(&source, SHIM).unwrap();
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(clock.library()).arg(source);
        compile.status().ok()?.success().then_some(clock)
    }

    fn library(&self) -> PathBuf {
        self.folder.join("clock.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.join("offset")
    }

    /// So far from the true time. The file is written where it stands: the server has it mapped.
    fn set(&mut self, offset_s: i64) {
        use std::io::Write;
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.file()).unwrap();
        file.write_all(&offset_s.to_ne_bytes()).unwrap();
        self.offset_s = offset_s;
    }

    /// What it says now, in seconds.
    fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + self.offset_s
    }

    fn start(&self, config: &str) -> Server {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        Server::start(Options {
            config: config.to_owned(),
            env: vec![("LD_PRELOAD", path(self.library())), ("FANFARE_TEST_CLOCK", path(self.file()))],
            ..Options::default()
        })
    }

    /// A token that runs out so many seconds from what this clock says.
    fn token(&self, user: &str, lives_s: i64) -> String {
        token(user, "user", json!({"exp": self.now() + lives_s}))
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Seconds since 1970 of a timestamp like `2026-11-20T10:30:00.123Z` (Howard Hinnant's days from civil).
fn seconds(timestamp: &Value) -> i64 {
    let text = timestamp.as_str().unwrap();
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days * DAY + part(11..13) * HOUR + part(14..16) * 60 + part(17..19)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_wall_clock_that_is_set_changes_timestamps_and_nothing_else() {
    let Some(mut clock) = WallClock::new() else {
        skipped("there is no `cc` to build the clock with");
        return;
    };
    let server =
        clock.start("[limits]\ncommands_per_minute = 0\n[heartbeat]\ninterval = \"500ms\"\ngrace = \"2s\"\n");
    let mut watcher = Member::join(Raw::connect(&server).upgraded(&clock.token("w", HOUR), ""), "room:1");
    let begun = Instant::now();
    let mut reader =
        Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer(&clock.token("r", HOUR)))]);
    let epoch = reader.join("room:1")["epoch"].clone();
    let mut publisher = Client::join_server(&server, "p", "user");
    let again = json!({"type": "publish", "room": "room:2", "event": "say", "data": 1, "message_id": "once"});
    let first = publisher.ask(again.clone());
    let (mut offset, mut most_pings) = (0, 0);
    for set_to in [HOUR, -HOUR, DAY, -DAY, 20 * YEAR, 0] {
        clock.set(set_to);
        let (set, pings) = (Instant::now(), watcher.pings);
        // Long enough for every timer that could fire.
        eventually("three heartbeats", || {
            watcher.turn(&mut Vec::new());
            let (read, sent) = (&mut reader, &mut publisher);
            offset += 1;
            assert_eq!(sent.publish("room:1", json!(offset)), offset);
            let message = read.expect("say");
            assert_eq!((&message["offset"], &message["epoch"]), (&json!(offset), &epoch));
            let off = seconds(&message["timestamp"]) - clock.now();
            assert!(
                off.abs() <= 2,
                "{} is {off} s off, with the clock set to {set_to}",
                message["timestamp"]
            );
            (set.elapsed() >= 3 * HEARTBEAT).then_some(())
        });
        most_pings = most_pings.max(watcher.pings - pings);
        assert!(watcher.ended.is_none(), "{:?} with the clock set to {set_to}", watcher.ended);
        // What is remembered is as old as it is, whatever the clock says.
        assert_eq!(publisher.ask(again.clone())["offset"], first["offset"]);
        let past = publisher
            .ask(json!({"type": "join", "room": "room:1", "recover": {"epoch": epoch, "offset": offset}}));
        assert_eq!(past["recovered"], true, "{past}");
        publisher.ask(json!({"type": "leave", "room": "room:1"}));
        // Newcomers are judged by the clock as it stands.
        let good = bearer(&clock.token("n", HOUR));
        drop(Client::welcomed(&server, "/v1/ws", &[("authorization", &good)]));
        let stale = bearer(&clock.token("n", -60));
        let mut refused = Client::connect(&server, "/v1/ws", &[("authorization", &stale)]).unwrap();
        assert_eq!(refused.end().1, Ended::Code(4_001));
    }
    eprintln!("{offset} messages, {} pings to one member, {most_pings} between two settings", watcher.pings);
    // One ping for each interval at most: nothing is made up for.
    let due = begun.elapsed().as_millis() / HEARTBEAT.as_millis();
    assert!(u128::from(watcher.pings) <= due + 1, "{} pings, {due} were due", watcher.pings);
    assert!(watcher.pings > 0);
    connections(&server, 3);
    for code in [4_007, 4_008, 4_010, 4_012] {
        assert_eq!(closes(&server, code), 0, "{code}");
    }
}

#[test]
fn tokens_live_as_long_as_they_were_to_live_when_they_came() {
    const LIVES_S: i64 = 4;
    let Some(mut clock) = WallClock::new() else {
        skipped("there is no `cc` to build the clock with");
        return;
    };
    let server = clock.start("[auth]\nleeway = \"0s\"\n");
    for set_to in [DAY, -DAY] {
        let short = bearer(&clock.token("short", LIVES_S));
        let since = Instant::now();
        let mut short = Client::welcomed(&server, "/v1/ws", &[("authorization", &short)]);
        clock.set(clock.offset_s + set_to);
        let (_, ended) = short.end();
        let lived = since.elapsed();
        assert_eq!(ended, Ended::Code(4_012));
        // A token says whole seconds.
        let lives = Duration::from_secs(LIVES_S as u64);
        eprintln!("lived {lived:?} of {lives:?} with the clock set by {set_to} s");
        assert!(lived >= lives - Duration::from_millis(1_100), "{lived:?}");
        assert!(lived <= lives + Duration::from_millis(2_000), "{lived:?}");
    }
}
