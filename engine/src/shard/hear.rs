//! From what a socket has brought to the core: commands, tokens, messages in a dialect.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fanfare_core::{Close, ConnectionId, Identity, Input, Now};
use fanfare_protocol::Code;
use fanfare_protocol::wire::CommandId;
use fanfare_protocol::ws::OpCode;

use crate::auth::Rejection;
use crate::http::profile::{self, Introduction, Refused};
use crate::shard::read::{Event, event};
use crate::shard::state::State;

impl State {
    /// Hands the core what was read.
    pub(super) fn understand(&mut self, now: Now, id: ConnectionId, bytes: &mut [u8]) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let mut events = std::mem::take(&mut self.events);
        self.reading.read(id, socket, bytes, &mut events);
        if std::mem::take(&mut self.reading.panicked) {
            self.process.panicked();
        }
        for event in events.drain(..) {
            match event {
                Event::Input(input) => self.core.handle(now, input, &mut self.effects),
                Event::Token(command, token) => self.show_token(now, id, command, &token),
                Event::Said(opcode, payload) => self.hear(now, id, opcode, &payload),
            }
        }
        self.events = events;
    }

    /// A message came in the connection's dialect.
    #[cold]
    fn hear(&mut self, now: Now, id: ConnectionId, opcode: OpCode, payload: &[u8]) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let (dialect, bytes_max) = (socket.dialect, self.reading.message_bytes_max(socket));
        let mut outcomes = Vec::new();
        let heard = catch_unwind(AssertUnwindSafe(|| {
            let Some(listener) = self.core.listener(id) else { return };
            let listener = fanfare_protocol::Listener { now_unix_ms: now.unix_ms, ..listener };
            let profiles = &self.process.config.profiles;
            profiles
                .hear(dialect, &listener, opcode, payload, bytes_max, &mut |outcome| outcomes.push(outcome));
        }));
        if heard.is_err() {
            self.process.panicked();
            let close = Close::code(Code::ServerError, "the server failed on this message");
            self.core.handle(now, Input::Close(id, close), &mut self.effects);
            return;
        }
        for outcome in outcomes {
            let single = match outcome {
                Err(refusal) => Err(refusal),
                Ok(mut requests) if requests.len() == 1 => Ok(requests.remove(0)),
                Ok(requests) => {
                    self.core.handle(now, Input::Commands(id, requests), &mut self.effects);
                    continue;
                }
            };
            match event(id, single) {
                Event::Input(input) => self.core.handle(now, input, &mut self.effects),
                Event::Token(command, token) => self.show_token(now, id, command, &token),
                Event::Said(..) => unreachable!("invariant: commands are no messages of a dialect"),
            }
        }
    }

    /// A token came by command.
    fn show_token(&mut self, now: Now, id: ConnectionId, command: Option<CommandId>, token: &str) {
        if !self.core.may_show_token(now, id, command.as_ref()) {
            return;
        }
        let checked = self.process.identify(token, now.unix_ms);
        self.process.audit.token(self.shard, id, token, &checked);
        let input = match checked {
            Ok(identity) => match self.introduced(id, token, identity) {
                Ok(identity) => Input::Token(id, command, Ok(identity)),
                Err(refused) => {
                    let Refused { code, close, message, field } = refused;
                    let number = close.unwrap_or(code.number());
                    let (reason, is_final) = (message.into(), close.is_some());
                    Input::Close(id, Close { number, reason, error: Some(code), field, is_final })
                }
            },
            Err(Rejection { code: Code::AuthenticationFailed, message }) => {
                Input::Token(id, command, Err(message))
            }
            Err(Rejection { code, message }) => {
                Input::Close(id, Close { reason: message.into(), ..Close::code(code, "") })
            }
        };
        self.core.handle(now, input, &mut self.effects);
    }

    /// What a profile makes of somebody whose token is good; at the engine's own endpoint nothing else.
    fn introduced(
        &mut self,
        id: ConnectionId,
        token: &str,
        mut identity: Identity,
    ) -> Result<Identity, Refused> {
        let dialect = self.sockets.get_mut(id).map_or(0, |socket| socket.dialect);
        let Some(listener) = self.core.listener(id).filter(|_| dialect > 0) else { return Ok(identity) };
        let is_first = listener.user_id.is_empty();
        let introduced = profile::first_token(&self.process, dialect, listener.given, token, &mut identity)?;
        if is_first {
            let Introduction { given, rooms, commands } = introduced;
            self.core.introduce(id, given, rooms, commands);
        }
        Ok(identity)
    }
}
