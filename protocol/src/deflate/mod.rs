//! RFC 7692, permessage-deflate: what the ends agree on, compressing once for all, inflating under a bound.
//!
//! Outgoing, a message is compressed on its own, or as one of a row that all receivers of a room are sent alike: either way
//! once for all of them. A context that begins anew now and then is valid whatever the client asked for (§7.1.1.1 allows a
//! server to reset at will); one that goes on needs a client that does not forbid it. Incoming, a fresh context for each
//! message is demanded in the answer, so that no connection owns a window.

mod compress;
mod inflate;
mod negotiate;

pub use compress::Deflater;
pub use inflate::{Inflate, InflateError, Inflater};
pub use negotiate::{Agreed, Policy, ServerContext, accept, negotiate, offer};

/// What a sync flush ends with: cut off by the sender, put back by the receiver (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// Smallest window that zlib can compress with, as the logarithm of its bytes. 8 is legal but beyond it.
pub const WINDOW_BITS_MIN: u8 = 9;
/// Largest window, as the logarithm of its bytes.
pub const WINDOW_BITS_MAX: u8 = 15;
