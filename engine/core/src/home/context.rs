//! A room's shared context: one compressor for all members of an encoding.
//!
//! The receiver of compressed messages keeps the last 32 KiB of their plain text, and a message may refer to that. All
//! members of a room are sent the same, so one compressor can serve them all; and since it begins anew now and then,
//! whoever was not sent everything can follow it from there.
//!
//! ```text
//!   messages   a  b  c  d │ e  f  g  h │ i …      │ begins anew: nothing after refers to anything before
//!   in step    ▓▓▓▓▓▓▓▓▓▓▓ ▓▓▓▓▓▓▓▓▓▓▓ ▓▓         refers to what came before
//!   joiner           ░░░░░ ▓▓▓▓▓▓▓▓▓▓▓ ▓▓         ░ compressed alone, for all such members
//! ```

use fanfare_protocol::Encoding;
use fanfare_protocol::deflate::Deflater;
use smallvec::SmallVec;

use crate::home::audience::Audience;
use crate::home::compressors::Compressors;
use crate::id::ShardId;
use crate::prepared::{Frames, Turn};
use crate::room_type::Compression;
use crate::time::Now;

/// Messages that a room compresses alone before it gets a context: most rooms have few.
const WARM_UP: u32 = 8;
/// Where a context did not pay, it is tried again after so many times [`Compression::reset_every`] messages.
const RESTS: u32 = 16;
/// One that saves less than one byte of so many does not pay: random text shrinks by a fifth.
const PAYS: u64 = 3;
/// In a room with fewer members short messages are compressed the quick way: at 300 bytes that takes a seventh of the time,
/// and what more could be saved is saved for too few. Long ones would be larger so than compressed alone.
const MANY: u32 = 100;
/// Bytes of a short message.
const SHORT_BYTES: u64 = 1_024;
/// zlib's quickest.
const QUICK_LEVEL: u32 = 1;

/// See the module's own text.
#[derive(Debug)]
pub(crate) struct Context {
    /// By encoding, while it is on and somebody follows it.
    deflaters: [Option<Box<Deflater>>; 2],
    is_on: bool,
    /// While on: messages since it began anew. While off: those until it is tried.
    messages: u32,
    /// Bytes since it began anew, as they are and as they were sent, by encoding.
    bytes: [(u64, u64); 2],
    since_ms: u64,
    /// Shards with nobody who could follow it and does not.
    in_step: SmallVec<[ShardId; 4]>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            deflaters: [None, None],
            is_on: false,
            messages: WARM_UP,
            bytes: [(0, 0); 2],
            since_ms: 0,
            in_step: SmallVec::new(),
        }
    }
}

impl Context {
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The next message comes: what becomes of the context with it.
    pub(super) fn turn(
        &mut self,
        now: Now,
        rule: Compression,
        audience: &Audience,
        compressors: &mut Compressors,
    ) -> Turn {
        let mut gain = 1;
        if self.is_on {
            if self.messages < rule.reset_every {
                return Turn::Same;
            }
            match self.gain(now) {
                Some(measured) => gain = measured,
                None => {
                    let turn = self.end(compressors);
                    self.messages = rule.reset_every.saturating_mul(RESTS);
                    return turn;
                }
            }
        } else if self.messages > 0 {
            self.messages -= 1;
            return Turn::Same;
        }
        let was_on = self.is_on;
        if !self.begin_anew(rule, audience, compressors) {
            self.messages = WARM_UP;
            return if was_on { Turn::End } else { Turn::Same };
        }
        (self.messages, self.since_ms) = (0, now.mono_ms());
        self.bytes = [(0, 0); 2];
        Turn::Anew(gain)
    }

    /// Bytes a second that it saved each member since it began anew; nothing where that is too little.
    fn gain(&self, now: Now) -> Option<u32> {
        let (plain, sent) = self.bytes.iter().fold((0, 0), |all, of| (all.0 + of.0, all.1 + of.1));
        let pays = sent <= plain - plain / PAYS;
        let elapsed_ms = now.mono_ms().saturating_sub(self.since_ms).max(1);
        let saved = |of: &(u64, u64)| of.0.saturating_sub(of.1) * 1_000 / elapsed_ms;
        let most = self.bytes.iter().map(saved).max().unwrap_or(0);
        pays.then(|| u32::try_from(most).unwrap_or(u32::MAX).max(1))
    }

    /// Every encoding that has somebody to follow gets a compressor that refers to nothing, as far as there are any.
    fn begin_anew(&mut self, rule: Compression, audience: &Audience, compressors: &mut Compressors) -> bool {
        let plain: u64 = self.bytes.iter().map(|(plain, _)| plain).sum();
        let are_short = plain / u64::from(self.messages.max(1)) < SHORT_BYTES;
        let is_quick = self.is_on && are_short && audience.members() < MANY;
        let level = if is_quick { QUICK_LEVEL } else { rule.level };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let deflater = &mut self.deflaters[encoding as usize];
            if deflater.as_ref().is_some_and(|deflater| deflater.level() != level) {
                compressors.put_back(deflater.take());
            }
            if !audience.may_follow(encoding) {
                compressors.put_back(deflater.take());
            } else if let Some(deflater) = deflater {
                deflater.begin_anew();
            } else {
                *deflater = compressors.take(level);
            }
        }
        self.is_on = self.deflaters.iter().any(Option::is_some);
        self.is_on
    }

    /// There is no context any more; the members must be told.
    pub(super) fn end(&mut self, compressors: &mut Compressors) -> Turn {
        self.deflaters.iter_mut().for_each(|deflater| compressors.put_back(deflater.take()));
        if std::mem::take(&mut self.is_on) {
            self.messages = 0;
        }
        Turn::End
    }

    /// Whether it is off and may begin with the next message.
    pub(super) fn is_due(&self) -> bool {
        !self.is_on && self.messages == 0
    }

    /// Messages until it begins anew.
    pub(super) fn left(&self, rule: Compression) -> u32 {
        rule.reset_every.saturating_sub(self.messages)
    }

    /// A message was encoded. One that did not go through it counts as well: a context that few go through must end, too.
    pub(super) fn count(&mut self, frames: &Frames, went_through: bool) {
        if !self.is_on {
            return;
        }
        self.messages += 1;
        if !went_through {
            for encoding in [Encoding::Json, Encoding::MessagePack] {
                let (plain, sent) = &mut self.bytes[encoding as usize];
                *plain += frames.plain_bytes(encoding);
                *sent += frames.plain_bytes(encoding);
            }
        }
    }

    /// Compresses the next message of an encoding; false when this encoding has no context.
    pub(crate) fn compress(&mut self, encoding: Encoding, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(deflater) = &mut self.deflaters[encoding as usize] else { return false };
        deflater.compress_next(payload, out);
        let (plain, sent) = &mut self.bytes[encoding as usize];
        *plain += payload.len() as u64;
        *sent += out.len() as u64;
        true
    }

    /// Whether somebody could follow it and does not.
    pub(super) fn is_awaited(&self, audience: &Audience) -> bool {
        audience.followers().any(|shard| !self.in_step.contains(&shard))
    }

    /// A shard tells whether all of its members who could follow it do.
    pub(super) fn in_step(&mut self, shard: ShardId, all: bool) {
        self.in_step.retain(|of| *of != shard);
        if all {
            self.in_step.push(shard);
        }
    }

    /// Forgets shards that have nobody left who could follow.
    pub(super) fn forget(&mut self, audience: &Audience) {
        self.in_step.retain(|shard| audience.followers().any(|of| of == *shard));
    }
}
