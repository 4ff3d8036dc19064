//! What goes wrong in the world outside, done to the real binary: peers that vanish, reset, say nothing or read
//! nothing, descriptors that run out, clocks that are set, an end in the middle of the work.
//!
//! Everybody else must not notice. One file for each fault.

#[allow(dead_code, unused_imports, reason = "what these tests need of it is not all")]
#[path = "../e2e/support/mod.rs"]
mod support;

mod clock;
mod fleet;
mod half_open;
mod kill;
mod resets;
mod stalled;
mod terminate;
mod trickle;
mod vanish;
mod world;
