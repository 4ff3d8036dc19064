//! What the load generator publishes, for programs that measure the same messages without a network.

pub mod random;
pub mod shape;
