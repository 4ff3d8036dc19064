//! Members of a room that its home asks for: to send them away, or to be told who they are.

use fanfare_protocol::{Body, EventName, Reply, RoomName};

use crate::close::Close;
use crate::effect::Effects;
use crate::fact::FactKind;
use crate::local::Local;
use crate::mesh::{Mesh, Roll, ToHome, Whisper};
use crate::permission::Permission;
use crate::service::Expelled;
use crate::time::Now;

/// Longest reason of a close (RFC 6455 §5.5).
const REASON_BYTES_MAX: usize = 123;

impl Local {
    /// Members of a room are sent away.
    pub(crate) fn expel(
        &mut self,
        now: Now,
        room: &RoomName,
        whom: &Expelled,
        reason: &str,
        out: &mut Effects,
    ) {
        let Some(number) = self.rooms.find(room) else { return };
        let found = self.rooms.get(number).expect("invariant: just found");
        let slots: Vec<u32> = found.groups.iter().flat_map(|group| group.slots()).collect();
        let body = Body::Json(serde_json::json!({ "reason": reason }).to_string().into());
        for slot in slots {
            let id = self.connections.id_of(slot);
            let connection = self.connections.get(id).expect("invariant: members are held");
            let is_meant = match whom {
                Expelled::All => true,
                Expelled::User(user) => connection.user == *user,
                Expelled::AllBut(users) => {
                    let role = self.roles.name(connection.role);
                    !users.contains(&connection.user) && !self.options.permits(role, Permission::Admin)
                }
            };
            if !is_meant {
                continue;
            }
            self.leave(id, number, true, out);
            if self.is_tied_to(id, room) {
                let reason = reason.get(..reason.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default();
                let close = Close { reason: reason.to_owned().into(), ..Close::protocol(1_000, "") };
                self.close(now, id, close, out);
                continue;
            }
            let event = EventName::of_engine("$removed");
            self.whisper(now, id, &Whisper { room: room.clone(), event, body: body.clone(), user: None });
            self.reply(id, None, &Reply::Left { room: room.as_str(), member: true });
            self.note(id, FactKind::Expelled, room.clone(), out);
        }
    }

    /// Tells a room's home who of this shard is in it.
    pub(crate) fn call_roll(&self, room: RoomName, out: &mut Effects) {
        let Some(number) = self.rooms.find(&room) else { return };
        let found = self.rooms.get(number).expect("invariant: just found");
        let slots = found.groups.iter().flat_map(|group| group.slots());
        let members = slots.map(|slot| self.member_of(self.connections.id_of(slot))).collect();
        out.send(self.home_of(&room), Mesh::Home(ToHome::Present(Box::new(Roll { room, members }))));
    }
}
