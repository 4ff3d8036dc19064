use super::*;
use crate::audit::testing::Folder;

fn line(seq: u64) -> Vec<u8> {
    format!("{{\"seq\":{seq}}}\n").into_bytes()
}

#[test]
fn names_have_rising_numbers() {
    assert_eq!(numbered(Path::new("/a/audit.jsonl"), 7), Path::new("/a/audit.7.jsonl"));
    assert_eq!(numbered(Path::new("/a/audit"), 7), Path::new("/a/audit.7"));
    for (name, number) in [("audit.12.jsonl", Some(12)), ("audit.12", Some(12)), ("audit.jsonl", None)] {
        assert_eq!(number_in(Path::new(name)), number, "{name}");
    }
}

#[test]
fn a_process_goes_on_where_the_last_one_ended() {
    let folder = Folder::new();
    let path = folder.path.join("audit.jsonl");
    let (mut journal, last) = Journal::open(&path, 0).unwrap();
    assert_eq!((last.seq, &*last.hash, last.unsigned, last.cut_bytes), (0, NOTHING, 0, 0));
    assert!(Journal::open(&path, 0).unwrap_err().contains("another process"));
    journal.append(&line(1)).unwrap();
    journal.append(&line(2)).unwrap();
    drop(journal);
    // A process that died in the middle of a line.
    fs::write(&path, [line(1), line(2), b"{\"se".to_vec()].concat()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (mut journal, last) = Journal::open(&path, 0).unwrap();
    assert_eq!((last.seq, last.unsigned, last.cut_bytes), (2, 2, 4));
    assert_eq!(last.hash, hash(b"{\"seq\":2}"));
    assert_eq!(fs::read(&path).unwrap(), [line(1), line(2)].concat());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    journal.rotate().unwrap();
    drop(journal);
    let (journal, last) = Journal::open(&path, 0).unwrap();
    assert_eq!((last.seq, journal.number(), journal.len()), (2, 2, 0));
    drop(journal);
    fs::write(&path, "something else\n").unwrap();
    assert!(Journal::open(&path, 0).unwrap_err().contains("cannot be read"));
}

#[test]
fn only_so_many_full_files_are_kept() {
    let folder = Folder::new();
    let path = folder.path.join("audit.jsonl");
    let (mut journal, _) = Journal::open(&path, 2).unwrap();
    for seq in 1..=12 {
        journal.append(&line(seq)).unwrap();
        journal.rotate().unwrap();
    }
    let numbers: Vec<u64> = full_files(&path).unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [11, 12]);
    assert!(!path.exists());
    journal.append(&line(13)).unwrap();
    assert!(path.exists() && !journal.is_lost());
    fs::rename(&path, folder.path.join("elsewhere")).unwrap();
    assert!(journal.is_lost());
}
