//! What another server's messages mean, by its table.

use fanfare_protocol::Encoding;

use super::{Event, Session};
use crate::failure::{Failure, Stage, printable_name};
use crate::plan::Plan;
use crate::raw::{Raw, Table, holds};

impl Session {
    /// The upgrade is answered: says hello unless the server has to greet first.
    pub(super) fn raw_opened(
        &mut self,
        raw: &Raw,
        plan: &Plan,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        if raw.table().greeting.is_some() { Ok(()) } else { self.raw_hello(raw.table(), plan, sink) }
    }

    fn raw_hello(
        &mut self,
        table: &Table,
        plan: &Plan,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        self.greeted = true;
        if let Some(hello) = &table.hello {
            self.raw_send(hello, plan, 1, None)?;
        }
        if table.ready.is_some() { Ok(()) } else { self.raw_ready(table, plan, sink) }
    }

    fn raw_ready(
        &mut self,
        table: &Table,
        plan: &Plan,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        sink(Event::Welcomed);
        self.stage = Stage::Joining;
        for (id, room) in (2..).zip(plan.memberships.rooms_of(self.index)) {
            self.joins_left += 1;
            if let Some(subscribe) = &table.subscribe {
                self.raw_send(subscribe, plan, id, Some(room))?;
            }
        }
        if self.joins_left == 0 {
            self.stage = Stage::Live;
        } else if table.subscribe.is_none() || table.subscribed.is_none() {
            self.raw_subscribed(self.joins_left, plan, sink);
        }
        Ok(())
    }

    /// So many subscriptions more are answered; servers answer in the order of the commands.
    fn raw_subscribed(&mut self, count: u32, plan: &Plan, sink: &mut impl FnMut(Event<'_>)) {
        let all = plan.memberships.rooms_of(self.index).count();
        let done = all.saturating_sub(self.joins_left as usize);
        for room in plan.memberships.rooms_of(self.index).skip(done).take(count as usize) {
            self.joined(room, 0, "", false, sink);
        }
    }

    /// One message, whatever it is.
    pub(super) fn raw_message(
        &mut self,
        raw: &Raw,
        message: &[u8],
        plan: &Plan,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let table = raw.table();
        let mut any = false;
        for delivery in raw.deliveries(message) {
            any = true;
            sink(Event::Delivered(delivery));
        }
        if any {
            return Ok(());
        }
        if let (Some(ping), Some(pong)) = (&table.ping, &table.pong)
            && message == ping.as_bytes()
        {
            self.send(Encoding::Json, pong.as_bytes());
            return Ok(());
        }
        if table.failed.as_ref().is_some_and(|failed| holds(message, failed)) {
            return Err(Failure::Error(printable_name(&String::from_utf8_lossy(message))));
        }
        match self.stage {
            Stage::Welcoming if !self.greeted => match &table.greeting {
                Some(greeting) if holds(message, greeting) => self.raw_hello(table, plan, sink),
                _ => Ok(()),
            },
            Stage::Welcoming => match &table.ready {
                Some(ready) if holds(message, ready) => self.raw_ready(table, plan, sink),
                _ => Ok(()),
            },
            Stage::Joining => {
                let answers = table
                    .subscribed
                    .as_ref()
                    .map_or(0, |text| memchr::memmem::find_iter(message, text.as_bytes()).count());
                self.raw_subscribed(u32::try_from(answers).unwrap_or(u32::MAX), plan, sink);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn raw_send(&mut self, text: &str, plan: &Plan, id: u32, room: Option<u32>) -> Result<(), Failure> {
        let mut text = text.replace("{id}", &id.to_string());
        if let Some(room) = room {
            text = text.replace("{room}", &plan.room(room));
        }
        if text.contains("{token}") {
            let token = plan.credentials.token(self.index);
            let token = token.map_err(|_| Failure::Upgrade("no token could be signed"))?;
            text = text.replace("{token}", &token.unwrap_or_default());
        }
        self.send(Encoding::Json, text.replace("{user}", &plan.credentials.user(self.index)).as_bytes());
        Ok(())
    }
}
