//! What tables mean, where nothing else shows it: routes that fit one path, names in refusals, how long one may be silent.

use std::collections::BTreeMap;

use fanfare_profile::{Profile, Profiles};
use fanfare_protocol::wire::CommandId;
use fanfare_protocol::ws::OpCode;
use fanfare_protocol::{Listener, Refusal};
use serde_json::{Map, Value, json};

fn profile(text: &str) -> Profile {
    Profile::parse(text, &BTreeMap::new(), &|_| None).unwrap_or_else(|problem| panic!("{problem}"))
}

fn profiles<const N: usize>(tables: [&str; N]) -> Profiles {
    Profiles::new(tables.map(profile).into()).unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn of_the_routes_that_fit_the_one_that_answers_says_who_may_ask() {
    let wide =
        "name = \"wide\"\n[[http]]\nmethod = \"GET\"\npath = \"/ws/{id}\"\nanswer = { id = \"=path.id\" }\n";
    let open = "name = \"open\"\n[[http]]\nmethod = \"GET\"\npath = \"/ws/health\"\npublic = true\nanswer = { up = true }\n";
    for (all, of_open) in [(profiles([wide, open]), 1), (profiles([open, wide]), 0)] {
        assert!(all.is_public("GET", &["ws", "health"]) && all.is_public("HEAD", &["ws", "health"]));
        assert!(!all.is_public("GET", &["ws", "7"]));
        assert_eq!((all.at(&["ws", "health"]), all.at(&["ws", "7"])), (Some(of_open), Some(1 - of_open)));
        assert_eq!(
            all.visit("GET", &["ws", "health"], &Map::new()).map(|visit| visit.profile),
            Some(of_open)
        );
    }
    // Which of them it is may follow from what is asked: then all of them must be public.
    let sometimes = open.replace("public", "when = \"=query.x\"\npublic");
    assert!(!profiles([wide, &sometimes]).is_public("GET", &["ws", "health"]));
    let both = profiles([&wide.replace("answer", "public = true\nanswer"), &sometimes]);
    assert!(both.is_public("GET", &["ws", "health"]));
}

#[test]
fn a_field_is_named_once_as_it_was_sent_whatever_it_is_called_there() {
    let all = profiles([r#"
name = "care"
[[endpoint]]
path = "/care"
[[in]]
type = "carer"
from = ["client", "backend"]
fields_of = { room = "user_id", user_id = "carer_id" }
do = [{ type = "room.invite", room = "=message.user_id", data = { user_id = "=message.carer_id" } }]
"#]);
    let told = json!({ "message": "`room`, `user_id` and `user_id.x`, but not room", "details": { "field": "room" } });
    let as_sent = json!({ "message": "`user_id`, `carer_id` and `carer_id.x`, but not room", "details": { "field": "user_id" } });
    let carer = json!({ "type": "carer", "user_id": "b ad", "carer_id": "x" });
    let understood = all.understand(0, carer.clone(), 1).unwrap();
    let mut error = told;
    all.tell_as_sent(0, &understood, &mut error);
    assert_eq!(error, as_sent);
    // And so over a WebSocket, where what the codec refuses is told as any other answer is.
    let given = json!({});
    let listener =
        Listener { client_id: "c", user_id: "u", role: "user", given: &given, now_unix_ms: 1, own_id: "" };
    let mut refused = None;
    all.hear(1, &listener, OpCode::Text, carer.to_string().as_bytes(), 1_024, &mut |outcome| {
        refused = outcome.err();
    });
    let Some(Refusal { id: Some(CommandId::Text(id)), message, field: Some(field), .. }) = refused else {
        panic!("{refused:?}");
    };
    let error =
        json!({ "type": "error", "id": id, "code": 4005, "message": message, "details": { "field": field } });
    let mut said = Value::Null;
    all.dialects()[0].answer(&listener, error.to_string().as_bytes(), &mut |_, bytes| {
        said = serde_json::from_slice(bytes).unwrap();
    });
    assert_eq!(said["details"]["field"], "user_id", "{said}");
}

#[test]
fn an_endpoint_may_have_no_idle_time_at_all() {
    let table = |idle| format!("name = \"quiet\"\n[[endpoint]]\npath = \"/quiet\"\nidle = \"{idle}\"\n");
    let idle_ms = |idle| profiles([&*table(idle)]).dialects()[0].pace().idle_ms;
    assert_eq!((idle_ms("never"), idle_ms("5m")), (Some(u64::MAX), Some(300_000)));
    let problem = Profile::parse(&table("ever"), &BTreeMap::new(), &|_| None).unwrap_err();
    assert_eq!(problem.place, "endpoint[0].idle");
}
