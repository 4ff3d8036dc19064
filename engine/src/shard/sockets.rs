//! The sockets of this shard's connections, in the core's slots.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use fanfare_core::{ConnectionId, Network};
use fanfare_protocol::Encoding;
use fanfare_protocol::ws::MessageReader;
use fanfare_sys::socket;

use crate::addresses::Place;

/// What the shell keeps of one connection.
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) reader: MessageReader,
    pub(crate) generation: u32,
    pub(crate) encoding: Encoding,
    /// What stands for its address, where connections of one address are limited.
    pub(crate) address: Option<Place>,
    /// The number of the dialect that it speaks; 0: the engine's own wire.
    pub(crate) dialect: u8,
    /// For `/echo`: the window to compress answers with, 0 for none; otherwise nothing.
    pub(crate) echo: Option<u8>,
}

const _: () = assert!(size_of::<Socket>() <= 32, "every idle connection pays for it");

/// By slot. Descriptors stand in an array of their own: it is all that the fan-out looks at.
#[derive(Default)]
pub(crate) struct Sockets {
    fds: Vec<RawFd>,
    sockets: Vec<Option<Socket>>,
}

/// No descriptor: the kernel refuses it.
const CLOSED: RawFd = -1;

impl Sockets {
    pub(crate) fn insert(&mut self, slot: u32, socket: Socket) {
        let slot = slot as usize;
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
            self.fds.resize(slot + 1, CLOSED);
        }
        assert!(self.sockets[slot].is_none(), "slot {slot} holds an open socket");
        self.fds[slot] = socket.fd.as_raw_fd();
        self.sockets[slot] = Some(socket);
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Socket> {
        let slot = id.slot as usize;
        let place = self.sockets.get_mut(slot)?;
        place.as_ref().filter(|socket| socket.generation == id.generation)?;
        self.fds[slot] = CLOSED;
        place.take()
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(id.slot as usize)?.as_mut()?;
        (socket.generation == id.generation).then_some(socket)
    }

    /// The connections from some addresses. Asks the kernel for each address: nobody else needs them.
    pub(crate) fn from(&self, network: &Network) -> Vec<ConnectionId> {
        let sockets = (0..).zip(&self.sockets).filter_map(|(slot, socket)| Some((slot, socket.as_ref()?)));
        let is_from =
            |socket: &Socket| socket::peer(&socket.fd).is_some_and(|peer| network.contains(peer.ip()));
        let found = sockets.filter(|(_, socket)| is_from(socket));
        found.map(|(slot, socket)| ConnectionId { slot, generation: socket.generation }).collect()
    }

    /// The descriptors, by slot.
    pub(crate) fn fds(&self) -> &[RawFd] {
        &self.fds
    }
}
