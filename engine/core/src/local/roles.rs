//! Roles as small numbers, counted so that a number can be used again.

use std::sync::Arc;

use crate::fact::Label;

/// A role that somebody on this shard has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleId(u16);

#[derive(Debug)]
struct Role {
    name: Arc<str>,
    connections: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Roles {
    roles: Vec<Role>,
}

impl Roles {
    /// The number of a connection's role; nothing when `max` other roles are in use.
    pub(crate) fn enter(&mut self, name: &str, max: u16) -> Option<RoleId> {
        let known = self.roles.iter().position(|role| role.connections > 0 && *role.name == *name);
        let at = match known.or_else(|| self.roles.iter().position(|role| role.connections == 0)) {
            Some(at) => at,
            None if self.roles.len() < usize::from(max) => {
                self.roles.push(Role { name: name.into(), connections: 0 });
                self.roles.len() - 1
            }
            None => return None,
        };
        if *self.roles[at].name != *name {
            self.roles[at].name = name.into();
        }
        self.roles[at].connections += 1;
        Some(RoleId(at as u16))
    }

    /// A connection with this role is gone.
    pub(crate) fn exit(&mut self, id: RoleId) {
        let role = &mut self.roles[usize::from(id.0)];
        assert!(role.connections > 0, "a role was left more often than entered");
        role.connections -= 1;
    }

    /// The same, for whoever watches.
    pub(crate) fn label(&self, id: RoleId) -> Label {
        Label::Text(Arc::clone(&self.roles[usize::from(id.0)].name))
    }

    pub(crate) fn name(&self, id: RoleId) -> &str {
        &self.roles[usize::from(id.0)].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shared_bounded_and_used_again() {
        let mut roles = Roles::default();
        let a = roles.enter("a", 2).unwrap();
        assert_eq!(roles.enter("a", 2), Some(a));
        let b = roles.enter("b", 2).unwrap();
        assert_eq!(roles.enter("c", 2), None);
        roles.exit(b);
        let c = roles.enter("c", 2).unwrap();
        assert_eq!(roles.name(c), "c");
        assert_eq!(roles.name(a), "a");
    }
}
