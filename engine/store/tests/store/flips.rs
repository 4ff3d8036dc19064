//! One flipped bit: it makes no difference, or it is told; never a wrong message, never a panic.
