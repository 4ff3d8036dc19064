//! What operations there are, and what their messages are called.

use std::borrow::Cow;

/// A kind of operation: the types of its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationKind {
    /// What `kind` says.
    pub name: Cow<'static, str>,
    /// It has begun.
    pub started: Cow<'static, str>,
    /// It has come further, or pauses, or goes on.
    pub progress: Cow<'static, str>,
    /// One of its steps has changed.
    pub step: Cow<'static, str>,
    /// One of its steps is over.
    pub step_over: Cow<'static, str>,
    /// It is done.
    pub completed: Cow<'static, str>,
    /// It has failed.
    pub failed: Cow<'static, str>,
    /// It was given up.
    pub cancelled: Cow<'static, str>,
}

impl OperationKind {
    const fn new(name: &'static str, names: [&'static str; 7]) -> Self {
        let [started, progress, step, step_over, completed, failed, cancelled] = names;
        Self {
            name: Cow::Borrowed(name),
            started: Cow::Borrowed(started),
            progress: Cow::Borrowed(progress),
            step: Cow::Borrowed(step),
            step_over: Cow::Borrowed(step_over),
            completed: Cow::Borrowed(completed),
            failed: Cow::Borrowed(failed),
            cancelled: Cow::Borrowed(cancelled),
        }
    }

    /// The types of its messages.
    fn messages(&self) -> [&str; 7] {
        let Self { name: _, started, progress, step, step_over, completed, failed, cancelled } = self;
        [started, progress, step, step_over, completed, failed, cancelled]
    }

    /// A kind whose messages are called as is usual: `<name>_progress` and so on.
    pub fn usual(name: &str) -> Self {
        let of = |event: &str| Cow::Owned(format!("{name}_{event}"));
        Self {
            name: Cow::Owned(name.to_owned()),
            started: of("started"),
            progress: of("progress"),
            step: of("step"),
            step_over: of("step"),
            completed: of("completed"),
            failed: of("failed"),
            cancelled: of("cancelled"),
        }
    }
}

const OPERATION: OperationKind = OperationKind::new(
    "operation",
    [
        "operation_started",
        "progress_update",
        "step_update",
        "step_update",
        "operation_complete",
        "operation_error",
        "operation_cancelled",
    ],
);

/// The kinds that are always there. `operation` comes first: it is the usual one.
static KINDS: [OperationKind; 7] = [
    OPERATION,
    OperationKind::new(
        "pipeline",
        [
            "pipeline_start",
            "pipeline_progress",
            "step_update",
            "step_update",
            "pipeline_complete",
            "pipeline_error",
            "pipeline_cancelled",
        ],
    ),
    OperationKind::new(
        "upload",
        [
            "upload_start",
            "upload_progress",
            "step_update",
            "step_update",
            "upload_complete",
            "upload_error",
            "upload_cancelled",
        ],
    ),
    OperationKind::new(
        "conversion",
        [
            "conversion_start",
            "conversion_progress",
            "step_update",
            "step_update",
            "conversion_complete",
            "conversion_error",
            "conversion_cancelled",
        ],
    ),
    OperationKind::new(
        "validation",
        [
            "validation_start",
            "validation_progress",
            "step_update",
            "step_update",
            "validation_complete",
            "validation_error",
            "validation_cancelled",
        ],
    ),
    OperationKind::new(
        "export",
        [
            "export_started",
            "export_progress",
            "step_update",
            "step_update",
            "export_completed",
            "export_failed",
            "export_cancelled",
        ],
    ),
    OperationKind::new(
        "document",
        [
            "processing_started",
            "processing_progress",
            "zone_processing",
            "zone_completed",
            "processing_completed",
            "processing_failed",
            "processing_cancelled",
        ],
    ),
];

/// What can be set about operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRules {
    /// Milliseconds that one is remembered after its end, unless its start says otherwise.
    pub ttl_ms: u64,
    /// Milliseconds without any news after which one counts as failed.
    pub idle_ttl_ms: u64,
    /// Kinds beside those that are always there; one of the same name takes its place.
    pub kinds: Vec<OperationKind>,
}

impl Default for OperationRules {
    fn default() -> Self {
        Self { ttl_ms: 3_600_000, idle_ttl_ms: 86_400_000, kinds: Vec::new() }
    }
}

impl OperationRules {
    /// The kind of a name.
    pub(super) fn kind(&self, name: &str) -> Option<&OperationKind> {
        self.kinds.iter().chain(&KINDS).find(|kind| kind.name == name)
    }

    /// The same for one that was known once: its settings may have changed since.
    pub(super) fn kind_or_usual(&self, name: &str) -> &OperationKind {
        self.kind(name).unwrap_or(&KINDS[0])
    }

    /// Whether a kind of the configuration calls a message so, in its own room or, with a `$`, in its owner's.
    pub(crate) fn is_configured(&self, event: &str) -> bool {
        let event = event.strip_prefix('$').unwrap_or(event);
        self.kinds.iter().any(|kind| kind.messages().contains(&event))
    }

    /// All names.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.kinds.iter().chain(&KINDS).map(|kind| &*kind.name).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fanfare_protocol::EventName;

    use super::super::messages::MESSAGES;
    use super::*;

    #[test]
    fn every_name_is_one_that_a_message_can_have_here_and_in_the_owners_room() {
        for name in KINDS.iter().flat_map(OperationKind::messages) {
            assert!(EventName::parse(name).is_ok(), "{name}");
            assert!(EventName::restore(&format!("${name}")).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_kinds_say_is_what_is_declared_and_nothing_else() {
        let mut said: BTreeSet<String> =
            KINDS.iter().flat_map(OperationKind::messages).map(str::to_owned).collect();
        said.extend(KINDS.iter().flat_map(OperationKind::messages).map(|name| format!("${name}")));
        said.insert("operation_removed".to_owned());
        let declared: BTreeSet<String> = MESSAGES.iter().map(|said| said.name.to_owned()).collect();
        assert_eq!(said, declared);
    }

    #[test]
    fn a_kind_of_the_configuration_takes_the_place_of_one_that_is_always_there() {
        let mut rules = OperationRules::default();
        assert_eq!(rules.kind("export").unwrap().completed, "export_completed");
        rules.kinds = vec![OperationKind::usual("import"), OperationKind::usual("upload")];
        assert_eq!(rules.kind("import").unwrap().failed, "import_failed");
        assert!(rules.is_configured("import_failed") && rules.is_configured("$import_failed"));
        assert!(!rules.is_configured("export_failed"));
        assert_eq!(rules.kind("upload").unwrap().completed, "upload_completed");
        assert_eq!(rules.kind("other"), None);
        assert_eq!(rules.kind_or_usual("other").progress, "progress_update");
        assert_eq!(
            rules.names(),
            "conversion, document, export, import, operation, pipeline, upload, validation"
        );
    }
}
