//! `[[role]]`: what roles may.

use fanfare_core::{PERMISSIONS, Permission, Permissions, Receive, RoleRule, RoomPattern, usual_of};

use super::problem::Problems;
use super::section::Section;

/// Every rule.
pub(super) fn read(sections: Vec<Section<'_>>, problems: &Problems) -> Vec<RoleRule> {
    let mut rules: Vec<RoleRule> = Vec::new();
    for section in sections {
        let Some(rule) = rule(section) else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            problems.add("role.name", format!("`{}` is there twice", rule.name));
        } else {
            rules.push(rule);
        }
    }
    rules
}

fn rule(mut section: Section<'_>) -> Option<RoleRule> {
    let name = section.text("name");
    if name.is_none() {
        section.problem("name", "is required; `*` stands for every role without a rule of its own");
    }
    let mut permissions = Permissions::NONE;
    // A rule that is about what a role gets only leaves alone what it may.
    let usual = usual_of(name.as_deref().unwrap_or_default());
    let usual = PERMISSIONS.iter().filter(|(_, permission)| usual.has(*permission)).map(|(name, _)| *name);
    for word in section.texts("permissions", &usual.collect::<Vec<_>>()) {
        match PERMISSIONS.iter().find(|(name, _)| *name == word) {
            Some((_, permission)) => permissions = permissions.with(*permission),
            None => {
                let names: Vec<&str> = PERMISSIONS.iter().map(|(name, _)| *name).collect();
                section.problem("permissions", format!("`{word}` must be one of {}", names.join(", ")));
            }
        }
    }
    let only = patterns(&mut section, "receive", &["*"]);
    let only = (only.len() != 1 || only[0].as_str() != "*").then_some(only);
    let mut never = patterns(&mut section, "not_receive", &[]);
    if !permissions.has(Permission::Presence) {
        // Who may not ask who is there is not told either.
        never.extend(RoomPattern::new("$presence"));
    }
    let receive = Receive { only, never };
    section.finish();
    name.map(|name| RoleRule { name: name.into(), permissions, receive })
}

/// Patterns of one list.
const PATTERNS_MAX: usize = 64;

fn patterns(section: &mut Section<'_>, key: &'static str, usual: &[&str]) -> Vec<RoomPattern> {
    let texts = section.texts(key, usual);
    let found: Vec<RoomPattern> = texts.iter().filter_map(|text| RoomPattern::new(text)).collect();
    if found.len() < texts.len() || found.len() > PATTERNS_MAX {
        let message = format!("must be at most {PATTERNS_MAX} patterns of events, each of 1 to 128 bytes");
        section.problem(key, message);
    }
    found
}
