//! Connections that ended and may come back: each is remembered in its client's own room, with the rooms it was in.

use std::collections::VecDeque;

use fanfare_protocol::RoomName;

use crate::class::Class;
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::id::{Address, Epoch};
use crate::mesh::{CatchUp, JoinKind, Mesh, Replay, ToLocal};
use crate::time::Now;

/// What a client that comes back goes on with.
#[derive(Debug)]
pub(crate) struct Session {
    rooms: Vec<RoomName>,
    ticket: u64,
}

/// A client that has come back while its former connection is still there: mostly one whose network went away
/// unnoticed.
#[derive(Debug)]
pub(crate) struct Comer {
    pub(super) from: Address,
    pub(super) class: Class,
    pub(super) owner: u64,
    pub(super) kind: JoinKind,
}

/// All remembered sessions in the order in which they are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    order: VecDeque<Place>,
    tickets: u64,
    len: usize,
    /// Sessions that went on.
    pub(crate) resumed: u64,
}

#[derive(Debug)]
struct Place {
    until_ms: u64,
    room: u32,
    epoch: Epoch,
    ticket: u64,
}

impl Sessions {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One was, if `any`.
    pub(super) fn forgotten(&mut self, any: bool) {
        self.len -= usize::from(any);
    }
}

impl HomeRooms {
    /// A connection is about to leave its client's room and may come back.
    pub(super) fn park(&mut self, now: Now, client: &RoomName, rooms: Vec<RoomName>) {
        let limits = &self.options.limits;
        if limits.sessions == 0 || limits.reconnection_window_ms == 0 {
            return;
        }
        let until_ms = now.mono_ms() + limits.reconnection_window_ms;
        let number = self.rooms.find(client).expect("invariant: a room with members is kept");
        while self.sessions.len >= self.options.limits.sessions {
            self.forget_oldest_session();
        }
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        self.sessions.tickets += 1;
        let ticket = self.sessions.tickets;
        let former = room.more().session.replace(Session { rooms, ticket });
        self.sessions.len += usize::from(former.is_none());
        self.sessions.order.push_back(Place { until_ms, room: number, epoch: room.epoch, ticket });
    }

    /// Forgets sessions whose time is over.
    pub(super) fn expire_sessions(&mut self, now: Now) {
        while self.sessions.order.front().is_some_and(|place| place.until_ms <= now.mono_ms()) {
            self.forget_oldest_session();
        }
    }

    fn forget_oldest_session(&mut self) {
        let Some(Place { room, epoch, ticket, .. }) = self.sessions.order.pop_front() else { return };
        let room = self.rooms.get_mut(room).filter(|room| room.epoch == epoch);
        let Some(more) = room.and_then(|room| room.more.as_mut()) else { return };
        if more.session.take_if(|session| session.ticket == ticket).is_some() {
            self.sessions.len -= 1;
        }
    }

    /// What a client that has come back goes on with.
    pub(super) fn take_session(&mut self, number: u32) -> Replay {
        let room = self.rooms.get_mut(number).expect("invariant: just entered");
        let session = room.more.as_mut().and_then(|more| more.session.take());
        self.sessions.len -= usize::from(session.is_some());
        self.sessions.resumed += u64::from(session.is_some());
        Replay { session: session.map(|session| session.rooms), ..Replay::default() }
    }

    /// Whether a client that comes back must wait until its former connections have gone; they are told to.
    pub(super) fn must_wait(
        &mut self,
        room: &RoomName,
        comer: Comer,
        out: &mut Effects,
    ) -> Result<(), Comer> {
        let number = self.rooms.find(room);
        let found = number.and_then(|number| self.rooms.get_mut(number));
        let Some(found) = found.filter(|found| !found.audience.is_empty() && found.owner == comer.owner)
        else {
            return Err(comer);
        };
        for shard in found.audience.shards() {
            out.send(shard, Mesh::Local(ToLocal::MakeWay(room.clone())));
        }
        found.more().comers.push(comer);
        Ok(())
    }

    /// The last former connection has gone.
    pub(super) fn let_comers_in(&mut self, now: Now, number: u32, out: &mut Effects) {
        let Some(room) = self.rooms.get_mut(number).filter(|room| room.audience.is_empty()) else { return };
        let name = room.name.clone();
        let comers = room.more.as_mut().map(|more| std::mem::take(&mut more.comers)).unwrap_or_default();
        for Comer { from, class, owner, kind } in comers {
            // Whoever comes second finds the first one there and no session, and is one more connection of the client.
            let catch_up = Box::new(CatchUp { resumes: true, ..CatchUp::default() });
            self.decide_join(now, name.clone(), from, class, owner, Some(catch_up), kind, out);
        }
    }
}
