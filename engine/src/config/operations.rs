//! `[operations]` and `[[operation_kind]]`: how long operations are remembered, and what their messages are called.

use std::time::Duration;

use fanfare_core::service::{OperationKind, OperationRules};
use fanfare_protocol::EventName;

use super::problem::Problems;
use super::section::Section;

/// Longest time that an end, or an operation without news, may be remembered.
const TTL_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Kinds at most: they are looked through at each message about progress.
const KINDS_MAX: usize = 64;

/// Everything about operations.
pub(super) fn read(
    mut section: Section<'_>,
    sections: Vec<Section<'_>>,
    problems: &Problems,
) -> OperationRules {
    let usual = OperationRules::default();
    let mut ttl = |key, usual_ms| {
        let ttl = section.duration(key, Duration::from_millis(usual_ms), 1_000..=TTL_MS_MAX);
        ttl.as_millis() as u64
    };
    let mut rules = OperationRules {
        ttl_ms: ttl("ttl", usual.ttl_ms),
        idle_ttl_ms: ttl("idle_ttl", usual.idle_ttl_ms),
        kinds: Vec::new(),
    };
    section.finish();
    if sections.len() > KINDS_MAX {
        problems.add("operation_kind", format!("there may be {KINDS_MAX} of them"));
    }
    for section in sections {
        let Some(kind) = kind(section) else { continue };
        if rules.kinds.iter().any(|other| other.name == kind.name) {
            problems.add("operation_kind.name", format!("`{}` is there twice", kind.name));
        } else {
            rules.kinds.push(kind);
        }
    }
    rules
}

fn kind(mut section: Section<'_>) -> Option<OperationKind> {
    let rule = "must be 1 to 48 of a-z A-Z 0-9 . _ - and not begin with `$`";
    let is_name = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // Names that follow from it must be short enough, too.
        (1..=48).contains(&text.len()) && text.bytes().all(allowed)
    };
    let name = section.parsed("name", None, rule, |text| is_name(text).then(|| Some(text.to_owned())));
    if name.is_none() {
        section.problem("name", "is required");
    }
    let usual = OperationKind::usual(name.as_deref().unwrap_or("operation"));
    let rule = "must be the type of a message: 1 to 63 visible ASCII bytes without quotes, backslashes and a leading `$`, \
                and none of the engine's own";
    let mut event = |key, usual: std::borrow::Cow<'static, str>| {
        section.parsed(key, usual, rule, |text| {
            let is_good = EventName::parse(text).is_ok() && EventName::restore(&format!("${text}")).is_ok();
            is_good.then(|| text.to_owned().into())
        })
    };
    let step = event("step", usual.step);
    let kind = OperationKind {
        started: event("started", usual.started),
        progress: event("progress", usual.progress),
        step_over: event("step_over", step.clone()),
        step,
        completed: event("completed", usual.completed),
        failed: event("failed", usual.failed),
        cancelled: event("cancelled", usual.cancelled),
        name: usual.name,
    };
    section.finish();
    name.map(|_| kind)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, StartError};

    fn parse(text: &str) -> Result<Config, StartError> {
        Config::parse(text, &|_| None, &|_| None)
    }

    #[test]
    fn operations_have_settings_and_kinds_of_their_own() {
        let config = parse(
            r#"
            [operations]
            ttl = "10m"
            [[operation_kind]]
            name = "optimization"
            progress = "optimizing"
            step = "iteration"
            [[room_type]]
            name = "operation"
            join = ["staff"]
            "#,
        )
        .unwrap();
        let rules = &config.services.operation;
        assert_eq!((rules.ttl_ms, rules.idle_ttl_ms, rules.kinds.len()), (600_000, 86_400_000, 1));
        let kind = &rules.kinds[0];
        assert_eq!((&*kind.started, &*kind.progress), ("optimization_started", "optimizing"));
        assert_eq!((&*kind.step, &*kind.step_over), ("iteration", "iteration"));
        let named = |config: &Config| config.room_types.iter().filter(|of| &*of.name == "operation").count();
        assert_eq!((named(&config), config.room_types[0].join.as_slice()), (1, &["staff".to_owned()][..]));
        let usual = parse("").unwrap();
        let usual = usual.room_types.iter().find(|of| &*of.name == "operation").unwrap();
        assert!(usual.publish.is_empty() && usual.slow == fanfare_core::Slow::Conflate && !usual.durable);
        for (text, field) in [
            ("[operations]\nttl = \"1ms\"", "operations.ttl"),
            ("[operations]\nidle = \"1m\"", "operations.idle"),
            ("[[operation_kind]]\nprogress = \"x\"", "operation_kind.name"),
            ("[[operation_kind]]\nname = \"a b\"", "operation_kind.name"),
            ("[[operation_kind]]\nname = \"a\"\nfailed = \"$x\"", "operation_kind.failed"),
            ("[[operation_kind]]\nname = \"a\"\nfailed = \"joined\"", "operation_kind.failed"),
            ("[[operation_kind]]\nname = \"a\"\n[[operation_kind]]\nname = \"a\"", "operation_kind.name"),
        ] {
            let problems = parse(text).unwrap_err().to_string();
            assert!(problems.contains(field), "{text}: {problems}");
        }
    }
}
