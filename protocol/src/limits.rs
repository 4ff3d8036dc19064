//! Every bound on what a command may hold, in one place. Names have theirs in [`crate::name`].

/// Deepest nesting of arrays and objects in one field's value (so in `data` too), in either encoding.
///
/// The command's own object and the array around a batch are not counted, so what is accepted alone is
/// accepted in a batch.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most commands in one message, most messages in one `POST /v1/publish`.
pub const COMMANDS_MAX: usize = 256;
/// Longest text of a command's `id`, in bytes.
pub const COMMAND_ID_BYTES_MAX: usize = 64;
/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Longest epoch that a client may name, in bytes.
pub const EPOCH_BYTES_MAX: usize = 32;
/// Most users that one publish may name.
pub const USERS_MAX: usize = 256;
/// Most roles that one publish may name.
pub const ROLES_MAX: usize = 16;
/// Longest key of a conflating room type, in characters.
pub const KEY_CHARS_MAX: usize = 128;
/// Longest id that a publisher may give its message, in characters.
pub const MESSAGE_ID_CHARS_MAX: usize = 64;
/// Longest time that a message may be of use, in seconds: 30 days.
pub const TTL_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;
/// Highest priority.
pub const PRIORITY_MAX: u8 = 9;
/// Largest whole number that a 64-bit float holds without a gap below it: 2^53.
pub(crate) const FLOAT_WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
