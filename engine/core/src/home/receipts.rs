//! Rooms that remember their readers: who comes and goes, what they acknowledge, what is sent again and what is given up.

use bytes::Bytes;
use fanfare_protocol::{Code, Refusal, Reply};

use crate::class::Class;
use crate::durable::{DeadLetter, Subscriber, Write};
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::log::{Kept, Log};
use crate::home::store::Removed;
use crate::home::subscribers::{Subscribers, Subscription};
use crate::id::{Address, Epoch};
use crate::mesh::{Acknowledgement, CatchUp, Mesh, Reader, Receipt, Replay, ToHome, ToLocal};
use crate::room_type::{Delivery, Owner};
use crate::time::Now;

/// What became of messages for readers that are remembered, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readers {
    /// Readers remembered now.
    pub(crate) subscribers: usize,
    /// Acknowledgements that settled something.
    pub(crate) acknowledged: u64,
    /// Messages sent once more.
    pub(crate) redelivered: u64,
    /// Messages given up.
    pub(crate) buried: u64,
    /// Messages left out because too many waited.
    pub(crate) overflowed: u64,
    /// Readers that did not come back in time.
    pub(crate) expired: u64,
    /// Dead letters held now, and those that had to make room.
    pub(crate) dead_letters: usize,
    pub(crate) dead_letters_dropped: u64,
}

impl HomeRooms {
    /// A member of a room that remembers its readers has come: what it is sent first.
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        number: u32,
        wanted: CatchUp,
        from: Address,
        class: Class,
    ) -> Result<Replay, Refusal> {
        let known = self.place_in(number, &wanted);
        let CatchUp { recover, last, reader, .. } = wanted;
        let Reader { subscriber, role } = reader.expect("invariant: who joins such a room says who it is");
        let full = self.readers.subscribers >= self.options.limits.subscribers;
        let room = self.rooms.get_mut(number).expect("invariant: just entered");
        let acknowledged = self.options.type_of(&room.name).is_acknowledged();
        // To one's own room somebody may have written before one ever came.
        let is_own = room.name.is_inbox() || self.options.type_of(&room.name).owner != Owner::Nobody;
        let stands = room.offset;
        let subscribers = &mut room.more().subscribers;
        let was_here = subscribers.get_mut(&subscriber).is_some_and(|of| of.is_here());
        let (start, is_new) = match subscribers.get_mut(&subscriber) {
            Some(subscription) => {
                subscription.sent_ms = now.mono_ms();
                subscription.role.clone_from(&role);
                // Where nothing is acknowledged, who is here on another connection has been sent everything.
                let is_sent = !acknowledged && subscription.is_here();
                (known.unwrap_or(if is_sent { stands } else { subscription.cursor }), false)
            }
            None if full => {
                let message = "the server remembers as many readers as it may";
                return Err(Refusal::new(Code::ServerError, message));
            }
            None => {
                let begin = if is_own { 0 } else { stands };
                let cursor = known.unwrap_or(begin);
                subscribers.insert(subscriber.clone(), Subscription::new(cursor, role.clone(), now));
                self.readers.subscribers += 1;
                let of_latest = stands.saturating_sub(u64::from(last.unwrap_or(0)));
                (known.unwrap_or(begin.min(of_latest)), true)
            }
        };
        subscribers.enter(&subscriber, from, class);
        if !was_here {
            self.note_cursor(number, &subscriber);
        }
        let reader = Reader { subscriber, role };
        let replay = self.waiting(now, number, class, start, Some(&reader), None);
        let is_sure = known.is_some() || (!is_new && recover.is_none());
        let replay = Replay { recovered: replay.recovered && is_sure, ..replay };
        self.recovered += u64::from(replay.recovered);
        self.unrecovered += u64::from(!replay.recovered && recover.is_some());
        self.expect_acks(number, now);
        Ok(replay)
    }

    /// A connection has left, for good or not.
    pub(super) fn unsubscribe(&mut self, now: Now, number: u32, from: Address, for_good: bool) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let room_type = self.options.by(room.rules);
        let (acknowledged, queues) = (room_type.is_acknowledged(), room_type.queue.size > 0);
        let stands = room.offset;
        let Some((subscriber, subscription)) = room.subscribers().and_then(|all| all.exit(from)) else {
            return;
        };
        if subscription.is_here() {
            return;
        }
        subscription.seen_ms = now.mono_ms();
        if !acknowledged {
            subscription.settle(stands);
        }
        if for_good || !queues {
            self.forget_reader(number, &subscriber);
        } else {
            self.note_cursor(number, &subscriber);
        }
    }

    fn forget_reader(&mut self, number: u32, subscriber: &Subscriber) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let name = room.name.clone();
        let Some(more) = &mut room.more else { return };
        let before = more.subscribers.len();
        more.subscribers.remove(subscriber);
        self.readers.subscribers -= before - more.subscribers.len();
        self.tidy(number);
        if self.is_durable(&name) {
            self.store.remove(Removed::Reader(name, subscriber.clone()));
        }
    }

    /// Lets the store know how far a reader has come.
    fn note_cursor(&mut self, number: u32, subscriber: &Subscriber) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let name = room.name.clone();
        let cursor = room.subscribers().and_then(|all| all.get_mut(subscriber)).map(|of| of.as_stored());
        if let Some(cursor) = cursor.filter(|_| self.is_durable(&name)) {
            let subscriber = subscriber.clone();
            self.store.write(Write::Cursor { room: name, subscriber, cursor });
        }
    }

    /// `ack`: everything up to a place was received.
    pub(super) fn acknowledge(&mut self, now: Now, ack: Acknowledgement, out: &mut Effects) {
        let Acknowledgement { room, from, offset, epoch, answer } = ack;
        let outcome = self.settle_for(now, &room, from, offset, epoch.as_deref(), out);
        let Some((encoding, command)) = answer else { return };
        let reply = match &outcome {
            Ok(()) => Reply::Ok,
            Err((field, message)) => Reply::Error { code: Code::InvalidMessage, message, field: Some(field) },
        };
        let mut payload = Vec::with_capacity(96);
        encoding.encode_reply(&reply, Some(&command), &mut payload);
        out.send(from.shard, Mesh::Local(ToLocal::Reply(from.connection, Bytes::from(payload))));
    }

    fn settle_for(
        &mut self,
        now: Now,
        name: &fanfare_protocol::RoomName,
        from: Address,
        offset: u64,
        epoch: Option<&str>,
        out: &mut Effects,
    ) -> Result<(), (&'static str, &'static str)> {
        let number = self.rooms.find(name).ok_or(("room", "there is no such `room`"))?;
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let (stands, epoch_of_room) = (room.offset, room.epoch);
        if epoch.is_some_and(|epoch| *epoch != *epoch_of_room.to_string()) {
            return Err(("epoch", "`epoch` is not the room's: its count has begun anew"));
        }
        if offset > stands {
            return Err(("offset", "`offset` lies beyond the room's last message"));
        }
        let reader = room.subscribers().and_then(|all| all.of(from));
        let (subscriber, subscription) =
            reader.ok_or(("room", "only a member of the `room` can acknowledge"))?;
        let (subscriber, before, role) = (subscriber.clone(), subscription.cursor, subscription.role.clone());
        if !subscription.settle(offset) {
            return Ok(());
        }
        self.readers.acknowledged += 1;
        self.note_cursor(number, &subscriber);
        let receipts = self.with_log(number, now, |rooms, log| {
            let settled = log.after(before).take_while(|kept| kept.entry.offset <= offset);
            let is_owed = |kept: &Kept| kept.entry.is_owed_to(&subscriber.user, &role, &rooms.options);
            let owed = settled.filter(|kept| is_owed(kept));
            let told = |kept: &Kept| Some((kept.receipts?, receipt(kept, name, epoch_of_room, &subscriber)));
            owed.filter_map(told).collect::<Vec<_>>()
        });
        for (publisher, receipt) in receipts.unwrap_or_default() {
            let receipt = ToLocal::Receipt(publisher.connection, Box::new(receipt));
            out.send(publisher.shard, Mesh::Local(receipt));
        }
        Ok(())
    }

    /// Something was handed out: somebody looks whether it was acknowledged, in time.
    pub(super) fn expect_acks(&mut self, number: u32, now: Now) {
        let room = self.rooms.get(number).expect("invariant: just found");
        if let Delivery::AtLeastOnce { ack_wait_ms, .. } = self.options.by(room.rules).delivery
            && room.more.as_ref().is_some_and(|more| !more.subscribers.is_empty())
        {
            self.check_at(number, now.mono_ms() + ack_wait_ms);
        }
    }

    fn check_at(&mut self, number: u32, at_ms: u64) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let Some(subscribers) = room.subscribers() else { return };
        if subscribers.check_ms > at_ms {
            self.checks.remove(&(subscribers.check_ms, number));
            self.checks.insert((at_ms, number));
            subscribers.check_ms = at_ms;
        }
    }

    /// Looks at every room where somebody may owe an acknowledgement for too long.
    pub(crate) fn look_after_readers(&mut self, now: Now, out: &mut Effects) {
        while let Some((at_ms, number)) = self.checks.pop_first() {
            if at_ms > now.mono_ms() {
                self.checks.insert((at_ms, number));
                break;
            }
            // It may have been forgotten since, or be another one by now, which has nobody to look after.
            let Some(room) = self.rooms.get_mut(number) else { continue };
            let (name, epoch) = (room.name.clone(), room.epoch);
            let Delivery::AtLeastOnce { ack_wait_ms, max_deliver } = self.options.by(room.rules).delivery
            else {
                continue;
            };
            let Some(more) = &mut room.more else { continue };
            let mut subscribers = std::mem::take(&mut more.subscribers);
            subscribers.check_ms = u64::MAX;
            let check = Check { number, name, epoch, ack_wait_ms, max_deliver, next_ms: u64::MAX };
            let next_ms = self.check(now, check, &mut subscribers, out);
            let room = self.rooms.get_mut(number).expect("invariant: still there");
            room.more().subscribers = subscribers;
            if next_ms != u64::MAX {
                // A turn of the clock at least, so that one look serves all who are due at about the same time.
                self.check_at(number, next_ms.max(now.mono_ms() + 1));
            }
        }
        self.store.hand_over(out);
    }

    /// Sends again what was not acknowledged in time, and gives up what was sent often enough. When to look again.
    fn check(&mut self, now: Now, mut check: Check, subscribers: &mut Subscribers, out: &mut Effects) -> u64 {
        let mut cursors = Vec::new();
        self.with_log(check.number, now, |rooms, log| {
            for (subscriber, of) in subscribers.iter_mut().filter(|(_, of)| of.is_here()) {
                let owed = |kept: &&Kept| of.is_owed(subscriber, kept, now, &rooms.options);
                let Some(first) = log.after(of.cursor).find(owed) else { continue };
                let due_ms = first.entry.at_ms.max(of.sent_ms) + check.ack_wait_ms;
                if due_ms > now.mono_ms() {
                    check.next_ms = check.next_ms.min(due_ms);
                    continue;
                }
                let before = of.cursor;
                rooms.give_up_spent(now, &check, subscriber, of, log, out);
                if of.cursor != before {
                    cursors.push(subscriber.clone());
                }
                rooms.send_again(now, &check, subscriber, of, log, out);
                check.next_ms = check.next_ms.min(now.mono_ms() + check.ack_wait_ms);
            }
        });
        if self.is_durable(&check.name) {
            for subscriber in cursors {
                let Some(of) = subscribers.get_mut(&subscriber) else { continue };
                let (room, cursor) = (check.name.clone(), of.as_stored());
                self.store.write(Write::Cursor { room, subscriber, cursor });
            }
        }
        check.next_ms
    }

    /// What was sent as often as it may goes to the user's dead letters.
    fn give_up_spent(
        &mut self,
        now: Now,
        check: &Check,
        subscriber: &Subscriber,
        of: &mut Subscription,
        log: &Log,
        out: &mut Effects,
    ) {
        let until = of.spent(check.max_deliver);
        let is_over = |kept: &&Kept| {
            kept.entry.offset <= until && kept.entry.at_ms + check.ack_wait_ms <= now.mono_ms()
        };
        let mut last = of.cursor;
        for kept in log.after(of.cursor).take_while(is_over) {
            last = kept.entry.offset;
            if !of.is_owed(subscriber, kept, now, &self.options) {
                continue;
            }
            let letter = DeadLetter {
                id: self.random.next_u64(),
                user: subscriber.user.clone(),
                room: check.name.clone(),
                epoch: check.epoch,
                entry: kept.entry.clone(),
                died_ms: now.mono_ms(),
                deliveries: check.max_deliver,
            };
            self.readers.buried += 1;
            if self.is_durable(&check.name) {
                // Before the cursor: a crash in between must not lose it.
                self.store.bury(Box::new(letter.clone()));
            }
            out.send(self.home_of(&letter.user), Mesh::Home(ToHome::Bury(Box::new(letter))));
        }
        of.settle(last);
    }

    /// Everything that was not acknowledged in time, once more, to every connection of the reader.
    fn send_again(
        &mut self,
        now: Now,
        check: &Check,
        subscriber: &Subscriber,
        of: &mut Subscription,
        log: &mut Log,
        out: &mut Effects,
    ) {
        let text = check.epoch.to_string();
        let rule = self.options.type_of(&check.name).compression;
        let mut last = of.cursor;
        for (at, (address, class)) in of.connections.iter().enumerate() {
            let (mut frames, mut bytes, mut grown) = (Vec::new(), 0, 0);
            let is_over = |kept: &&mut Kept| kept.entry.at_ms + check.ack_wait_ms <= now.mono_ms();
            for kept in log.after_mut(of.cursor).take_while(is_over) {
                if !of.is_owed(subscriber, kept, now, &self.options) {
                    continue;
                }
                let (frame, added) = kept.frame(&check.name, &text, *class, &mut self.encoder, rule);
                grown += added;
                bytes += frame.len();
                if bytes > self.options.limits.replay_bytes && !frames.is_empty() {
                    break;
                }
                last = kept.entry.offset.max(last);
                frames.push((frame, Vec::new()));
            }
            log.grew(grown);
            if at == 0 {
                self.readers.redelivered += frames.len() as u64;
            }
            if !frames.is_empty() {
                let replay = Box::new(Replay { recovered: true, frames, session: None, state: None });
                let again = ToLocal::Again(address.connection, check.name.clone(), replay);
                out.send(address.shard, Mesh::Local(again));
            }
        }
        of.sent_again(last, check.max_deliver, now);
    }

    /// Forgets readers that have been away for too long.
    pub(super) fn expire_readers(&mut self, number: u32, now: Now) {
        let Some(room) = self.rooms.get(number) else { return };
        let Some(more) = room.more.as_ref().filter(|more| !more.subscribers.is_empty()) else { return };
        let ttl_ms = self.options.by(room.rules).queue.ttl_ms;
        let is_over = |of: &Subscription| !of.is_here() && of.seen_ms.saturating_add(ttl_ms) <= now.mono_ms();
        let over: Vec<Subscriber> =
            more.subscribers.iter().filter(|(_, of)| is_over(of)).map(|(who, _)| who.clone()).collect();
        for subscriber in over {
            self.readers.expired += 1;
            self.forget_reader(number, &subscriber);
        }
    }
}

/// A look at one room's readers.
struct Check {
    number: u32,
    name: fanfare_protocol::RoomName,
    epoch: Epoch,
    ack_wait_ms: u64,
    max_deliver: u32,
    next_ms: u64,
}

fn receipt(kept: &Kept, room: &fanfare_protocol::RoomName, epoch: Epoch, reader: &Subscriber) -> Receipt {
    let (offset, message_id) = (kept.entry.offset, kept.entry.message_id.clone());
    Receipt { room: room.clone(), epoch, offset, message_id, reader: reader.clone() }
}
