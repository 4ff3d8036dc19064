//! Which messages connections of a role get, by their events.

use fanfare_protocol::EventName;

use crate::options::Options;
use crate::pattern::RoomPattern;
use crate::permission::rule_of;

/// Patterns for the events that a role gets: `emergency_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receive {
    /// These only; none: all.
    pub only: Option<Vec<RoomPattern>>,
    /// But none of these.
    pub never: Vec<RoomPattern>,
}

impl Receive {
    /// Whether it lets an event through.
    pub(crate) fn lets(&self, event: &str) -> bool {
        let any = |patterns: &[RoomPattern]| patterns.iter().any(|pattern| pattern.matches(event));
        self.only.as_deref().is_none_or(any) && !any(&self.never)
    }

    /// Whether it may hold anything back.
    pub(crate) fn filters(&self) -> bool {
        self.only.is_some() || !self.never.is_empty()
    }
}

impl Options {
    /// Whether some role may not receive some event.
    pub(crate) fn filters(&self) -> bool {
        self.roles.iter().any(|rule| rule.receive.filters())
    }

    /// Whether some role may not receive this event.
    pub(crate) fn withholds(&self, event: &EventName) -> bool {
        self.roles.iter().any(|rule| !rule.receive.lets(event.as_str()))
    }

    /// Whether connections of a role may receive an event.
    pub(crate) fn may_receive(&self, role: &str, event: &EventName) -> bool {
        rule_of(&self.roles, role).is_none_or(|rule| rule.receive.lets(event.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{Permissions, RoleRule};

    fn patterns(texts: &[&str]) -> Vec<RoomPattern> {
        texts.iter().map(|text| RoomPattern::new(text).unwrap()).collect()
    }

    fn rule(name: &str, only: Option<&[&str]>, never: &[&str]) -> RoleRule {
        let receive = Receive { only: only.map(patterns), never: patterns(never) };
        RoleRule { name: name.into(), permissions: Permissions::USUAL, receive }
    }

    fn may(options: &Options, role: &str, event: &str) -> bool {
        options.may_receive(role, &EventName::of_engine(event))
    }

    #[test]
    fn a_role_gets_what_its_rule_lets_through() {
        let roles = vec![
            rule("display", Some(&["schedule_*", "clock"]), &["schedule_private"]),
            rule("a", None, &[]),
        ];
        let options = Options { roles, ..Options::default() };
        assert!(options.filters() && options.withholds(&EventName::of_engine("chat")));
        assert!(!options.withholds(&EventName::of_engine("clock")));
        for (event, may_it) in
            [("schedule_update", true), ("clock", true), ("schedule_private", false), ("$poll", false)]
        {
            assert_eq!(may(&options, "display", event), may_it, "{event}");
            assert!(may(&options, "a", event) && may(&options, "nobody", event));
        }
    }

    #[test]
    fn the_rule_for_all_is_for_those_without_their_own() {
        let roles = vec![rule("*", None, &["emergency_*"]), rule("nurse", None, &[])];
        let options = Options { roles, ..Options::default() };
        assert!(!may(&options, "visitor", "emergency_stop") && may(&options, "visitor", "say"));
        assert!(may(&options, "nurse", "emergency_stop") && may(&options, "admin", "emergency_stop"));
        assert!(!Options::default().filters() && !Options::default().withholds(&EventName::of_engine("x")));
        let nothing = Options { roles: vec![rule("deaf", Some(&[]), &[])], ..Options::default() };
        assert!(!may(&nothing, "deaf", "say"));
    }
}
