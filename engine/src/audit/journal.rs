//! The files: one that grows, and those before it, which nobody touches any more.
//!
//! `audit.jsonl` is written to. When it is full it becomes `audit.1.jsonl`, the next one `audit.2.jsonl`, and so on: a number is given once,
//! so in the order of their numbers, the one without a number last, the files are one chain.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::chain::{NOTHING, hash};

/// No line is longer: every field has a bound.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// Readable by its owner alone.
const MODE: u32 = 0o600;

/// The files of one log.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Nothing: it could not be opened after the last one was full.
    file: Option<File>,
    /// Bytes of whole lines.
    len: u64,
    /// What this file will be called.
    number: u64,
    /// Full files to keep; 0: all.
    keep: u64,
}

/// Where an earlier process came to.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) seq: u64,
    pub(super) hash: String,
    /// Whole lines behind the last checkpoint: nobody has signed them.
    pub(super) unsigned: u64,
    /// Bytes of a line that was not whole, cut off.
    pub(super) cut_bytes: u64,
}

impl Journal {
    /// Opens the file, or begins it, and finds the end of the chain.
    pub(super) fn open(path: &Path, keep: u64) -> Result<(Self, Last), String> {
        let numbers = full_files(path).map_err(|error| error.to_string())?;
        let number = numbers.last().map_or(1, |(number, _)| number + 1);
        let file = create(path).map_err(|error| error.to_string())?;
        let mut journal = Self { path: path.to_owned(), file: None, len: 0, number, keep };
        let found = ending(&file)?;
        let whole = found.file_bytes - found.cut_bytes;
        let unsigned = unsigned(&file, whole).map_err(|error| error.to_string())?;
        if found.cut_bytes > 0 {
            file.set_len(whole).map_err(|error| error.to_string())?;
        }
        journal.len = whole;
        journal.file = Some(file);
        let line = match (found.line, numbers.last()) {
            (None, Some((_, newest))) => {
                let file = File::open(newest).map_err(|error| error.to_string())?;
                let ending = ending(&file)?;
                let name = newest.display();
                Some(ending.line.ok_or_else(|| format!("{name}, the file before it, holds no line"))?)
            }
            (line, _) => line,
        };
        let (seq, hash) = match line {
            Some(line) => (number_of(&line)?, hash(&line)),
            None => (0, NOTHING.to_owned()),
        };
        Ok((journal, Last { seq, hash, unsigned, cut_bytes: found.cut_bytes }))
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What the file will be called once it is full.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Writes all of it, or nothing: a part of a line is taken back, also later if it must be.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = self.len;
        let file = self.file()?;
        // A part that could not be taken back when it was written.
        if file.metadata()?.len() != len {
            file.set_len(len)?;
        }
        if let Err(error) = file.write_all(bytes) {
            let _ = file.set_len(len);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Waits until all is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    /// Whether the file is not the one under its name any more: moved or removed by somebody else.
    pub(super) fn is_lost(&self) -> bool {
        let Some(own) = self.file.as_ref().and_then(|file| file.metadata().ok()) else { return false };
        fs::metadata(&self.path).map_or(true, |named| (named.ino(), named.dev()) != (own.ino(), own.dev()))
    }

    /// Gives up a file that was lost; the next append begins one.
    pub(super) fn abandon(&mut self) {
        self.file = None;
        self.len = 0;
    }

    /// The file is full: it gets its number, and the next append begins another one.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, numbered(&self.path, self.number))?;
        self.abandon();
        self.number += 1;
        if self.keep > 0 {
            let full = full_files(&self.path)?;
            let surplus = full.len().saturating_sub(self.keep as usize);
            for (_, path) in &full[..surplus] {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Reads only from now on, as if the disk were full; or writes again.
    #[cfg(test)]
    pub(super) fn fail(&mut self, fails: bool) {
        self.file = None;
        if fails {
            self.file = Some(File::open(&self.path).unwrap());
        }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(create(&self.path)?);
        }
        Ok(self.file.as_mut().expect("invariant: just made"))
    }
}

/// Opens a file for appending, for this process only.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another process writes it"),
        TryLockError::Error(error) => error,
    })?;
    if file.metadata()?.permissions().mode() & 0o777 != MODE {
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// What a file ends with.
struct Ending {
    file_bytes: u64,
    cut_bytes: u64,
    line: Option<Vec<u8>>,
}

fn ending(mut file: &File) -> Result<Ending, String> {
    let text = |error: io::Error| error.to_string();
    let file_bytes = file.metadata().map_err(text)?.len();
    let from = file_bytes.saturating_sub(2 * LINE_BYTES_MAX as u64);
    file.seek(SeekFrom::Start(from)).map_err(text)?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).map_err(text)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        if from > 0 {
            return Err("it does not end with a line: this is no audit log".to_owned());
        }
        return Ok(Ending { file_bytes, cut_bytes: file_bytes, line: None });
    };
    let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
    let cut_bytes = (tail.len() - end - 1) as u64;
    Ok(Ending { file_bytes, cut_bytes, line: Some(tail[begin..end].to_vec()) })
}

/// Lines after the last checkpoint. A file gets its number only behind one, so no other file has any.
fn unsigned(mut file: &File, whole: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut unsigned = 0;
    for line in BufReader::new(file).take(whole).split(b'\n') {
        unsigned = if is_checkpoint(&line?) { 0 } else { unsigned + 1 };
    }
    Ok(unsigned)
}

/// Texts within a line have their quotes escaped, so nothing else looks like this.
fn is_checkpoint(line: &[u8]) -> bool {
    const EVENT: &[u8] = br#""event":"checkpoint""#;
    line.windows(EVENT.len()).any(|part| part == EVENT)
}

fn number_of(line: &[u8]) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let line: Result<Numbered, _> = serde_json::from_slice(line);
    let why =
        "its last line cannot be read; keep the file elsewhere for whoever looks into this, and start again";
    line.map(|line| line.seq).map_err(|_| why.to_owned())
}

/// The full files beside this one, oldest first.
pub(super) fn full_files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let other = entry?.path();
        if let Some(number) = number_in(&other).filter(|number| numbered(path, *number) == other) {
            files.push((number, other));
        }
    }
    files.sort();
    Ok(files)
}

/// `audit.jsonl` as `audit.7.jsonl`.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let extension = if extension.is_empty() { number.to_string() } else { format!("{number}.{extension}") };
    let named = path.with_extension(extension);
    // As a listing of its folder gives it.
    if path.parent().is_some_and(|folder| folder.as_os_str().is_empty()) {
        Path::new(".").join(named)
    } else {
        named
    }
}

/// The 7 of `audit.7.jsonl`.
pub(super) fn number_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let mut parts = name.rsplit('.');
    let last = parts.next()?;
    last.parse().ok().or_else(|| parts.next()?.parse().ok())
}

#[cfg(test)]
#[path = "journal/tests.rs"]
mod tests;
