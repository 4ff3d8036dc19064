//! What services have outlives the process, where there is a store.

use super::HomeRooms;
use crate::durable::{StoredState, Write};
use crate::service::SERVICES;
use crate::time::Now;

impl HomeRooms {
    /// Puts back what a service had of a room.
    pub(crate) fn restore_state(&mut self, now: Now, state: &StoredState) {
        let Some(kind) = SERVICES.iter().position(|kind| *kind.name == *state.service) else { return };
        let Some(service) = (SERVICES[kind].restore)(&state.bytes, &self.options) else { return };
        let Ok(number) = self.find_or_create(now, &state.room) else { return };
        if !self.has_service(number, kind) {
            self.add_service(number, service, kind);
            // Its time may have come meanwhile.
            self.look_again(number);
        }
    }

    /// After a failure the store may have something else than what there is.
    pub(in crate::home) fn tell_store_states(&mut self) {
        for number in 0..self.rooms.numbers() {
            let Some(room) = self.rooms.get(number) else { continue };
            let Some(more) = &room.more else { continue };
            let states = more.services.has.iter().filter_map(|of| Some((of.kind, of.service.save()?)));
            for (kind, bytes) in states {
                let (room, service) = (room.name.clone(), SERVICES[kind].name);
                self.store.write(Write::State { room, service, bytes: Some(bytes.into()) });
            }
        }
        for ((room, service), _) in std::mem::take(&mut self.services.gone) {
            if !self.rooms.find(&room).is_some_and(|number| self.has_service(number, service)) {
                self.write_state(&room, service, None);
            }
        }
    }
}
