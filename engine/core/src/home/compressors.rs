//! The compressors of all shared contexts of a shard, and which room has one.

use std::collections::BTreeSet;

use fanfare_protocol::RoomName;
use fanfare_protocol::deflate::{Deflater, WINDOW_BITS_MAX};

use crate::effect::Effects;
use crate::encoder::Manner;
use crate::entry::Entry;
use crate::home::HomeRooms;
use crate::home::room::{HomeRoom, More};
use crate::home::rooms::seconds;
use crate::id::ShardId;
use crate::mesh::{Mesh, ToLocal};
use crate::prepared::{Frames, Turn};
use crate::room_type::{Compression, CompressionMode};
use crate::time::Now;

/// A room that nobody published to for so long gives its compressors back.
const IDLE_S: u32 = 10;
/// The same where another room waits for one.
const IDLE_WANTED_S: u32 = 2;

/// See the module's own text.
#[derive(Debug, Default)]
pub(crate) struct Compressors {
    free: Vec<Box<Deflater>>,
    /// All there are, free or not.
    made: usize,
    max: usize,
    /// Rooms that have some.
    holders: BTreeSet<u32>,
    /// How often a context began anew.
    pub(crate) resets: u64,
}

impl Compressors {
    /// At most so many.
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// How many are in use.
    pub(crate) fn used(&self) -> usize {
        self.made - self.free.len()
    }

    /// One that refers to nothing; none where all are in use.
    pub(super) fn take(&mut self, level: u32) -> Option<Box<Deflater>> {
        if let Some(at) = self.free.iter().position(|deflater| deflater.level() == level) {
            let mut deflater = self.free.swap_remove(at);
            deflater.begin_anew();
            return Some(deflater);
        }
        if self.made == self.max {
            self.free.pop()?;
            self.made -= 1;
        }
        self.made += 1;
        Some(Box::new(Deflater::new(level, WINDOW_BITS_MAX)))
    }

    pub(super) fn put_back(&mut self, deflater: Option<Box<Deflater>>) {
        self.free.extend(deflater);
    }

    fn is_exhausted(&self) -> bool {
        self.used() == self.max
    }
}

impl HomeRooms {
    /// Encodes a message for everybody in its room, and says what becomes of the room's context with it.
    pub(super) fn encode(
        &mut self,
        now: Now,
        out: &mut Effects,
        number: u32,
        entry: &Entry,
        is_excluding: bool,
        overtakes: u8,
    ) -> (Frames, Turn) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let is_due = |more: &More| more.context.as_ref().is_some_and(|context| context.is_due());
        if self.compressors.is_exhausted() && room.more.as_deref().is_some_and(is_due) {
            self.give_back_after(now, IDLE_WANTED_S, out);
        }
        let Self { rooms, encoder, options, compressors, .. } = self;
        let room = rooms.get_mut(number).expect("invariant: just seen");
        let rule = options.by(room.rules).compression;
        let text = room.epoch.to_string();
        if !options.mode.compression {
            let rule = Compression { mode: CompressionMode::Off, ..rule };
            let more = room.more.as_deref_mut();
            let context = more.and_then(|more| more.context.as_mut()).filter(|context| context.is_on());
            let turn = context.map_or(Turn::Same, |context| {
                compressors.holders.remove(&number);
                context.end(compressors)
            });
            let message = entry.message(&room.name, &text);
            return (encoder.prepare(&message, room.audience.classes(), Manner::alone(rule)), turn);
        }
        // What may overtake must mean the same wherever it stands.
        let may_move = overtakes > 0;
        if !room.rules.shares || room.audience.followers().next().is_none() {
            let manner = Manner { waiting: !may_move, ..Manner::alone(rule) };
            let frames = encoder.prepare(&entry.message(&room.name, &text), room.audience.classes(), manner);
            return (frames, Turn::Same);
        }
        let HomeRoom { name, audience, more, .. } = room;
        let context = more.get_or_insert_default().context.get_or_insert_default();
        let turn = context.turn(now, rule, audience, compressors);
        match turn {
            Turn::Same => {}
            Turn::Anew(_) => {
                compressors.resets += 1;
                compressors.holders.insert(number);
            }
            Turn::End => drop(compressors.holders.remove(&number)),
        }
        // Who is left out falls out of step until it begins anew: where they are few, that costs more than it saves.
        let costs = is_excluding && audience.members() <= context.left(rule);
        let is_for_all = entry.roles.is_empty() && !options.withholds(&entry.event);
        let goes_through = context.is_on() && !may_move && is_for_all && !costs;
        let waiting = !may_move && (!context.is_on() || context.is_awaited(audience));
        let manner = Manner { rule, context: goes_through.then_some(&mut **context), waiting };
        let frames = encoder.prepare(&entry.message(name, &text), audience.classes(), manner);
        context.count(&frames, goes_through);
        (frames, turn)
    }

    /// Rooms that nobody published to for a while give their compressors back.
    pub(super) fn give_back_idle(&mut self, now: Now, out: &mut Effects) {
        self.give_back_after(now, IDLE_S, out);
    }

    fn give_back_after(&mut self, now: Now, idle_s: u32, out: &mut Effects) {
        let Self { rooms, compressors, .. } = self;
        let mut holders = std::mem::take(&mut compressors.holders);
        holders.retain(|&number| {
            let room = rooms.get_mut(number).expect("invariant: a room that is forgotten gives them back");
            let is_used = seconds(now).saturating_sub(room.used_s) < idle_s;
            if !is_used {
                room.end_context(compressors);
                // Whoever follows it is free to follow another: no message may come to say so.
                for shard in room.audience.shards() {
                    out.send(shard, Mesh::Local(ToLocal::ContextEnded(room.name.clone())));
                }
            }
            is_used
        });
        compressors.holders = holders;
    }

    /// A room is about to be forgotten.
    pub(super) fn forget_context(&mut self, number: u32, room: &mut HomeRoom) {
        room.end_context(&mut self.compressors);
        self.compressors.holders.remove(&number);
    }

    /// A member has left a room: without anybody to follow it, its context is of no use.
    pub(super) fn forget_steps(&mut self, number: u32) {
        let Self { rooms, compressors, .. } = self;
        let room = rooms.get_mut(number).expect("invariant: the caller has just found it");
        let Some(More { context: Some(context), .. }) = room.more.as_deref_mut() else { return };
        context.forget(&room.audience);
        if room.audience.followers().next().is_none() {
            room.end_context(compressors);
            compressors.holders.remove(&number);
        }
    }

    /// A shard tells whether all of its members who could follow a room's context do.
    pub(super) fn in_step(&mut self, room: &RoomName, shard: ShardId, all: bool) {
        let found = self.rooms.find(room).and_then(|number| self.rooms.get_mut(number));
        let Some(HomeRoom { audience, more: Some(more), .. }) = found else { return };
        // Its last one may have left meanwhile.
        if let Some(context) = &mut more.context {
            context.in_step(shard, all && audience.followers().any(|of| of == shard));
        }
    }
}
