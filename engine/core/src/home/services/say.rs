//! What services say, and what they do to their rooms.

use fanfare_protocol::EventName;

use super::json;
use crate::effect::Effects;
use crate::entry::Entry;
use crate::fact::FactKind;
use crate::home::HomeRooms;
use crate::home::publish::Way;
use crate::mesh::{Mesh, Origin, ToHome, ToLocal, Whisper};
use crate::options::Options;
use crate::publication::Publication;
use crate::service::{Deed, SERVICES, Saying, To, undeclared};
use crate::time::Now;

/// That a service says only what it declares. For debug builds: published descriptions have what is declared.
pub(super) fn check(kind: usize, says: &[Saying], options: &Options) {
    let kind = SERVICES[kind];
    for saying in says {
        if let Some(fault) = undeclared(kind.messages, saying, options) {
            panic!("invariant: the service {} says what it declares: {fault}", kind.name);
        }
    }
}

impl HomeRooms {
    pub(super) fn say(&mut self, now: Now, number: u32, saying: Saying, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: a room whose service speaks is kept");
        let name = room.name.clone();
        let Saying { to, event, data, user, key, priority, ttl_s, exclude, roles } = saying;
        let (event, body) = (EventName::of_engine(&event), json(data));
        let publication = |room| Publication {
            room,
            event: event.clone(),
            body: body.clone(),
            user: user.clone(),
            roles: roles.clone(),
            exclude,
            exclude_client: None,
            message_id: None,
            key: key.clone(),
            ttl: ttl_s,
            priority,
            receipts: None,
            is_new: true,
            origin: Origin::Silent,
            received_us: now.mono_us,
        };
        match to {
            To::Room => self.publish(now, publication(name), out),
            To::Other(room) => {
                let to = self.home_of(&room);
                out.send(to, Mesh::Home(ToHome::Publish(Box::new(publication(room)))));
            }
            To::There(room) => {
                let to = self.home_of(&room);
                out.send(to, Mesh::Home(ToHome::Signal(Box::new(publication(room)))));
            }
            To::One(address) => {
                let whisper = Box::new(Whisper { room: name, event, body, user });
                out.send(address.shard, Mesh::Local(ToLocal::Whisper(address.connection, whisper)));
            }
            To::Here => self.signal(now, number, publication(name), out),
            To::Kept(offset) => self.replace(number, offset, event, body),
        }
    }

    pub(super) fn perform(&mut self, number: u32, deed: Deed, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: a room whose service acts is kept");
        match deed {
            Deed::Deny(change) => out.denials.push(change),
            Deed::Purge => self.purge(number, out),
            Deed::Clear => self.clear_services(number),
            Deed::CallRoll => {
                for shard in room.audience.shards() {
                    out.send(shard, Mesh::Local(ToLocal::CallRoll(room.name.clone())));
                }
            }
            Deed::Expel { whom, reason } => {
                for shard in room.audience.shards() {
                    let expel = ToLocal::Expel(room.name.clone(), whom.clone(), reason.clone().into());
                    out.send(shard, Mesh::Local(expel));
                }
            }
        }
    }

    /// A service of another room has something for whoever is here now.
    pub(in crate::home) fn signal_in(&mut self, now: Now, signal: Publication, out: &mut Effects) {
        if let Some(number) = self.rooms.find(&signal.room) {
            self.signal(now, number, signal, out);
        }
    }

    /// Hands a message out that has no place: it is for who is there now.
    fn signal(&mut self, now: Now, number: u32, signal: Publication, out: &mut Effects) {
        let Publication { room: name, event, body, user, roles, exclude, key, priority, .. } = signal;
        let conflates = key.map_or(0, |key| self.recent.key(&name, None, &key) as u64 | 1);
        let entry = Entry {
            offset: 0,
            at_ms: now.mono_ms(),
            expires_ms: u64::MAX,
            timestamp_unix_ms: now.unix_ms,
            event,
            user,
            body,
            is_publishers_id: false,
            message_id: "".into(),
            roles,
            not_for_publisher: exclude.is_some(),
            priority,
        };
        if self.options.watch.messages {
            self.note_message(FactKind::Signalled, number, &entry, out);
        }
        let way = Way { exclude, exclude_client: None, conflates, received_us: now.mono_us };
        self.deliver(now, number, &entry, way, out);
    }
}
