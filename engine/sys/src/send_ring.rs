//! An `io_uring` used as one batched, synchronous `send(2)`.
//!
//! Every entry carries `MSG_DONTWAIT`, so the kernel finishes it inside `io_uring_enter` and never takes it
//! away to a worker: when [`SendRing::send`] returns, no request is in flight and the bytes may be reused.
//! `CQE_SKIP_SUCCESS` leaves completions to failures only; `MSG_WAITALL` is what makes a short send one of
//! them (without it a short send counts as a success and bytes would be lost without a word).

use std::fmt;
use std::io;

use io_uring::{IoUring, opcode, squeue, types};

use crate::flush::{SendError, Target, Unsent};

/// See the module's own text.
pub struct SendRing {
    ring: IoUring,
    entries: usize,
}

impl fmt::Debug for SendRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendRing").field("entries", &self.entries).finish()
    }
}

impl SendRing {
    pub(crate) fn new(entries: u32) -> io::Result<Self> {
        let ring = IoUring::builder().setup_single_issuer().build(entries)?;
        if !ring.params().is_feature_skip_cqe_on_success() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel's io_uring cannot skip completions (Linux 5.17 can)",
            ));
        }
        let entries = ring.params().sq_entries() as usize;
        Ok(Self { ring, entries })
    }

    /// The same bytes to every target.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        targets: impl Iterator<Item = Target>,
        unsent: &mut Vec<Unsent>,
    ) {
        self.send_each(targets.map(|target| (bytes, target)), unsent);
    }

    /// Each target's own bytes.
    pub(crate) fn send_each<'a>(
        &mut self,
        sends: impl Iterator<Item = (&'a [u8], Target)>,
        unsent: &mut Vec<Unsent>,
    ) {
        let mut queued = 0;
        for (bytes, target) in sends {
            let length = u32::try_from(bytes.len()).expect("invariant: a buffer is far below 4 GiB");
            let entry = opcode::Send::new(types::Fd(target.fd), bytes.as_ptr(), length)
                .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(u64::from(target.token));
            // SAFETY: the entry points into `bytes`, which live as long as `'a`, so through this call, and
            // `submit` below does not return before the kernel has finished every queued send (they carry
            // MSG_DONTWAIT). `reader_that_never_reads_gets_a_prefix` overwrites the buffer after the call and
            // reads back what was sent.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            pushed.expect("invariant: the queue is submitted whenever it is full");
            queued += 1;
            if queued == self.entries {
                self.submit(unsent);
                queued = 0;
            }
        }
        if queued > 0 {
            self.submit(unsent);
        }
    }

    fn submit(&mut self, unsent: &mut Vec<Unsent>) {
        // `submit` may take fewer entries than were queued (it stops at a bad one) or be interrupted.
        while !self.ring.submission().is_empty() {
            match self.ring.submit() {
                Ok(_) => {}
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) =>
                {
                    // Out of memory for requests, or completions wait to be read: reading them frees both.
                    self.reap(unsent);
                }
                // The queue would stay full for ever and every peer behind it silent: better to end here and
                // let the supervisor start anew.
                Err(error) => panic!("the send ring failed: {error}"),
            }
        }
        self.reap(unsent);
    }

    fn reap(&mut self, unsent: &mut Vec<Unsent>) {
        for completion in self.ring.completion() {
            let token = u32::try_from(completion.user_data()).expect("invariant: tokens are 32 bits");
            // Only what was not sent whole posts a completion.
            let error = match completion.result() {
                taken if taken >= 0 => SendError::Blocked { taken: taken.unsigned_abs() as usize },
                errno if errno == -libc::EAGAIN || errno == -libc::EINTR || errno == -libc::ENOBUFS => {
                    SendError::Blocked { taken: 0 }
                }
                errno => SendError::Gone { errno: -errno },
            };
            unsent.push(Unsent { token, error });
        }
    }
}
