//! `[[role]]`: what roles may.

use fanfare_core::{PERMISSIONS, Permissions, RoleRule};

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
    for word in section.texts("permissions", &[]) {
        match PERMISSIONS.iter().find(|(name, _)| *name == word) {
            Some((_, permission)) => permissions = permissions.with(*permission),
            None => {
                let names: Vec<&str> = PERMISSIONS.iter().map(|(name, _)| *name).collect();
                section.problem("permissions", format!("`{word}` must be one of {}", names.join(", ")));
            }
        }
    }
    section.finish();
    name.map(|name| RoleRule { name: name.into(), permissions })
}
