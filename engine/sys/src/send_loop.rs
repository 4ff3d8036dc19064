//! The plain way: one `send(2)` for each target.

use crate::flush::{SendError, Target, Unsent};
use crate::socket::{self, Sent};

/// Sends to one target and reports it when it did not take everything.
pub(crate) fn send(bytes: &[u8], target: Target, unsent: &mut Vec<Unsent>) {
    let error = match socket::send(target.fd, bytes) {
        Sent::Bytes(taken) if taken == bytes.len() => return,
        Sent::Bytes(taken) => SendError::Blocked { taken },
        Sent::Blocked => SendError::Blocked { taken: 0 },
        Sent::Gone(errno) => SendError::Gone { errno },
    };
    unsent.push(Unsent { token: target.token, error });
}
