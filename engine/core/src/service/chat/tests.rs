use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

use super::*;
use crate::service::Caller;
use crate::service::desk::{Desk, refused};

fn chat() -> Box<dyn Service> {
    (KIND.new)(&Options::default())
}

struct Play {
    desk: Desk,
    chat: Box<dyn Service>,
}

impl Play {
    fn new() -> Self {
        Self { desk: Desk::new(), chat: chat() }
    }

    fn by(&mut self, who: &Caller, name: &str, data: Value) -> Result<Value, Refusal> {
        self.desk.ask(&mut *self.chat, who, name, data)
    }

    fn user(&mut self, user: &str, name: &str, data: Value) -> Result<Value, Refusal> {
        let caller = self.desk.caller(user, "user", user.len() as u32);
        self.by(&caller, name, data)
    }

    fn kept(&self, offset: u64) -> Value {
        let entry = self.desk.log.after(offset - 1).next().unwrap();
        said(&entry.entry)
    }

    fn events(&mut self) -> Vec<(String, Value)> {
        self.desk.heard()
    }
}

#[test]
fn edits_and_deletions_leave_nothing_of_the_former_words() {
    let mut play = Play::new();
    let sent = play.user("ada", "chat.send", json!({"text": "secret", "mentions": ["ben"]})).unwrap();
    assert_eq!(sent, json!({"offset": 1, "epoch": play.desk.epoch.to_string()}));
    assert_eq!(play.events(), [("$chat_message".to_owned(), json!({"text": "secret", "mentions": ["ben"]}))]);
    let edit = json!({"offset": 1, "text": "better"});
    assert_eq!(refused(play.user("ben", "chat.edit", edit.clone())), (Code::Forbidden, Some("offset")));
    play.user("ada", "chat.edit", edit.clone()).unwrap();
    let (event, told) = play.events().pop().unwrap();
    assert_eq!((&*event, &told["text"], &told["offset"]), ("$chat_edited", &json!("better"), &json!(1)));
    let now_says = play.kept(1);
    assert_eq!((&now_says["text"], &now_says["mentions"]), (&json!("better"), &json!(["ben"])));
    assert!(now_says["edited_at"].is_string());
    play.user("ada", "chat.edit", json!({"offset": 1, "text": "best"})).unwrap();
    assert_eq!(play.kept(2)["superseded"], true, "the former edit has no words any more");
    let root = play.desk.caller("root", "admin", 9);
    play.by(&root, "chat.delete", json!({"offset": 1})).unwrap();
    assert_eq!(play.events().pop().unwrap().0, "$chat_deleted");
    assert_eq!(play.kept(1)["deleted"], true);
    let kept: String = (1..=play.desk.offset).map(|offset| play.kept(offset).to_string()).collect();
    assert!(!kept.contains("secret") && !kept.contains("be"), "{kept}");
    for name in ["chat.edit", "chat.delete"] {
        assert_eq!(refused(play.user("ada", name, edit.clone())), (Code::RoomNotFound, Some("offset")));
    }
}

#[test]
fn only_messages_that_are_kept_can_be_changed_and_only_of_this_epoch() {
    let mut play = Play::new();
    play.user("ada", "chat.send", json!({"text": "hi"})).unwrap();
    play.user("ada", "chat.edit", json!({"offset": 1, "text": "ho"})).unwrap();
    for (name, data, expected) in [
        ("chat.edit", json!({"offset": 2, "text": "x"}), (Code::RoomNotFound, Some("offset"))),
        ("chat.delete", json!({"offset": 7}), (Code::RoomNotFound, Some("offset"))),
        ("chat.delete", json!({"offset": 1, "epoch": "other"}), (Code::RoomNotFound, Some("epoch"))),
        ("chat.send", json!({"text": "x".repeat(4_001)}), (Code::InvalidMessage, Some("text"))),
        ("chat.send", json!({"text": "x", "reply_to": 3}), (Code::RoomNotFound, Some("reply_to"))),
        ("chat.read", json!({"offset": 3}), (Code::RoomNotFound, Some("offset"))),
        ("chat.react", json!({"offset": 1, "emoji": "+".repeat(33)}), (Code::InvalidMessage, Some("emoji"))),
        ("chat.react", json!({"offset": 9, "emoji": "+"}), (Code::RoomNotFound, Some("offset"))),
    ] {
        assert_eq!(refused(play.user("ada", name, data.clone())), expected, "{name} {data}");
    }
    for name in ["chat.typing", "chat.read", "chat.react"] {
        let data = json!({"offset": 1, "emoji": "+", "typing": true});
        assert_eq!(refused(play.by(&Caller::key(), name, data)).0, Code::Forbidden, "{name}");
    }
}

#[test]
fn typing_ends_by_itself_and_with_the_last_connection_of_a_user() {
    let mut play = Play::new();
    let typing = |on: bool| vec![("$typing".to_owned(), json!({"user_id": "ada", "typing": on}))];
    let (first, second) = (play.desk.caller("ada", "user", 1), play.desk.caller("ada", "user", 2));
    play.by(&first, "chat.typing", json!({"typing": true})).unwrap();
    assert_eq!(play.desk.says[0].exclude, first.address);
    assert_eq!(play.events(), typing(true));
    play.desk.pass(1_500);
    play.by(&second, "chat.typing", json!({"typing": true})).unwrap();
    play.desk.with(&mut *play.chat, None, |chat, context| chat.left(first.address.unwrap(), context));
    assert_eq!(play.events(), [], "two connections are one user");
    let state = play.user("ben", "chat.state", json!({})).unwrap();
    assert_eq!(state["typing"], json!(["ada"]));
    assert_eq!(
        play.user("ada", "chat.state", json!({})).unwrap()["typing"],
        json!([]),
        "one knows of oneself"
    );
    assert!(!play.desk.changed && !play.chat.is_empty());
    play.desk.tick(&mut *play.chat);
    assert_eq!(play.events(), typing(false));
    assert_eq!(play.desk.now.mono_ms(), 1_000_000 + 6_500);
    play.desk.tick(&mut *play.chat);
    assert!(play.chat.is_empty() && play.events().is_empty());
}

#[test]
fn a_user_is_told_of_once_a_second_at_most_and_the_last_word_counts() {
    let mut play = Play::new();
    let mut toggle = |typing: bool| play.user("ada", "chat.typing", json!({"typing": typing})).unwrap();
    [true, false, true, false, true, false].into_iter().for_each(|typing| drop(toggle(typing)));
    assert_eq!(play.events().len(), 1);
    play.desk.tick(&mut *play.chat);
    assert_eq!(play.events()[0].1["typing"], false);
    for number in 0..150 {
        play.user(&format!("u{number}"), "chat.typing", json!({"typing": true})).unwrap();
    }
    assert!(play.events().len() <= 100, "a room has at most a hundred who type");
}

#[test]
fn marks_and_reactions_are_told_saved_and_let_go() {
    let mut play = Play::new();
    for text in ["a", "b", "c"] {
        play.user("ada", "chat.send", json!({ "text": text })).unwrap();
    }
    play.events();
    let read = play.user("ben", "chat.read", json!({"offset": 2})).unwrap();
    assert_eq!(read, json!({"offset": 2, "unread": 1}));
    assert_eq!(play.user("ben", "chat.read", json!({"offset": 1})).unwrap()["offset"], 2);
    assert_eq!(play.events(), [("$read".to_owned(), json!({"user_id": "ben", "offset": 2}))]);
    let react = json!({"offset": 3, "emoji": "👍"});
    play.user("ben", "chat.react", react.clone()).unwrap();
    let all = play.user("cyd", "chat.react", react.clone()).unwrap();
    assert_eq!(all, json!({"offset": 3, "reactions": [{"emoji": "👍", "count": 2}]}));
    play.user("cyd", "chat.react", react).unwrap();
    assert_eq!(play.events().len(), 2, "the same again is no news");
    play.desk.tick(&mut *play.chat);
    assert!(play.desk.changed, "it is saved a second later");
    play.chat = (KIND.restore)(&play.chat.save().unwrap(), &play.desk.options).unwrap();
    play.desk.tick(&mut *play.chat);
    let state = play.user("cyd", "chat.state", json!({})).unwrap();
    assert_eq!(state["reads"], json!([{"user_id": "ben", "offset": 2}]));
    assert_eq!((&state["unread"], &state["readers"]), (&json!(3), &json!(1)));
    assert_eq!(state["reactions"][0]["reactions"][0], json!({"emoji": "👍", "count": 2, "mine": true}));
    play.user("ada", "chat.delete", json!({"offset": 3})).unwrap();
    assert_eq!(play.user("cyd", "chat.state", json!({})).unwrap()["reactions"], json!([]));
    play.desk.log = Log::after_place(4);
    play.desk.members = 0;
    while !play.chat.is_empty() {
        play.desk.tick(&mut *play.chat);
    }
    assert!(play.desk.changed, "that nothing is left is saved as well");
}

#[test]
fn places_of_another_epoch_mean_nothing() {
    let mut play = Play::new();
    play.user("ada", "chat.send", json!({"text": "a"})).unwrap();
    play.user("ada", "chat.read", json!({"offset": 1})).unwrap();
    play.desk.tick(&mut *play.chat);
    let bytes = play.chat.save().unwrap();
    play.chat = (KIND.restore)(&bytes, &play.desk.options).unwrap();
    play.desk.epoch = crate::Epoch(8);
    let told = play.desk.with(&mut *play.chat, None, |chat, context| chat.state(context));
    assert_eq!(told, None);
    play.desk.tick(&mut *play.chat);
    assert!(play.chat.is_empty() && play.desk.changed);
}
