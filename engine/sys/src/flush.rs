//! One buffer to many sockets in one go.

use std::io;
use std::os::fd::RawFd;

use crate::send_loop;
use crate::send_ring::SendRing;

/// A socket to send to. The caller vouches that `fd` is open and is the connection it means: nothing is kept
/// after the call, so a descriptor that is closed later is never written to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// A connected, stream-oriented socket.
    pub fd: RawFd,
    /// Given back in [`Unsent`]; means nothing here.
    pub token: u32,
}

/// Why a target did not take all bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The socket's buffer is full; this many bytes were taken (0 included, never all).
    Blocked {
        /// Bytes the kernel took.
        taken: usize,
    },
    /// The connection is dead; the error number says how (`EPIPE`, `ECONNRESET`, …).
    Gone {
        /// The positive error number.
        errno: i32,
    },
}

/// A target that did not take all bytes. Targets that did are never reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The target's token.
    pub token: u32,
    /// What happened.
    pub error: SendError,
}

/// How a shard hands bytes to the kernel. Both ways send within the call and keep nothing.
#[derive(Debug)]
pub enum Flusher {
    /// Batches of sends through an `io_uring` of its own.
    Ring(Box<SendRing>),
    /// One `send(2)` for each target.
    Loop,
}

impl Flusher {
    /// A send ring of `entries` (a power of two, at most 32,768).
    ///
    /// # Errors
    /// The kernel refuses the ring, or is older than 5.17 and cannot skip the completions of full sends.
    pub fn ring(entries: u32) -> io::Result<Self> {
        SendRing::new(entries).map(|ring| Self::Ring(Box::new(ring)))
    }

    /// Sends `bytes` to every target, without waiting, and appends to `unsent` those that did not take all
    /// of it. Order among targets is not promised.
    pub fn send(&mut self, bytes: &[u8], targets: impl Iterator<Item = Target>, unsent: &mut Vec<Unsent>) {
        assert!(!bytes.is_empty(), "an empty send would look like a dead peer");
        match self {
            Self::Ring(ring) => ring.send(bytes, targets, unsent),
            Self::Loop => targets.for_each(|target| send_loop::send(bytes, target, unsent)),
        }
    }

    /// Sends each target its own bytes, without waiting; like [`Flusher::send`] otherwise.
    pub fn send_each<'a>(
        &mut self,
        sends: impl Iterator<Item = (&'a [u8], Target)>,
        unsent: &mut Vec<Unsent>,
    ) {
        match self {
            Self::Ring(ring) => ring.send_each(sends, unsent),
            Self::Loop => sends.for_each(|(bytes, target)| send_loop::send(bytes, target, unsent)),
        }
    }
}
