//! Doing what the core asks for: messages to other shards, answers, sockets that open and close, the store.

use std::os::fd::AsRawFd;

use fanfare_core::{Input, Now};
use fanfare_sys::{Interest, socket};

use crate::shard::state::State;
use crate::store::Batch;

impl State {
    /// Does what the core asked for.
    pub(super) fn perform(&mut self, now: Now) {
        self.perform_effects(now);
        while !self.effects.inquiries.is_empty() {
            self.ask_hooks(now);
            self.perform_effects(now);
        }
    }

    fn perform_effects(&mut self, now: Now) {
        self.perform_mesh();
        for (request, answer) in self.effects.answers.drain(..) {
            // Nobody waits any more when the HTTP client has gone.
            let Some(waiting) = self.requests.get_mut(&request) else { continue };
            waiting.answers.push(answer);
            waiting.missing = waiting.missing.saturating_sub(1);
            if let Some(waker) = waiting.waker.take_if(|_| waiting.missing == 0) {
                waker.wake();
            }
        }
        for (id, blocked) in self.effects.writable.drain(..) {
            let Some(socket) = self.sockets.get_mut(id) else { continue };
            // An echo that is not read is not fed either.
            let readable = !(blocked && socket.echo.is_some());
            let interest = Interest { readable, writable: blocked };
            let _ = self.readiness.change(socket.fd.as_raw_fd(), id.token(), interest);
        }
        for id in self.effects.finished.drain(..) {
            let Some(socket) = self.sockets.get_mut(id) else { continue };
            socket::shutdown(socket.fd.as_raw_fd());
        }
        for id in self.effects.closed.drain(..) {
            let Some(socket) = self.sockets.remove(id) else { continue };
            let _ = self.readiness.remove(socket.fd.as_raw_fd());
            socket::shutdown(socket.fd.as_raw_fd());
            let profile = self.process.config.profiles.of_dialect(socket.dialect);
            self.process.leave_connection(profile.map(|(number, _)| number));
            if let Some(place) = socket.address {
                self.process.addresses.leave(place);
            }
        }
        self.process.ended.note(self.shard, now, &self.effects.facts);
        if let Some(watch) = &mut self.watch {
            watch.note(now, &self.effects);
        }
        for fact in self.effects.facts.drain(..) {
            self.process.audit.note(self.shard, now, &fact);
            self.teller.tell(self.shard, now, &fact);
        }
    }

    /// Bans and revocations: noted where connects look before any connection is ended for them, so that nobody slips through between.
    fn keep_out(&mut self) {
        let now = self.now();
        for change in std::mem::take(&mut self.effects.denials) {
            let ending = change.ending(|key_id| self.process.live().verifier.numbers(key_id));
            self.process.denials.apply(change);
            if let Some(ending) = ending {
                self.core.handle(now, Input::End(ending), &mut self.effects);
            }
        }
        for search in std::mem::take(&mut self.effects.searches) {
            let found = self.sockets.from(&search.network);
            self.core.handle(now, Input::Found(search, found), &mut self.effects);
        }
    }

    pub(super) fn perform_mesh(&mut self) {
        if !self.effects.denials.is_empty() || !self.effects.searches.is_empty() {
            self.keep_out();
        }
        // First: what another shard does upon a message must not reach the store before this.
        if let Some(store) = self.store.as_ref().filter(|_| !self.effects.writes.is_empty()) {
            let writes = std::mem::take(&mut self.effects.writes);
            let (failures, written) = (self.core.store_failures(), self.core.written());
            // The store's thread ends after the shards.
            let _ = store.send(Batch { shard: self.shard, failures, written, writes });
        }
        for (to, message) in self.effects.mesh.drain(..) {
            self.port.send(to, message);
        }
    }
}
