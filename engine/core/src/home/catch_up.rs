//! What a join is sent of the past: everything since a place, or the latest few.
//!
//! The answer to the join and what is replayed travel in one message, and live messages follow it in the same
//! queue: so there is no gap at the seam and nothing comes twice.

use std::sync::Arc;

use crate::class::Class;
use crate::entry::Entry;
use crate::home::HomeRooms;
use crate::home::log::Kept;
use crate::mesh::{CatchUp, Replay};
use crate::time::Now;

impl HomeRooms {
    /// What the new member of a room is sent before anything live.
    pub(super) fn catch_up(&mut self, now: Now, number: u32, wanted: &CatchUp, class: Class) -> Replay {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let (epoch, stands) = (room.epoch.to_string(), room.offset);
        let since = wanted.recover.as_ref().filter(|place| *place.epoch == *epoch).map(|place| place.offset);
        let nothing_missed = since == Some(stands);
        // More than this would end in the policy against slow readers.
        let bytes_max = self.options.limits.replay_bytes;
        let (options, role) = (Arc::clone(&self.options), wanted.role.as_deref());
        let is_wanted = |of: &Entry| role.is_none_or(|role| options.may_receive(role, &of.event));
        let recovered = self.with_log(number, now, |rooms, log| {
            let since = since.filter(|since| log.reaches_back_to(*since, stands))?;
            let replay = rooms.frames(number, class, &epoch, |frame| {
                log.frames_after(since, now, bytes_max, is_wanted, frame)
            });
            replay.recovered.then_some(replay)
        });
        if let Some(replay) = recovered.flatten() {
            self.recovered += 1;
            return replay;
        }
        if nothing_missed {
            self.recovered += 1;
            return Replay { recovered: true, ..Replay::default() };
        }
        self.unrecovered += u64::from(wanted.recover.is_some());
        let last = u64::from(wanted.last.unwrap_or(0));
        let since = stands.saturating_sub(last);
        let latest = self.with_log(number, now, |rooms, log| {
            rooms.frames(number, class, &epoch, |frame| {
                log.frames_after(since, now, bytes_max, is_wanted, frame)
            })
        });
        Replay {
            recovered: false,
            frames: latest.map_or_else(Vec::new, |replay| replay.frames),
            session: None,
            state: None,
        }
    }

    /// Lets `frames` ask for the frame of each message.
    fn frames<T>(
        &mut self,
        number: u32,
        class: Class,
        epoch: &str,
        frames: impl FnOnce(&mut dyn FnMut(&mut Kept) -> (bytes::Bytes, usize)) -> T,
    ) -> T {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let (name, encoder) = (&room.name, &mut self.encoder);
        let rule = self.options.by(room.rules).compression;
        frames(&mut |kept| kept.frame(name, epoch, class, encoder, rule))
    }
}
