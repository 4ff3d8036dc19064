use fanfare_protocol::{Body, RoomName};
use serde_json::{Value, json};

use super::note::Note;
use super::*;
use crate::id::{Epoch, Random};
use crate::service::{Caller, find};
use crate::time::Now;
use crate::{Address, ConnectionId, ShardId};

const NOW: Now = Now { mono_us: 1_000_000, unix_ms: 1_795_132_800_000 };

/// A room's instance, and what it said last.
struct Room {
    name: RoomName,
    it: Notifications,
    options: Options,
    now: Now,
    says: Vec<Saying>,
    dropped: u64,
    members: u32,
}

impl Room {
    fn new(name: RoomName) -> Self {
        let (it, options) = (Notifications::default(), Options::default());
        Self { name, it, options, now: NOW, says: Vec::new(), dropped: 0, members: 1 }
    }

    fn with<T>(&mut self, caller: &Caller, act: impl FnOnce(&mut Notifications, &mut Context<'_>) -> T) -> T {
        self.says.clear();
        let mut context = Context {
            now: self.now,
            room: &self.name,
            epoch: Epoch(1),
            offset: 0,
            next_offset: 1,
            members: self.members,
            log: None,
            drafts: None,
            caller: Some(caller),
            options: &self.options,
            random: &mut Random::new(7),
            used_s: 0,
            says: &mut self.says,
            deeds: &mut Vec::new(),
            changed: false,
            dropped: 0,
        };
        let result = act(&mut self.it, &mut context);
        self.dropped += context.dropped;
        result
    }

    fn ask(&mut self, name: &str, data: Value) -> Result<Value, Refusal> {
        self.ask_after(name, data, Value::Null)
    }

    fn ask_after(&mut self, name: &str, data: Value, so_far: Value) -> Result<Value, Refusal> {
        let (_, spec) = find(&format!("notification.{name}")).unwrap();
        let mut args = Args::read(spec, Some(&Body::Json(data.to_string().into())), &[])?;
        args.go_on(so_far);
        self.with(&Caller::key(), |it, context| it.call(spec, &args, context))
    }

    fn send(&mut self, id: &str, priority: u8) -> Value {
        let data = json!({"type": "t", "title": "T", "priority": priority, "notification_id": id});
        self.ask("send", data).unwrap()
    }

    fn ids(&mut self) -> Vec<String> {
        let list = self.ask("list", json!({})).unwrap();
        list["notifications"].as_array().unwrap().iter().map(id).collect()
    }

    /// What a new connection is told, after what boards have handed on.
    fn greet(&mut self, brought: &[Value]) -> Value {
        let to = Address { shard: ShardId(0), connection: ConnectionId::from_token(1) };
        self.with(&Caller::key(), |it, context| it.greet(to, brought, context));
        self.says.pop().map_or(Value::Null, |saying| saying.data)
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_us += ms * 1_000;
        self.now.unix_ms += ms;
        if self.it.due_ms().is_some_and(|due_ms| due_ms <= self.now.mono_ms()) {
            self.with(&Caller::key(), |it, context| it.tick(context));
        }
    }
}

fn id(told: &Value) -> String {
    told["notification_id"].as_str().unwrap().to_owned()
}

fn ids(told: &Value) -> Vec<String> {
    told["unread"].as_array().unwrap().iter().map(id).collect()
}

fn ada() -> Room {
    Room::new(RoomName::of_user("ada"))
}

/// A notification as it was sent to somebody.
pub(super) fn note(id: &str, kind: &str, priority: u8) -> Note {
    let (_, spec) = find("notification.send").unwrap();
    let data = json!({"type": kind, "title": "T", "priority": priority}).to_string();
    let args = Args::read(spec, Some(&Body::Json(data.into())), &[]).unwrap();
    ada().with(&Caller::key(), |_, context| Note::read(&args, id, 0, 60_000, context).unwrap())
}

#[test]
fn the_highest_priority_comes_first_and_then_the_oldest() {
    let mut ada = ada();
    for (id, priority) in [("a", 1), ("b", 9), ("c", 5), ("d", 9), ("e", 1)] {
        ada.send(id, priority);
    }
    ada.pass(10);
    ada.send("f", 5);
    assert_eq!(ada.ids(), ["b", "d", "c", "f", "a", "e"]);
    assert_eq!(ids(&ada.greet(&[])), ["b", "d", "c", "f", "a", "e"]);
    let second = ada.ask("list", json!({"limit": 2, "skip": 1})).unwrap();
    let of_second: Vec<String> = second["notifications"].as_array().unwrap().iter().map(id).collect();
    assert_eq!((of_second, &second["more"]), (vec!["d".to_owned(), "c".to_owned()], &json!(true)));
}

#[test]
fn what_is_acknowledged_comes_no_more_and_stays_listed_for_a_day() {
    let mut ada = ada();
    ada.send("a", 5);
    ada.send("b", 5);
    ada.ask("acknowledge", json!({"notification_id": "a"})).unwrap();
    assert_eq!(ada.says.pop().unwrap().event, "$notification_acknowledged");
    ada.ask("acknowledge", json!({"notification_id": "a"})).unwrap();
    assert!(ada.says.is_empty(), "it was done before");
    let greeting = ada.greet(&[]);
    assert_eq!((ids(&greeting), &greeting["count"]), (vec!["b".to_owned()], &json!(1)));
    assert_eq!(ada.ids(), ["a", "b"]);
    ada.pass(24 * 3_600_000);
    assert_eq!(ada.ids(), ["b"]);
    let refused = ada.ask("acknowledge", json!({"notification_id": "x"})).unwrap_err();
    assert_eq!(refused.field, Some("notification_id"));
}

#[test]
fn an_id_that_comes_again_is_answered_the_same_and_said_once() {
    let mut ada = ada();
    let first = ada.send("a", 5);
    assert_eq!(ada.says.len(), 1);
    ada.pass(1_000);
    assert_eq!((ada.send("a", 5), ada.says.len()), (first.clone(), 0));
    ada.ask("dismiss", json!({"notification_id": "a"})).unwrap();
    assert_eq!((ada.send("a", 5), ada.ids()), (first, vec![]), "it was dismissed and does not come back");
    ada.ask("dismiss", json!({"notification_id": "a"})).unwrap();
    ada.pass(300_000);
    assert!(ada.it.is_empty(), "nothing is left of it");
}

#[test]
fn an_id_is_its_senders() {
    let user = |name| Caller { user: Some(RoomName::of_user(name)), role: "nurse".into(), ..Caller::key() };
    let (ben, eve) = (user("ben"), user("eve"));
    let (_, spec) = find("notification.send").unwrap();
    let send = |room: &mut Room, who: &Caller, from: Option<&str>| {
        let data = json!({"type": "t", "title": "T", "notification_id": "n", "from": from}).to_string();
        let args = Args::read(spec, Some(&Body::Json(data.into())), &[]).unwrap();
        let sent = room.with(who, |it, context| it.call(spec, &args, context));
        (sent.map_err(|refusal| (refusal.code, refusal.field)), room.says.len())
    };
    let refused = (Err((Code::Conflict, Some("notification_id"))), 0);
    for (mut room, take) in [(ada(), "dismiss"), (Room::new(RoomName::of_all()), "withdraw")] {
        let (first, said) = send(&mut room, &ben, None);
        assert!(first.is_ok() && said == 1);
        assert_eq!(send(&mut room, &ben, None), (first.clone(), 0));
        assert_eq!(send(&mut room, &eve, None), refused);
        assert_eq!(send(&mut room, &Caller::key(), Some("ben")), refused, "a backend's name is no user");
        room.ask(take, json!({"notification_id": "n", "all": true})).unwrap();
        assert_eq!(send(&mut room, &eve, None), refused, "also when it is gone");
        assert_eq!(send(&mut room, &ben, None), (first, 0));
    }
}

#[test]
fn at_the_bound_the_least_goes_first_and_is_counted() {
    let mut ada = ada();
    ada.options.services.notification.unread_max = 3;
    for (id, priority) in [("a", 5), ("b", 1), ("c", 5)] {
        ada.send(id, priority);
    }
    ada.ask("acknowledge", json!({"notification_id": "c"})).unwrap();
    ada.send("d", 3);
    assert_eq!(
        (ada.ids(), ada.dropped),
        (vec!["a".into(), "d".into(), "b".into()], 0),
        "what is read goes first"
    );
    ada.send("e", 1);
    assert_eq!((ada.ids(), ada.dropped), (vec!["a".into(), "d".into(), "e".into()], 1));
    let sent = ada.send("f", 0);
    assert_eq!(ada.says.pop().unwrap().event, "$notification", "who is there hears of it");
    assert_eq!((&sent["targets"], &sent["dropped"]), (&json!(1), &json!(1)), "its sender knows");
    assert_eq!((ada.send("f", 0), ada.says.len()), (sent, 0));
    assert_eq!(ada.ids(), ["a", "d", "e"]);
    assert_eq!(ada.ask("list", json!({})).unwrap()["dropped"], 2);
    let mut big = self::ada();
    let body = "x".repeat(4_096);
    for at in 0..400 {
        let id = format!("n{at}");
        big.ask("send", json!({"type": "t", "title": "T", "body": body, "notification_id": id})).unwrap();
    }
    assert_eq!(big.dropped, 400 - (1 << 20) / (256 + 4_096 + 2), "bytes are bounded as well");
}

#[test]
fn quiet_hours_hold_back_until_they_are_over() {
    let mut ada = ada();
    // It is midnight.
    let quiet = json!({"quiet_hours": {"from": "22:00", "to": "07:00"}, "types_muted": ["m"]});
    ada.ask("set_preferences", quiet).unwrap();
    ada.send("urgent", 8);
    assert_eq!(ada.says.len(), 1);
    ada.send("later", 7);
    ada.ask("send", json!({"type": "m", "title": "T", "notification_id": "muted"})).unwrap();
    assert!(ada.says.is_empty());
    let greeting = ada.greet(&[]);
    assert_eq!((ids(&greeting), &greeting["count"]), (vec!["urgent".to_owned()], &json!(3)));
    ada.pass(7 * 3_600_000 - 1);
    assert!(ada.says.is_empty());
    ada.pass(1);
    assert_eq!(ids(&ada.says[0].data), ["urgent", "later"]);
    ada.says.clear();
    ada.pass(3_600_000);
    assert!(ada.says.is_empty(), "once");
}

#[test]
fn new_preferences_let_out_what_was_held_back() {
    let mut ada = ada();
    ada.ask("set_preferences", json!({"quiet_hours": {"from": "22:00", "to": "07:00"}})).unwrap();
    ada.send("a", 5);
    let told = ada.ask("set_preferences", json!({})).unwrap();
    assert_eq!(told["quiet_hours"], Value::Null);
    assert_eq!(ids(&ada.says[0].data), ["a"]);
}

#[test]
fn broadcasts_are_merged_by_priority_until_the_user_is_done_with_them() {
    let (mut nurses, mut all, mut ada) =
        (Room::new(RoomName::of_role("nurse")), Room::new(RoomName::of_all()), ada());
    nurses.send("n", 7);
    all.send("x", 3);
    ada.send("a", 5);
    let of_nurses = nurses.ask("list", json!({})).unwrap();
    let handed_on = all.ask_after("list", json!({}), of_nurses).unwrap();
    let count =
        |ada: &mut Room| ada.ask_after("count", json!({}), handed_on.clone()).unwrap()["count"].clone();
    assert_eq!(count(&mut ada), 3);
    let brought: Vec<Value> = [&mut nurses, &mut all]
        .map(|of| of.with(&Caller::key(), |it, context| it.state(context).unwrap()))
        .into();
    assert_eq!(ids(&ada.greet(&brought)), ["n", "a", "x"]);
    let done = |ada: &mut Room, name: &str, id: &str| {
        ada.ask_after(name, json!({"notification_id": id}), handed_on.clone()).unwrap();
    };
    done(&mut ada, "acknowledge", "n");
    done(&mut ada, "dismiss", "x");
    assert_eq!(ids(&ada.greet(&brought)), ["a"]);
    let list = ada.ask_after("list", json!({}), handed_on.clone()).unwrap();
    let told: Vec<String> = list["notifications"].as_array().unwrap().iter().map(id).collect();
    assert_eq!((told, &list["count"]), (vec!["n".to_owned(), "a".to_owned()], &json!(1)));
    assert_eq!(count(&mut ada), 1);
    let restored = (KIND.restore)(&ada.it.save().unwrap(), &ada.options).unwrap();
    assert_eq!(restored.save(), ada.it.save());
    ada.pass(30 * 24 * 3_600_000);
    assert!(ada.it.is_empty(), "when all has expired, nothing is remembered");
}

#[test]
fn a_broadcast_that_ends_on_its_way_to_the_user_is_not_told_again() {
    let (mut all, mut ada) = (Room::new(RoomName::of_all()), ada());
    all.send("x", 3);
    let brought = [all.with(&Caller::key(), |it, context| it.state(context).unwrap())];
    let of_x = json!({"notification_id": "x"});
    ada.ask_after("acknowledge", of_x.clone(), brought[0].clone()).unwrap();
    ada.pass(24 * 3_600_000);
    assert!(ada.it.is_empty(), "it is over, and so is the memory of who was done with it");
    assert_eq!(ada.greet(&brought), Value::Null);
    assert_eq!(ada.ask_after("count", json!({}), brought[0].clone()).unwrap()["count"], 0);
    let refused = ada.ask_after("acknowledge", of_x, brought[0].clone());
    assert_eq!(refused.unwrap_err().code, Code::RoomNotFound);
}

#[test]
fn a_board_is_bounded_and_refuses_more() {
    let mut all = Room::new(RoomName::of_all());
    all.options.services.notification.broadcasts_max = 2;
    all.send("a", 5);
    all.send("b", 5);
    let more = json!({"type": "t", "title": "T", "notification_id": "c"});
    assert_eq!(all.ask("send", more.clone()).unwrap_err().code, Code::RateLimitExceeded);
    all.ask("withdraw", json!({"all": true, "notification_id": "a"})).unwrap();
    assert_eq!(all.says.pop().unwrap().event, "$notification_withdrawn");
    all.ask("send", more).unwrap();
    all.pass(24 * 3_600_000);
    all.pass(300_000);
    assert!(all.it.is_empty());
}

#[test]
fn who_may_take_a_notification_back() {
    let permissions = crate::Permissions::NONE.with(Permission::Control);
    let user = |name| Caller::user(RoomName::of_user(name), "nurse".into(), permissions);
    let mut ada = ada();
    let (_, send) = find("notification.send").unwrap();
    let (_, withdraw) = find("notification.withdraw").unwrap();
    let read = |spec, data: Value| Args::read(spec, Some(&Body::Json(data.to_string().into())), &[]).unwrap();
    let sent = read(
        send,
        json!({"type": "t", "title": "T", "notification_id": "a", "from": "eve", "require_ack": true}),
    );
    ada.with(&user("ben"), |it, context| it.call(send, &sent, context)).unwrap();
    assert_eq!(ada.says[0].data["from"], "ben", "a user is named as it is");
    ada.ask("acknowledge", json!({"notification_id": "a"})).unwrap();
    assert!(ada.says.iter().any(|of| of.to == To::Other(RoomName::of_user("ben"))), "ben hears of it");
    let back = read(withdraw, json!({"notification_id": "a"}));
    let refused = ada.with(&user("eve"), |it, context| it.call(withdraw, &back, context)).unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    let withdrawn = ada.with(&user("ben"), |it, context| it.call(withdraw, &back, context)).unwrap();
    assert_eq!(withdrawn["withdrawn"], 1);
    let again = ada.with(&user("ben"), |it, context| it.call(withdraw, &back, context)).unwrap();
    assert_eq!(again["withdrawn"], 0);
}
