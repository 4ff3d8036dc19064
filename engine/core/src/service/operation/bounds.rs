//! How much one operation may have. What happens at each bound is told in `docs/services/operation.md`.

/// Steps of one operation: more than a person follows, and few enough to add up at every change.
pub(super) const STEPS_MAX: usize = 1_000;
/// Errors, and warnings, that an operation keeps: the newest. The oldest makes room, and is counted.
pub(super) const TEXTS_MAX: usize = 100;
/// The same of one step.
pub(super) const STEP_TEXTS_MAX: usize = 10;
/// The newest of them go with each message; the others are in the whole state.
pub(super) const TEXTS_TOLD: usize = 10;
/// Characters of one error, warning or message.
pub(super) const TEXT_CHARS: usize = 512;
/// Bytes of an operation's metadata, which go with each of its messages.
pub(super) const METADATA_BYTES: usize = 4_096;
/// Bytes of what the application says about its throughput, which go with each message as well.
pub(super) const THROUGHPUT_BYTES: usize = 4_096;
/// Bytes of results, which go with the last message only.
pub(super) const RESULTS_BYTES: usize = 16_384;
/// Bytes of a step's metadata, and of its results.
pub(super) const STEP_OBJECT_BYTES: usize = 4_096;
/// Bytes of the error that an operation fails with.
pub(super) const ERROR_BYTES: usize = 4_096;
/// Bytes of the whole state: it is one answer to who joins, and one write to the store.
pub(super) const STATE_BYTES: usize = 256 << 10;
/// Milliseconds between two messages about progress: ten a second look like a movement to people.
pub(super) const PACE_MS: u64 = 100;
/// Steps that are told of at a time, where so many have changed between two messages about progress.
pub(super) const STEPS_TOLD: usize = 32;
/// Milliseconds between two writes of mere progress to the store.
pub(super) const SAVE_MS: u64 = 1_000;
/// Seconds that an end may be remembered at most.
pub(super) const TTL_S_MAX: u64 = 30 * 86_400;
