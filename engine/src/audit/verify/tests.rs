use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::audit::chain::Chain;
use crate::audit::record::{Outcome, Record};
use crate::audit::testing::Folder;

const KEY: [u8; 32] = [7; 32];

/// A log of three files as a process writes it, with checkpoints in between.
fn files(key: Option<Key>) -> Vec<Vec<u8>> {
    let mut chain = Chain::new("n".into(), 0, NOTHING.to_owned(), key);
    let mut files = Vec::new();
    for number in 1..=3_u64 {
        let mut out = Vec::new();
        chain.append(&Record::new("begin", Outcome::Ok).with("file", number), &mut out);
        if number == 1 {
            chain.append(&Record::new("start", Outcome::Ok), &mut out);
        }
        for at in 0..20_u64 {
            let event = if at % 2 == 0 { "join" } else { "leave" };
            chain.append(&Record::new(event, Outcome::Ok).because("why").with("at", at), &mut out);
            if at == 9 {
                chain.checkpoint(&mut out);
            }
        }
        if number == 3 {
            chain.append(&Record::new("stop", Outcome::Ok), &mut out);
        }
        chain.checkpoint(&mut out);
        files.push(out);
    }
    files
}

fn write(folder: &Folder, files: &[Vec<u8>]) -> Vec<PathBuf> {
    let names = ["audit.1.jsonl", "audit.2.jsonl", "audit.jsonl"];
    let each = files.iter().zip(names);
    each.map(|(bytes, name)| {
        std::fs::write(folder.file(name), bytes).unwrap();
        folder.file(name)
    })
    .collect()
}

fn check(files: &[Vec<u8>], keys: &[Key]) -> Result<Verified, String> {
    let folder = Folder::new();
    match verify(&write(&folder, files), keys) {
        Ok(verified) if verified.open_end => Err("ends without a stop".to_owned()),
        Ok(verified) => Ok(verified),
        Err(Failure::Broken(Finding { file, line, what })) => {
            Err(format!("{} {line} {what}", file.file_name().unwrap().display()))
        }
        Err(Failure::Unreadable(_, error)) => panic!("{error}"),
    }
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    let key = Key::new(&KEY).unwrap();
    let signed = check(&files(Some(key.clone())), &[key]).unwrap();
    assert_eq!((signed.first_seq, signed.last_seq, signed.signed), (1, signed.lines, 6));
    assert_eq!((signed.after_checkpoint, signed.notes.len()), (0, 0));
    let plain = check(&files(None), &[]).unwrap();
    assert_eq!((plain.lines, plain.signed, plain.unseen), (signed.lines, 0, 0));
    assert_eq!(check(&files(Key::new(&KEY).ok()), &[]).unwrap().unseen, 6);
}

#[test]
fn a_break_is_told_by_its_place_and_kind() {
    let whole = files(None);
    let of = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut files = whole.clone();
        let mut second = lines(&files[1]);
        change(&mut second);
        files[1] = second.concat();
        check(&files, &[]).unwrap_err()
    };
    let edited = of(&|lines| {
        let text = String::from_utf8(lines[4].clone()).unwrap().replace("why", "who");
        lines[4] = text.into_bytes();
    });
    assert!(edited.starts_with("audit.2.jsonl 5 this line was edited"), "{edited}");
    let removed = of(&|lines| drop(lines.drain(4..7)));
    assert!(removed.starts_with("audit.2.jsonl 5 3 lines before"), "{removed}");
    let moved = of(&|lines| lines.swap(4, 6));
    assert!(moved.starts_with("audit.2.jsonl 5 2 lines before"), "{moved}");
    let repeated = of(&|lines| lines.insert(5, lines[4].clone()));
    assert!(repeated.starts_with("audit.2.jsonl 6 seq"), "{repeated}");
    let headless = of(&|lines| drop(lines.remove(0)));
    assert!(headless.contains("does not begin with its first line"), "{headless}");
    let tailless = of(&|lines| drop(lines.pop()));
    assert!(tailless.starts_with("audit.jsonl 1 1 lines before"), "{tailless}");
    let empty = of(&|lines| lines.clear());
    assert!(empty.contains("the file is empty"), "{empty}");
}

#[test]
fn who_counts_the_chain_anew_has_no_key() {
    let (own, other) = (Key::new(&KEY).unwrap(), Key::new(&[8; 32]).unwrap());
    let found = check(&files(Some(other)), std::slice::from_ref(&own)).unwrap_err();
    assert!(found.starts_with("audit.1.jsonl 13 this checkpoint was not signed"), "{found}");
    assert!(check(&files(None), &[own]).unwrap_err().contains("was not signed"));
}

#[test]
fn what_is_missing_at_the_end_or_the_beginning_is_told() {
    let whole = files(None);
    let mut cut = whole.clone();
    let last = lines(&cut[2]);
    cut[2] = last[..last.len() - 2].concat();
    assert!(check(&cut, &[]).unwrap_err().contains("without a stop"));
    let folder = Folder::new();
    let paths = write(&folder, &whole);
    let later = verify(&paths[1..], &[]).unwrap();
    assert!(!later.open_end && later.notes[0].contains("files before number 2"), "{:?}", later.notes);
    assert_eq!(files_of(&paths[2..]).unwrap(), paths);
    assert_eq!(
        files_of(&[paths[2].clone(), paths[0].clone()]).unwrap(),
        [paths[0].clone(), paths[2].clone()]
    );
}

/// What somebody may do to a log.
#[derive(Clone, Debug)]
enum Change {
    Edit { file: usize, at: prop::sample::Index, by: u8 },
    Delete { file: usize, at: prop::sample::Index, count: usize },
    Swap { file: usize, one: prop::sample::Index, other: prop::sample::Index },
    Truncate { file: usize, at: prop::sample::Index },
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (0..3_usize, index(), 1..=255_u8).prop_map(|(file, at, by)| Change::Edit { file, at, by }),
        (0..3_usize, index(), 1..8_usize).prop_map(|(file, at, count)| Change::Delete { file, at, count }),
        (0..3_usize, index(), index()).prop_map(|(file, one, other)| Change::Swap { file, one, other }),
        (0..3_usize, index()).prop_map(|(file, at)| Change::Truncate { file, at }),
    ]
}

impl Change {
    fn apply(&self, files: &mut [Vec<u8>]) {
        match self {
            Self::Edit { file, at, by } => {
                let at = at.index(files[*file].len());
                files[*file][at] ^= by;
            }
            Self::Delete { file, at, count } => {
                let mut lines = lines(&files[*file]);
                let from = at.index(lines.len());
                let to = (from + count).min(lines.len());
                lines.drain(from..to);
                files[*file] = lines.concat();
            }
            Self::Swap { file, one, other } => {
                let mut lines = lines(&files[*file]);
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                files[*file] = lines.concat();
            }
            Self::Truncate { file, at } => {
                let at = at.index(files[*file].len());
                files[*file].truncate(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 1_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_change_is_found(change in change(), signed: bool) {
        let key = signed.then(|| Key::new(&KEY).unwrap());
        let whole = files(key.clone());
        let mut files = whole.clone();
        change.apply(&mut files);
        prop_assume!(files != whole);
        let keys: Vec<Key> = key.into_iter().collect();
        prop_assert!(check(&files, &keys).is_err(), "{change:?}");
    }
}
