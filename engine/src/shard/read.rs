//! From bytes to commands. Everything here may meet hostile input, so it runs under a guard: a panic costs the
//! connection that caused it and no other.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fanfare_core::{Close, ConnectionId, Input};
use fanfare_protocol::deflate::{Deflater, Inflater};
use fanfare_protocol::wire::CommandId;
use fanfare_protocol::ws::{Incoming, OpCode, ReaderLimits, Role, Violation, encode_frame};
use fanfare_protocol::{Code, Command, Encoding, Refusal, Request, json, msgpack};

use crate::shard::sockets::Socket;

/// What one read said.
pub(crate) enum Event {
    /// For the core as it is.
    Input(Input),
    /// A token, to be checked first.
    Token(Option<CommandId>, Box<str>),
    /// A message in the connection's dialect.
    Said(OpCode, Vec<u8>),
}

/// Largest message that `/echo` takes: the conformance suite sends 16 MiB.
const ECHO_BYTES_MAX: usize = 32 << 20;
const ECHO_FRAGMENTS_MAX: usize = 1 << 20;

/// A shard's reading side: what all its connections share.
pub(crate) struct Reading {
    limits: ReaderLimits,
    echo_limits: ReaderLimits,
    inflater: Inflater,
    level: u32,
    echo_deflaters: [Option<Deflater>; 7],
    /// Bytes of the largest message in each dialect, where that is not the engine's bound.
    sizes: Vec<Option<usize>>,
    /// A panic was caught.
    pub(crate) panicked: bool,
}

impl Reading {
    pub(crate) fn new(
        message_bytes_max: usize,
        fragments_max: usize,
        level: u32,
        sizes: Vec<Option<usize>>,
    ) -> Self {
        Self {
            limits: ReaderLimits { role: Role::Server, message_bytes_max, fragments_max },
            echo_limits: ReaderLimits {
                role: Role::Server,
                message_bytes_max: ECHO_BYTES_MAX,
                fragments_max: ECHO_FRAGMENTS_MAX,
            },
            inflater: Inflater::new(),
            level,
            echo_deflaters: Default::default(),
            sizes,
            panicked: false,
        }
    }

    /// Reads the commands out of one read's bytes.
    pub(crate) fn read(
        &mut self,
        id: ConnectionId,
        socket: &mut Socket,
        bytes: &mut [u8],
        events: &mut Vec<Event>,
    ) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.feed(id, socket, bytes, events)));
        let close = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(Violation { close_code, reason })) => Close::protocol(close_code, reason),
            Err(_) => {
                // The shared state may be half-way: begin with a new one.
                self.panicked = true;
                self.inflater = Inflater::new();
                self.echo_deflaters = Default::default();
                Close::code(Code::ServerError, "the server failed on this message")
            }
        };
        events.push(Event::Input(Input::Close(id, close)));
    }

    /// The bounds of a connection's messages.
    fn limits_of(&self, socket: &Socket) -> ReaderLimits {
        let own = usize::from(socket.dialect).checked_sub(1).and_then(|number| self.sizes[number]);
        match (socket.echo, own) {
            (Some(_), _) => self.echo_limits,
            (None, Some(message_bytes_max)) => ReaderLimits { message_bytes_max, ..self.limits },
            (None, None) => self.limits,
        }
    }

    /// Bytes of the largest message of a connection.
    pub(crate) fn message_bytes_max(&self, socket: &Socket) -> usize {
        self.limits_of(socket).message_bytes_max
    }

    fn feed(
        &mut self,
        id: ConnectionId,
        socket: &mut Socket,
        bytes: &mut [u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        let own = self.limits_of(socket);
        let Self { inflater, echo_deflaters, level, .. } = self;
        let Socket { reader, encoding, echo, dialect, .. } = socket;
        let dialect = *dialect;
        let limits = &own;
        let mut wrong_kind = false;
        reader.feed(bytes, limits, inflater, |incoming| {
            match (incoming, *echo) {
                (Incoming::Ping(payload), _) => {
                    events.push(Event::Input(Input::Ping(id, payload.to_vec())));
                }
                (Incoming::Pong(_), _) => {}
                (Incoming::Close { code, .. }, _) => {
                    events.push(Event::Input(Input::PeerClosed(id, code)));
                    return ControlFlow::Break(());
                }
                (Incoming::Text(payload), Some(bits)) => {
                    let frame = echoed(OpCode::Text, payload, bits, *level, echo_deflaters);
                    events.push(Event::Input(Input::Answer(id, frame)));
                }
                (Incoming::Binary(payload), Some(bits)) => {
                    let frame = echoed(OpCode::Binary, payload, bits, *level, echo_deflaters);
                    events.push(Event::Input(Input::Answer(id, frame)));
                }
                (Incoming::Text(payload), None) if dialect > 0 => {
                    events.push(Event::Said(OpCode::Text, payload.to_vec()));
                }
                (Incoming::Binary(payload), None) if dialect > 0 => {
                    events.push(Event::Said(OpCode::Binary, payload.to_vec()));
                }
                (Incoming::Text(payload), None) if *encoding == Encoding::Json => {
                    #[cfg(debug_assertions)]
                    assert_ne!(payload, br#"{"type":"$panic"}"#, "asked for by a test");
                    json::decode(payload, &mut |outcome| events.push(event(id, outcome)));
                }
                (Incoming::Binary(payload), None) if *encoding == Encoding::MessagePack => {
                    msgpack::decode(payload, &mut |outcome| events.push(event(id, outcome)));
                }
                (Incoming::Text(_) | Incoming::Binary(_), None) => {
                    wrong_kind = true;
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        if wrong_kind {
            let reason = "text messages carry fanfare.v1.json, binary ones fanfare.v1.msgpack";
            return Err(Violation { close_code: 1_003, reason });
        }
        Ok(())
    }
}

pub(crate) fn event(id: ConnectionId, outcome: Result<Request, Refusal>) -> Event {
    match outcome {
        Ok(Request { id: command, command: Command::Auth { token } | Command::Refresh { token } }) => {
            Event::Token(command, token)
        }
        Ok(request) => Event::Input(Input::Command(id, request)),
        Err(refusal) => Event::Input(Input::Malformed(id, refusal)),
    }
}

fn echoed(
    opcode: OpCode,
    payload: &[u8],
    window_bits: u8,
    level: u32,
    deflaters: &mut [Option<Deflater>; 7],
) -> Vec<u8> {
    let mut frame = Vec::new();
    if window_bits == 0 {
        encode_frame(&mut frame, opcode, false, payload);
        return frame;
    }
    let deflater =
        deflaters[usize::from(window_bits) - 9].get_or_insert_with(|| Deflater::new(level, window_bits));
    let mut compressed = Vec::new();
    deflater.compress(payload, &mut compressed);
    encode_frame(&mut frame, opcode, true, &compressed);
    frame
}
