//! Chats: words that were taken back are nowhere any more, marks only go forward, and nobody types for ever.

use std::collections::BTreeMap;

use fanfare_core::{Options, RoomType};
use serde_json::{Value, json};

use crate::service::{Part, Stage};

/// One is durable where there is a store.
const ROOMS: [&str; 2] = ["demo:1", "lasting:1"];

/// What chats must come to.
#[derive(Debug, Default)]
pub(crate) struct Chats {
    /// By room, epoch and offset, the messages of which it is known that they were sent.
    messages: BTreeMap<(String, String, u64), Said>,
    /// The furthest mark that each user was told of, by room and epoch.
    marks: BTreeMap<(String, String, String), u64>,
    texts: u32,
}

#[derive(Debug)]
struct Said {
    author: String,
    /// What it said or may say: the first one, and all that were asked for later.
    texts: Vec<String>,
    /// Whether it was changed for certain, and whether it was deleted.
    is_changed: bool,
    is_deleted: bool,
}

impl Chats {
    fn text(&mut self) -> String {
        self.texts += 1;
        format!("text-{}-", self.texts)
    }

    fn some_message(&self, stage: &mut Stage, room: &str) -> Option<(u64, String)> {
        let of_room: Vec<_> = self.messages.keys().filter(|(of, ..)| of == room).collect();
        let (_, epoch, offset) = of_room.get(stage.world.random.below(of_room.len().max(1)))?;
        Some((*offset, epoch.clone()))
    }
}

impl Part for Chats {
    fn options(&self, options: &mut Options) {
        let lasting = RoomType { durable: options.store, ..RoomType::open("lasting") };
        options.room_types.push(lasting);
    }

    fn act(&mut self, stage: &mut Stage, who: usize) {
        let room = ROOMS[stage.world.random.below(ROOMS.len())];
        let of = |name: &str, data: Value| json!({"type": name, "room": room, "data": data});
        let message = self.some_message(stage, room);
        let command = match (stage.world.random.below(12), message) {
            (0, _) => json!({"type": "join", "room": room}),
            (1, _) => of("chat.typing", json!({"typing": stage.world.random.chance(70)})),
            (2, _) => of("chat.state", json!({})),
            (3 | 4, Some((offset, epoch))) => {
                let text = self.text();
                let said = self.messages.get_mut(&(room.to_owned(), epoch.clone(), offset)).unwrap();
                said.texts.push(text.clone());
                of("chat.edit", json!({"offset": offset, "epoch": epoch, "text": text}))
            }
            (5, Some((offset, epoch))) => of("chat.delete", json!({"offset": offset, "epoch": epoch})),
            (6 | 7, Some((offset, epoch))) => {
                let remove = stage.world.random.chance(30);
                of("chat.react", json!({"offset": offset, "epoch": epoch, "emoji": "+", "remove": remove}))
            }
            (8 | 9, Some((offset, epoch))) => of("chat.read", json!({"offset": offset, "epoch": epoch})),
            _ => of("chat.send", json!({"text": self.text()})),
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>) {
        for counts in message["data"]["reactions"].as_array().into_iter().flatten() {
            assert!(counts["count"].as_u64().unwrap_or(1) <= 4, "more reactions than users: {message}");
        }
        let Some(asked) = asked.filter(|_| message["type"] == "ok") else { return };
        let (room, data, user) = (asked["room"].as_str().unwrap(), &message["data"], &stage.people[who].user);
        let epoch = data["epoch"].as_str().or_else(|| asked["data"]["epoch"].as_str()).unwrap_or_default();
        let place = (room.to_owned(), epoch.to_owned(), data["offset"].as_u64().unwrap_or(0));
        match asked["type"].as_str().unwrap() {
            "chat.send" => {
                let texts = vec![asked["data"]["text"].as_str().unwrap().to_owned()];
                let said = Said { author: user.clone(), texts, is_changed: false, is_deleted: false };
                assert!(self.messages.insert(place, said).is_none(), "a place was given twice");
            }
            "chat.edit" | "chat.delete" => {
                let said = self.messages.get_mut(&place).unwrap();
                assert!(said.author == *user || user == "root", "{user} changed what {} said", said.author);
                said.is_changed = true;
                said.is_deleted |= asked["type"] == "chat.delete";
            }
            "chat.read" => {
                let mark = place.2;
                assert!(
                    mark >= asked["data"]["offset"].as_u64().unwrap(),
                    "a mark is less than what was read"
                );
                let whose = (place.0, place.1, user.clone());
                let known = self.marks.entry(whose).or_default();
                *known = mark.max(*known);
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _stage: &mut Stage) {
        // Marks may be a second behind.
        self.marks.clear();
    }

    fn rest(&mut self, stage: &mut Stage) {
        stage.wait(10_000);
        for room in ROOMS {
            let history = stage.answer(0, json!({"type": "history", "room": room, "limit": 1_000}));
            let text = history["messages"].to_string();
            let epoch = history["epoch"].as_str().unwrap_or_default();
            for ((of, _, offset), said) in &self.messages {
                let gone = match said {
                    Said { is_deleted: true, texts, .. } => &texts[..],
                    Said { is_changed: true, texts, .. } => &texts[..1],
                    _ => &[],
                };
                let found = gone.iter().find(|gone| of == room && text.contains(&***gone));
                assert!(found.is_none(), "what was taken back at {offset} of {room} is there still: {text}");
            }
            assert!(!text.contains("$typing") && !text.contains("$read\""), "a signal was kept");
            let state = stage.answer(0, json!({"type": "chat.state", "room": room}))["data"].clone();
            assert_eq!(state["typing"], json!([]), "somebody types for ever in {room}");
            for read in state["reads"].as_array().unwrap() {
                assert!(read["offset"].as_u64() <= state["offset"].as_u64(), "read beyond the end: {state}");
            }
            for ((_, of, user), mark) in self.marks.iter().filter(|((in_room, ..), _)| in_room == room) {
                let reads = state["reads"].as_array().unwrap().iter();
                let now =
                    reads.filter(|read| read["user_id"] == **user).find_map(|read| read["offset"].as_u64());
                assert!(of != epoch || now >= Some(*mark), "{user}'s mark went back: {state}");
            }
        }
    }
}
