use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::audit::chain::{Key, NOTHING};
use crate::audit::testing::Folder;
use crate::audit::{files_of, verify};
use crate::config::{Audit as Settings, OnFull};

fn settings(path: &Path, queue: usize) -> Settings {
    Settings {
        path: Some(path.to_owned()),
        rotate_bytes: 4_096,
        keep: 0,
        publishes: false,
        on_full: OnFull::Mark,
        key: None,
        queue,
        config_sha256: String::new(),
    }
}

fn begin(path: &Path, queue: usize, key: Option<Key>) -> (Arc<Shared>, Running) {
    let settings = settings(path, queue);
    let (journal, last) = Journal::open(path, 0).unwrap();
    let chain = Chain::new("n".into(), last.seq, last.hash.clone(), key);
    start(journal, chain, &settings, &last).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let files = files_of(&[path.to_owned()]).unwrap();
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_whole(path: &Path, keys: &[Key]) {
    let files: Vec<PathBuf> = files_of(&[path.to_owned()]).unwrap();
    let verified = verify(&files, keys).unwrap();
    assert!(!verified.open_end && verified.notes.is_empty(), "{verified:?}");
}

#[test]
fn files_follow_one_another_and_so_do_processes() {
    let folder = Folder::new();
    let path = folder.file("audit.jsonl");
    let key = Key::new(&[1; 32]).unwrap();
    for _ in 0..3 {
        let (shared, running) = begin(&path, 10_000, Some(key.clone()));
        for _ in 0..20 {
            shared.send(Record::new("join", Outcome::Ok).because("x".repeat(400)));
            std::thread::sleep(GATHER);
        }
        running.finish();
    }
    is_whole(&path, &[key]);
    let lines = lines(&path);
    let first = &lines[0];
    assert_eq!((&first["event"], &first["prev_hash"]), (&"begin".into(), &NOTHING.into()));
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((of("join"), of("start"), of("stop")), (60, 3, 3));
    assert!(of("begin") > 3 && files_of(&[path]).unwrap().len() == of("begin"));
}

#[test]
fn what_finds_the_queue_full_is_counted_in_a_line() {
    let folder = Folder::new();
    let path = folder.file("audit.jsonl");
    let (shared, running) = begin(&path, 16, None);
    (0..1_000).for_each(|_| shared.send(Record::new("join", Outcome::Ok)));
    assert!(shared.status.full.load(Ordering::Relaxed));
    running.finish();
    is_whole(&path, &[]);
    let lines = lines(&path);
    let written = lines.iter().filter(|line| line["event"] == "join").count() as u64;
    let missing: u64 = lines
        .iter()
        .filter(|line| line["event"] == "log_gap")
        .map(|line| line["missing"].as_u64().unwrap())
        .sum();
    assert!(missing > 0 && written + missing == 1_000, "{written} + {missing}");
    let status = &shared.status;
    let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    assert_eq!((count(&status.waiting), count(&status.dropped)), (0, missing));
    assert_eq!(count(&status.written), lines.len() as u64);
}

#[test]
fn a_file_that_cannot_be_written_is_tried_again_and_nothing_is_lost() {
    let folder = Folder::new();
    let path = folder.file("audit.jsonl");
    let mut writer = writer(&path);
    // Descriptors that only read stand for a disk that is full.
    writer.journal.fail(true);
    (0..3).for_each(|_| writer.add(&Record::new("join", Outcome::Ok)));
    assert!(writer.shared.status.failing.load(Ordering::Relaxed) && !writer.is_well());
    assert_eq!(writer.shared.status.failures.load(Ordering::Relaxed), 3);
    assert!(!writer.shared.status.last_error().is_empty());
    writer.journal.fail(false);
    writer.look();
    assert!(!writer.shared.status.failing.load(Ordering::Relaxed) && writer.is_well());
    writer.end();
    is_whole(&path, &[]);
}

#[test]
fn a_file_that_somebody_took_away_is_noticed() {
    let folder = Folder::new();
    let path = folder.file("audit.jsonl");
    let mut writer = writer(&path);
    writer.add(&Record::new("join", Outcome::Ok));
    std::fs::rename(&path, folder.file("taken")).unwrap();
    writer.checkpoint();
    assert!(writer.shared.status.last_error().contains("moved or removed"));
    writer.end();
    let files = [folder.file("taken"), path];
    let verified = verify(&files, &[]).unwrap();
    assert!(!verified.open_end);
}

#[test]
fn a_clock_that_was_set_is_told() {
    let mut clock = WallClock::new();
    assert_eq!(clock.step_ms(), None);
    clock.wall -= Duration::from_secs(3_600);
    assert!((3_599_000..3_601_000).contains(&clock.step_ms().unwrap()));
    clock.wall += Duration::from_secs(5);
    assert!((-5_100..-4_900).contains(&clock.step_ms().unwrap()));
}

/// Without its thread.
fn writer(path: &Path) -> Writer {
    let (sender, receiver) = sync_channel(16);
    let shared =
        Shared { sender, status: Status::default(), tally: Arc::default(), ending: AtomicBool::new(false) };
    let (journal, last) = Journal::open(path, 0).unwrap();
    Writer::new(
        journal,
        Chain::new("n".into(), last.seq, last.hash, None),
        receiver,
        Arc::new(shared),
        1 << 20,
    )
}
