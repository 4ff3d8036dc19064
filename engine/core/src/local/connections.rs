//! The shard's connections by slot; a slot's generation tells its tenants apart.

use crate::id::ConnectionId;
use crate::local::connection::Connection;

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// A slab whose ids are never given out twice (a generation wraps after four thousand million tenants).
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
}

impl Connections {
    pub(crate) fn insert(&mut self, connection: Connection) -> ConnectionId {
        self.len += 1;
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            assert!(place.connection.is_none(), "slot {slot} was given out twice");
            place.connection = Some(connection);
            return ConnectionId { slot, generation: place.generation };
        }
        let slot =
            u32::try_from(self.slots.len()).expect("invariant: connections are bounded far below 2^31");
        self.slots.push(Slot { generation: 0, connection: Some(connection) });
        ConnectionId { slot, generation: 0 }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        let connection = place.connection.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.len -= 1;
        Some(connection)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let place = self.slots.get(id.slot as usize).filter(|place| place.generation == id.generation)?;
        place.connection.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        place.connection.as_mut()
    }

    /// Whoever lives in a slot now.
    pub(crate) fn in_slot(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.connection.as_mut()
    }

    /// The connection in a slot, if there is one.
    pub(crate) fn get_slot(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.connection.as_ref()
    }

    pub(crate) fn id_of(&self, slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: self.slots[slot as usize].generation }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.slots.iter().zip(0..).filter_map(|(place, slot)| {
            let id = ConnectionId { slot, generation: place.generation };
            place.connection.as_ref().map(|connection| (id, connection))
        })
    }

    /// One past the highest slot.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }
}
