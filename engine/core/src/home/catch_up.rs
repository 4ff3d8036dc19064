//! What a join is sent of the past: everything since a place, or the latest few.
//!
//! The answer to the join and what is replayed travel in one message, and live messages follow it in the same
//! queue: so there is no gap at the seam and nothing comes twice.

use crate::class::Class;
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
        let recovered = self.with_log(number, now, |rooms, log| {
            let since = since.filter(|since| log.reaches_back_to(*since, stands))?;
            let frames = rooms.frames(number, class, &epoch, |frame| log.frames_after(since, now, frame));
            let bytes: usize = frames.iter().map(|(frame, _)| frame.len()).sum();
            // More than this would end in the policy against slow readers.
            (bytes <= rooms.options.limits.replay_bytes).then_some(frames)
        });
        if let Some(frames) = recovered.flatten() {
            self.recovered += 1;
            return Replay { recovered: true, frames };
        }
        if nothing_missed {
            self.recovered += 1;
            return Replay { recovered: true, frames: Vec::new() };
        }
        self.unrecovered += u64::from(wanted.recover.is_some());
        let last = u64::from(wanted.last.unwrap_or(0));
        let frames = self.with_log(number, now, |rooms, log| {
            let since = stands.saturating_sub(last);
            let mut frames = rooms.frames(number, class, &epoch, |frame| log.frames_after(since, now, frame));
            let mut bytes = 0;
            let fits = frames.iter().rev().take_while(|(frame, _)| {
                bytes += frame.len();
                bytes <= rooms.options.limits.replay_bytes
            });
            let fits = fits.count();
            frames.drain(..frames.len() - fits);
            frames
        });
        Replay { recovered: false, frames: frames.unwrap_or_default() }
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
        frames(&mut |kept| kept.frame(name, epoch, class, encoder))
    }
}
