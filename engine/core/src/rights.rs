//! What the bearer of a token may in a room, as far as roles, tokens and the room's type say. One place for joins, publishes, what
//! rooms keep, and services.

use fanfare_protocol::name::room_part;
use fanfare_protocol::{RoomName, Target};

use crate::identity::covers;
use crate::options::{Options, lists};
use crate::pattern::RoomPattern;
use crate::permission::Permission;
use crate::room_type::{Owner, RoomType};

/// Who shows a token.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'b> {
    /// The user.
    pub user_id: &'b str,
    /// Its role.
    pub role: &'b str,
    /// The rooms that the token may enter; nothing: as the room types say.
    pub rooms: Option<&'b [RoomPattern]>,
}

impl Options {
    /// Whether a token goes for a room at all. One of a single user is for that user whatever rooms its token names, and for
    /// operators whose token names it.
    pub fn reaches(&self, who: Bearer<'_>, room: &RoomName) -> bool {
        self.reaches_in(self.type_of(room), who, room)
    }

    fn reaches_in(&self, room_type: &RoomType, who: Bearer<'_>, room: &RoomName) -> bool {
        let is_covered = || covers(who.rooms, room.as_str());
        if room_type.owner == Owner::Nobody || room.is_engine_room() {
            return is_covered();
        }
        owner_of(room) == Some(&*room_part(who.user_id))
            || is_covered() && self.permits(who.role, Permission::Admin)
    }

    /// Whether somebody may be in a room and read what it keeps.
    pub(crate) fn may_join(&self, who: Bearer<'_>, room: &RoomName) -> bool {
        let room_type = self.type_of(room);
        self.reaches_in(room_type, who, room)
            && lists(&room_type.join, who.role)
            && self.permits(who.role, Permission::Join)
    }

    /// Whether somebody may read what a room keeps: its own user, who may be in it, and operators in every room that
    /// their token covers.
    pub fn may_read(&self, who: Bearer<'_>, room: &RoomName) -> bool {
        *room == RoomName::of_user(who.user_id)
            || self.reaches(who, room) && self.permits(who.role, Permission::Admin)
            || !room.is_engine_room() && self.may_join(who, room)
    }

    /// Whether somebody may publish to a target.
    pub fn may_publish(&self, who: Bearer<'_>, target: &Target) -> bool {
        let Target::Room(room) = target else { return lists(&self.broadcast_roles, who.role) };
        let room_type = self.type_of(room);
        self.reaches_in(room_type, who, room)
            && lists(&room_type.publish, who.role)
            && self.permits(who.role, Permission::Publish)
    }
}

/// The user whose room it is, where rooms of its type are of users: what stands after the first `:`, as [`room_part`] writes it.
fn owner_of(room: &RoomName) -> Option<&str> {
    room.as_str().split_once(':').map(|(_, user_id)| user_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_of_one_user_is_for_that_user_and_operators() {
        let owned = |name| RoomType { owner: Owner::Id, ..RoomType::open(name) };
        let letters = RoomType { publish: vec!["admin".into()], ..owned("letters") };
        let options = Options {
            room_types: vec![owned("desk"), letters],
            default_type: owned("default"),
            ..Options::default()
        };
        let elsewhere = [RoomPattern::new("chat:*").unwrap()];
        for (user_id, role, rooms, room, expected) in [
            ("ada", "user", None, "desk:ada", (true, true)),
            ("ada", "user", Some(&elsewhere[..]), "desk:ada", (true, true)),
            ("ada", "user", None, "desk:ben", (false, false)),
            ("ada", "user", None, "desk:ada:1", (false, false)),
            ("org:ada", "user", None, "desk:org:ada", (true, true)),
            ("auth0|7", "user", None, "desk:auth0=7C7", (true, true)),
            ("ada", "user", None, "desk:", (false, false)),
            ("ada", "user", None, "letters:ada", (true, false)),
            ("root", "admin", None, "letters:ada", (true, true)),
            ("root", "admin", Some(&elsewhere[..]), "letters:ada", (false, false)),
            ("ada", "user", None, "ada", (false, false)),
        ] {
            let (who, room) = (Bearer { user_id, role, rooms }, RoomName::parse(room).unwrap());
            let may = (options.may_join(who, &room), options.may_publish(who, &Target::Room(room.clone())));
            assert_eq!(may, expected, "{user_id} in {room:?}");
        }
        let ada = Bearer { user_id: "ada", role: "user", rooms: None };
        assert!(options.reaches(ada, &RoomName::of_all()), "the engine's own rooms are nobody's");
    }
}
