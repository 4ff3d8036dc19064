//! Who asks a service, and whether it may.

use std::sync::Arc;

use fanfare_protocol::{Code, Refusal, RoomName};

use super::args::Args;
use super::spec::{Access, Spec};
use crate::RoomPattern;
use crate::id::Address;
use crate::options::{Options, lists};
use crate::permission::{Permission, Permissions};
use crate::rights::Bearer;

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The user, by the name of its own room; for a backend with a key, on whose behalf it speaks, if on anybody's.
    pub user: Option<RoomName>,
    /// Its role; a backend with a key has none.
    pub role: Box<str>,
    /// Whether it is a backend with a key, which may everything.
    pub is_backend: bool,
    /// What it may.
    pub permissions: Permissions,
    /// Its connection, if it asks over one.
    pub address: Option<Address>,
    /// Whether that connection is in the room that is asked about.
    pub is_member: bool,
    /// What a backend's key is called.
    pub key: Option<Box<str>>,
}

impl Caller {
    /// Whether rooms have a say in where it goes. Backends and operators go where they like.
    pub(crate) fn is_guest(&self) -> bool {
        self.user.is_some() && !self.permissions.has(Permission::Admin)
    }

    /// A backend with a key.
    pub fn key() -> Self {
        Self {
            user: None,
            role: "".into(),
            is_backend: true,
            permissions: Permissions::ALL,
            address: None,
            is_member: false,
            key: None,
        }
    }

    /// Who is named as the one who did something: the user, or the key.
    pub fn name(&self) -> &str {
        self.key.as_deref().unwrap_or_else(|| self.user_id())
    }

    /// A user without a connection: over HTTP, with a token.
    pub fn user(user: RoomName, role: Box<str>, permissions: Permissions) -> Self {
        Self {
            user: Some(user),
            role,
            is_backend: false,
            permissions,
            address: None,
            is_member: false,
            key: None,
        }
    }

    /// The user id; empty for a backend with a key.
    pub fn user_id(&self) -> &str {
        self.user.as_ref().and_then(|user| user.as_str().strip_prefix("@user:")).unwrap_or_default()
    }

    /// The room of the user that a command is about: its own, or that of its argument `user_id` where it may.
    ///
    /// # Errors
    /// It may not, or names none and has none.
    pub(crate) fn own_room(&self, args: &Args) -> Result<RoomName, Refusal> {
        match (&self.user, args.text("user_id")) {
            (Some(user), None) => Ok(user.clone()),
            (Some(user), Some(user_id)) if self.user_id() == user_id => Ok(user.clone()),
            (Some(_), Some(user_id)) if self.permissions.has(Permission::Admin) => {
                Ok(RoomName::of_user(user_id))
            }
            (Some(_), Some(_)) => {
                let message = "`user_id` must be the caller's own, or left out";
                Err(Refusal::new(Code::Forbidden, message).at("user_id"))
            }
            (None, Some(user_id)) => Ok(RoomName::of_user(user_id)),
            (None, None) => {
                let message = "`user_id` is required: a key belongs to no user";
                Err(Refusal::invalid(None, Some("user_id"), message))
            }
        }
    }

    /// Whether it may do a command in a room, as far as can be told away from the room's home. A token's patterns count for
    /// rooms that have a name of their own.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn check(
        &self,
        options: &Options,
        patterns: Option<&Arc<[RoomPattern]>>,
        spec: &Spec,
        room: &RoomName,
    ) -> Result<(), Refusal> {
        // Also where they speak on a user's behalf.
        if self.is_backend {
            return Ok(());
        }
        let has = |permission| self.permissions.has(permission);
        let is_own = Some(room) == self.user.as_ref();
        let rooms = patterns.map(|patterns| &**patterns);
        let bearer = Bearer { user_id: self.user_id(), role: &self.role, rooms };
        let covered = is_own || options.reaches(bearer, room);
        let listed = |list: &[String]| is_own || lists(list, &self.role);
        let room_type = options.type_of(room);
        // An operator goes into every room that its token covers, whatever the room's type says.
        let is_operator = has(Permission::Admin);
        let may_join = covered && (is_operator || has(Permission::Join) && listed(&room_type.join));
        let may = match spec.access {
            Access::Read => may_join,
            Access::Write => covered && has(Permission::Publish) && listed(&room_type.publish),
            Access::Presence => may_join && has(Permission::Presence),
            Access::Control => covered && has(Permission::Control),
            Access::Admin => has(Permission::Admin),
        };
        if may {
            return Ok(());
        }
        let message = format!("the token does not allow `{}` here", spec.name);
        Err(Refusal::new(Code::Forbidden, message))
    }
}
