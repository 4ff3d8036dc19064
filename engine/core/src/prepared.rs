//! A message's finished bytes: one frame for each class that has a receiver, made once, shared by all.

use bytes::Bytes;
use fanfare_protocol::{Encoding, EventName, RoomName};
use smallvec::SmallVec;

use crate::class::Class;
use crate::id::{Address, Epoch};
use crate::stats::Wire;

/// A published message on its way to the members. It never changes once made.
#[derive(Debug)]
pub struct Prepared {
    /// The room it was published to.
    pub room: RoomName,
    /// Its place there.
    pub epoch: Epoch,
    /// Its place there; 0: it has none.
    pub offset: u64,
    /// When not empty: only connections with one of these roles get it.
    pub roles: Vec<Box<str>>,
    /// Its event, when some role may not receive it.
    pub withheld: Option<EventName>,
    /// The publisher, when it asked to be left out.
    pub exclude: Option<Address>,
    /// The room of a client whose connections are left out.
    pub exclude_client: Option<RoomName>,
    /// When the publish command was read.
    pub received_us: u64,
    /// What stands for the message's key where rooms conflate; 0: it has none.
    pub key: u64,
    /// With which priority it is put ahead of what waits for slow readers; 0: with none. Not what readers are told.
    pub overtakes: u8,
    /// The number of the room's type, for counts.
    pub(crate) kind: u16,
    /// What becomes of the room's shared context with it.
    pub turn: Turn,
    pub(crate) frames: Frames,
}

/// What becomes of a room's shared context with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It stays as it is.
    #[default]
    Same,
    /// It begins anew: from this message on members can follow it. Bytes a second that it saves each of them, at least 1.
    Anew(u32),
    /// There is none any more.
    End,
}

/// The frames of a message.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    made: SmallVec<[(Class, Bytes); 2]>,
    /// Bytes of its frame without compression, by encoding.
    plain: [u32; 2],
    /// Whether compressing it alone could save enough to fall out of step for it.
    may_be_big: bool,
}

/// An uncompressed frame that is larger than the compressed one by this is sent compressed even to those who fall out of
/// step by it: that costs them about as much, until their context begins anew.
const BIG_BYTES: usize = 4_096;

impl Frames {
    pub(crate) fn push(&mut self, class: Class, frame: Bytes) {
        self.made.push((class, frame));
    }

    /// Notes how long the frame is without compression.
    pub(crate) fn is_plain(&mut self, encoding: Encoding, bytes: usize) {
        self.plain[encoding as usize] = bytes as u32;
        self.may_be_big |= bytes > BIG_BYTES;
    }

    /// How long the frame of an encoding is without compression; 0 where nobody reads it.
    pub(crate) fn plain_bytes(&self, encoding: Encoding) -> u64 {
        u64::from(self.plain[encoding as usize])
    }

    /// What was made for this very class.
    pub(crate) fn get(&self, class: Class) -> Option<&Bytes> {
        self.made.iter().find(|(made_for, _)| *made_for == class).map(|(_, frame)| frame)
    }

    pub(crate) fn has(&self, class: Class) -> bool {
        self.get(class).is_some()
    }
}

impl Prepared {
    /// The whole frame for a class. Nothing, when no member of that class was there when it was made.
    pub fn frame(&self, class: Class) -> Option<&Bytes> {
        let own = match class {
            class if class.is_elsewhere() => None,
            // What may overtake must mean the same wherever it stands: ahead of frames that refer to each other, too.
            class if class.is_waiting() && self.overtakes > 0 => None,
            class if class.is_waiting() => self.frames.get(class.alone()),
            class => self.frames.get(class),
        };
        own.or_else(|| self.frames.get(class.plain()).filter(|_| class.may_follow()))
    }

    /// Whether somebody may follow a context, or fall out of step.
    pub(crate) fn concerns_windows(&self) -> bool {
        self.turn != Turn::Same || self.frames.may_be_big
    }

    /// Whether those in step must inflate it to understand what follows.
    pub(crate) fn is_shared(&self, class: Class) -> bool {
        class.is_in_step() && self.frames.get(class).is_some_and(|frame| is_compressed(frame))
    }

    /// Bytes of its frame without compression.
    pub(crate) fn plain_bytes(&self, class: Class) -> u64 {
        self.frames.plain_bytes(class.encoding())
    }

    /// Whether it is worth falling out of step for it.
    pub(crate) fn is_big(&self, class: Class) -> bool {
        let alone = self.frames.get(class.alone()).filter(|_| self.overtakes == 0);
        alone.is_some_and(|frame| self.plain_bytes(class) > (frame.len() + BIG_BYTES) as u64)
    }

    /// Bytes of all its frames.
    pub fn len(&self) -> usize {
        self.frames.made.iter().map(|(_, frame)| frame.len()).sum()
    }

    /// Whether nobody is there to read it.
    pub fn is_empty(&self) -> bool {
        self.frames.made.is_empty()
    }
}

impl Wire {
    /// Counts a frame that goes to so many.
    pub(crate) fn count(&mut self, members: u64, prepared: &Prepared, class: Class, frame: &Bytes) {
        self.plain_bytes += members * prepared.plain_bytes(class);
        self.sent_bytes += members * frame.len() as u64;
        *match is_compressed(frame) {
            true if class.is_in_step() => &mut self.shared,
            true => &mut self.alone,
            false => &mut self.plain,
        } += members;
    }
}

/// Whether a frame's payload is compressed: RSV1, RFC 7692 §6.
pub(crate) fn is_compressed(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 0x40 != 0)
}
