//! What makes a change visible: each line holds the hash of the one before, and checkpoints sign what is there.
//!
//! A checkpoint's last field is a keyed hash (HMAC-SHA256) over all of the line before that field, which holds the hash of the line
//! before, and so stands for everything. Without a key it is a plain hash: it tells an accident, not somebody who counts anew.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::record::{Outcome, Record};

/// A key at least as long as the hash's output (RFC 2104 §3).
const KEY_BYTES_MIN: usize = 32;
/// What the first line of all has for the hash of the one before.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The last field of a checkpoint, with a key and without.
const SIGNED: &str = ",\"hmac_sha256\":\"";
const HASHED: &str = ",\"sha256\":\"";
/// 64 digits, the quote and the brace.
const DIGITS_AND_END: usize = 66;

/// Signs checkpoints.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(key)")
    }
}

impl Key {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < KEY_BYTES_MIN {
            return Err(format!("the key must be at least {KEY_BYTES_MIN} bytes long"));
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|error| error.to_string())
    }

    fn sign(&self, bytes: &[u8]) -> String {
        hex(&self.0.clone().chain_update(bytes).finalize().into_bytes())
    }

    fn has_signed(&self, bytes: &[u8], signature: &str) -> bool {
        // In constant time, unlike a comparison of texts.
        unhex(signature)
            .is_some_and(|signature| self.0.clone().chain_update(bytes).verify_slice(&signature).is_ok())
    }
}

/// The end of the chain so far.
#[derive(Debug)]
pub(super) struct Chain {
    node: Box<str>,
    seq: u64,
    hash: String,
    key: Option<Key>,
}

#[derive(Serialize)]
struct Line<'l> {
    ts: String,
    seq: u64,
    prev_hash: &'l str,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: &'l str,
    #[serde(flatten)]
    record: &'l Record,
}

impl Chain {
    /// Goes on after a line of this number and hash.
    pub(super) fn new(node: Box<str>, seq: u64, hash: String, key: Option<Key>) -> Self {
        Self { node, seq, hash, key }
    }

    /// The number of the last line.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the last line.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Writes the next line.
    pub(super) fn append(&mut self, record: &Record, out: &mut Vec<u8>) {
        let begin = out.len();
        self.line(record, out);
        self.end(begin, out);
    }

    /// Writes a checkpoint.
    pub(super) fn checkpoint(&mut self, out: &mut Vec<u8>) {
        let begin = out.len();
        self.line(&Record::new("checkpoint", Outcome::Ok), out);
        out.pop();
        let covered = &out[begin..];
        let (name, digits) = match &self.key {
            Some(key) => (SIGNED, key.sign(covered)),
            None => (HASHED, hex(&Sha256::digest(covered))),
        };
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(b"\"}");
        self.end(begin, out);
    }

    fn line(&mut self, record: &Record, out: &mut Vec<u8>) {
        self.seq += 1;
        let ts = humantime::format_rfc3339_micros(record.at).to_string();
        let line = Line { ts, seq: self.seq, prev_hash: &self.hash, node: &self.node, record };
        serde_json::to_writer(out, &line).expect("invariant: maps have texts for keys, and memory takes all");
    }

    fn end(&mut self, begin: usize, out: &mut Vec<u8>) {
        self.hash = hash(&out[begin..]);
        out.push(b'\n');
    }
}

/// What the next line holds of this one, its end of line left out.
pub(super) fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

/// What a checkpoint's last field says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// A key was given, and it fits.
    Signed,
    /// There is a signature, and no key to look at it.
    Unseen,
    /// There was no key when it was written, and it is as it was.
    Hashed,
    /// It does not fit.
    Broken,
}

/// Looks at a checkpoint. One of the keys must have signed it; a plain hash will not do where a key is given.
pub(super) fn seal(line: &[u8], keys: &[Key]) -> Seal {
    let Some((covered, name, digits)) = split(line) else { return Seal::Broken };
    match (name, keys) {
        (SIGNED, []) => Seal::Unseen,
        (SIGNED, keys) if keys.iter().any(|key| key.has_signed(covered, digits)) => Seal::Signed,
        (HASHED, []) if hex(&Sha256::digest(covered)) == digits => Seal::Hashed,
        _ => Seal::Broken,
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &'static str, &str)> {
    let end = line.len().checked_sub(DIGITS_AND_END)?;
    let digits = std::str::from_utf8(line[end..].strip_suffix(b"\"}")?).ok()?;
    let of = |name: &'static str| Some((line[..end].strip_suffix(name.as_bytes())?, name, digits));
    of(SIGNED).or_else(|| of(HASHED))
}

/// Lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.as_bytes().chunks(2).map(|two| Some(digit(two[0])? << 4 | digit(*two.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_hash_of_the_one_before() {
        let mut chain = Chain::new("n".into(), 0, NOTHING.to_owned(), None);
        let mut out = Vec::new();
        chain.append(&Record::new("start", Outcome::Ok), &mut out);
        chain.append(&Record::new("stop", Outcome::Ok).because("a \"b\"\u{7}\n"), &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(&format!(r#""seq":1,"prev_hash":"{NOTHING}","node":"n","event":"start""#)));
        assert!(lines[1].contains(&format!(r#""seq":2,"prev_hash":"{}""#, hash(lines[0].as_bytes()))));
        assert!(lines[1].contains(r#""reason":"a \"b\"\u0007\n""#), "{}", lines[1]);
        assert_eq!((lines.len(), chain.seq(), chain.hash()), (2, 2, &*hash(lines[1].as_bytes())));
    }

    #[test]
    fn a_checkpoint_is_signed_by_its_key_only() {
        let (one, other) = (Key::new(&[1; 32]).unwrap(), Key::new(&[2; 32]).unwrap());
        let line = |key: Option<&Key>| {
            let mut out = Vec::new();
            Chain::new("".into(), 6, NOTHING.to_owned(), key.cloned()).checkpoint(&mut out);
            out.pop();
            out
        };
        let (signed, plain) = (line(Some(&one)), line(None));
        assert_eq!(seal(&signed, &[other.clone(), one.clone()]), Seal::Signed);
        assert_eq!(seal(&signed, &[]), Seal::Unseen);
        assert_eq!(seal(&plain, &[]), Seal::Hashed);
        for (line, keys) in [(&signed, vec![other]), (&plain, vec![one])] {
            assert_eq!(seal(line, &keys), Seal::Broken);
        }
        let mut edited = plain;
        edited[10] ^= 1;
        assert_eq!((seal(&edited, &[]), seal(b"{}", &[])), (Seal::Broken, Seal::Broken));
        assert!(Key::new(&[1; 31]).is_err() && !format!("{:?}", Key::new(&[1; 32])).contains('1'));
    }
}
