//! RFC 6455: frames and messages, without the socket.
//!
//! [`MessageReader`] turns the bytes of reads, cut anywhere, into messages; [`encode_frame`] and its
//! siblings append frames to a buffer.

mod close;
mod encode;
mod header;
mod mask;
mod partial;
mod reader;
mod utf8;

pub use close::is_receivable;
pub use encode::{encode_close, encode_frame, encode_masked_frame};
pub use header::{OpCode, header_len, write_header};
pub use mask::apply_mask;
pub use reader::{Incoming, MessageReader, ReaderLimits, Role};

/// Longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// A peer that broke the protocol: how to close on it (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1002 for broken framing, 1007 for broken text or deflate, 1009 for too much.
    pub close_code: u16,
    /// The rule that is broken, at most 123 bytes.
    pub reason: &'static str,
}

impl Violation {
    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self { close_code: 1_002, reason }
    }

    pub(crate) const fn data(reason: &'static str) -> Self {
        Self { close_code: 1_007, reason }
    }

    pub(crate) const fn too_big(reason: &'static str) -> Self {
        Self { close_code: 1_009, reason }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.reason, self.close_code)
    }
}

impl std::error::Error for Violation {}
