//! One connection: upgrade, welcome, joins, then messages, as [`engine`] or [`raw`] understands them. It knows its bytes and its stage, not the socket
//! loop ([`crate::fleet`]) and not what a scenario makes of its events.

use std::ops::ControlFlow;
use std::sync::Arc;

use fanfare_protocol::Encoding;
use fanfare_protocol::ws::{Incoming, MessageReader, OpCode, ReaderLimits, Role, encode_masked_frame};

use crate::failure::{Failure, Stage};
use crate::memo::{Memo, Reading, compressed_frame};
use crate::plan::{Deflate, Plan};
use crate::scan::{Delivery, Scanner};
use crate::upgrade;
use crate::window::Context;

mod engine;
mod raw;

/// Longest message that is read.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What every frame is masked with. RFC 6455 §10.3 wants keys that pages cannot guess, to protect proxies from
/// scripts; this program is no browser, and its server has the same work with any key.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a connection tells its scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// `welcome` came.
    Welcomed,
    /// A join was answered.
    Joined {
        /// The room's number.
        room: u32,
        /// The next message is the one after this.
        offset: u64,
        /// Which count that belongs to; empty where there is only one.
        epoch: &'a str,
        /// Whether that is the place an earlier connection had come to.
        recovered: bool,
    },
    /// A leave was answered.
    Left {
        /// The room's number.
        room: u32,
    },
    /// A message came.
    Delivered(Delivery),
    /// A publish was answered.
    Published {
        /// The message's number.
        number: u32,
        /// Its place in the room.
        offset: u64,
    },
    /// A publish was refused.
    Refused {
        /// The message's number.
        number: u32,
        /// The error's name, printable.
        name: &'a str,
    },
    /// The connection is closed, for whatever reason.
    Gone,
}

/// How far an earlier connection had come in a room.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The room's number.
    pub(crate) room: u32,
    /// Its epoch then.
    pub(crate) epoch: Arc<str>,
    /// The last offset that arrived.
    pub(crate) offset: u64,
}

/// What connections share while they read.
pub(crate) struct Shared<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) scanner: Scanner,
    pub(crate) memo: Memo,
}

/// One connection without its socket.
pub(crate) struct Client {
    reader: MessageReader,
    /// What compressed messages may refer to, where they may.
    context: Option<Context>,
    session: Session,
}

/// The part that messages change.
struct Session {
    index: u32,
    stage: Stage,
    joins_left: u32,
    /// Where to go on, for one that comes back.
    places: Vec<Place>,
    /// Whether the greeting of another server came.
    greeted: bool,
    /// Bytes to send; before the upgrade is answered: bytes of its head that were read.
    out: Vec<u8>,
}

const LIMITS: ReaderLimits =
    ReaderLimits { role: Role::Client, message_bytes_max: MESSAGE_BYTES_MAX, fragments_max: 1_024 };

impl Client {
    /// Connection `index`, not yet opened.
    pub(crate) fn new(index: u32, deflate: Deflate) -> Self {
        let session = Session {
            index,
            stage: Stage::Unopened,
            joins_left: 0,
            places: Vec::new(),
            greeted: false,
            out: Vec::new(),
        };
        let context = (deflate == Deflate::Shared).then(Context::default);
        Self { reader: MessageReader::new(deflate != Deflate::None), context, session }
    }

    /// Where it stands.
    pub(crate) fn stage(&self) -> Stage {
        self.session.stage
    }

    /// Moves it on: only the socket's owner knows when TCP is connected or gone.
    pub(crate) fn set_stage(&mut self, stage: Stage) {
        self.session.stage = stage;
        if stage == Stage::Gone {
            self.session.out = Vec::new();
            self.context = None;
        }
    }

    /// Where the next connection in its place is to go on.
    pub(crate) fn places(&mut self) -> &mut Vec<Place> {
        &mut self.session.places
    }

    /// Bytes that wait to be sent.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.session.out
    }

    /// Queues one message.
    pub(crate) fn send(&mut self, encoding: Encoding, payload: &[u8]) {
        self.session.send(encoding, payload);
    }

    /// Takes bytes that were read.
    ///
    /// # Errors
    /// Why the connection has to be closed.
    pub(crate) fn received(
        &mut self,
        bytes: &mut [u8],
        shared: &mut Shared<'_>,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        if self.session.stage == Stage::Upgrading {
            return self.upgraded(bytes, shared, sink);
        }
        let mut start = 0;
        // Nothing half-read means that a frame begins here.
        if shared.plan.deflate != Deflate::None && self.reader.is_between_messages() {
            while let Some((payload, end)) = compressed_frame(&bytes[start..]) {
                let payload = &bytes[start + payload..start + end];
                self.session.compressed(payload, self.context.as_mut(), shared, sink)?;
                start += end;
            }
        }
        self.read(&mut bytes[start..], shared, sink)
    }

    fn read(
        &mut self,
        bytes: &mut [u8],
        shared: &mut Shared<'_>,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (session, plan, scanner) = (&mut self.session, shared.plan, &shared.scanner);
        let mut failure = None;
        let mut reading = Reading { memo: &mut shared.memo, context: self.context.as_mut() };
        let read = self.reader.feed(bytes, &LIMITS, &mut reading, |incoming| {
            match session.incoming(incoming, plan, scanner, sink) {
                Ok(()) => ControlFlow::Continue(()),
                Err(why) => {
                    failure = Some(why);
                    ControlFlow::Break(())
                }
            }
        });
        match (failure, read) {
            (Some(failure), _) => Err(failure),
            (None, Err(violation)) => Err(Failure::Violation(violation.close_code)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Collects the answer's head; what follows it in the same read are messages.
    fn upgraded(
        &mut self,
        bytes: &mut [u8],
        shared: &mut Shared<'_>,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let before = self.session.out.len();
        self.session.out.extend_from_slice(bytes);
        let Some(len) = upgrade::read_answer(shared.plan, self.session.index, &self.session.out)? else {
            return Ok(());
        };
        self.session.out.clear();
        self.session.stage = Stage::Welcoming;
        if let Some(raw) = &shared.plan.raw {
            self.session.raw_opened(raw, shared.plan, sink)?;
        }
        let rest = len.saturating_sub(before).min(bytes.len());
        self.received(&mut bytes[rest..], shared, sink)
    }
}

impl Session {
    fn send(&mut self, encoding: Encoding, payload: &[u8]) {
        encode_masked_frame(&mut self.out, encoding.opcode(), false, MASK, payload);
    }

    fn incoming(
        &mut self,
        incoming: Incoming<'_>,
        plan: &Plan,
        scanner: &Scanner,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        match incoming {
            Incoming::Text(message) | Incoming::Binary(message) => self.message(message, plan, scanner, sink),
            Incoming::Ping(payload) => {
                encode_masked_frame(&mut self.out, OpCode::Pong, false, MASK, payload);
                Ok(())
            }
            Incoming::Pong(_) => Ok(()),
            Incoming::Close { code, .. } => Err(Failure::Closed(code)),
        }
    }

    #[inline]
    fn message(
        &mut self,
        message: &[u8],
        plan: &Plan,
        scanner: &Scanner,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        match &plan.raw {
            None => self.engine_message(message, plan, scanner, sink),
            Some(raw) => self.raw_message(raw, message, plan, sink),
        }
    }

    /// A join was answered.
    fn joined(
        &mut self,
        room: u32,
        offset: u64,
        epoch: &str,
        recovered: bool,
        sink: &mut impl FnMut(Event<'_>),
    ) {
        sink(Event::Joined { room, offset, epoch, recovered });
        if self.stage == Stage::Joining {
            self.joins_left = self.joins_left.saturating_sub(1);
            if self.joins_left == 0 {
                self.stage = Stage::Live;
            }
        }
    }

    /// The short way for a message in one compressed frame.
    fn compressed(
        &mut self,
        payload: &[u8],
        context: Option<&mut Context>,
        shared: &mut Shared<'_>,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let said = shared.memo.read(context, payload, MESSAGE_BYTES_MAX);
        let said = said.map_err(|_| Failure::Violation(1_007))?;
        if said.delivery.is_none() {
            said.delivery = match &shared.plan.raw {
                None if shared.scanner.is_delivery(&said.plain) => shared.scanner.scan(&said.plain),
                None => None,
                Some(raw) => raw.only_delivery(&said.plain),
            };
        }
        match said.delivery {
            Some(delivery) => {
                sink(Event::Delivered(delivery));
                Ok(())
            }
            None => self.message(&said.plain, shared.plan, &shared.scanner, sink),
        }
    }
}

#[cfg(test)]
mod tests;
