use serde_json::{Value, json};

use super::*;
use crate::RoomType;
use crate::service::desk::Desk;

struct Play {
    desk: Desk,
    roster: Box<dyn Service>,
}

impl Play {
    fn new() -> Self {
        let mut desk = Desk::new();
        desk.options.room_types = vec![RoomType { presence: Presence::Users, ..RoomType::open("demo") }];
        Self { desk, roster: (KIND.new)(&Options::default()) }
    }

    fn join(&mut self, number: u32) {
        self.join_as(number, "user");
    }

    fn join_as(&mut self, number: u32, role: &str) {
        let who = self.desk.caller(&format!("u{number}"), role, number);
        let member = Member { who, client_id: format!("c{number}").into() };
        self.desk.with(&mut *self.roster, None, |roster, context| roster.joined(&member, context));
    }

    fn leave(&mut self, number: u32) {
        let from = self.desk.caller(&format!("u{number}"), "user", number).address.unwrap();
        self.desk.with(&mut *self.roster, None, |roster, context| roster.left(from, context));
    }

    fn set(&mut self, number: u32, status: &str) {
        let caller = self.desk.caller(&format!("u{number}"), "user", number);
        self.desk.ask(&mut *self.roster, &caller, "presence.set", json!({ "status": status })).unwrap();
    }

    fn list(&mut self, data: Value) -> Value {
        let caller = self.desk.caller("u0", "user", 0);
        self.desk.ask(&mut *self.roster, &caller, "presence.list", data).unwrap()
    }

    /// Time passes, and the shard looks after the roster whenever it wants to be looked at.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.desk.now.mono_ms() + ms;
        while self.roster.due_ms().is_some_and(|due_ms| due_ms <= end_ms) {
            self.desk.tick(&mut *self.roster);
        }
        let rest_ms = end_ms - self.desk.now.mono_ms();
        self.desk.pass(rest_ms);
    }

    /// What was told: how many joined, left and changed, by signal.
    fn told(&mut self) -> Vec<[usize; 3]> {
        let counted = |data: &Value, kind: &str| data[kind].as_array().unwrap().len();
        let heard = self.desk.heard().into_iter();
        heard
            .map(|(event, data)| {
                assert_eq!(event, "$presence");
                ["joined", "left", "changed"].map(|kind| counted(&data, kind))
            })
            .collect()
    }
}

#[test]
fn in_small_rooms_everything_is_told_at_once() {
    let mut play = Play::new();
    for number in 0..5 {
        play.join(number);
        play.pass(10);
    }
    play.set(0, "busy");
    play.pass(0);
    assert_eq!(play.told(), [[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]]);
}

#[test]
fn in_large_rooms_changes_are_gathered_for_a_second() {
    let mut play = Play::new();
    (0..60).for_each(|number| play.join(number));
    play.pass(GATHER_MS);
    let joined: usize = play.told().iter().map(|[joined, ..]| joined).sum();
    assert_eq!(joined, 60);
    // Sixty changes within a second, and each somewhere else in it.
    for number in 0..60 {
        play.set(number, "busy");
        play.pass(10);
    }
    play.pass(GATHER_MS);
    let told = play.told();
    assert_eq!(told.iter().map(|[_, _, changed]| changed).sum::<usize>(), 60, "{told:?}");
    assert!(told.len() <= 2, "{told:?}");
    for number in 60..120 {
        play.join(number);
        play.pass(10);
    }
    play.pass(GATHER_MS);
    let told = play.told();
    assert_eq!(told.iter().map(|[joined, ..]| joined).sum::<usize>(), 60, "{told:?}");
    assert!(told.len() <= 2, "{told:?}");
}

#[test]
fn who_is_back_within_the_grace_has_not_left() {
    let mut play = Play::new();
    (0..2).for_each(|number| play.join(number));
    play.pass(0);
    play.told();
    play.leave(1);
    play.pass(GRACE_MS - 1);
    play.join(1);
    play.pass(GRACE_MS * 2);
    assert_eq!(play.told(), [[0, 0, 1]], "it has another connection, and that is all");
    play.leave(1);
    play.pass(GRACE_MS);
    assert_eq!(play.told(), [[0, 1, 0]]);
    play.leave(0);
    play.pass(GRACE_MS);
    assert!(play.roster.is_empty() && play.roster.due_ms().is_none());
}

#[test]
fn who_may_come_back_counts_as_there_and_may_come_back_with_another_role() {
    let mut play = Play::new();
    play.join(0);
    play.join(1);
    play.pass(1);
    play.leave(1);
    let who = play.desk.caller("u0", "user", 0);
    let state =
        play.desk.with(&mut *play.roster, Some(&who), |roster, context| roster.state(context)).unwrap();
    let list = play.list(json!({}));
    for told in [&state, &list] {
        assert_eq!((&told["count"], told["members"].as_array().unwrap().len()), (&json!(2), 2), "{told}");
    }
    play.told();
    play.join_as(1, "lead");
    play.pass(1);
    let heard = play.desk.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let (_, data) = &heard[0];
    assert_eq!((&data["changed"][0]["role"], &data["count"]), (&json!("lead"), &json!(2)), "{data}");
}

#[test]
fn who_is_not_there_says_nothing_and_is_told_so() {
    for mut play in [Play::new(), each()] {
        play.join(0);
        let caller = Caller { is_member: false, ..play.desk.caller("u1", "user", 1) };
        let data = json!({"status": "busy"});
        let refused = play.desk.ask(&mut *play.roster, &caller, "presence.set", data.clone()).unwrap_err();
        assert_eq!((refused.code, refused.field), (Code::Forbidden, Some("room")));
        play.desk.options.room_types.clear();
        let caller = play.desk.caller("u0", "user", 0);
        let refused = play.desk.ask(&mut *play.roster, &caller, "presence.set", data).unwrap_err();
        assert_eq!((refused.code, refused.field), (Code::Conflict, Some("room")));
    }
}

#[test]
fn a_page_of_connections_ends_where_a_client_id_does() {
    let mut play = each();
    for (number, client_id) in (0..).zip(["a", "b", "b", "b", "c"]) {
        enter(&mut play, client_id, number);
    }
    let (mut after, mut pages) = (json!(null), Vec::new());
    loop {
        let page = play.list(json!({"limit": 2, "after": after}));
        let rows: Vec<String> =
            page["members"].as_array().unwrap().iter().map(|row| row["client_id"].to_string()).collect();
        after = page["members"][rows.len() - 1]["client_id"].clone();
        pages.push(rows.len());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(pages, [4, 1], "nobody is left out, and nobody comes twice");
}

#[test]
fn who_leaves_large_rooms_together_is_told_of_together() {
    let mut play = Play::new();
    (0..120).for_each(|number| play.join(number));
    play.pass(GATHER_MS);
    play.told();
    for number in 0..60 {
        play.leave(number);
        play.pass(10);
    }
    play.pass(GRACE_MS + GATHER_MS);
    let told = play.told();
    assert_eq!(told.iter().map(|[_, left, _]| left).sum::<usize>(), 60, "{told:?}");
    assert!(told.len() <= 3, "{} signals", told.len());
}

#[test]
fn one_message_tells_of_as_many_as_a_socket_takes() {
    let mut play = Play::new();
    (0..1_200).for_each(|number| play.join(number));
    play.pass(5 * GATHER_MS);
    let told = play.told();
    assert_eq!(told.iter().map(|[joined, ..]| joined).sum::<usize>(), 1_200, "{told:?}");
    assert!(told.iter().all(|counts| counts.iter().sum::<usize>() <= TOLD_AT_ONCE), "{told:?}");
}

fn each() -> Play {
    let mut play = Play::new();
    play.desk.room = fanfare_protocol::RoomName::parse("met:1").unwrap();
    play.desk.options.room_types =
        vec![RoomType { presence: Presence::Connections, ..RoomType::open("met") }];
    play
}

/// A connection of u1's comes in.
fn enter(play: &mut Play, client_id: &str, number: u32) {
    let member = Member { who: play.desk.caller("u1", "user", number), client_id: client_id.into() };
    play.desk.with(&mut *play.roster, None, |roster, context| roster.joined(&member, context));
}

#[test]
fn connections_come_and_go_at_once_each_for_itself() {
    let mut play = each();
    play.join(0);
    enter(&mut play, "tab", 1);
    enter(&mut play, "phone", 2);
    assert_eq!(play.told(), [[1, 0, 0]; 3], "without waiting for a tick");
    play.set(2, "busy");
    play.leave(2);
    let heard = play.desk.heard();
    assert_eq!(heard[0].1["changed"][0]["client_id"], "phone", "{heard:?}");
    let left = &heard[1].1["left"][0];
    assert_eq!([&left["client_id"], &left["user_id"], &left["role"]], ["phone", "u1", "user"], "{heard:?}");
    assert!(play.roster.due_ms().is_none(), "nothing is left to tell");
}

#[test]
fn what_has_one_client_id_is_there_until_its_last_connection_has_gone() {
    let mut play = each();
    enter(&mut play, "tab", 1);
    enter(&mut play, "tab", 2);
    play.told();
    play.leave(1);
    assert_eq!(play.told(), [[0, 0, 1]]);
    play.leave(2);
    assert_eq!(play.told(), [[0, 1, 0]]);
    assert!(play.roster.is_empty());
}

#[test]
fn in_large_rooms_changes_of_connections_are_gathered_and_add_up() {
    let mut play = each();
    (0..60).for_each(|number| play.join(number));
    let told = play.told();
    assert_eq!(told.len(), LARGE, "only the first ones at once");
    play.leave(59);
    play.leave(3);
    play.join(3);
    assert!(play.told().is_empty());
    play.pass(GATHER_MS);
    // What has left before others knew of it may have been told to who came meanwhile.
    assert_eq!(play.told(), [[9 + 1, 1, 0]]);
    (0..20).for_each(|number| play.leave(number));
    let told = play.told();
    assert_eq!(told.iter().map(|[_, left, _]| left).sum::<usize>(), 20, "{told:?}");
}

#[test]
fn one_message_tells_of_as_many_connections_as_a_socket_takes() {
    let mut play = each();
    (0..1_200).for_each(|number| play.join(number));
    play.pass(GATHER_MS + 1_000);
    let told = play.told();
    assert_eq!(told.iter().map(|[joined, ..]| joined).sum::<usize>(), 1_200, "{told:?}");
    assert!(told.iter().all(|counts| counts.iter().sum::<usize>() <= TOLD_AT_ONCE), "{told:?}");
}
