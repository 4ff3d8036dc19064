//! Walks a log from its first line to its last and tells the first place where it is not what was written.
//!
//! What it can know: each line holds the number and the hash of the one before, so nothing can be edited, taken out, put in or moved before
//! the last line; a checkpoint holds a hash or a signature of itself; an ended process leaves `stop` and a checkpoint. What it cannot:
//! files that were removed whole from the beginning, and an end that was cut off just behind an earlier `stop`. For those, compare the numbers
//! that it tells with the ones that the server's log told.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use serde::Deserialize;

use super::chain::{Key, NOTHING, Seal, hash, seal};
use super::journal::{LINE_BYTES_MAX, full_files, number_in};

/// A log that is what was written, as far as that can be known.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) lines: u64,
    /// The numbers of the first and the last line, and the hash of the last.
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_hash: String,
    /// Checkpoints whose signature fits a key that was given.
    pub(crate) signed: u64,
    /// Checkpoints with a signature that nobody could look at.
    pub(crate) unseen: u64,
    /// Lines after the last checkpoint.
    pub(crate) after_checkpoint: u64,
    /// The log ends with no `stop`.
    pub(crate) open_end: bool,
    /// Where a process died: what might have been changed or cut off before the next one signed it.
    pub(crate) warnings: Vec<String>,
    /// What is no break and should be known.
    pub(crate) notes: Vec<String>,
}

/// Where and how the log is broken.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) what: String,
}

/// Why there is no answer, or which.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The log is broken.
    Broken(Finding),
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
}

/// The files in the order in which they were written. A single one without a number brings those before it.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn files_of(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = paths.to_vec();
    if let [path] = paths
        && number_in(path).is_none()
    {
        files.extend(full_files(path)?.into_iter().map(|(_, path)| path));
    }
    // The one without a number is the last.
    files.sort_by_key(|path| number_in(path).unwrap_or(u64::MAX));
    Ok(files)
}

/// Walks the files in this order.
///
/// # Errors
/// The first break, or a file that cannot be read.
pub(crate) fn verify(files: &[PathBuf], keys: &[Key]) -> Result<Verified, Failure> {
    let mut walk = Walk { keys, ..Walk::default() };
    for (at, path) in files.iter().enumerate() {
        let unreadable = |error| Failure::Unreadable(path.clone(), error);
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        walk.place = Place { file: path.clone(), line: 0 };
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
            if read.map_err(unreadable)? == 0 {
                break;
            }
            walk.place.line += 1;
            walk.line(&line).map_err(Failure::Broken)?;
        }
        if walk.place.line == 0 && at + 1 < files.len() {
            return Err(Failure::Broken(walk.here("the file is empty: its lines were removed")));
        }
    }
    walk.end().map_err(Failure::Broken)
}

/// What verification reads of a line.
#[derive(Deserialize)]
struct Line {
    seq: u64,
    prev_hash: String,
    event: String,
    #[serde(default)]
    file: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    file: PathBuf,
    line: u64,
}

#[derive(Default)]
struct Walk<'k> {
    keys: &'k [Key],
    place: Place,
    before: Option<Before>,
    /// The last lines are a `stop` and its checkpoint, and perhaps the first of a file.
    stopped: bool,
    verified: Verified,
}

/// The line before.
struct Before {
    place: Place,
    seq: u64,
    hash: String,
    event: String,
}

impl Walk<'_> {
    fn here(&self, what: impl Into<String>) -> Finding {
        Finding { file: self.place.file.clone(), line: self.place.line, what: what.into() }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Finding> {
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(self.here("the line has no end: it was cut off, or it is just being written"));
        };
        let Ok(read) = serde_json::from_slice::<Line>(line) else {
            return Err(self.here("this is no line of an audit log: it was edited or damaged"));
        };
        self.check_place(&read)?;
        if read.event == "checkpoint" {
            self.check_seal(line)?;
            self.stopped = self.before.as_ref().is_some_and(|before| before.event == "stop");
        } else {
            if read.event == "start" && !self.stopped && self.verified.lines > 1 {
                self.died(&read);
            }
            self.verified.after_checkpoint += 1;
            self.stopped = self.stopped && read.event == "begin";
        }
        self.verified.lines += 1;
        let Line { seq, event, .. } = read;
        self.before = Some(Before { place: self.place.clone(), seq, hash: hash(line), event });
        Ok(())
    }

    /// A process goes on after one that did not end in order.
    fn died(&mut self, start: &Line) {
        let Line { seq, .. } = start;
        let unsigned = self.verified.after_checkpoint;
        let mut warning =
            format!("the process before seq {seq} ended without a stop: lines before it may be missing");
        if unsigned > 0 {
            let (first, last, here) = (seq - unsigned, seq - 1, &self.place);
            let (file, line) = (here.file.display(), here.line);
            warning += &format!(
                ", and seq {first} to {last} ({file}, up to line {}) were not signed while it lived: they may have been changed",
                line - 1
            );
        }
        self.verified.warnings.push(warning);
    }

    /// Whether it follows the line before.
    fn check_place(&mut self, line: &Line) -> Result<(), Finding> {
        let is_first = self.place.line == 1;
        if is_first && line.event != "begin" {
            return Err(self.here("the file does not begin with its first line: lines were removed"));
        }
        let Some(before) = &self.before else {
            self.verified.first_seq = line.seq;
            let of_all = line.seq == 1 && line.prev_hash == NOTHING;
            if !of_all {
                let number = line.file.unwrap_or_default();
                let note = format!(
                    "the log goes on from seq {}; files before number {number} are not here",
                    line.seq - line.seq.min(1)
                );
                self.verified.notes.push(note);
            }
            return Ok(());
        };
        let follows = line.prev_hash == before.hash;
        let next = before.seq + 1;
        if follows && line.seq == next {
            return Ok(());
        }
        if line.seq > next && !follows {
            let missing = line.seq - next;
            return Err(self.here(format!("{missing} lines before this one are missing: they were removed")));
        }
        if line.seq < next && !follows {
            let what = format!("seq {} after {}: lines were moved, repeated or put in", line.seq, before.seq);
            return Err(self.here(what));
        }
        if follows {
            return Err(self.here("the number of this line was edited"));
        }
        let Place { file, line } = before.place.clone();
        let what = "this line was edited (or the hash of it in the next line was)".to_owned();
        Err(Finding { file, line, what })
    }

    fn check_seal(&mut self, line: &[u8]) -> Result<(), Finding> {
        match seal(line, self.keys) {
            Seal::Signed => self.verified.signed += 1,
            Seal::Unseen => self.verified.unseen += 1,
            Seal::Hashed => {}
            Seal::Broken if self.keys.is_empty() => {
                return Err(self.here("this checkpoint was edited"));
            }
            Seal::Broken => {
                let what =
                    "this checkpoint was not signed with the key: it was edited, or written by somebody else";
                return Err(self.here(what));
            }
        }
        self.verified.after_checkpoint = 0;
        Ok(())
    }

    fn end(mut self) -> Result<Verified, Finding> {
        let Some(before) = self.before.take() else {
            return Err(self.here("there is no line: all were removed, or nothing was ever written"));
        };
        self.verified.last_seq = before.seq;
        self.verified.last_hash = before.hash;
        self.verified.open_end = !(self.stopped && before.event == "checkpoint");
        Ok(self.verified)
    }
}

#[cfg(test)]
mod tests;
