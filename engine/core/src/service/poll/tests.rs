use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

use super::*;
use crate::service::Caller;
use crate::service::desk::{Desk, refused};

struct Play {
    desk: Desk,
    polls: Box<dyn Service>,
}

impl Play {
    fn new() -> Self {
        Self { desk: Desk::new(), polls: (KIND.new)(&Options::default()) }
    }

    fn root(&mut self, name: &str, data: Value) -> Result<Value, Refusal> {
        let root = self.desk.caller("root", "admin", 99);
        self.desk.ask(&mut *self.polls, &root, name, data)
    }

    fn open(&mut self, id: &str) -> Result<Value, Refusal> {
        self.root("poll.open", json!({"poll_id": id, "question": "?", "options": ["a", "b", "c"]}))
    }

    fn vote(&mut self, user: &str, id: &str, option: &str) -> Result<Value, Refusal> {
        let caller = self.desk.caller(user, "user", 1);
        self.desk.ask(&mut *self.polls, &caller, "poll.vote", json!({"poll_id": id, "option": option}))
    }
}

fn votes(tally: &Value) -> Vec<u64> {
    tally["options"].as_array().unwrap().iter().map(|of| of["votes"].as_u64().unwrap()).collect()
}

#[test]
fn a_room_has_so_many_polls_closed_ones_included() {
    let mut play = Play::new();
    for number in 0..POLLS_MAX {
        play.open(&number.to_string()).unwrap();
    }
    assert_eq!(POLLS_MAX, 16, "the documentation says so");
    play.root("poll.close", json!({"poll_id": "3"})).unwrap();
    play.desk.heard();
    assert_eq!(refused(play.open("more")), (Code::RateLimitExceeded, Some("poll_id")));
    assert_eq!(refused(play.open("3")), (Code::Conflict, Some("poll_id")), "a closed one has its name still");
    assert!(!play.desk.changed && play.desk.heard().is_empty(), "what is refused changes and says nothing");
    play.root("poll.remove", json!({"poll_id": "3"})).unwrap();
    play.open("more").unwrap();
    let list = play.root("poll.list", json!({})).unwrap();
    assert_eq!(list["polls"].as_array().unwrap().len(), POLLS_MAX);
    for id in (0..POLLS_MAX).filter(|id| *id != 3).map(|id| id.to_string()).chain(["more".to_owned()]) {
        play.root("poll.remove", json!({"poll_id": id})).unwrap();
    }
    assert!(play.polls.is_empty(), "what is not used costs nothing");
}

#[test]
fn a_vote_that_changes_many_times_is_one_vote() {
    let mut play = Play::new();
    play.open("p").unwrap();
    play.vote("ben", "p", "b").unwrap();
    play.desk.heard();
    for round in 0..1_000 {
        let chosen = round * 7 % 3;
        let tally = play.vote("ada", "p", ["a", "b", "c"][chosen]).unwrap();
        let mut expected = [0, 1, 0];
        expected[chosen] += 1;
        assert_eq!((votes(&tally), &tally["total_votes"]), (expected.to_vec(), &json!(2)), "{round}");
        assert!(play.desk.changed);
        let (event, told) = play.desk.heard().pop().unwrap();
        assert_eq!((&*event, told), ("$poll_tally", tally), "members are told what the voter is");
        if round == 500 {
            let bytes = play.polls.save().unwrap();
            play.polls = (KIND.restore)(&bytes, &play.desk.options).unwrap();
        }
    }
    for (outcome, expected) in [
        (play.vote("ada", "p", "d"), (Code::RoomNotFound, Some("option"))),
        (play.vote("ada", "q", "a"), (Code::RoomNotFound, Some("poll_id"))),
    ] {
        assert_eq!(refused(outcome), expected);
    }
    let data = json!({"poll_id": "p", "option": "a"});
    let of_key = play.desk.ask(&mut *play.polls, &Caller::key(), "poll.vote", data);
    assert_eq!(refused(of_key), (Code::Forbidden, None));
    let closed = play.root("poll.close", json!({"poll_id": "p"})).unwrap();
    assert_eq!((votes(&closed), &closed["open"]), (vec![1, 1, 0], &json!(false)), "refusals change nothing");
    assert_eq!(refused(play.vote("cyd", "p", "a")), (Code::Conflict, Some("poll_id")));
}

#[test]
fn a_poll_with_a_time_closes_by_itself_once() {
    let mut play = Play::new();
    let open = json!({"poll_id": "p", "question": "?", "options": ["a", "b"], "seconds": 5});
    play.root("poll.open", open).unwrap();
    let began_ms = play.desk.now.mono_ms();
    play.desk.heard();
    play.desk.tick(&mut *play.polls);
    assert_eq!(play.desk.now.mono_ms(), began_ms + 5_000);
    let told: Vec<String> = play.desk.heard().into_iter().map(|(event, _)| event).collect();
    assert_eq!(told, ["$poll_closed"]);
    assert!(play.desk.changed && play.polls.due_ms().is_none());
    play.root("poll.close", json!({"poll_id": "p"})).unwrap();
    assert!(play.desk.heard().is_empty(), "it is told once");
}
