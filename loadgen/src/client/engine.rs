//! What the engine's own messages mean.

use super::{Event, Session};
use crate::command::{self, Answer, Id, Recover};
use crate::failure::{Failure, Stage, printable_name};
use crate::plan::Plan;
use crate::scan::{EVENT, Scanner};
use crate::stamp::read_hex;

impl Session {
    #[inline]
    pub(super) fn engine_message(
        &mut self,
        message: &[u8],
        plan: &Plan,
        scanner: &Scanner,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        if scanner.is_delivery(message) {
            sink(Event::Delivered(scanner.scan(message).ok_or(Failure::Unreadable)?));
            return Ok(());
        }
        let answer = Answer::read(plan.encoding, message).ok_or(Failure::Unreadable)?;
        self.answer(answer, message, plan, scanner, sink)
    }

    fn answer(
        &mut self,
        answer: Answer,
        message: &[u8],
        plan: &Plan,
        scanner: &Scanner,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        match (answer.kind.as_str(), answer.id) {
            ("welcome", _) if self.stage == Stage::Welcoming => {
                sink(Event::Welcomed);
                for room in plan.memberships.rooms_of(self.index) {
                    self.joins_left += 1;
                    let place = self.places.iter().find(|place| place.room == room);
                    let recover = place.map(|place| Recover { epoch: &place.epoch, offset: place.offset });
                    let join = command::membership(plan.encoding, "join", room, &plan.room(room), recover);
                    self.send(plan.encoding, &join);
                }
                self.stage = if self.joins_left == 0 { Stage::Live } else { Stage::Joining };
            }
            ("joined", Some(Id::Number(room))) if matches!(self.stage, Stage::Joining | Stage::Live) => {
                let room = u32::try_from(room).map_err(|_| Failure::Unreadable)?;
                let stands = answer.offset.ok_or(Failure::Unreadable)?;
                let place = self.places.iter().find(|place| place.room == room && answer.recovered);
                // What was missed follows: the next message is the one after the place that was given.
                let offset = place.map_or(stands, |place| place.offset);
                self.joined(room, offset, answer.epoch.as_deref().unwrap_or_default(), place.is_some(), sink);
            }
            ("left", Some(Id::Number(room))) => {
                sink(Event::Left { room: u32::try_from(room).map_err(|_| Failure::Unreadable)? });
            }
            ("published", Some(Id::Text(number))) => {
                let number = message_number(&number).ok_or(Failure::Unreadable)?;
                sink(Event::Published { number, offset: answer.offset.ok_or(Failure::Unreadable)? });
            }
            // A refused publish is the message's fate, not the connection's.
            ("error", Some(Id::Text(number))) => {
                let name = printable_name(&answer.name.unwrap_or_default());
                sink(Event::Refused {
                    number: message_number(&number).ok_or(Failure::Unreadable)?,
                    name: &name,
                });
            }
            ("error", _) => return Err(Failure::Error(printable_name(&answer.name.unwrap_or_default()))),
            // A server that writes the fields in another order.
            (EVENT, _) => {
                sink(Event::Delivered(scanner.scan(message).ok_or(Failure::Unreadable)?));
            }
            // Anything else (a heartbeat, a presence change) is none of our business.
            _ => {}
        }
        Ok(())
    }
}

fn message_number(text: &str) -> Option<u32> {
    u32::try_from(read_hex(text.as_bytes())?).ok()
}
