//! Operations in virtual time: what is answered, and what becomes of them.

mod telling;

use fanfare_protocol::{Body, RoomName};
use serde_json::{Value, json};

use super::*;
use crate::id::{Epoch, Random};
use crate::service::{Caller, Saying};
use crate::time::Now;

/// One room, its clock, and what was said there.
struct Stage {
    room: OperationRoom,
    now: Now,
    options: Options,
    caller: Caller,
    says: Vec<Saying>,
    /// How often it wanted to be saved.
    saves: u32,
}

impl Stage {
    fn new() -> Self {
        Self {
            room: OperationRoom::default(),
            now: Now { mono_us: 1_000_000_000, unix_ms: 1_800_000_000_000 },
            options: Options::default(),
            caller: Caller::key(),
            says: Vec::new(),
            saves: 0,
        }
    }

    fn started(more: Value) -> Self {
        let mut stage = Self::new();
        stage.ask("start", more).unwrap();
        stage.says.clear();
        stage
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut OperationRoom, &mut Context<'_>) -> T) -> T {
        let name = RoomName::parse("operation:job").unwrap();
        let mut context = Context {
            now: self.now,
            room: &name,
            epoch: Epoch(1),
            offset: 0,
            next_offset: 1,
            members: 0,
            log: None,
            drafts: None,
            caller: Some(&self.caller),
            options: &self.options,
            random: &mut Random::new(1),
            used_s: 0,
            says: &mut self.says,
            deeds: &mut Vec::new(),
            changed: false,
            dropped: 0,
        };
        let done = work(&mut self.room, &mut context);
        self.saves += u32::from(context.changed);
        done
    }

    fn ask(&mut self, verb: &str, mut data: Value) -> Result<Value, Refusal> {
        let spec = commands::COMMANDS.iter().find(|spec| spec.name == format!("operation.{verb}")).unwrap();
        data["operation_id"] = json!("job");
        let args = Args::read(spec, Some(&Body::Json(data.to_string().into())), &[])?;
        self.with(|room, context| room.call(spec, &args, context))
    }

    /// Lets time pass, and the room do what falls due.
    fn pass(&mut self, ms: u64) {
        let end_us = self.now.mono_us + ms * 1_000;
        while let Some(due_ms) = self.room.due_ms().filter(|due_ms| due_ms * 1_000 <= end_us) {
            let due_us = (due_ms * 1_000).max(self.now.mono_us);
            self.now.unix_ms += (due_us - self.now.mono_us) / 1_000;
            self.now.mono_us = due_us;
            self.with(|room, context| room.tick(context));
        }
        self.now.unix_ms += (end_us - self.now.mono_us) / 1_000;
        self.now.mono_us = end_us;
    }

    /// What was said since, by name and how far it is.
    fn said(&mut self) -> Vec<(String, f64)> {
        let percent = |data: &Value| data["progress_percentage"].as_f64().unwrap_or(-1.0);
        self.says.drain(..).map(|saying| (saying.event.into_owned(), percent(&saying.data))).collect()
    }
}

fn field(refused: Result<Value, Refusal>) -> (u16, &'static str) {
    let refusal = refused.unwrap_err();
    (refusal.code.number(), refusal.field.unwrap_or_default())
}

#[test]
fn an_operation_lives_from_start_to_end() {
    let mut stage = Stage::new();
    assert_eq!(field(stage.ask("update", json!({"progress": 1}))), (4002, "operation_id"));
    let begun =
        stage.ask("start", json!({"title": "Import", "total_steps": 2, "metadata": {"a": 1}})).unwrap();
    assert_eq!((&begun["status"], &begun["total_steps"]), (&json!("initialized"), &json!(2)));
    assert_eq!((&begun["steps"], begun.get("estimated_seconds_remaining")), (&json!([]), None));
    assert_eq!(field(stage.ask("start", json!({}))), (4014, "operation_id"));
    stage.pass(10_000);
    let update = json!({"progress": 20, "current_step": "reading", "metadata": {"a": null, "b": 2}});
    let told = stage.ask("update", update).unwrap();
    assert_eq!((&told["status"], &told["estimated_seconds_remaining"]), (&json!("running"), &json!(40)));
    assert_eq!((&told["rate_per_second"], &told["unit"]), (&json!(2.0), &json!("percent")));
    assert_eq!((&told["metadata"], told.get("steps")), (&json!({"b": 2}), None));
    stage.pass(5_000);
    let done = stage.ask("complete", json!({"results": {"rows": 7}})).unwrap();
    assert_eq!((&done["status"], &done["progress_percentage"]), (&json!("completed"), &json!(100.0)));
    assert_eq!((&done["results"], &done["elapsed_seconds"]), (&json!({"rows": 7}), &json!(15.0)));
    assert_eq!(
        stage.said(),
        [("operation_started", 0.0), ("progress_update", 20.0), ("operation_complete", 100.0)]
            .map(|(event, percent)| (event.to_owned(), percent))
    );
    // The end is the end; saying it twice is saying it once.
    let saves = stage.saves;
    assert_eq!(
        stage.ask("complete", json!({"results": {"rows": 7}})).unwrap()["results"],
        json!({"rows": 7})
    );
    assert_eq!(field(stage.ask("complete", json!({"results": {"rows": 8}}))), (4014, "results"));
    for (verb, data) in [
        ("update", json!({"progress": 10, "force": true})),
        ("fail", json!({})),
        ("cancel", json!({})),
        ("add_step", json!({"name": "x"})),
        ("update_step", json!({"step_id": "x"})),
    ] {
        assert_eq!(field(stage.ask(verb, data)), (4014, "operation_id"), "{verb}");
    }
    assert_eq!((stage.said(), stage.saves), (vec![], saves));
    stage.pass(3_600_000 - 1);
    assert!(!stage.room.is_empty());
    stage.pass(1);
    assert!(stage.room.is_empty());
    assert_eq!(stage.said(), [("operation_removed".to_owned(), -1.0)]);
}

#[test]
fn saying_that_all_is_done_completes_it_and_counting_to_the_end_does_not() {
    let mut stage = Stage::started(json!({"total": 10, "unit": "bytes"}));
    stage.pass(1_000);
    let told = stage.ask("update", json!({"done": 10})).unwrap();
    assert_eq!((&told["status"], &told["progress_percentage"]), (&json!("running"), &json!(100.0)));
    let told = stage.ask("update", json!({"progress": 100, "results": {"url": "x"}})).unwrap();
    assert_eq!((&told["status"], &told["results"]), (&json!("completed"), &json!({"url": "x"})));
}

#[test]
fn what_was_completed_without_its_results_takes_them_once() {
    let mut stage = Stage::started(json!({"steps": [{"name": "a"}, {"name": "b"}]}));
    stage.ask("update_step", json!({"step_id": "step-1", "status": "failed"})).unwrap();
    stage.ask("update", json!({"progress": 100, "results": {"url": "x"}, "warnings": ["slow"]})).unwrap();
    let ended = stage.ask("get", json!({})).unwrap();
    assert_eq!(
        (&ended["steps"][0]["status"], &ended["steps"][1]["status"]),
        (&json!("failed"), &json!("completed"))
    );
    stage.said();
    stage.pass(1_000);
    let more = json!({"results": {"url": "x", "rows": 7}, "warnings": ["slow", "late"]});
    let told = stage.ask("complete", more.clone()).unwrap();
    assert_eq!((&told["results"], &told["warnings"]), (&more["results"], &more["warnings"]));
    assert_eq!(told["ended_at"], ended["ended_at"], "it ended when it ended");
    let said = stage.says.pop().unwrap();
    assert_eq!((&*said.event, &said.data["results"]), ("operation_complete", &more["results"]));
    stage.says.clear();
    let saves = stage.saves;
    assert_eq!(stage.ask("complete", more).unwrap()["results"], told["results"]);
    assert_eq!(stage.ask("complete", json!({})).unwrap()["warnings"], told["warnings"]);
    assert_eq!(field(stage.ask("complete", json!({"results": {"url": null}}))), (4014, "results"));
    assert_eq!((stage.said(), stage.saves), (vec![], saves));
}

#[test]
fn rate_and_what_is_left_follow_from_what_was_counted() {
    let mut stage = Stage::started(json!({"total": 1_000_000, "unit": "bytes"}));
    for _ in 0..10 {
        stage.pass(1_000);
        let done = stage.room.operation.as_ref().unwrap().done.unwrap_or(0) + 50_000;
        stage.ask("update", json!({"done": done})).unwrap();
    }
    let told = stage.ask("update", json!({"done": 3})).unwrap();
    assert_eq!((&told["done"], &told["progress_percentage"]), (&json!(500_000), &json!(50.0)), "{told}");
    assert_eq!((&told["rate_per_second"], &told["unit"]), (&json!(50_000.0), &json!("bytes")));
    assert_eq!(told["estimated_seconds_remaining"], 10);
    stage.ask("update", json!({"status": "paused"})).unwrap();
    stage.pass(1_000_000);
    let paused = stage.ask("get", json!({})).unwrap();
    assert_eq!((paused.get("rate_per_second"), paused.get("estimated_seconds_remaining")), (None, None));
    stage.ask("update", json!({"status": "running"})).unwrap();
    stage.pass(1_000);
    let told = stage.ask("update", json!({"done": 525_000})).unwrap();
    assert_eq!(
        (&told["rate_per_second"], &told["estimated_seconds_remaining"]),
        (&json!(25_000.0), &json!(19))
    );
}

#[test]
fn steps_are_told_before_the_whole_they_make() {
    let zones = json!([{"step_id": "z1", "name": "Head"}, {"step_id": "z2", "name": "Table", "weight": 3}]);
    let mut stage = Stage::started(json!({"kind": "document", "steps": zones}));
    stage.pass(1_000);
    stage.ask("update_step", json!({"step_id": "z1", "status": "running"})).unwrap();
    stage.pass(1_000);
    let told = stage.ask("update_step", json!({"step_id": "z1", "progress": 50})).unwrap();
    assert_eq!((&told["current_step"], &told["current_step_percentage"]), (&json!("Head"), &json!(50.0)));
    stage.pass(1_000);
    let results = json!({"confidence": 0.9});
    let told = stage.ask("update_step", json!({"step_id": "z1", "status": "completed", "results": results}));
    let told = told.unwrap();
    assert_eq!((&told["step"]["duration_ms"], &told["step"]["results"]), (&json!(2_000), &results));
    assert_eq!((&told["steps_completed"], &told["current_step"]), (&json!(1), &json!("Head")));
    assert_eq!(
        stage.said(),
        [
            ("zone_processing", 0.0),
            ("processing_progress", 0.0),
            ("zone_processing", 12.5),
            ("processing_progress", 12.5),
            ("zone_completed", 25.0),
            ("processing_progress", 25.0),
        ]
        .map(|(event, percent)| (event.to_owned(), percent))
    );
    assert_eq!(
        field(stage.ask("update_step", json!({"step_id": "z1", "status": "running"}))),
        (4014, "status")
    );
    assert_eq!(field(stage.ask("update_step", json!({"step_id": "z9"}))), (4002, "step_id"));
    let added = stage.ask("add_step", json!({"name": "More"})).unwrap();
    assert_eq!((&added["step"]["step_id"], &added["progress_percentage"]), (&json!("step-3"), &json!(25.0)));
    assert_eq!(field(stage.ask("add_step", json!({"name": "x", "step_id": "z1"}))), (4014, "step_id"));
    let again = json!({"step_id": "z1", "status": "running", "progress": 10, "force": true});
    let again = stage.ask("update_step", again).unwrap();
    assert_eq!((&again["progress_percentage"], again["step"].get("ended_at")), (&json!(2.0), None));
}

#[test]
fn what_nobody_works_on_fails_and_what_failed_is_forgotten() {
    let mut stage = Stage::started(json!({"ttl_seconds": 5}));
    stage.pass(86_399_999);
    stage.ask("update", json!({"message": "still here"})).unwrap();
    stage.pass(86_399_999);
    assert_eq!(stage.ask("get", json!({})).unwrap()["status"], "running");
    stage.pass(1);
    let failed = stage.ask("get", json!({})).unwrap();
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("IDLE_TIMEOUT")));
    stage.pass(5_000);
    assert_eq!(field(stage.ask("get", json!({}))), (4002, "operation_id"));
    stage.ask("start", json!({})).unwrap();
}

#[test]
fn every_bound_is_kept_and_what_is_refused_changes_nothing() {
    let mut stage = Stage::started(json!({}));
    let long = "x".repeat(bounds::TEXT_CHARS);
    let many: Vec<&str> = std::iter::repeat_n(long.as_str(), 100).collect();
    stage.ask("update", json!({"errors": ["first"]})).unwrap();
    stage.ask("update", json!({"errors": many, "warnings": many})).unwrap();
    let whole = stage.ask("get", json!({})).unwrap();
    assert_eq!((whole["errors"].as_array().unwrap().len(), &whole["errors_total"]), (100, &json!(101)));
    assert!(whole["errors"][0] != "first");
    let told = stage.ask("update", json!({})).unwrap();
    assert_eq!(told["errors"].as_array().unwrap().len(), bounds::TEXTS_TOLD);
    let before = stage.ask("get", json!({})).unwrap();
    let half = "x".repeat(bounds::METADATA_BYTES / 2);
    stage.ask("update", json!({"metadata": {"a": half}})).unwrap();
    assert_eq!(
        field(stage.ask("update", json!({"progress": 9, "metadata": {"b": half}}))),
        (4004, "metadata")
    );
    assert_eq!(stage.ask("get", json!({})).unwrap()["progress_percentage"], before["progress_percentage"]);
    for (verb, data, name) in [
        ("update", json!({"results": {"a": "x".repeat(bounds::RESULTS_BYTES)}}), "results"),
        ("update", json!({"throughput": {"a": "x".repeat(bounds::THROUGHPUT_BYTES)}}), "throughput"),
        ("update", json!({"errors": ["x".repeat(bounds::TEXT_CHARS + 1)]}), "errors"),
        ("update", json!({"progress": 100.1}), "progress"),
        ("update", json!({"progress": -0.1}), "progress"),
        ("update", json!({"status": "completed"}), "status"),
        ("update", json!({"total": 0}), "total"),
        ("fail", json!({"error": {"code": 7}}), "code"),
        ("fail", json!({"error": {"retryable": "no"}}), "retryable"),
        ("add_step", json!({}), "name"),
    ] {
        assert_eq!(field(stage.ask(verb, data.clone())), (4005, name), "{verb}");
    }
    // All of it together is bounded, too, and an end is always possible.
    let object = json!({"a": "x".repeat(4_000)});
    let refused =
        (0..100).find_map(|_| stage.ask("add_step", json!({"name": "n", "metadata": object})).err());
    let refused = refused.unwrap();
    assert_eq!((refused.code.number(), refused.field), (4004, Some("metadata")));
    assert_eq!(
        field(stage.ask("complete", json!({"results": {"a": "x".repeat(16_000)}}))),
        (4004, "results")
    );
    let error = json!({"code": "E", "message": "m", "more": "x".repeat(4_000)});
    let failed = stage.ask("fail", json!({"error": error})).unwrap();
    assert!(failed.to_string().len() <= bounds::STATE_BYTES, "{}", failed.to_string().len());
    assert_eq!(failed["error"]["retryable"], false);
}

#[test]
fn an_unknown_kind_is_refused_and_one_of_the_configuration_is_known() {
    let mut stage = Stage::new();
    assert_eq!(field(stage.ask("start", json!({"kind": "import"}))), (4002, "kind"));
    stage.options.services.operation.kinds = vec![OperationKind::usual("import")];
    stage.ask("start", json!({"kind": "import"})).unwrap();
    stage.ask("complete", json!({})).unwrap();
    assert_eq!(
        stage.said().iter().map(|said| &*said.0).collect::<Vec<_>>(),
        ["import_started", "import_completed"]
    );
}

#[test]
fn what_is_saved_comes_back_and_mere_progress_is_saved_once_a_second() {
    let mut stage = Stage::started(json!({"kind": "export", "total": 100, "steps": [{"name": "one"}]}));
    stage.pass(10_000);
    assert_eq!(stage.saves, 1, "the start is saved at once");
    stage.ask("update", json!({"message": "go", "status": "running"})).unwrap();
    assert_eq!(stage.saves, 2, "and so is a status");
    for percent in 1..=50 {
        stage.ask("update_step", json!({"step_id": "step-1", "progress": percent})).unwrap();
        stage.pass(100);
    }
    assert!((6..=9).contains(&stage.saves), "{}", stage.saves);
    stage.pass(1_000);
    let before = stage.ask("get", json!({})).unwrap();
    assert_eq!(before["progress_percentage"], 50.0);
    let bytes = stage.room.save().unwrap();
    let mut restored = Stage { now: stage.now, ..Stage::new() };
    restored.room = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(restored.ask("get", json!({})).unwrap(), before);
    let after = restored.ask("update", json!({"progress": 100})).unwrap();
    assert_eq!(after["status"], "completed");
    assert!((KIND.restore)(b"[]x", &Options::default()).is_none());
}
