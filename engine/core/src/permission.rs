//! What roles may do.

use crate::receive::Receive;

/// One thing that a role may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Be in rooms and read what they keep.
    Join = 1,
    /// Send messages to rooms, and what services count as such: votes, reactions, values.
    Publish = 2,
    /// Steer what others see: operations, polls, notifications, rooms.
    Control = 4,
    /// Read counts and health.
    Metrics = 8,
    /// See who is there.
    Presence = 16,
    /// What an operator does.
    Admin = 32,
}

/// Every permission with its name in the configuration.
pub const PERMISSIONS: [(&str, Permission); 6] = [
    ("join", Permission::Join),
    ("publish", Permission::Publish),
    ("control", Permission::Control),
    ("metrics", Permission::Metrics),
    ("presence", Permission::Presence),
    ("admin", Permission::Admin),
];

/// A set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(63);
    /// What a role may that the configuration does not name: take part.
    pub const USUAL: Self =
        Self(Permission::Join as u8 | Permission::Publish as u8 | Permission::Presence as u8);

    /// This and one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission as u8)
    }

    /// Whether one is in it.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission as u8 != 0
    }
}

/// A role and what it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    /// The role; `*` stands for every role that has no rule of its own.
    pub name: Box<str>,
    /// What it may.
    pub permissions: Permissions,
    /// What it gets.
    pub receive: Receive,
}

/// Roles that may everything where no rule says otherwise.
const ALMIGHTY: [&str; 2] = ["admin", "service"];

/// The rule that a role follows: its own, or the one for all others.
pub(crate) fn rule_of<'r>(rules: &'r [RoleRule], role: &str) -> Option<&'r RoleRule> {
    let named = |name: &str| rules.iter().find(|rule| *rule.name == *name);
    named(role).or_else(|| if ALMIGHTY.contains(&role) { None } else { named("*") })
}

/// What a role may by these rules.
pub(crate) fn permissions_of(rules: &[RoleRule], role: &str) -> Permissions {
    match rule_of(rules, role) {
        Some(rule) => rule.permissions,
        None => usual_of(role),
    }
}

/// What a role may that no rule is for.
pub fn usual_of(role: &str) -> Permissions {
    if ALMIGHTY.contains(&role) { Permissions::ALL } else { Permissions::USUAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_its_own_beats_the_rule_for_all() {
        let read = Permissions::NONE.with(Permission::Join);
        let rule = |name: &str, permissions| RoleRule {
            name: name.into(),
            permissions,
            receive: Receive::default(),
        };
        assert_eq!(permissions_of(&[], "nurse"), Permissions::USUAL);
        assert_eq!(permissions_of(&[], "admin"), Permissions::ALL);
        let rules = [rule("observer", read), rule("*", Permissions::NONE)];
        assert_eq!(permissions_of(&rules, "observer"), read);
        assert_eq!(permissions_of(&rules, "nurse"), Permissions::NONE);
        assert_eq!(permissions_of(&rules, "admin"), Permissions::ALL);
        assert!(!read.has(Permission::Publish) && Permissions::USUAL.has(Permission::Presence));
    }
}
