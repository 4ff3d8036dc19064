//! Questions that only the home of a room can answer.

use fanfare_protocol::Refusal;

use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::time::Now;
use crate::view::{HomeQuestion, ReaderRow, Rows};

impl HomeRooms {
    /// A question that only this home can answer.
    pub(super) fn answer(&mut self, now: Now, question: HomeQuestion, out: &mut Effects) -> Rows {
        let room = self.rooms.find(question.room()).and_then(|number| self.rooms.get(number));
        match question {
            HomeQuestion::Readers { room: name, limit, caller } => {
                if let Some(caller) = caller
                    && let Err(refusal) = self.admits(now, &name, Some(&caller))
                {
                    return Rows::Refused(Box::new(refusal));
                }
                let Some(room) = room else { return Rows::Readers(None, Vec::new()) };
                let of = room.more.iter().flat_map(|more| more.subscribers.iter());
                let acknowledged = room.rules.in_order;
                let rows = of.take(limit as usize).map(|(reader, of)| ReaderRow {
                    reader: reader.clone(),
                    // Where nothing is acknowledged, who is here has been sent everything.
                    offset: if of.is_here() && !acknowledged { room.offset } else { of.cursor },
                    connections: of.connections.len() as u32,
                });
                Rows::Readers(Some((room.epoch, room.offset)), rows.collect())
            }
            HomeQuestion::DeadLetters { limit, .. } => {
                let dead = room.and_then(|room| room.more.as_ref()).map(|more| &more.dead);
                Rows::DeadLetters(dead.into_iter().flatten().take(limit as usize).cloned().collect())
            }
            HomeQuestion::Requeue { user, letter } => exhumed(self.requeue(now, &user, letter, out)),
            HomeQuestion::Drop { user, letter } => exhumed(self.drop_dead(&user, letter)),
        }
    }
}

fn exhumed(count: Result<u32, Refusal>) -> Rows {
    count.map_or_else(|refusal| Rows::Refused(Box::new(refusal)), Rows::Exhumed)
}
