//! `[[rate]]`: how fast commands of some types may come.

use fanfare_core::{RATE_RULES_MAX, Rate, RatePer, RateRule, RoomPattern};

use super::problem::Problems;
use super::section::Section;

/// Every rule.
pub(super) fn read(sections: Vec<Section<'_>>, problems: &Problems) -> Vec<RateRule> {
    if sections.len() > RATE_RULES_MAX {
        problems.add("rate", format!("there may be at most {RATE_RULES_MAX}"));
    }
    sections.into_iter().take(RATE_RULES_MAX).filter_map(rule).collect()
}

fn rule(mut section: Section<'_>) -> Option<RateRule> {
    let rule = "must be the type of a command with `*` for any run of characters, like \"join\", \"chat.*\" or \"*\", or \
                \"publish:\" and such a pattern for events";
    // Neither a command nor an event has others: such a rule would never count.
    let pattern = |text: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:=~+@*$".contains(&byte);
        text.bytes().all(is_name).then(|| RoomPattern::new(text))?
    };
    let kind = section.parsed("type", None, rule, |text| match text.split_once(':') {
        Some(("publish", event)) => Some(Some((pattern("publish")?, Some(pattern(event)?)))),
        Some(_) => None,
        None => Some(Some((pattern(text)?, None))),
    });
    let per = section.choice(
        "per",
        RatePer::Connection,
        &[("connection", RatePer::Connection), ("user", RatePer::User)],
    );
    let per_minute = section.number("per_minute", 0, 1..=60_000_000);
    let burst = section.number("burst", 10, 1..=1_000_000);
    let roles = section.roles("roles", &[]);
    if kind.is_none() {
        section.problem("type", format!("is required, and {rule}"));
    }
    if per_minute == 0 {
        section.problem("per_minute", "is required");
    }
    section.finish();
    let (command, event) = kind?;
    Some(RateRule { command, event, per, rate: Rate { per_minute, burst }, roles })
}
